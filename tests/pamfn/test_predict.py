"""The command ``python -m pamfn.predict``: what an evaluation said of the same videos, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scored_networks import ROUNDING, Checkpoint, checkpoint, planted

from pamfn.architectures import build_network
from pamfn.catalogue import MODELS
from pamfn.data.bank import Bank
from pamfn.data.shards import read_shards, write_shards
from pamfn.data.synthetic import generate
from pamfn.phases.objective import objective_of
from pamfn.phases.replica import Task
from pamfn.phases.saved import SavedNetworks, save_networks
from pamfn.phases.scoring import predict
from pamfn.phases.target import ScaledTarget
from pamfn.predict import main
from pamfn.recipe import recipe
from pamfn.replicas.cut import cut
from pamfn.serving import ServedModel
from pamfn.serving.tasks import FILE, save_tasks

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", name="shards")
def _shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module", name="trained")
def _trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("networks"), shards)


def predicted(of: Checkpoint, out: Path, *words: str) -> list[dict[str, object]]:
    """Returns the rows that the command writes."""
    assert main([str(of.folder), "--data", str(of.shards), "--out", str(out / "scores.parquet"), *words]) == 0
    rows: list[dict[str, object]] = pq.read_table(out / "scores.parquet").to_pylist()
    return rows


def refusal(capsys: Said, status: int, *words: str) -> str:
    assert main(list(words)) == status
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.strip()


@pytest.mark.parametrize("model", [model.name for model in MODELS])
def test_the_test_split_is_scored_bitwise_as_its_evaluation_was(shards: Path, tmp_path: Path, model: str) -> None:
    of = checkpoint(tmp_path / "networks", shards, model)
    rows = predicted(of, tmp_path, "--split", "test")
    assert [row["video_id"] for row in rows] == list(of.features.video_ids)
    found = {
        f"{row['action']}/all/seed{seed}/{row['video_id']}": row[f"score.all/seed{seed}"]
        for row in rows
        for seed in (0, 1)
    }
    expected = {f"{network}/{video}": score for network, each in of.evaluated.items() for video, score in each.items()}
    assert found == expected
    assert [row["score"] for row in rows] == [of.mean(str(row["video_id"])) for row in rows]


def test_a_row_is_a_video_of_both_splits(trained: Checkpoint, tmp_path: Path) -> None:
    rows = predicted(trained, tmp_path)
    assert list(rows[0]) == ["video_id", "action", "task", "score", "score.all/seed0", "score.all/seed1"]
    known = read_shards(trained.shards)
    assert [(row["video_id"], row["action"], row["task"]) for row in rows] == list(
        zip(known.video_ids, known.actions, known.actions, strict=True)
    )


def test_some_videos_score_as_among_all(trained: Checkpoint, tmp_path: Path) -> None:
    some = list(trained.features.video_ids[::5])
    rows = predicted(trained, tmp_path, "--mean", *(word for video in some for word in ("--video", video)))
    assert sorted(str(row["video_id"]) for row in rows) == sorted(some)
    assert list(rows[0]) == ["video_id", "action", "task", "score"]
    for row in rows:
        assert row["score"] == pytest.approx(trained.mean(str(row["video_id"])), abs=ROUNDING)


def test_one_class_scores_as_beside_others(trained: Checkpoint, tmp_path: Path) -> None:
    rows = predicted(trained, tmp_path, "--action", "Hoop", "--split", "test")
    assert {row["action"] for row in rows} == {"Hoop"}
    assert len(rows) == len(trained.features.where(action="Hoop"))
    for row in rows:
        assert row["score"] == pytest.approx(trained.mean(str(row["video_id"])), abs=ROUNDING)


def test_the_names_of_networks_say_their_classes_where_nothing_else_does(trained: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "nameless").mkdir()
    for path in trained.folder.iterdir():
        shutil.copy(path, tmp_path / "nameless") if path.name != FILE else None
    words = ["--data", str(trained.shards), "--out", str(tmp_path / "of_names.parquet"), "--split", "test"]
    assert main([str(tmp_path / "nameless"), *words]) == 0
    assert pq.read_table(tmp_path / "of_names.parquet").to_pylist() == predicted(trained, tmp_path, "--split", "test")


def test_the_folder_of_an_mlflow_model_is_a_model(trained: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "model" / "networks")
    words = ["--data", str(trained.shards), "--out", str(tmp_path / "a.parquet"), "--split", "test"]
    assert main([str(tmp_path / "model"), *words]) == 0
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == predicted(trained, tmp_path, "--split", "test")


@pytest.mark.parametrize("uri", ["models:/pamfn-Ball@champion", "runs:/0123/model", "s3://bucket/model"])
def test_a_model_in_mlflow_is_refused_with_the_command_that_downloads_it(
    trained: Checkpoint, tmp_path: Path, capsys: Said, uri: str
) -> None:
    said = refusal(capsys, 2, uri, "--data", str(trained.shards), "--out", str(tmp_path / "a.parquet"))
    assert said.splitlines()[-1] == f"mlflow artifacts download --artifact-uri {uri} --dst-path model"


def test_what_cannot_be_scored_is_one_line_that_says_why(trained: Checkpoint, tmp_path: Path, capsys: Said) -> None:
    out, model, data = tmp_path / "a.parquet", str(trained.folder), str(trained.shards)
    rest = ["--data", data, "--out", str(out)]
    assert "did you mean 'Hoop'?" in refusal(capsys, 1, model, *rest, "--action", "Hop")
    video = trained.features.video_ids[0]
    assert "; did you mean " in refusal(capsys, 1, model, *rest, "--video", video[:-1])
    assert f"{tmp_path / 'gone' / 'networks.json'}: cannot be read" in refusal(capsys, 1, str(tmp_path / "gone"), *rest)
    assert str(tmp_path / "none") in refusal(capsys, 1, model, "--data", str(tmp_path / "none"), "--out", str(out))
    assert "is a folder; name a file" in refusal(capsys, 2, model, "--data", data, "--out", str(tmp_path))
    assert not out.exists()


def test_a_video_of_the_other_split_is_not_there(trained: Checkpoint, tmp_path: Path, capsys: Said) -> None:
    words = ["--data", str(trained.shards), "--out", str(tmp_path / "a.parquet"), "--split", "train"]
    video = trained.features.video_ids[0]
    assert f"no video {video!r} among" in refusal(capsys, 1, str(trained.folder), *words, "--video", video)


def test_shards_of_other_classes_are_refused(trained: Checkpoint, tmp_path: Path, capsys: Said) -> None:
    shutil.copytree(trained.folder, tmp_path / "networks")
    text = (tmp_path / "networks" / FILE).read_text().replace('"action": "Ball"', '"action": "Beam"')
    (tmp_path / "networks" / FILE).write_text(text.replace('"action": "Hoop"', '"action": "Vault"'))
    words = ["--data", str(trained.shards), "--out", str(tmp_path / "a.parquet")]
    said = refusal(capsys, 1, str(tmp_path / "networks"), *words)
    assert said.endswith("has the classes Ball, Hoop; the networks score 'Beam', 'Vault'")


def test_highlights_are_scored_segment_by_segment_as_an_evaluation_does(tmp_path: Path) -> None:
    shards, words = tmp_path / "shards", ["--split", "test"]
    write_shards(generate("highlights-tiny", 0, False)[0], shards)
    test = read_shards(shards, splits=["test"])
    actions = sorted(set(test.actions))
    asked = recipe("highlights", width=8, fusion_nets=3, stages=2)
    widths = dict(test.schema.modalities)
    states = [cut(build_network(asked, widths, [seed]), 0) for seed in range(len(actions))]
    names = [f"{action}/all/seed0" for action in actions]
    networks = SavedNetworks(asked, widths, names, [ScaledTarget(1.0)] * len(names), states)
    save_networks(tmp_path / "networks", networks)
    videos = [test.where(action=action) for action in actions]
    expected = predict(networks.network(), Bank.of(test), videos, said=objective_of(asked).said)
    out = tmp_path / "chances.parquet"
    assert main([str(tmp_path / "networks"), "--data", str(shards), "--out", str(out), *words]) == 0
    rows = pq.read_table(out).to_pylist()
    assert list(rows[0]) == ["video_id", "action", "task", "segment", "score", "score.all/seed0"]
    assert [(row["video_id"], row["segment"]) for row in rows] == [
        (test.video_ids[v], segment) for of in videos for v in of for segment in range(test.lengths[v])
    ]
    assert [row["score"] for row in rows] == np.concatenate(expected).tolist()
    save_tasks(tmp_path / "networks", [Task(action, action, "highlights") for action in actions])
    served = ServedModel.load(tmp_path / "networks")
    first = int(videos[0][0])
    at = test.rows([first])
    clip = {name: of[at].tolist() for name, of in test.features.items()}
    (answer,) = served.answer([{"action": actions[0], **clip}])
    mine = [row["score"] for row in rows if row["video_id"] == test.video_ids[first]]
    assert answer["networks"][0]["highlights"] == pytest.approx(mine, abs=1e-6)
