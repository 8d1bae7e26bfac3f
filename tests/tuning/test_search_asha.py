import json
import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.utils import flatten_dict

from tuning.search import GuardedASHA, make_scheduler


@dataclass
class FakeTrial:
    trial_id: str
    last_result: dict = field(default_factory=dict)
    status: str = Trial.PENDING
    config: dict = field(default_factory=dict)
    error_file: str | None = None

    def is_finished(self):
        return self.status in (Trial.TERMINATED, Trial.ERROR)


class FakeController:
    """Does with results and decisions what Tune's controller does."""

    def __init__(self, scheduler):
        self.scheduler, self.trials, self.search_alg = scheduler, {}, SimpleNamespace()

    def add(self, trial):
        self.trials[trial.trial_id] = trial
        self.scheduler.on_trial_add(self, trial)

    def report(self, trial_id, scores, **extra):
        if trial_id not in self.trials:
            self.add(FakeTrial(trial_id))
        trial = self.trials[trial_id]
        trial.last_result = report(scores, **extra)
        decision = self.scheduler.on_trial_result(self, trial, flatten_dict(trial.last_result))
        if decision == TrialScheduler.STOP:
            trial.last_result["done"] = True
            trial.status = Trial.TERMINATED
            self.scheduler.on_trial_complete(self, trial, flatten_dict(trial.last_result))
        return decision

    def get_trials(self):
        return list(self.trials.values())

    def stop_trial(self, trial):
        self.scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED


def report(scores, **extra):
    """A trial's result after the rungs with these scores, of three that a full budget has."""
    completed = {str(rung): score for rung, score in enumerate(scores)}
    rung = len(scores) - 1
    progress = (0.1, 0.3, 1.0)[rung] if scores else 0.05
    base = {"rung": rung, "val_spearman": scores[-1] if scores else 0.0, "rung_scores": completed}
    return {**base, "progress": progress, "status_reason": "", **extra}


@pytest.fixture
def study():
    return FakeController(GuardedASHA(reduction=3))


def test_a_trial_among_the_best_third_goes_on_and_another_is_stopped_with_its_rung(study):
    assert study.report("first", [0.5]) == TrialScheduler.CONTINUE
    assert study.report("worse", [0.4]) == TrialScheduler.STOP
    assert study.scheduler.reason("first") == ""
    assert study.scheduler.reason("worse") == "stopped at rung 0"


def test_the_last_rung_ends_a_trial_as_finished_however_it_ranks(study):
    study.report("better", [0.9, 0.9, 0.9])
    assert study.report("worse", [0.1, 0.1, 0.1]) == TrialScheduler.STOP
    assert study.scheduler.reason("worse") == "finished"


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"val_spearman": math.nan}, "failed: val_spearman is nan at rung 0; it must be a finite number"),
        ({"val_spearman": np.float64("nan")}, "failed: val_spearman is nan at rung 0; it must be a finite number"),
        ({"val_spearman": -math.inf}, "failed: val_spearman is -inf at rung 0; it must be a finite number"),
        ({"val_spearman": None}, "failed: val_spearman is None at rung 0; it must be a finite number"),
        ({"val_spearman": "high"}, "failed: val_spearman is 'high' at rung 0; it must be a finite number"),
        ({"val_spearman": True}, "failed: val_spearman is True at rung 0; it must be a finite number"),
        ({"status_reason": "diverged: Ball/fold1/seed0"}, "failed: diverged: Ball/fold1/seed0"),
        ({"rung": None}, "failed: rung is None; it must be the index of a rung, or -1 between rungs"),
        ({"rung": math.nan}, "failed: rung is nan; it must be the index of a rung, or -1 between rungs"),
        (
            {"rung": -1, "val_spearman": math.nan},
            "failed: val_spearman is nan between rungs; it must be a finite number",
        ),
    ],
)
def test_a_result_that_cannot_be_ranked_ends_the_trial_with_a_reason(study, extra, reason):
    assert study.report("faulty", [0.3], **extra) == TrialScheduler.STOP
    assert study.scheduler.reason("faulty") == reason


def test_a_missing_score_ends_the_trial(study):
    result = report([0.3])
    del result["val_spearman"]
    assert study.scheduler.on_trial_result(study, FakeTrial("faulty"), result) == TrialScheduler.STOP
    assert study.scheduler.reason("faulty") == "failed: val_spearman is missing at rung 0"


def test_a_faulty_trial_takes_no_place_in_its_rung_but_keeps_its_earlier_ones(study):
    study.report("faulty", [0.3])
    study.report("faulty", [0.3, math.nan])
    study.report("collapsed", [0.2], status_reason="constant: 11 of 20 replicas")
    assert study.scheduler.rungs.scores == {0: {"faulty": 0.3}}


def test_a_report_between_rungs_counts_for_no_rung(study):
    assert study.report("trial", [0.5], rung=-1, val_spearman=0.7, rung_scores={"0": 0.5}) == TrialScheduler.CONTINUE
    assert study.scheduler.rungs.scores == {0: {"trial": 0.5}}


def test_a_trial_that_ends_with_the_study_says_how_far_it_came(study):
    trial = FakeTrial("late", report([0.5], rung=-1, progress=0.42))
    study.scheduler.on_trial_complete(study, trial, flatten_dict(trial.last_result))
    assert study.scheduler.reason("late") == "ended early, at 42% of its budget"


