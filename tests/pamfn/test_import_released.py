"""Released checkpoints score as they did, and everything wrong with one is said at once."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from released_network import WIDTHS, Released, released
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.import_released import main
from pamfn.phases.saved import load_networks
from pamfn.phases.scoring import predict
from pamfn.phases.target import ScaledTarget

HERE = Path(__file__).resolve().parent
LENGTHS = (7, 8, 31, 70, 16)
State = dict[str, Tensor]
Videos = list[dict[str, Tensor]]
Said = pytest.CaptureFixture[str]


def videos(lengths: tuple[int, ...] = LENGTHS) -> Videos:
    """Returns videos of these lengths, each with a level of its own, so that means over time tell them apart."""
    drawn = torch.Generator().manual_seed(0)

    def stream(steps: int, width: int) -> Tensor:
        return torch.randn(steps, width, generator=drawn) + 2 * torch.randn(width, generator=drawn)

    return [{name: stream(steps, width) for name, width in WIDTHS.items()} for steps in lengths]


@pytest.fixture
def said(capsys: Said) -> Said:
    return capsys


@torch.no_grad()
def scores_of(network: Released, of: Videos) -> tuple[list[float], list[list[int]]]:
    """Scores videos one by one; returns the scores, and the decisions of every stage, all videos' together."""
    scores, decisions = [], [list[int]() for _ in range(network.stages)]
    for video in of:
        score, decided = network({name: x.T[None] for name, x in video.items()})
        scores.append(score.item())
        for all_of_stage, mine in zip(decisions, decided, strict=True):
            all_of_stage += mine.flatten().tolist()
    return scores, decisions


def imported(folder: Path, state: State, *options: str) -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "final.pth")
    out = folder / "networks"
    assert main(["--fusion", str(folder / "final.pth"), "--out", str(out), *options]) == 0
    return out


def rescored(out: Path, of: Videos) -> NDArray[np.float64]:
    """Scores videos in padded batches by the networks of a folder."""
    rows = {n: torch.cat([*(video[n] for video in of), torch.zeros(1, width)]) for n, width in WIDTHS.items()}
    lengths = torch.tensor([len(video["rgb"]) for video in of])
    bank = Bank(rows, lengths.cumsum(0) - lengths, lengths)
    networks = load_networks(out)
    return predict(networks.network(), bank.only(*networks.widths), [np.arange(len(of))])[0]


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


def renamed(state: State, changes: list[tuple[str, str]]) -> State:
    for old, new in changes:
        state = {name.replace(old, new): value for name, value in state.items()}
    return state


@pytest.mark.parametrize("what", RENAMED)
def test_names_that_the_facts_leave_open_are_told_by_shape(tmp_path: Path, what: str, said: Said) -> None:
    network, of = released(5), videos()
    out = imported(tmp_path, renamed(network.state_dict(), RENAMED[what]))
    np.testing.assert_allclose(rescored(out, of), scores_of(network, of)[0], atol=1e-5, rtol=0)
    assert "by its shape" in said.readouterr().out


def refused(folder: Path, said: Said, *options: str, status: int = 1) -> list[str]:
    """Imports into a fresh folder; returns the lines of the refusal without the folder's name."""
    assert main([*options, "--out", str(folder / "networks")]) == status
    assert not (folder / "networks").exists()
    captured = said.readouterr()
    assert captured.out == ""
    return captured.err.replace(f"{folder}/", "").splitlines()


def refused_state(folder: Path, said: Said, state: dict[str, Any], *options: str) -> list[str]:
    torch.save(state, folder / "final.pth")
    return refused(folder, said, "--fusion", str(folder / "final.pth"), *options)


def test_layers_that_could_be_swapped_are_refused(tmp_path: Path, said: Said) -> None:
    letters = {f".linear_layers.{i}.": f".{name}." for i, name in enumerate(("to_q", "to_k", "to_v"))}
    state = renamed(released(0, stages=2).state_dict(), list(letters.items()))
    lines = refused_state(tmp_path, said, state)
    assert "final.pth: stage2.f_fusion.fusion_f.linear_layers.2.bias: missing" in lines
    assert "final.pth: stage2.f_fusion.fusion_f.to_v.bias: unknown" in lines
    assert lines[-1] == "48 faults; nothing was written"


