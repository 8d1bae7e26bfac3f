"""The search without Ray, on curves that are written down beforehand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from scripted import FIRST, REGION, Cluster, endings, reports, result, search, started

from tuning.domains import ChoiceDomain
from tuning.search import Journal, JournalError, Region
from tuning.search.folds import fold_scores
from tuning.search.proposing import TYPES

FAULTS = [
    ({"val_spearman": math.nan}, "val_spearman is nan at rung 0; it must be a finite number"),
    ({"val_spearman": np.float64("nan")}, "val_spearman is nan at rung 0; it must be a finite number"),
    ({"val_spearman": -math.inf}, "val_spearman is -inf at rung 0; it must be a finite number"),
    ({"val_spearman": None}, "val_spearman is None at rung 0; it must be a finite number"),
    ({"val_spearman": "high"}, "val_spearman is 'high' at rung 0; it must be a finite number"),
    ({"val_spearman": True}, "val_spearman is True at rung 0; it must be a finite number"),
    ({"status_reason": "diverged: Ball/fold1/seed0"}, "diverged: Ball/fold1/seed0"),
    ({"rung": None}, "rung is None; it must be the index of a rung, or -1 between rungs"),
    ({"rung": math.nan}, "rung is nan; it must be the index of a rung, or -1 between rungs"),
    ({"rung": -1, "val_spearman": math.nan}, "val_spearman is nan between rungs; it must be a finite number"),
]


def verdicts(scores, **changes):
    """The verdicts on trials that arrive at the first rung one after the other."""
    made = search(trials=len(scores), concurrent=len(scores), **changes)
    trials = started(made, len(scores))
    return [made.report(trial, result(0, value)).action for trial, value in zip(trials, scores, strict=True)]


def test_the_first_trial_has_the_first_point_and_trials_are_named_by_their_numbers():
    made = search()
    assert [made.next().trial for _ in range(3)] == ["0000", "0001", "0002"]
    assert made.trials["0000"].config == FIRST


def test_of_trials_that_arrive_ever_better_all_go_on():
    assert verdicts([0.1 * i for i in range(9)]) == ["goes on"] * 9


def test_of_trials_that_arrive_ever_worse_the_first_goes_on():
    assert verdicts([-0.1 * i for i in range(9)]) == ["goes on"] + ["ends"] * 8


def test_a_stopped_trial_names_its_rung():
    made = search()
    better, worse, _ = started(made, 3)
    made.report(better, result(0, 0.9))
    assert made.report(worse, result(0, 0.1)).reason == made.reason(worse) == "stopped at rung 0"
    assert made.reason(better) == ""


def test_the_last_rung_ends_a_trial_as_finished_however_it_ranks():
    made = search()
    better, worse, _ = started(made, 3)
    for rung in range(3):
        made.report(worse, result(rung, 0.1))
    for rung in range(3):
        made.report(better, result(rung, 0.9))
    assert [made.reason(better), made.reason(worse)] == ["finished", "finished"]


@pytest.mark.parametrize(("changes", "fault"), FAULTS)
def test_a_result_that_cannot_be_ranked_ends_the_trial_with_a_reason(changes, fault):
    made = search()
    [trial] = started(made, 1)
    verdict = made.report(trial, result(0, 0.3) | changes)
    assert (verdict.action, verdict.reason) == ("ends", f"failed: {fault}")
    assert made.rungs.scores == {}


def test_a_missing_score_ends_the_trial():
    made = search()
    [trial] = started(made, 1)
    assert made.report(trial, {"rung": 0, "progress": 0.1}).reason == "failed: val_spearman is missing at rung 0"


def test_a_faulty_trial_keeps_its_earlier_rungs_and_frees_its_place():
    made = search(concurrent=1)
    [trial] = started(made, 1)
    made.report(trial, result(0, 0.3))
    assert made.next() is None
    made.report(trial, result(1, math.nan))
    assert made.rungs.scores == {0: {trial: 0.3}}
    assert made.next() is not None


def test_a_report_between_rungs_counts_for_no_rung():
    made = search()
    [trial] = started(made, 1)
    made.report(trial, result(0, 0.5))
    assert made.report(trial, {"rung": -1, "val_spearman": 0.7, "progress": 0.2}).action == "goes on"
    assert made.rungs.scores == {0: {trial: 0.5}}
    assert made.observations()[0].curve == ((1 / 9, 0.5), (0.2, 0.7))


def test_a_late_report_of_an_ended_trial_changes_nothing():
    made = search()
    [trial] = started(made, 1)
    made.fail(trial, "MemoryError")
    events = len(made.journal.events)
    assert made.report(trial, result(0, 0.9)).reason == "failed: MemoryError"
    assert len(made.journal.events) == events
    assert made.rungs.scores == {}


def test_a_rung_that_is_reported_again_gets_its_answer_again_and_no_line():
    made = search()
    early, *others = started(made, 3)
    made.report(early, result(0, 0.1))
    for trial in others:
        made.report(trial, result(0, 0.9))
    events = len(made.journal.events)
    assert made.report(early, result(0, 0.1)).action == "goes on"
    assert len(made.journal.events) == events


def test_two_trials_at_one_rung_at_once_are_judged_in_the_order_of_their_reports():
    for first, second in (((0.4, "goes on"), (0.5, "goes on")), ((0.5, "goes on"), (0.4, "ends"))):
        made = search()
        trials = started(made, 2)
        told = [made.report(t, result(0, s)).action for t, (s, _) in zip(trials, (first, second), strict=True)]
        assert told == [first[1], second[1]]


def test_no_more_run_at_once_than_allowed():
    made = search(concurrent=2)
    started(made, 2)
    assert made.next() is None


def test_a_study_of_all_its_trials_is_exhausted_and_done_when_they_have_ended():
    made = search(trials=2)
    for trial in started(made, 2):
        assert not made.done
        made.fail(trial, "an error")
    assert made.exhausted
    assert made.next() is None
    assert made.done


def test_a_region_that_is_used_up_ends_the_study_and_the_journal_says_so():
    region = Region({"stages": ChoiceDomain(type="choice", values=[1, 2, 3])})
    made = search(region=region, first={"stages": 2}, concurrent=10)
    assert sorted(made.trials[trial].config["stages"] for trial in started(made, 3)) == [1, 2, 3]
    assert made.next() is None
    assert made.exhausted
    assert made.journal.events[-1]["reason"] == "every configuration of the space has been tried"


def test_the_same_seed_and_completion_order_give_the_same_search_and_another_seed_another():
    one, same, other = (Cluster(search(seed=seed)).run() for seed in (0, 0, 1))
    assert reports(one) == reports(same)
    assert [held.config for held in one.trials.values()] != [held.config for held in other.trials.values()]


def test_every_report_has_its_verdict_and_grounds_in_the_journal():
    made = search(reduction=2)
    better, worse, _ = started(made, 3)
    made.report(better, result(0, 0.9))
    made.report(worse, result(0, 0.1))
    line = made.journal.events[-1]
    told = (line["trial"], line["rung"], line["score"], line["verdict"], line["reason"])
    assert told == (worse, 0, 0.1, "ends", "stopped at rung 0")
    assert (line["grounds"]["rank"], line["grounds"]["of"], line["grounds"]["kept"]) == (2, 2, 1)
    assert line["result"] == result(0, 0.1)


def test_without_a_scheduler_only_faulty_trials_end_early():
    assert verdicts([0.9, 0.1, math.nan], reduction=None) == ["goes on", "goes on", "ends"]


def test_the_end_of_a_budget_says_how_far_each_trial_came():
    made = search(mode="promote", reduction=2)
    trials = started(made, 3)
    made.report(trials[0], result(0, 0.5))
    made.report(trials[1], result(0, 0.6))
    made.stop()
    assert endings(made) == {
        trials[0]: "paused at rung 0",
        trials[1]: "ended early, at 11% of its budget",
        trials[2]: "ended early, at 0% of its budget",
    }
    assert made.next() is not None, "a budget that is raised later goes on with new trials"


def test_first_folds_that_are_hopeless_end_a_trial_before_its_first_rung():
    made = search()
    leader, hopeless, _ = started(made, 3)
    folds = {"folds": {"done": 2, "of": 2}, "fold_scores": {"0": 0.5, "1": 0.6}}
    made.report(leader, result(0, 0.55, **folds))
    ahead = {
        "rung": -1,
        "val_spearman": None,
        "progress": 0.0,
        "folds": {"done": 1, "of": 2},
        "fold_scores": {"0": 0.2},
    }
    assert fold_scores(ahead) == [0.2]
    verdict = made.report(hopeless, ahead)
    assert (verdict.action, verdict.reason) == ("ends", "stopped after 1 of 2 folds at rung 0")
    assert made.journal.events[-1]["grounds"]["incumbent"] == leader


def test_every_fault_of_a_search_is_told_at_once():
    with pytest.raises(ValueError, match="the point has no value for it") as refusal:
        search(first={"stages": 2}, searcher="oracle", mode="pause", warmup=-1, concurrent=0, trials=0)
    assert str(refusal.value) == (
        f"first: lr: the point has no value for it; searcher.type: 'oracle' is not one of {', '.join(TYPES)}; "
        "scheduler.mode: 'pause' is not one of stop, promote; searcher.warmup: -1 must be at least 0; "
        "budget.concurrent: 0 must be at least 1; budget.trials: 0 must be at least 1"
    )


def test_the_search_takes_its_decisions_without_ray():
    code = "import sys, tuning.search; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Promotion


def test_a_trial_that_waits_takes_no_place_and_goes_on_once_it_has_earned_it():
    made = search(mode="promote", concurrent=1, reduction=2)
    [first] = started(made, 1)
    assert made.report(first, result(0, 0.5)).action == "waits"
    [second] = started(made, 1)
    assert made.report(second, result(0, 0.4)).action == "waits"
    work = made.next()
    assert (work.trial, work.resumed) == (first, True)
    assert made.journal.events[-1]["event"] == "promoted"


def test_a_promotable_trial_goes_before_a_new_one_and_from_the_highest_rung_down():
    made = search(mode="promote", concurrent=10, reduction=2, trials=10)
    trials = started(made, 8)
    values = (0.5, 0.4, 0.3, 0.2)
    for trial, value in zip(trials[:4], values, strict=True):
        made.report(trial, result(0, value))
    assert [made.next().trial for _ in range(2)] == trials[:2]
    made.report(trials[0], result(1, 0.1))
    made.report(trials[1], result(1, 0.2))
    assert made.reason(trials[1]) == ""
    assert made.trials[trials[1]].state == "running", "the better half of two at the second rung went on at once"
    assert made.next().trial not in trials


def test_a_promoting_study_always_ends_and_one_trial_at_least_gets_the_full_budget():
    for seed in range(10):
        made = Cluster(search(mode="promote", seed=seed, region=REGION, trials=7)).run()
        assert made.done
        words = Counter(reason.split(" ")[0].strip(":") for reason in endings(made).values())
        assert words["finished"] >= 1
        assert set(words) <= {"finished", "paused", "failed"}


def test_waiting_trials_end_as_paused_only_when_nothing_runs_and_nothing_is_promotable():
    made = search(mode="promote", concurrent=2, trials=2)
    first, second = started(made, 2)
    made.report(first, result(0, 0.4))
    assert made.next() is not None, "the better third of one is one, once no new trial will come"
    made.report(second, result(0, 0.3))
    assert made.next() is None
    assert made.reason(second) == ""
    for rung in (1, 2):
        made.report(first, result(rung, 0.5))
    assert made.next() is None
    assert endings(made) == {first: "finished", second: "paused at rung 0"}


def test_a_promoted_trial_that_is_killed_and_begun_again_is_told_to_go_on_again():
    made = search(mode="promote", concurrent=1, trials=1)
    [trial] = started(made, 1)
    assert made.report(trial, result(0, 0.4)).action == "waits"
    assert made.next().trial == trial
    events = len(made.journal.events)
    assert made.report(trial, result(0, 0.4)).action == "goes on"
    assert len(made.journal.events) == events
    assert made.report(trial, result(1, 0.5)).action != "ends"


def test_a_trial_that_lost_its_process_while_it_went_to_wait_is_told_to_wait_again():
    made = search(mode="promote", concurrent=3)
    [trial] = started(made, 1)
    assert made.report(trial, result(0, 0.4)).action == "waits"
    assert made.report(trial, result(0, 0.4)).action == "waits"


def test_a_waiting_trial_that_failed_for_good_is_never_promoted():
    made = search(mode="promote", concurrent=1, trials=2)
    [trial] = started(made, 1)
    made.report(trial, result(0, 0.9))
    made.fail(trial, "lost")
    assert made.next().trial != trial
    assert made.reason(trial) == "failed: lost"


# Restarts


@pytest.mark.parametrize("mode", ["stop", "promote"])
@pytest.mark.parametrize("searcher", ["random", "hyperopt"])
def test_a_search_cut_off_anywhere_decides_as_one_that_was_not(tmp_path, mode, searcher):
    """The same completion order is kept by telling trials apart by their configurations' scores."""

    def lowest(running):
        return running[0]

    changes = {"mode": mode, "searcher": searcher, "warmup": 3, "reduction": 2}
    whole = Cluster(search(**changes), lowest).run()
    for turns in range(0, len(reports(whole)), 3):
        path = tmp_path / f"{turns}.jsonl"
        before = Cluster(search(Journal(path), **changes), lowest)
        before.run(turns)
        after = Cluster(search(Journal(path), **changes), lowest, at=before.at).run()
        assert reports(after) == reports(whole)
        assert endings(after) == endings(whole)