def test_a_trial_that_ends_by_itself_at_its_last_rung_is_judged_though_tune_only_reports_its_completion(study):
    trial = FakeTrial("quick", report([0.1, 0.2, 0.6], done=True))
    study.scheduler.on_trial_complete(study, trial, flatten_dict(trial.last_result))
    assert study.scheduler.reason("quick") == "finished"
    assert study.scheduler.rungs.scores[2] == {"quick": 0.6}


def test_a_failed_trial_says_what_it_raised_and_a_new_attempt_takes_it_back(study, tmp_path):
    error = tmp_path / "error.txt"
    error.write_text(
        "Failure # 1 (occurred at 2026-01-01)\n\x1b[36mray::Trial.train()\x1b[39m (pid=1)\n"
        '  File "x.py", line 1, in step\nMemoryError: 3 GiB were asked for\n'
    )
    trial = FakeTrial("big", error_file=str(error))
    study.scheduler.on_trial_error(study, trial)
    assert study.scheduler.reason("big") == "failed: MemoryError: 3 GiB were asked for"
    study.add(trial)
    assert study.scheduler.reason("big") == ""


def test_a_trial_that_dies_without_a_word_still_has_a_reason(study):
    study.scheduler.on_trial_error(study, FakeTrial("silent"))
    assert study.scheduler.reason("silent") == "failed: no error was recorded"


def restored(study):
    """The study as Tune restores it: a new scheduler, the trials with their last results, the newest first."""
    again = FakeController(GuardedASHA(reduction=3))
    for trial in reversed(study.get_trials()):
        again.add(FakeTrial(trial.trial_id, dict(trial.last_result), trial.status, error_file=trial.error_file))
    return again


def test_after_a_restore_rungs_and_reasons_are_those_before():
    study = FakeController(GuardedASHA(reduction=3))
    for trial, curve in {"a": [0.5, 0.6, 0.7], "b": [0.4], "c": [0.6, 0.5], "d": [0.55]}.items():
        for n in range(1, len(curve) + 1):
            study.report(trial, curve[:n])
    study.report("e", [0.9], status_reason="diverged")
    study.add(FakeTrial("waiting"))
    again = restored(study)
    assert again.scheduler.rungs.scores == study.scheduler.rungs.scores
    assert {t: again.scheduler.reason(t) for t in study.trials} == {t: study.scheduler.reason(t) for t in study.trials}
    assert again.scheduler.reason("a") == "finished"


def test_a_restored_trial_that_repeats_a_rung_gets_its_old_answer():
    study = FakeController(GuardedASHA(reduction=3))
    study.report("early", [0.1])
    for i in range(3):
        study.report(f"better{i}", [0.5 + i])
    again = restored(study)
    assert again.report("early", [0.1]) == TrialScheduler.CONTINUE
    assert again.scheduler.rungs.scores == study.scheduler.rungs.scores


def test_a_trial_that_had_been_told_to_stop_when_the_driver_died_is_not_trained_again(study):
    study.report("better", [0.9])
    study.report("worse", [0.1])
    study.trials["worse"].status = Trial.RUNNING  # the snapshot was written before the trial was seen to end
    again = restored(study)
    for trial in again.get_trials():
        trial.status = Trial.PENDING
    assert again.scheduler.choose_trial_to_run(again).trial_id == "better"
    assert again.trials["worse"].status == Trial.TERMINATED
    assert again.scheduler.reason("worse") == "stopped at rung 0"


def test_trials_run_in_the_order_in_which_they_came(study):
    study.add(FakeTrial("paused", status=Trial.PAUSED))
    study.add(FakeTrial("one"))
    study.add(FakeTrial("two"))
    assert study.scheduler.choose_trial_to_run(study).trial_id == "one"


def test_every_decision_is_in_the_journal_once(tmp_path):
    study = FakeController(GuardedASHA(reduction=3, journal=str(tmp_path / "decisions.jsonl")))
    study.report("a", [0.5])
    study.report("a", [0.5])
    study.report("b", [0.4])
    study.report("c", [math.nan])
    lines = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert [(line["trial"], line["rung"], line["goes_on"]) for line in lines] == [
        ("a", 0, True),
        ("b", 0, False),
        ("c", 0, False),
    ]
    assert (lines[1]["rank"], lines[1]["of"], lines[1]["kept"], lines[1]["reason"]) == (2, 2, 1, "stopped at rung 0")


def test_a_space_without_a_scheduler_ends_only_faulty_trials():
    study = FakeController(make_scheduler(SimpleNamespace(type="none", reduction=3)))
    study.report("better", [0.9])
    assert study.report("worse", [0.1]) == TrialScheduler.CONTINUE
    assert study.report("faulty", [math.nan]) == TrialScheduler.STOP


def test_an_unknown_scheduler_is_refused():
    with pytest.raises(ValueError, match="scheduler.type: 'median' is not one of asha, none"):
        make_scheduler(SimpleNamespace(type="median", reduction=3))


def test_the_debug_line_names_each_rung_with_its_best_score(study):
    study.report("a", [0.5, 0.6])
    assert study.scheduler.debug_string() == "rung 0: 1 trials, best 0.500 | rung 1: 1 trials, best 0.600"