def test_two_layers_that_could_be_the_querys_convolution_are_refused(tmp_path: Path, said: Said) -> None:
    state = released(0, stages=2).state_dict()
    spare = {
        name.replace("query_conv", "value_conv"): v for name, v in state.items() if "stage1.s_fusion.query" in name
    }
    lines = refused_state(tmp_path, said, {**state, **spare})
    assert lines[0] == (
        "final.pth: stage1.s_fusion: the 1x1 convolution before the query could be any of stage1.s_fusion.query_conv, "
        "stage1.s_fusion.value_conv; take out those not used"
    )


def test_all_that_is_missing_unknown_or_misshapen_is_listed_at_once(tmp_path: Path, said: Said) -> None:
    state: dict[str, Any] = dict(released(0, stages=2, nets=3).state_dict())
    for name in ("tau", "stage1.conv.3.bias", "model_f.fc.1.weight", "stage2.f_fusion.ffn.1.4.running_var"):
        del state[name]
    state |= {"stage3.extra": torch.zeros(2), "model_a.stage1.gate.weight": torch.zeros(1), "epoch": torch.zeros(1)}
    state["stage2.f_fusion.policy.0.weight"] = torch.zeros(4, 48, 1)
    state["stage1.s_fusion.fusion_s.linear_layers.1.weight"] = torch.zeros(16, 17)
    state["model_r.embedding.4.bias"] = torch.zeros(15)
    lines = refused_state(tmp_path, said, state)
    assert {line.removeprefix("final.pth: ") for line in lines} == {
        "tau: missing",
        "stage1.conv.3.bias: missing",
        "model_f.fc.1.weight: missing",
        "stage2.f_fusion.ffn.1.4.running_var: missing",
        "stage3.extra: unknown",
        "model_a.stage1.gate.weight: unknown",
        "epoch: unknown",
        "stage2.f_fusion.policy.0.weight: shape (4, 48, 1), expected (3, 48, 1)",
        "stage1.s_fusion.fusion_s.linear_layers.1.weight: shape (16, 17), expected (16, 16)",
        "model_r.embedding.4.bias: shape (15,), expected (16,)",
        f"{len(lines) - 1} faults; nothing was written",
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"c": torch.ones(48)}, "final.pth: c: is not zero throughout, and the mixed branch starts from zeros here"),
        (
            {"tau": torch.tensor(-2.5)},
            "final.pth: tau: -2.5 is not above 0: the release divides by it, which turns every decision round",
        ),
        ({"tau": torch.ones(2)}, "final.pth: tau: shape (2,), expected one number"),
        ({"tau": torch.tensor(torch.nan)}, "final.pth: tau: not all of its numbers are finite"),
        ({"tau": torch.tensor(3)}, "final.pth: tau: numbers of int64, not floating-point ones"),
        ({"tau": 3.0}, "final.pth: tau: a float, not a tensor"),
        (
            {"fc.1.weight": torch.zeros(5, 48, 1)},
            "final.pth: fc.1.weight: 5 hidden features; the release has width 16 over r",
        ),
    ],
)
def test_values_that_would_not_score_as_released_are_refused(
    tmp_path: Path, said: Said, changes: dict[str, Any], fault: str
) -> None:
    state = {**released(0, stages=2, nets=3).state_dict(), **changes}
    assert refused_state(tmp_path, said, state) == [fault, "1 fault; nothing was written"]


def test_a_branch_given_as_the_final_file_is_named_for_what_it_lacks(tmp_path: Path, said: Said) -> None:
    lines = refused_state(tmp_path, said, released(0).model_r.state_dict())
    assert lines[0].startswith("final.pth: stage1.conv.0.weight: missing; the width is read from it (there are ")
    assert "final.pth: no model_a. keys, and no file of the audio branch was given" in lines


