"""Released checkpoints score as they did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from released_cases import imported, renamed, rescored, scores_of, videos
from released_network import Released, released

from pamfn.import_released import main
from pamfn.phases.saved import load_networks
from pamfn.phases.target import ScaledTarget

Said = pytest.CaptureFixture[str]


@pytest.fixture
def said(capsys: Said) -> Said:
    return capsys


@pytest.mark.parametrize(
    ("nets", "reduction", "parameters"),
    [(6, 1, 18_058_573), (6, 2, 17_959_757), (8, 1, 20_436_325), (10, 2, 22_715_261)],
)
def test_the_rendition_that_scores_are_held_against_has_the_published_counts(
    nets: int, reduction: int, parameters: int
) -> None:
    with torch.device("meta"):
        network = Released(width=256, nets=nets, reduction=reduction, inputs=(1024, 1024, 768))
    assert sum(value.numel() for value in network.parameters()) == parameters


@pytest.mark.parametrize("nets", [6, 10])
@pytest.mark.parametrize("reduction", [1, 2])
def test_an_imported_network_scores_as_the_release_does(tmp_path: Path, nets: int, reduction: int) -> None:
    network, of = released(nets + reduction, nets=nets, reduction=reduction), videos()
    expected, decisions = scores_of(network, of)
    assert np.ptp(expected) > 0.02  # scores that are all alike would prove nothing
    assert len({decision for of_stage in decisions for decision in of_stage}) > 2
    out = imported(tmp_path, network.state_dict())
    np.testing.assert_allclose(rescored(out, of), expected, atol=1e-5, rtol=0)
    settings = load_networks(out).recipe
    assert (settings.fusion_nets, settings.head_reduction, settings.stages, settings.width) == (nets, reduction, 3, 16)


@pytest.mark.parametrize("stages", [2, 4])
def test_heads_that_shapes_do_not_tell_are_said(tmp_path: Path, stages: int) -> None:
    network, of = released(stages, stages=stages, width=8, heads=(4, 2), nets=3), videos((16, 31, 70))
    expected, _ = scores_of(network, of)
    out = imported(tmp_path / "said", network.state_dict(), "--msfd-heads", "4", "--cmfd-heads", "2")
    np.testing.assert_allclose(rescored(out, of), expected, atol=1e-5, rtol=0)
    unsaid = imported(tmp_path / "unsaid", network.state_dict())
    assert np.abs(rescored(unsaid, of) - expected).max() > 1e-4


@pytest.mark.parametrize("key", ["stage2.f_fusion.fusion_f.linear_layers.0.bias", "stage1.short_cut.1.running_mean"])
def test_the_comparison_sees_a_change_of_any_weight(tmp_path: Path, key: str) -> None:
    network, of = released(7), videos()
    expected, _ = scores_of(network, of)
    state = network.state_dict()
    out = imported(tmp_path, {**state, key: state[key] + 0.3})
    assert np.abs(rescored(out, of) - expected).max() > 1e-4


def test_what_the_release_never_uses_is_counted_and_left_out(tmp_path: Path, said: Said) -> None:
    network = released(1)
    out = imported(tmp_path, network.state_dict())
    told = said.readouterr().out
    unused = 6 * 2 * 16 + 3 * 16
    assert (
        f"{sum(p.numel() for p in network.parameters()):,} parameters, {unused} of them unused and left out\n" in told
    )
    assert not [name for name in load_networks(out).states[0] if name == "c" or name.endswith("attention.norm.weight")]


def test_branches_of_their_own_files_serve_where_the_final_file_has_none(tmp_path: Path) -> None:
    network, of = released(2), videos()
    expected, _ = scores_of(network, of)
    state = network.state_dict()
    files = {"rgb": "RGB_vst.pth", "flow": "best_flow.pkl", "audio": "audio.pt"}
    for branch, name in zip((network.model_r, network.model_f, network.model_a), files.values(), strict=True):
        torch.save(branch.state_dict(), tmp_path / name)
    mixed = {key: value for key, value in state.items() if not key.startswith("model_")}
    out = imported(tmp_path / "folder", mixed, "--branches", str(tmp_path))
    np.testing.assert_allclose(rescored(out, of), expected, atol=1e-5, rtol=0)
    each = [word for modality, name in files.items() for word in (f"--{modality}", str(tmp_path / name))]
    out = imported(tmp_path / "options", mixed, *each)
    np.testing.assert_allclose(rescored(out, of), expected, atol=1e-5, rtol=0)


def test_the_branches_of_the_final_file_go_before_those_of_phase_one(tmp_path: Path, said: Said) -> None:
    network, of = released(2), videos()
    torch.save(released(3).model_a, tmp_path / "audio.pth")  # a whole module, as published: it is never read
    out = imported(tmp_path / "out", network.state_dict(), "--branches", str(tmp_path))
    np.testing.assert_allclose(rescored(out, of), scores_of(network, of)[0], atol=1e-5, rtol=0)
    assert f"audio: {tmp_path / 'out' / 'final.pth'} holds this branch; {tmp_path / 'audio.pth'} is not read" in (
        said.readouterr().out
    )


@pytest.mark.parametrize("saved", ["half", "module.", "old format", "without what is unused", "shuffled"])
def test_other_ways_to_save_the_same_weights_are_read(tmp_path: Path, saved: str) -> None:
    network, of = released(4), videos()
    if saved == "half":
        network = network.half().float()
    expected, _ = scores_of(network, of)
    state = dict(network.state_dict())
    if saved == "half":
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    elif saved == "module.":
        state = {f"module.{name}": value for name, value in state.items()}
    elif saved == "without what is unused":
        state = {k: v for k, v in state.items() if k != "c" and ".norm." not in k and "num_batches" not in k}
    elif saved == "shuffled":
        state = {name: state[name] for name in sorted(state, key=lambda name: name[::-1])}
    out = imported(tmp_path, state)
    if saved == "old format":
        (tmp_path / "networks" / "networks.json").unlink()
        torch.save(state, tmp_path / "final.pth", _use_new_zipfile_serialization=False)
        assert main(["--fusion", str(tmp_path / "final.pth"), "--out", str(out)]) == 0
    np.testing.assert_allclose(rescored(out, of), expected, atol=1e-5, rtol=0)


RENAMED = {
    "the query's convolution": [(".query_conv.", ".fusion.to_q.0.")],
    "the query's convolution outside its module": [("s_fusion.query_conv.", "asking.")],
    "a flat trunk": [("f_fusion.proj2.1.", "f_fusion.proj2.3."), ("f_fusion.proj2.0.", "f_fusion.proj2.")],
    "a nested trunk": [("f_fusion.proj1.1.", "f_fusion.proj1.0.3.")],
    "linear maps": [(".linear_layers.", ".projections.")],
    "numbered blocks": [(".conv1.0.", ".layer_1.conv."), (".conv2.0.", ".layer_2.conv.")],
}


@pytest.mark.parametrize("what", RENAMED)
def test_names_that_the_facts_leave_open_are_told_by_shape(tmp_path: Path, what: str, said: Said) -> None:
    network, of = released(5), videos()
    out = imported(tmp_path, renamed(network.state_dict(), RENAMED[what]))
    np.testing.assert_allclose(rescored(out, of), scores_of(network, of)[0], atol=1e-5, rtol=0)
    assert "by its shape" in said.readouterr().out


def test_noise_c_and_name_are_as_asked(tmp_path: Path) -> None:
    state = released(0, stages=2, nets=3).state_dict()
    plain = load_networks(imported(tmp_path / "plain", state))
    assert (plain.recipe.evaluation_noise, plain.names, plain.targets) == (False, ["final"], [ScaledTarget(25.0)])
    asked = ["--evaluation-noise", "--score-max", "45", "--name", "TES/all/seed0"]
    other = load_networks(imported(tmp_path / "other", state, *asked))
    assert (other.recipe.evaluation_noise, other.names) == (True, ["TES/all/seed0"])
    assert other.targets == [ScaledTarget(45.0)]


def test_branches_alone_become_networks_of_their_own(tmp_path: Path, said: Said) -> None:
    network, of = released(8), videos()
    with torch.no_grad():
        for branch in (network.model_r, network.model_a):
            branch.fc[1].weight.mul_(0.2)  # away from the ends of the sigmoid
    torch.save(network.model_r.state_dict(), tmp_path / "rgb.pth")
    torch.save(network.model_a.state_dict(), tmp_path / "audio_AST.pth")
    assert main(["--branches", str(tmp_path), "--out", str(tmp_path / "out"), "--score-max", "45"]) == 0
    for name, branch, file in (("rgb", network.model_r, "rgb"), ("audio", network.model_a, "audio_AST")):
        networks = load_networks(tmp_path / "out" / name)
        assert (networks.recipe.model, networks.names, networks.targets) == (
            f"branch:{name}",
            [file],
            [ScaledTarget(45)],
        )
        with torch.no_grad():
            expected = [branch(video[name].T[None]).item() for video in of]
        np.testing.assert_allclose(rescored(tmp_path / "out" / name, of), expected, atol=1e-5, rtol=0)
        assert np.ptp(expected) > 0.02
    assert not (tmp_path / "out" / "flow").exists()
