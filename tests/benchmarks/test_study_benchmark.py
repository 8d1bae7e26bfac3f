"""``benchmarks/study.py`` runs one study in several ways, and compares what they took."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from benchmark_scripts import load
from ray import tune

from tuning.request import parse, requested_study

STUDY = load("study")
VARIANTS = load("study_variants")
LAUNCH = load("study_launch")

ENDS = {"0000": (9, "finished"), "0001": (3, "stopped at rung 0")}
TINY = (
    *("--trials", "3", "--stages", "2,3", "--fusion-nets", "3", "--width", "8", "--threads", "1"),
    *("--epochs", "3", "--grace-epochs", "1", "--every", "1", "--phase1-epochs", "1"),
)


def launched(seconds: float = 100.0, **trials: Any) -> Any:
    """Returns a study that took so long; its trials began 10 s after it, and ended 5 s before it."""
    events = [{"event": "launched", "time": 1010.0, "concurrent": 2}]
    events += [{"event": "suggested", "time": 1011.0, "trial": trial, "config": {"lr": 1.0}} for trial in trials]
    for trial, (epoch, reason) in trials.items():
        for at, end in ((1, ""), (epoch, reason)):
            result = {"epoch": at, "branches_trained": 4, "pid": int(trial) % 2}
            time = 995.0 + seconds if end else 1030.0
            events.append({"event": "reported", "time": time, "trial": trial, "result": result, "reason": end})
    return VARIANTS.Launched(1000.0, 1000.0 + seconds, events, 6.5)


def test_a_launch_tells_what_it_did_and_when() -> None:
    figures = launched(**ENDS).figures(replicas=2)
    assert (figures["seconds"], figures["seconds_trials"]) == (100, 85)
    assert (figures["seconds_before"], figures["seconds_to_first_rung"], figures["seconds_after"]) == (10, 20, 5)
    assert (figures["trials"], figures["finished"], figures["branches_trained"]) == (2, 1, 8)
    assert (figures["epochs"], figures["replica_epochs"], figures["epoch_ms"]) == (12, 24, pytest.approx(85e3 / 24))
    assert (figures["concurrent"], figures["processes"], figures["rows_a_step"]) == (2, 2, 6.5)


def test_ratios_are_to_the_engine_of_the_same_run() -> None:
    other = {**ENDS, "0001": (9, "finished")}
    studies = {"engine": 50.0, "engine_own_branches": 80.0, "reused": 75.0, "actor_per_trial": 150.0}
    rows = STUDY.rows_of({name: [launched(s, **(ENDS if s == 50 else other))] for name, s in studies.items()}, 2)
    row = rows[0]
    assert [row["variant"] for row in rows] == list(studies)
    assert (row["ratio_reused"], row["ratio_actor_per_trial"]) == (1.5, 3.0)
    assert row["ratio_reused_trials"] == pytest.approx(60 / 35)
    assert row["ratio_reused_epoch"] == pytest.approx((60 / 36) / (35 / 24))
    assert row["share_saved_by_store"] == pytest.approx(1 - 50 / 80)
    assert [row["same_ends"] for row in rows] == [2, 1, 1, 1]


def test_of_several_rounds_the_middle_one_counts() -> None:
    (row,) = STUDY.rows_of({"engine": [launched(s, **ENDS) for s in (90.0, 30.0, 40.0)]}, 2)
    assert (row["seconds"], row["seconds_all"]) == (40, [90, 30, 40])
    assert (row["ratio_reused"], row["share_saved_by_store"]) == (None, None)


def test_studies_of_different_trials_are_not_compared() -> None:
    with pytest.raises(SystemExit, match="different trials"):
        STUDY.rows_of({"engine": [launched(**ENDS)], "reused": [launched(**{"0000": (9, "finished")})]}, 2)


def test_variants_differ_in_nothing_but_where_trials_train() -> None:
    arguments = STUDY.parsed([*TINY, "--cpus", "2"])
    spaces = {name: VARIANTS.space_of(arguments, variant) for name, variant in VARIANTS.VARIANTS.items()}
    engines = {name: space.pop("resources")["engine"] for name, space in spaces.items()}
    assert [name for name, engine in engines.items() if engine == "off"] == ["reused", "actor_per_trial"]
    concurrent = {name: space["budget"].pop("concurrent") for name, space in spaces.items()}
    assert concurrent == {name: "auto" if engine == "auto" else 2 for name, engine in engines.items()}
    assert all(space == spaces["engine"] for space in spaces.values())


def test_a_gpu_is_shared_by_the_processes_that_train_without_an_engine() -> None:
    arguments = STUDY.parsed(["--device", "cuda", "--cpus", "4"])
    shares = {name: VARIANTS.space_of(arguments, of)["resources"]["gpu"] for name, of in VARIANTS.VARIANTS.items()}
    assert (shares["engine"], shares["reused"]) == (1.0, 0.25)


def test_branches_that_are_there_take_the_study_that_left_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        STUDY.parsed(["--variants", "engine_warm", "reused"])
    assert "name both" in capsys.readouterr().err


def test_a_process_a_trial_is_all_that_is_otherwise_without_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    @contextmanager
    def cluster(address: str | None, *, verbose: bool) -> Iterator[str]:
        yield f"Ray at {address}, {verbose}"

    monkeypatch.setattr(LAUNCH, "ray_cluster", cluster)
    monkeypatch.setattr(tune, "run", lambda what, **how: told.append({"what": what, **how}))
    with LAUNCH.without_reuse(), LAUNCH.launch.ray_cluster(None, verbose=False) as ray:
        assert ray == "Ray at None, False"
        tune.run("trainable", name="1", reuse_actors=True)
    tune.run("trainable", name="2", reuse_actors=True)
    assert told == [
        {"what": "trainable", "name": "1", "reuse_actors": False},
        {"what": "trainable", "name": "2", "reuse_actors": True},
    ]


def test_trials_with_branches_of_their_own_never_meet_a_branch(tmp_path: Path) -> None:
    words = parse(["--space", "quickstart.yaml", "--storage", str(tmp_path)])
    shared, _ = requested_study(words)
    with LAUNCH.with_own_branches():
        own, _ = LAUNCH.launch.requested_study(words)
    assert own.branch_store != own.branch_store
    assert Path(own.branch_store).parent == Path(shared.branch_store)
    assert vars(own) == vars(shared)


def test_more_processors_than_there_are_are_refused() -> None:
    with pytest.raises(SystemExit, match="--cpus: 100000 asked for"):
        LAUNCH.confine(100_000)


def test_a_launch_that_is_refused_says_why(tmp_path: Path) -> None:
    arguments = argparse.Namespace(**{**vars(STUDY.parsed([*TINY])), "epochs": 0, "budget_epochs": 0})
    with pytest.raises(SystemExit, match=r"(?s)reused: exit 2, 0 trials have reported.*epochs"):
        VARIANTS.Studies(tmp_path, arguments).run("reused", 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_way_trains_the_same_trials(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    STUDY.main([*TINY, "--no-stopping", "--cpus", "1", "--json", str(file)])
    rows = {row["variant"]: row for row in json.loads(file.read_text(encoding="utf-8"))}
    assert list(rows) == list(VARIANTS.VARIANTS)
    for row in rows.values():
        assert (row["trials"], row["finished"], row["epochs"], row["replica_epochs"]) == (3, 3, 9, 18)
        assert row["same_ends"] == 3
        assert row["seconds"] > row["seconds_trials"] > 0
    shared = rows["reused"]["branches_trained"]
    branches = {name: row["branches_trained"] for name, row in rows.items()}
    assert branches == {
        **{"engine": shared, "engine_warm": 0, "engine_own_branches": 3 * 3 * 2},
        **{"reused": shared, "actor_per_trial": shared},
    }
    assert shared in (3 * 2, 2 * 3 * 2)  # of one stage count, or of both
    assert (rows["reused"]["processes"], rows["actor_per_trial"]["processes"]) == (1, 3)
    engine = rows["engine"]
    assert engine["ratio_actor_per_trial"] == pytest.approx(rows["actor_per_trial"]["seconds"] / engine["seconds"])
    assert engine["ratio_reused"] == pytest.approx(rows["reused"]["seconds"] / engine["seconds"])
    assert engine["share_saved_by_store"] == pytest.approx(
        1 - engine["seconds"] / rows["engine_own_branches"]["seconds"]
    )