def test_branches_of_other_sizes_are_refused(tmp_path: Path, said: Said) -> None:
    state = released(0, stages=2, nets=3).state_dict()
    torch.save(released(0, stages=3).model_f.state_dict(), tmp_path / "flow.pth")
    mixed = {key: value for key, value in state.items() if not key.startswith("model_f.")}
    assert refused_state(tmp_path, said, mixed, "--flow", str(tmp_path / "flow.pth"))[:-1] == [
        "the flow branch has width 16 and 3 stages, the mixed branch 16 and 2: they are not of one network"
    ]


def test_heads_must_divide_the_width(tmp_path: Path, said: Said) -> None:
    lines = refused_state(tmp_path, said, released(0, stages=2, nets=3).state_dict(), "--msfd-heads", "5")
    assert lines[0] == "msfd_heads: 5 does not divide width 16"


def test_a_pickled_module_is_refused_with_a_command_that_works(tmp_path: Path, said: Said) -> None:
    network, of = released(6, nets=3, stages=2), videos()
    torch.save(network, tmp_path / "final.pkl")
    line, _ = refused(tmp_path, said, "--fusion", str(tmp_path / "final.pkl"))
    assert line.startswith("final.pkl: holds a whole pickled module, which only its own code can read")
    command = line.partition("code: ")[2].replace("python", sys.executable, 1)
    subprocess.run(shlex.split(command), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HERE)}, check=True)
    out = tmp_path / "networks"
    assert main(["--fusion", str(tmp_path / "final.state.pth"), "--out", str(out)]) == 0
    np.testing.assert_allclose(rescored(out, of), scores_of(network, of)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, said: Said, content: bytes) -> None:
    (tmp_path / "final.pth").write_bytes(content)
    line, _ = refused(tmp_path, said, "--fusion", str(tmp_path / "final.pth"))
    assert line.startswith("final.pth: ")


def test_a_wrong_request_is_refused_before_anything_is_read(tmp_path: Path, said: Said) -> None:
    gone = str(tmp_path / "gone")
    assert refused(tmp_path, said, status=2)[0] == "nothing to import: give --fusion FILE, --branches DIR, or both"
    assert refused(tmp_path, said, "--fusion", gone, status=2)[0] == "--fusion: gone is not a file"
    assert "cannot be read as a folder" in refused(tmp_path, said, "--branches", gone, status=2)[0]
    folder = tmp_path / "branches"
    folder.mkdir()
    assert refused(tmp_path, said, "--branches", str(folder), status=2)[0].startswith(
        "--branches: branches holds no file named for rgb, flow, audio that ends in .pth"
    )
    for name in ("rgb_1.pth", "rgb_2.pth"):
        (folder / name).touch()
    assert refused(tmp_path, said, "--branches", str(folder), status=2)[0] == (
        "--branches: branches: rgb_1.pth, rgb_2.pth are all named for rgb; say which by --rgb"
    )


def test_networks_that_are_there_are_not_written_over(tmp_path: Path, said: Said) -> None:
    out = imported(tmp_path, released(0, stages=2, nets=3).state_dict())
    before = (out / "networks.safetensors").read_bytes()
    assert main(["--fusion", str(tmp_path / "final.pth"), "--out", str(out)]) == 2
    assert "already holds networks" in said.readouterr().err
    assert (out / "networks.safetensors").read_bytes() == before


def test_noise_c_and_name_are_as_asked(tmp_path: Path) -> None:
    state = released(0, stages=2, nets=3).state_dict()
    plain = load_networks(imported(tmp_path / "plain", state))
    assert (plain.recipe.evaluation_noise, plain.names, plain.targets) == (False, ["final"], [ScaledTarget(25.0)])
    asked = ["--evaluation-noise", "--score-max", "45", "--name", "TES/all/seed0"]
    other = load_networks(imported(tmp_path / "other", state, *asked))
    assert (other.recipe.evaluation_noise, other.names) == (True, ["TES/all/seed0"])
    assert other.targets == [ScaledTarget(45.0)]