@pytest.mark.parametrize("mode", ["stop", "promote"])
@pytest.mark.parametrize("concurrent", [1, 3])
def test_a_journal_cut_at_every_line_goes_on_to_the_same_final_decisions(tmp_path, mode, concurrent):
    """A trial that was cut off goes on from its last decided rung, and the order of reports is that of the ids."""
    path = tmp_path / "decisions.jsonl"
    whole = Cluster(search(Journal(path), mode=mode, concurrent=concurrent), min).run()
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(len(lines) + 1):
        cut = tmp_path / f"cut{kept}.jsonl"
        cut.write_bytes(b"".join(lines[:kept]) + b"".join(lines[kept : kept + 1])[:7])
        made = search(Journal(cut), mode=mode, concurrent=concurrent)
        at = {held.trial: held.rung + 1 for held in made.trials.values()}
        again = Cluster(made, min, at).run()
        assert endings(again) == endings(whole)
        assert [held.config for held in again.trials.values()] == [held.config for held in whole.trials.values()]


def test_what_an_earlier_process_left_running_comes_first_and_ended_trials_never(tmp_path):
    path = tmp_path / "decisions.jsonl"
    before = search(Journal(path), mode="promote", concurrent=4, reduction=2)
    ended, waiting, promoted, running = started(before, 4)
    before.fail(ended, "lost")
    before.report(waiting, result(0, 0.1))
    before.report(promoted, result(0, 0.5))
    again = search(Journal(path), mode="promote", concurrent=4, reduction=2)
    works = [again.next() for _ in range(3)]
    assert [(work.trial, work.resumed) for work in works[:2]] == [(promoted, True), (running, True)]
    assert works[2].trial not in (ended, waiting, promoted, running)
    assert works[0].config == before.trials[promoted].config


