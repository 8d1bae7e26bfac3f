"""A model that answers requests: scores as an evaluation gave them, how they came about, and refusals in words."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_networks import ROUNDING, Checkpoint, checkpoint, planted

from pamfn.catalogue import MODELS
from pamfn.data.bank import Bank
from pamfn.figures.observed import attends, decides, observe
from pamfn.serving import RequestError, ServedModel
from pamfn.serving.faults import MOST
from pamfn.serving.places import ALLOWED, Places
from pamfn.serving.tasks import FILE, load_tasks


@pytest.fixture(scope="module", name="shards")
def _shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module", name="trained")
def _trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("networks"), shards)


@pytest.fixture(name="served")
def _served(trained: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> ServedModel:
    monkeypatch.setenv(ALLOWED, str(trained.shards))
    return ServedModel.load(trained.folder)


def clips(of: Checkpoint, *videos: str) -> list[dict[str, Any]]:
    """Returns a request with the features of some videos."""
    known = dict(zip(of.features.video_ids, of.features.actions, strict=True))
    return [{"action": known[video], "video_id": video, **of.clip(video)} for video in videos]


def refused(served: ServedModel, *rows: dict[str, Any]) -> list[str]:
    with pytest.raises(RequestError) as caught:
        served.answer(rows)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("model", [model.name for model in MODELS])
def test_features_and_shards_score_as_the_evaluation_did(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.chdir(shards.parent)
    of = checkpoint(tmp_path / "networks", shards, model)
    served, videos = ServedModel.load(of.folder), of.features.video_ids
    for rows in (clips(of, *videos), [{"data": shards.name, "video_id": video} for video in videos]):
        answers = served.answer(rows, details=False)
        assert [answer["video_id"] for answer in answers] == list(videos)
        found = {f"{each['name']}/{a['video_id']}": each["score"] for a in answers for each in a["networks"]}
        assert found == {f"{name}/{video}": score for name, of_ in of.evaluated.items() for video, score in of_.items()}
        assert [answer["score"] for answer in answers] == [of.mean(video) for video in videos]


def test_ragged_clips_score_alone_as_in_company(trained: Checkpoint, served: ServedModel) -> None:
    some = trained.features.video_ids[::7]
    assert len({trained.features.lengths[trained.features.video_ids.index(video)] for video in some}) > 1
    for row, together in zip(clips(trained, *some), served.answer(clips(trained, *some)), strict=True):
        (alone,) = served.answer([row])
        assert alone["score"] == pytest.approx(trained.mean(row["video_id"]), abs=ROUNDING)
        assert together["score"] == pytest.approx(alone["score"], abs=ROUNDING)


def test_an_answer_says_how_it_came_about(trained: Checkpoint, served: ServedModel) -> None:
    video = trained.features.video_ids[0]
    (answer,) = served.answer(clips(trained, video))
    assert attends(trained.networks.recipe)
    assert decides(trained.networks.recipe)
    bank = Bank.of(trained.features).only(*trained.networks.widths)
    for each in answer["networks"]:
        (seen,) = observe(trained.networks, trained.networks.names.index(each["name"]), bank, [0])
        assert each["decisions"] == [decided.tolist() for decided in seen.decisions]
        for said, expected_HMT in zip(each["attention"], seen.attention, strict=True):
            assert list(said) == ["rgb", "flow", "audio"]
            np.testing.assert_allclose(list(said.values()), expected_HMT.mean(0), atol=1e-6)
    json.dumps(answer, allow_nan=False)
    (without,) = served.answer(clips(trained, video), details=False)
    assert all(set(each) == {"name", "task", "score"} for each in without["networks"])


def test_a_model_without_decisions_says_none(shards: Path, tmp_path: Path) -> None:
    of = checkpoint(tmp_path / "networks", shards, "svr")
    (answer,) = ServedModel.load(of.folder).answer(clips(of, of.features.video_ids[0]))
    assert set(answer["networks"][0]) == {"name", "task", "score"}


def test_threads_that_ask_at_once_get_their_own_answers(shards: Path, tmp_path: Path) -> None:
    of = checkpoint(
        tmp_path / "networks", shards, "ms-lstm"
    )  # its networks share the tensors of the one that is called
    served, videos = ServedModel.load(of.folder), of.features.video_ids[::6]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda video: served.answer(clips(of, video))[0], [*videos, *videos]))
    for video, answer in zip([*videos, *videos], found, strict=True):
        assert answer["score"] == pytest.approx(of.mean(video), abs=ROUNDING)


CLIP = {"rgb": [[0.0] * 16] * 3, "flow": [[0.0] * 16] * 3, "audio": [[0.0] * 12] * 3, "action": "Ball"}
SEGMENTS = "wanted a list of segments, each a list of 16 numbers"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rgb": 5}, f"rgb: given 5, a int; {SEGMENTS}"),
        ({"rgb": "0.5"}, f"rgb: given '0.5', a str; {SEGMENTS}"),
        ({"rgb": []}, f"rgb: given no segments; {SEGMENTS}"),
        ({"rgb": [0.5] * 16}, f"rgb: given 0.5 for segment 0; {SEGMENTS}"),
        ({"rgb": [[0.0] * 16, [0.0] * 15]}, f"rgb: given 15 numbers in segment 1; {SEGMENTS}"),
        ({"rgb": [["1"] * 16]}, f"rgb: given what is no number, such as '1'; {SEGMENTS}"),
        ({"rgb": [[True] * 16]}, f"rgb: given what is no number, such as True; {SEGMENTS}"),
        ({"rgb": [[None] * 16]}, f"rgb: given what is no number, such as None; {SEGMENTS}"),
        ({"rgb": [[[0.0]] * 16]}, f"rgb: given what is no number, such as [0.0]; {SEGMENTS}"),
        ({"rgb": [[0.0] * 16, [float("nan")] * 16]}, f"rgb: given NaN or infinity in segment 1; {SEGMENTS}"),
        ({"rgb": [[1e300] * 16] * 3}, f"rgb: given NaN or infinity in segment 0; {SEGMENTS}"),
        (
            {"rgb": [[0.0] * 16]},
            "given rgb 1 segment, flow 3 segments, audio 3 segments; wanted as many of every stream of a clip: they "
            "are of the same moments",
        ),
        ({"action": "Hop"}, "action: given 'Hop'; wanted one of 'Ball', 'Hoop'; did you mean 'Hoop'?"),
        ({"action": 3}, "action: given 3; wanted a string"),
        ({"data": "x", "video_id": "v"}, None),
    ],
)
def test_a_wrong_field_is_named_with_what_was_given_and_what_is_wanted(
    served: ServedModel, change: dict[str, Any], said: str | None
) -> None:
    (line, *more) = refused(served, CLIP | change)
    if said is None:
        assert line == "clip 0 ('v'): given data and rgb, flow, audio; wanted shards and a video_id, or features"
        assert more[0].startswith("clip 0 ('v'): data: given 'x', which this server does not read; wanted")
    else:
        assert (line, more) == (f"clip 0: {said}", [])


def test_whole_numbers_are_numbers(served: ServedModel) -> None:
    (whole,) = served.answer([CLIP | {"rgb": [[1] * 16] * 3}])
    (same,) = served.answer([CLIP | {"rgb": np.ones((3, 16))}])
    assert whole["score"] == same["score"]


def test_every_fault_of_every_clip_is_told_and_no_more_than_can_be_read(served: ServedModel) -> None:
    lines = refused(served, {"rgb": 1}, CLIP, {"video_id": "v" * 1000, **CLIP, "audio": 2})
    assert [line.split(":")[0] for line in lines[:4]] == ["clip 0"] * 4
    assert len(lines) == 5
    assert len(lines[4]) < 200
    many = refused(served, *[{"rgb": 1}] * 10)
    assert (len(many), many[-1]) == (MOST + 1, "and 20 faults more")
    assert refused(served) == ["given no clips; wanted one row a clip"]


def test_videos_that_are_not_in_the_shards_are_named(trained: Checkpoint, served: ServedModel) -> None:
    data = str(trained.shards)
    (line,) = refused(served, {"data": data, "video_id": "../Ball_061"})
    assert line.startswith(f"data: {data}: no video '../Ball_061' among ")
    video = trained.features.video_ids[0]
    (line,) = refused(served, {"data": data, "video_id": video, "action": "Hoop"})
    assert line == f"clip 0 ({video!r}): action: given 'Hoop'; the shards say 'Ball'"
    (line,) = refused(served, {"data": data})
    assert line == "clip 0: video_id: missing; wanted with data: the id of a video in its shards"


def test_shards_are_read_below_what_is_allowed_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "allowed" / "rg").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "allowed" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "allowed" / "loop").symlink_to(tmp_path / "allowed" / "loop")
    places = Places.of({ALLOWED: f"{tmp_path}/allowed, s3://bucket/shards/"})
    monkeypatch.chdir(tmp_path / "allowed")
    assert places.find("rg") == str(tmp_path / "allowed" / "rg")
    assert places.find("s3://bucket/shards/rg") == "s3://bucket/shards/rg"
    outside = ["../secret", "link", "/", "/etc", "rg/../../secret", "a\0b", f"{tmp_path}/allowed-too"]
    outside += ["s3://bucket/shards-too", "s3://bucket/shards/../keys", "s3://other", "file:///etc", "http://10.0.0.1/"]
    for location in outside:
        with pytest.raises(ValueError, match="which this server does not read; wanted a folder of shards below"):
            places.find(location)
    assert places.find("~root") == str(tmp_path / "allowed" / "~root")  # a name, and nobody's home
    assert Places.of({}).folders == (tmp_path / "allowed",)
    assert Places.of({ALLOWED: ""}).folders == ()


def test_a_loop_of_links_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ValueError, match="which this server does not read"):
        Places((tmp_path / "allowed",)).find(str(tmp_path / "loop"))


def test_a_model_that_does_not_say_its_classes_is_not_served(trained: Checkpoint, tmp_path: Path) -> None:
    for name in ("networks.json", "networks.safetensors"):
        (tmp_path / name).write_bytes((trained.folder / name).read_bytes())
    with pytest.raises(ValueError, match=f"{FILE}: is not there; it says which class each network scores"):
        ServedModel.load(tmp_path)
    (tmp_path / FILE).write_text('[{"name": "Beam", "action": "Beam", "score": "total"}]')
    with pytest.raises(ValueError, match="names the tasks \\['Beam'\\], the networks are for \\['Ball', 'Hoop'\\]"):
        load_tasks(tmp_path, trained.networks.names)
    (tmp_path / FILE).write_text("[1]")
    with pytest.raises(ValueError, match="cannot be read"):
        load_tasks(tmp_path, trained.networks.names)
