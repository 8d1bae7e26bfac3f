"""The command ``python -m pamfn.figures`` on checkpoints: what it draws, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn.architectures import build_network
from pamfn.data.bank import Bank
from pamfn.data.shards import read_shards, write_shards
from pamfn.data.synthetic import generate
from pamfn.figures.__main__ import main
from pamfn.figures.observed import observe
from pamfn.phases.fusion import fusion_training
from pamfn.phases.replica import Task, whole_split
from pamfn.phases.saved import SavedNetworks, load_networks, save_networks
from pamfn.phases.scoring import predict
from pamfn.phases.target import ScaledTarget
from pamfn.recipe import recipe
from pamfn.replicas.cut import cut

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns planted shards that know the seconds of a segment."""
    folder = tmp_path_factory.mktemp("shards")
    features, _ = generate("tiny", 0, False)
    write_shards(replace(features, schema=replace(features.schema, seconds_per_segment=1.5)), folder)
    return folder


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a checkpoint of networks that were trained for a moment, two of every class."""
    folder, features = tmp_path_factory.mktemp("checkpoint"), read_shards(shards)
    bank = Bank.of(features)
    (score,) = features.scores
    tasks = [Task(action, action, score) for action in sorted(set(features.actions))]
    replicas = whole_split(features, tasks, seeds=2, seed=0, trained_on="train", scored_on="test")
    settings = recipe(phases="one", width=8, fusion_nets=4, stages=3, epochs=2, clip=16, lr=5e-3, batch_size=8)
    training = fusion_training(settings, replicas, bank, None)
    list(training.run([1.0]))
    states = [cut(training.network, r) for r in range(len(replicas))]
    save_networks(
        folder, SavedNetworks(settings, dict(bank.widths), [r.name for r in replicas], training.targets, states)
    )
    return folder


def untrained(folder: Path, shards: Path, name: str = "final", /, **settings: Any) -> Path:
    """Writes a checkpoint of one network without training."""
    asked = recipe(**{"width": 8, "fusion_nets": 3, "fine_tuned": (), **settings})
    there = read_shards(shards).schema.modalities
    widths = {stream: there[stream] for stream in asked.streams(list(there))}
    states = [cut(build_network(asked, widths, [1]), 0)]
    save_networks(folder, SavedNetworks(asked, widths, [name], [ScaledTarget(25.0)], states))
    return folder


def drawn(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.svg")) if folder.exists() else []


def a_video(shards: Path, split: str = "test") -> str:
    features = read_shards(shards)
    return features.video_ids[features.where(split=split)[0]]


def test_a_checkpoint_and_a_video_give_figures_5_7_and_8(
    trained: Path, shards: Path, tmp_path: Path, capsys: Said
) -> None:
    video = a_video(shards)
    assert main([str(trained), "--data", str(shards), "--video", video, "--out", str(tmp_path / "figures")]) == 0
    names = ["figure5-decision-frequencies", f"figure7-attention-{video}", f"figure8-decisions-{video}"]
    assert drawn(tmp_path / "figures") == [f"{name}.svg" for name in names]
    assert all((tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    svg = (tmp_path / "figures" / f"{names[1]}.svg").read_text(encoding="utf-8")
    assert "time (s)" in svg
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.endswith(".png")] == [
        str(tmp_path / "figures" / f"{name}.png") for name in names
    ]
    assert "one of " in said  # of the networks of the checkpoint, and how to choose another
    assert "--network" in said


def test_figure_5_has_a_curve_for_every_class(trained: Path, shards: Path, tmp_path: Path) -> None:
    assert main([str(trained), "--data", str(shards), "--out", str(tmp_path)]) == 0
    svg = (tmp_path / "figure5-decision-frequencies.svg").read_text(encoding="utf-8")
    actions = sorted(set(read_shards(shards).actions))
    assert len(actions) > 1
    assert all(f">{action}<" in svg for action in actions)
    assert main([str(trained), "--data", str(shards), "--out", str(tmp_path), "--action", actions[0]]) == 0
    svg = (tmp_path / "figure5-decision-frequencies.svg").read_text(encoding="utf-8")
    assert [action for action in actions if f">{action}<" in svg] == actions[:1]


def test_what_is_observed_is_what_the_network_scores_with(trained: Path, shards: Path) -> None:
    networks, bank = load_networks(trained), Bank.of(read_shards(shards))
    videos = np.arange(6)
    seen = observe(networks, 1, bank, videos.tolist())
    scores = predict(networks.network(), bank, [videos] * len(networks.names))[1]
    np.testing.assert_allclose([o.score for o in seen], networks.targets[1].decode(scores), atol=1e-4)
    for one, length in zip(seen, bank.lengths_of_videos, strict=False):
        assert one.segments == length
        assert [of.shape[-1] for of in one.attention] == [length // 2, length // 4, 1]
        assert all(set(of) <= {1, 2, 3, 4} for of in one.decisions)
        assert all(np.allclose(of.sum(1), 1) for of in one.attention)


def test_another_network_can_be_named(trained: Path, shards: Path, tmp_path: Path, capsys: Said) -> None:
    name = load_networks(trained).names[-1]
    command = [str(trained), "--data", str(shards), "--video", a_video(shards), "--out", str(tmp_path)]
    assert main([*command, "--network", name]) == 0
    assert f"is seen by {name}" in capsys.readouterr().out
    assert main([*command, "--network", name + "x"]) == 1
    assert f"--network: no network '{name}x'" in capsys.readouterr().err


def refusal(capsys: Said, status: int, *command: str) -> str:
    assert main(list(command)) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.rstrip("\n")


def test_an_unknown_video_is_refused_with_near_ones(trained: Path, shards: Path, tmp_path: Path, capsys: Said) -> None:
    video = a_video(shards)
    wrong = video.lower()
    line = refusal(capsys, 1, str(trained), "--data", str(shards), "--video", wrong, "--out", str(tmp_path))
    assert line.startswith(f"--video: no video {wrong!r} among the ")
    assert repr(video) in line.partition("did you mean ")[2]
    assert drawn(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [
        ({"model": "branch:rgb"}, ["makes no decisions, so there is no Figure 5 or 8", "there is no Figure 7"]),
        ({"model": "pamfn-weighted-both", "policy": "free"}, ["no Figure 5 or 8", "there is no Figure 7"]),
    ],
)
def test_a_model_without_decisions_or_attention_is_refused_by_what_it_has_none_of(
    shards: Path, tmp_path: Path, capsys: Said, settings: dict[str, Any], lacks: list[str]
) -> None:
    checkpoint = untrained(tmp_path / "checkpoint", shards, **settings)
    command = [str(checkpoint), "--data", str(shards), "--out", str(tmp_path / "figures")]
    line = refusal(capsys, 1, *command, "--video", a_video(shards))
    assert all(what in line for what in lacks)
    line = refusal(capsys, 1, *command)
    assert line.endswith("makes no decisions, so there is no Figure 5")
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    ("settings", "figures"),
    [
        ({"policy": "free"}, ["figure7"]),
        ({"msfd": "weighted"}, ["figure5", "figure8"]),
        ({"cmfd": "none"}, ["figure7"]),
        ({"msfd": "none"}, ["figure5", "figure8"]),
        ({"fusing_stages": 1}, ["figure5", "figure7", "figure8"]),
        ({"policy": "unranked", "stages": 2}, ["figure5", "figure7", "figure8"]),
    ],
)
def test_of_an_ablation_what_it_has_is_drawn_and_what_it_lacks_is_noted(
    shards: Path, tmp_path: Path, capsys: Said, settings: dict[str, Any], figures: list[str]
) -> None:
    checkpoint = untrained(tmp_path / "checkpoint", shards, **settings)
    out = tmp_path / "figures"
    assert main([str(checkpoint), "--data", str(shards), "--video", a_video(shards), "--out", str(out)]) == 0
    assert [name.partition("-")[0] for name in drawn(out)] == figures
    assert ("so there is no Figure" in capsys.readouterr().out) == (len(figures) < 3)


def test_other_streams_than_the_shards_have_are_refused(shards: Path, tmp_path: Path, capsys: Said) -> None:
    asked = recipe(width=8, fusion_nets=3, fine_tuned=())
    width = read_shards(shards).schema.modalities["rgb"]
    states = [cut(build_network(asked, {"rgb": width + 1, "gaze": 2}, [1]), 0)]
    save_networks(tmp_path, SavedNetworks(asked, {"rgb": width + 1, "gaze": 2}, ["n"], [ScaledTarget(25.0)], states))
    line = refusal(capsys, 1, str(tmp_path), "--data", str(shards), "--out", str(tmp_path / "figures"))
    assert f"rgb has width {width}, and the networks read {width + 1}" in line
    assert "no modality gaze, which the networks read" in line


def test_a_wrong_request_is_refused_in_one_line(trained: Path, shards: Path, tmp_path: Path, capsys: Said) -> None:
    out = ["--out", str(tmp_path / "figures")]
    assert "nothing to draw" in refusal(capsys, 2, *out)
    assert refusal(capsys, 2, str(trained), *out).startswith("--data: is needed with a CHECKPOINT")
    assert "means nothing without a CHECKPOINT" in refusal(capsys, 2, "--study", "x", "--video", "v", *out)
    assert "cannot be read" in refusal(capsys, 1, str(tmp_path / "gone"), "--data", str(shards), *out)
    assert str(tmp_path / "none") in refusal(capsys, 1, str(trained), "--data", str(tmp_path / "none"), *out)
    line = refusal(capsys, 1, str(trained), "--data", str(shards), "--action", "Bal", *out)
    assert "no action 'Bal'" in line
    (tmp_path / "file").touch()
    line = refusal(capsys, 2, str(trained), "--data", str(shards), "--out", str(tmp_path / "file"))
    assert line == f"--out: {tmp_path / 'file'} is not a folder"
    assert not (tmp_path / "figures").exists()