def test_no_more_than_allowed_are_taken_up_at_once(tmp_path):
    path = tmp_path / "decisions.jsonl"
    trials = started(search(Journal(path)), 3)
    again = search(Journal(path), concurrent=2)
    assert [again.next().trial for _ in range(2)] == trials[:2]
    assert again.next() is None
    again.fail(trials[0], "lost")
    assert again.next().trial == trials[2]


def test_a_journal_that_tells_of_what_cannot_have_happened_is_refused(tmp_path):
    path = tmp_path / "decisions.jsonl"
    made = search(Journal(path))
    for trial in started(made, 2):
        made.report(trial, result(0, 0.5))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(JournalError, match="line 1 does not follow from those above it .*its number is 1, after 0"):
        search(Journal(path))


@pytest.mark.parametrize(
    ("line", "changes", "fault"),
    [
        (1, {"seed": 7}, "its seed is 7, that of the study 0"),
        (3, {"number": 0}, "its number is 0, after 1 suggestions"),
        (3, {"number": 4}, "its number is 4, after 1 suggestions"),
        (3, {"config": {"lr": 5.0, "stages": 1}}, "lr: 5.0 is not 0.001 to 1"),
        (3, {"config": {"lr": 0.5}}, "stages: the point has no value for it"),
    ],
)
def test_the_journal_of_another_study_is_refused(tmp_path, line, changes, fault):
    path = tmp_path / "decisions.jsonl"
    made = search(Journal(path))
    made.journal.append("launched", seed=0, concurrent=3, space="")
    started(made, 3)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    lines[line - 1] |= changes
    path.write_text("".join(f"{json.dumps(event)}\n" for event in lines))
    with pytest.raises(JournalError, match=rf"line {line} does not follow from those above it \(.*{fault}"):
        search(Journal(path))


def test_a_decision_does_not_depend_on_the_time(tmp_path):
    clock = iter(range(0, -10_000, -7))
    strange = Cluster(search(Journal(tmp_path / "decisions.jsonl", clock=lambda: float(next(clock))))).run()
    assert reports(strange) == reports(Cluster(search()).run())
