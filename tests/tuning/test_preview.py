"""The text of a dry run, and that it leaves nothing behind."""

import sys
from pathlib import Path

import numpy as np
import pytest
from launching import Launch, quick
from planted_study import small_study, words

from pamfn.data.synthetic import generate
from tuning import preview as preview_module
from tuning.forecast import report
from tuning.forecast.machine import Machine
from tuning.forecast.pace import NotMeasured, Pace
from tuning.launch import main
from tuning.planted import planted_contents
from tuning.sections import Synthetic
from tuning.study_file import write_study

PACE = Pace(((1e5, 0.01), (1e9, 0.5)), 10**6, 16, 2, 0.01, 0.5, "cpu, 1 thread", 1.0, 1.0)


@pytest.fixture
def at_a_known_pace(monkeypatch):
    monkeypatch.setattr(preview_module, "measure", lambda *_, **__: PACE)


@pytest.fixture
def told(planted_shards, tmp_path, capsys, monkeypatch):
    """Returns the text of a dry run, its white space made even."""
    monkeypatch.chdir(tmp_path)

    def tell(*changes, more=()):
        assert main([*words(planted_shards, tmp_path / "studies", *changes), "--dry-run", *more]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return " ".join(said.out.split())

    return tell


def test_the_resolved_study_stands_first(told, at_a_known_pace):
    said = told("evaluation.seeds=2", "budget.trials=9")
    assert said.startswith("study quickstart: 9 trials of 4 networks each; a dry run, nothing is started")
    assert "1 class x 2 folds x 2 seeds: 4 a trial, trained on 30 videos and scored on 30" in said
    assert "first fusion_nets 4, tau_init 10.0, lr 0.005, stages 3" in said
    assert "lr 0.0003 to 0.02, by magnitude" in said
    assert "hyperopt+gp, the first 6 at random" in said
    assert "rungs at 11%, 33%, 100% of each class's budget Ball 1 3 9 epochs" in said
    assert "the best third of what a rung has seen goes on, the rest end" in said


def test_a_rung_below_one_in_a_hundred_is_not_rounded_away(told, at_a_known_pace):
    assert "rungs at 0.25%, 0.75%, 2.2%, 6.8%, 20%, 61%, 100% of" in told("fixed.epochs=400")


def test_every_class_has_its_own_epochs_at_the_rungs(told, at_a_known_pace):
    said = told("data.action=[Ball,Hoop]", "fixed.epochs={Ball: 9, Hoop: 18}")
    assert "Ball 1 3 9 epochs Hoop 2 6 18 epochs" in said
    assert "in epochs of Ball, the others in proportion" in said


def test_points_conditions_and_constraints_are_shown(told, at_a_known_pace):
    said = told("constraints=['fusion_nets <= 4 * stages']", "points=[{lr: 0.01}]")
    assert "points fusion_nets 4, tau_init 10.0, lr 0.01, stages 3" in said
    assert "only where fusion_nets <= 4 * stages" in said


def test_a_promoting_scheduler_says_who_waits(told, at_a_known_pace):
    said = told("scheduler.mode=promote")
    assert "the rest wait, checkpointed, until they are among them" in said
    assert "trials wait for promotion at once" in said
    assert "waiting trial" in said


def test_without_a_scheduler_nothing_is_stopped(told, at_a_known_pace):
    said = told("scheduler.type=none", "budget.trials=5")
    assert "none: every trial runs its full budget" in said
    assert "phase 2 45: no trial is stopped" in said


def test_automatic_rungs_are_named_as_what_may_change(told, at_a_known_pace):
    said = told("scheduler.grace_epochs=auto")
    assert "auto: the epochs below are the fewest" in said


def test_first_folds_are_named_as_what_may_save_more(told, at_a_known_pace):
    said = told("evaluation.folds=3", "evaluation.first_folds=2")
    assert "2 folds first, the others only of configurations that are not hopeless" in said


def test_a_space_with_few_configurations_ends_the_study(told, at_a_known_pace):
    said = told("search={stages: {type: choice, values: [2, 3]}}", "first={stages: 3}")
    assert "2 trials of 2 networks each" in said
    assert "the space has 2 configurations: the budget of 14 is not used up" in said


def test_branches_are_counted_by_what_is_searched(told, at_a_known_pace):
    assert "up to 12: 2 sets, by stages, of 6 artefacts (3 modalities x 2 networks)" in told()
    assert "6 artefacts (3 modalities x 2 networks), shared by all trials" in told("search.stages=null")
    assert "branches none: trained in one stage" in told("fixed.phases=one")


def test_time_comes_with_its_parts_and_where_it_was_measured(told, at_a_known_pace):
    said = told()
    assert "measured on this machine (cpu, 1 thread) in 1 s; a cluster's devices differ" in said
    for part in (
        "start of processes about",
        "phase 1 about",
        "trials at once about",
        "final stage about",
        "in all about",
    ):
        assert part in said


def test_a_closed_test_split_takes_no_time(told, at_a_known_pace):
    said = told("final.top=0")
    assert "final stage" not in said
    assert "final networks" not in said


def test_a_budget_of_time_that_ends_the_trials_is_said(told, at_a_known_pace):
    assert "budget.time is 1 s: the trials end then, at about" in told("budget.time=1")
    assert "the trials end then" not in told("budget.time=100d")


def test_a_machine_that_other_work_keeps_busy_is_named(told, monkeypatch):
    busy = Pace(**{**vars(PACE), "share": 0.3})
    monkeypatch.setattr(preview_module, "measure", lambda *_, **__: busy)
    assert "measuring had 30% of a processor, and a quiet machine is faster" in told()


def test_what_cannot_be_measured_leaves_the_rest_of_the_forecast(told, monkeypatch):
    def measure(*_, **__):
        raise NotMeasured("one step takes 900 GB")

    monkeypatch.setattr(preview_module, "measure", measure)
    said = told()
    assert "time not measured: one step takes 900 GB" in said
    assert "phase 2 about" in said
    assert "on disk while it runs" in said


def test_what_does_not_fit_is_a_warning(told, at_a_known_pace, monkeypatch):
    monkeypatch.setattr("tuning.forecast.disk.free_disk", lambda folder: 10**6)
    monkeypatch.setattr(preview_module, "this_machine", lambda: Machine(2, 6 * 10**8))
    said = told()
    assert "where 1.0 MB are free WARNING:" in said
    assert "WARNING: 2 engines may take 1.0 GB, and 600.0 MB are free: lower budget.concurrent" in said


def test_a_trial_that_fits_nowhere_is_a_warning(told, at_a_known_pace):
    assert "WARNING: no engine fits: it asks for 1 CPU and 64 GPU" in told("resources.gpu=64")


def test_an_address_is_not_asked(told, at_a_known_pace):
    said = told(more=["--address", "127.0.0.1:9"])
    assert "the cluster of --address is not asked: all of this speaks of the machine you are on" in said


def test_a_trial_takes_no_more_memory_than_its_parts(planted_shards, tmp_path):
    from pamfn.data.shards import read_table_of_contents
    from tuning.forecast.outlook import Outlook

    study = small_study(planted_shards, tmp_path)
    outlook = Outlook(study, read_table_of_contents(study.data)[1], Machine(2, 10**10))
    assert report.PROCESS < report.trial_memory(outlook) < report.PROCESS + 10**8


def test_the_page_is_100_columns_wide(planted_shards, tmp_path, capsys, at_a_known_pace):
    assert main([*words(planted_shards, Path("studies")), "--dry-run"]) == 0
    forecast, _, space = capsys.readouterr().out.partition("\nversion: 1\n")
    assert max(map(len, forecast.splitlines())) <= 100
    assert "search:" in space


def test_planted_data_are_not_made_to_know_what_they_will_hold(tmp_path, monkeypatch, capsys, at_a_known_pace):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuning.request.ensure_planted", lambda *_: pytest.fail("planted data were made"))
    assert main(quick("--dry-run")) == 0
    assert "(planted, made when the study starts)" in " ".join(capsys.readouterr().out.split())
    assert list(tmp_path.iterdir()) == []


def test_planted_data_are_known_as_they_will_be():
    known, made = planted_contents(Synthetic(size="tiny")), generate("tiny", 0)[0]
    assert (known.video_ids, known.actions, known.splits, known.groups) == (
        made.video_ids,
        made.actions,
        made.splits,
        made.groups,
    )
    assert known.schema.modalities == made.schema.modalities
    assert known.schema.scores == made.schema.scores
    assert known.lengths.mean() == pytest.approx(made.lengths.mean(), rel=0.05)
    assert np.isfinite(known.scores["total"]).all()


def test_a_dry_run_of_a_study_that_is_there_says_what_a_launch_would_need(
    planted_shards, told, tmp_path, at_a_known_pace
):
    write_study(small_study(planted_shards, tmp_path / "studies"))
    assert "a launch needs --resume, or another --name" in told()
    assert "would be resumed; the forecast is of all of it, not of what is left" in told(more=["--resume"])


def test_a_dry_run_resumes_nothing_that_is_not_there(planted_shards, tmp_path, capsys):
    assert main([*words(planted_shards, tmp_path / "studies"), "--resume", "--dry-run"]) == 2
    assert "--resume: there is no study at" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_broken_space_is_refused_as_ever(planted_shards, tmp_path, capsys):
    assert main([*words(planted_shards, tmp_path, "fixed.width=0"), "--dry-run"]) == 2
    said = capsys.readouterr()
    assert "fixed.width: 0" in said.err
    assert said.out == ""


def test_a_dry_run_starts_no_ray_and_no_mlflow_and_writes_nothing(tmp_path, launch_home):
    (tmp_path / "dry.py").write_text(
        "import sys\n"
        "from tuning.launch import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert not {'ray', 'mlflow', 'hyperopt', 'matplotlib'} & set(sys.modules)\n"
    )
    before = sorted(launch_home.rglob("*"))  # launches of other tests share it
    ended = Launch(tmp_path, launch_home, *quick("--dry-run", "--address", "127.0.0.1:9"), module="dry").ended()
    assert (ended.status, ended.err) == (0, "")
    assert "in all about" in " ".join(ended.out.split())
    assert {path.name for path in tmp_path.iterdir()} <= {"dry.py", "__pycache__", "0.out", "0.err"}
    assert sorted(launch_home.rglob("*")) == before
    assert "dry" not in sys.modules
