"""``study.json``: written whole, read back, compared when a study is resumed."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tuning.faults import SpaceError
from tuning.space import load_space
from tuning.study import Study, Task
from tuning.study_file import check_launch, differences, read_record, record_of, sole_driver, write_study


def study(root: Path, *sets: str) -> Study:
    return Study(
        name="mine",
        space=load_space("rg.yaml", sets),
        tasks=(Task(name="Ball", action="Ball", score="total"),),
        modalities=("rgb", "flow", "audio"),
        data="/shards/rg",
        digest="d1",
        root=str(root),
        tracking_uri="sqlite:///mlflow.db",
    )


def refusal(launched: Study, *, resume: bool) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        check_launch(launched, resume=resume)
    return [str(fault) for fault in caught.value.faults]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    assert read_record(study(tmp_path).storage) == record_of(study(tmp_path))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["study.json"]


def test_a_uri_is_as_good_as_a_folder(tmp_path: Path) -> None:
    there = replace(study(tmp_path), root=f"file://{tmp_path}")
    write_study(there)
    assert read_record(there.storage) == record_of(study(tmp_path))


def test_writing_again_replaces_the_record(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    write_study(study(tmp_path, "seed=4"))
    record = read_record(str(tmp_path / "mine"))
    assert record is not None
    assert record["space"]["seed"] == 4


def test_an_unchanged_study_is_resumed(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    check_launch(study(tmp_path), resume=True)


@pytest.mark.parametrize(
    "change",
    [
        "budget.time=1h",
        "budget.concurrent=7",
        "resources.gpu=0",
        "resources.engine=off",
        "resources.devices=3",
        "final.top=1",
        "final.ties=0",
        "budget.device_time=9h",
        "tracking.checkpoints=all",
    ],
)
def test_what_does_not_change_a_trial_may_differ_on_resume(change: str, tmp_path: Path) -> None:
    write_study(study(tmp_path))
    check_launch(study(tmp_path, change), resume=True)


def test_a_study_of_a_version_that_knew_no_engines_is_resumed_at_their_defaults(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    path = tmp_path / "mine" / "study.json"
    record = json.loads(path.read_text())
    for name in ("engine", "devices", "precision"):
        del record["space"]["resources"][name]
    path.write_text(json.dumps(record))
    check_launch(study(tmp_path), resume=True)
    assert refusal(study(tmp_path, "resources.precision=float32"), resume=True) == [
        '--resume: space.resources.precision: "tf32" when it was launched, "float32" now'
    ]


def test_data_may_have_moved_but_not_changed(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    check_launch(replace(study(tmp_path), data="/elsewhere/rg"), resume=True)
    assert refusal(replace(study(tmp_path), digest="d2"), resume=True) == [
        '--resume: digest: "d1" when it was launched, "d2" now'
    ]


def test_a_changed_space_is_refused_with_every_difference(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    changed = study(tmp_path, "search.lr.high=0.01", "fixed.epochs.Hoop=20", "search.stages=null", "fixed.msfd_heads=4")
    assert refusal(changed, resume=True) == [
        "--resume: space.search.lr.high: 0.002 when it was launched, 0.01 now",
        '--resume: space.search.stages.type: "choice" when it was launched, nothing now',
        "--resume: space.search.stages.values: [2, 3, 4] when it was launched, nothing now",
        "--resume: space.fixed.epochs.Hoop: 300 when it was launched, 20 now",
        "--resume: space.fixed.msfd_heads: nothing when it was launched, 4 now",
    ]


def test_more_trials_are_another_study_and_the_refusal_says_how_to_go_on_from_this_one(tmp_path: Path) -> None:
    write_study(study(tmp_path))
    [line] = refusal(study(tmp_path, "budget.trials=200"), resume=True)
    assert line.startswith("--resume: space.budget.trials: 100 when it was launched, 200 now; for more trials")
    assert line.endswith("--name NEW --warm-start mine")


def test_a_new_study_does_not_fall_on_an_old_one(tmp_path: Path) -> None:
    check_launch(study(tmp_path), resume=False)
    write_study(study(tmp_path))
    assert refusal(study(tmp_path), resume=False) == [
        f"--name: 'mine' is a study already, at {tmp_path}/mine; give another --name, or --resume to continue it"
    ]


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    assert refusal(study(tmp_path), resume=True) == [f"--resume: there is no study at {tmp_path}/mine"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 9}', "\x00\x01"])
def test_a_record_that_is_none_is_a_fault_and_no_traceback(content: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.json").write_text(content)
    assert "study.json: not " in refusal(study(tmp_path), resume=True)[0]


def test_differences_see_a_value_that_is_null_on_one_side(tmp_path: Path) -> None:
    before = record_of(study(tmp_path))
    now = json.loads(json.dumps(before))
    now["space"]["fixed"]["clip_norm"] = None
    assert differences(before, now) == ["space.fixed.clip_norm: nothing when it was launched, null now"]


def test_a_study_has_one_driver_at_a_time(tmp_path: Path) -> None:
    with sole_driver(study(tmp_path), resume=False):
        for resume in (False, True):
            with pytest.raises(SpaceError) as caught, sole_driver(study(tmp_path), resume=resume):
                pass
            rule = f"is being run by process {os.getpid()} on {socket.gethostname()}"
            assert str(caught.value.faults[0]) == (f"--name: 'mine' {rule}; wait for its end, or give another --name")
        write_study(study(tmp_path))
    with sole_driver(study(tmp_path), resume=True):
        pass


def test_a_study_that_was_started_since_this_launch_looked_is_refused(tmp_path: Path) -> None:
    check_launch(study(tmp_path), resume=False)
    write_study(study(tmp_path))
    with pytest.raises(SpaceError, match="is a study already"), sole_driver(study(tmp_path), resume=False):
        pass
