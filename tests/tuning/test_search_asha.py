"""Ray Tune's two sides of the search, with a controller that does what Tune's does."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from fake_tune import Controller, FakeTrial
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.utils import flatten_dict
from scripted import endings, reports, result, search

from tuning.search import Journal

MODES = ("stop", "promote")


def suggested(made):
    return [(held.trial, held.config) for held in made.trials.values()]


@pytest.mark.parametrize("mode", MODES)
def test_a_study_on_tune_ends_with_a_reason_for_every_trial(mode):
    made = search(mode=mode)
    controller = Controller(made).run()
    assert len(made.trials) == 12
    assert dict(controller.told) == endings(made)
    words = Counter(reason.split(" ")[0].strip(":") for reason in endings(made).values())
    assert words["finished"] >= 1
    assert words["stopped" if mode == "stop" else "paused"] >= 1


@pytest.mark.parametrize("mode", MODES)
def test_as_many_run_at_once_as_allowed_and_no_more(mode):
    assert Controller(search(mode=mode, concurrent=3)).run().busiest == 3


def test_all_places_are_taken_in_the_first_step():
    made = search(concurrent=3)
    Controller(made).step()
    assert len(made.trials) == 3


def test_a_trial_that_waits_is_paused_and_continued_from_where_it_waited():
    made = search(mode="promote", concurrent=2, trials=8)
    controller = Controller(made).run()
    promoted = {event["trial"] for event in made.journal.events if event["event"] == "promoted"}
    assert promoted
    for trial in controller.trials:
        times = sum(e["event"] == "promoted" and e["trial"] == trial.trial_id for e in made.journal.events)
        assert trial.starts == 1 + times


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("when", ["training", "saving"])
def test_a_trial_whose_process_dies_is_tried_again_and_comes_to_the_same_decisions(mode, when):
    """One at a time: the order of reports is the same, whoever dies."""
    generator = random.Random(2)
    calm = Controller(search(mode=mode, concurrent=1)).run().search_alg.search
    dying = Controller(
        search(mode=mode, concurrent=1), dies=lambda trial, now: now == when and generator.random() < 0.3
    ).run()
    assert [r for r in reports(dying.search_alg.search) if r[1] >= 0] == [r for r in reports(calm) if r[1] >= 0]
    assert endings(dying.search_alg.search) == endings(calm)


@pytest.mark.parametrize("seed", range(5))
def test_trials_of_a_promoting_study_that_die_in_company_never_run_twice_or_for_ever(seed):
    generator = random.Random(seed)
    made = search(mode="promote", concurrent=3, seed=seed)
    controller = Controller(made, dies=lambda trial, now: generator.random() < 0.2).run()
    assert controller.busiest <= 3
    assert made.done
    assert len(controller.told) == len(set(controller.told)) == 12


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [0, 1, 7, 20, 33])
def test_a_study_that_was_killed_goes_on_from_its_checkpoints_as_if_it_had_not_been(tmp_path, mode, steps):
    calm = Controller(search(mode=mode, concurrent=1)).run().search_alg.search
    disk, path = {}, tmp_path / "decisions.jsonl"
    killed = Controller(search(Journal(path), mode=mode, concurrent=1), disk)
    for _ in range(steps):
        killed.step()
    again = Controller(search(Journal(path), mode=mode, concurrent=1), disk).run().search_alg.search
    assert suggested(again) == suggested(calm)
    assert endings(again) == endings(calm)


@pytest.mark.parametrize("mode", MODES)
def test_a_study_whose_checkpoints_are_gone_trains_again_what_had_not_ended_and_decides_the_same(tmp_path, mode):
    calm = Controller(search(mode=mode, concurrent=1)).run().search_alg.search
    path = tmp_path / "decisions.jsonl"
    killed = Controller(search(Journal(path), mode=mode, concurrent=1))
    for _ in range(40):
        killed.step()
    ended = {held.trial for held in killed.search_alg.search.trials.values() if held.over}
    resumed = Controller(search(Journal(path), mode=mode, concurrent=1), {}).run()
    assert ended
    assert ended.isdisjoint(trial.trial_id for trial in resumed.trials)
    assert endings(resumed.search_alg.search) == endings(calm)


def test_waiting_trials_of_an_earlier_launch_are_handed_to_tune_only_when_promoted(tmp_path):
    path = tmp_path / "decisions.jsonl"
    before = search(Journal(path), mode="promote", concurrent=1, trials=9)
    killed = Controller(before)
    while len([held for held in before.trials.values() if held.state == "waiting"]) < 4:
        killed.step()
    waiting = {held.trial for held in before.trials.values() if held.state == "waiting"}
    made = search(Journal(path), mode="promote", concurrent=1, trials=9)
    resumed = Controller(made, killed.disk).run()
    later = [e["trial"] for e in made.journal.events[len(before.journal.events) :] if e["event"] == "promoted"]
    handed = {trial.trial_id for trial in resumed.trials} & waiting
    assert handed == waiting & set(later)
    assert made.done


def test_a_trial_that_ended_before_its_process_died_is_not_trained_again():
    made = search(concurrent=1)
    controller = Controller(made)
    controller.step()
    [trial] = controller.trials
    made.end(trial.trial_id, "stopped at rung 0")
    trial.status = Trial.PENDING
    assert controller.scheduler.choose_trial_to_run(controller) is None
    assert trial.status == Trial.TERMINATED


def test_a_trial_that_says_by_itself_that_it_is_done_is_judged_though_tune_only_reports_its_completion():
    made = search(concurrent=1)
    controller = Controller(made)
    controller.step()
    trial = FakeTrial("0000", {})
    controller.scheduler.on_trial_complete(controller, trial, flatten_dict(result(2, 0.6, done=True)))
    assert made.reason("0000") == "finished"


def test_a_failed_trial_says_what_it_raised(tmp_path):
    error = tmp_path / "error.txt"
    error.write_text("Failure # 1\nray::Trial.train() (pid=1)\n  File x\nMemoryError: 3 GiB were asked for\n")
    made = search(concurrent=1)
    controller = Controller(made)
    controller.step()
    controller.trials[0].error_file = str(error)
    controller.search_alg.on_trial_complete("0000", error=True)
    assert made.reason("0000") == "failed: MemoryError: 3 GiB were asked for"


def test_a_trial_that_dies_without_a_word_still_has_a_reason():
    made = search(concurrent=1)
    controller = Controller(made)
    controller.step()
    controller.search_alg.on_trial_complete("0000", error=True)
    assert made.reason("0000") == "failed: no reason was recorded"


def test_the_journal_has_the_whole_nested_result_but_the_configuration():
    made = search(concurrent=1)
    controller = Controller(made)
    controller.step()
    whole = result(0, 0.3, branch_val_spearman={"rgb": 0.1}, rung_scores={"0": 0.3}, curve=[{"scores": {"a/b": 1.0}}])
    other = FakeTrial("0000", {})
    made.trials["0000"].scores.clear()
    controller.scheduler.on_trial_result(controller, other, flatten_dict({**whole, "config": {"lr": 0.1}}))
    assert made.journal.events[-1]["result"] == whole


def test_a_spent_budget_ends_the_search_for_tune():
    made = search()
    controller = Controller(made)
    controller.step()
    controller.search_alg.set_finished()
    assert controller.search_alg.is_finished()
    assert controller.search_alg.next_trial() is None


def test_a_nan_stops_a_trial_on_tune():
    made = search(concurrent=1)
    controller = Controller(made)
    controller.search_alg.next_trial()
    verdict = controller.scheduler.on_trial_result(controller, FakeTrial("0000", {}), flatten_dict(result(0, math.nan)))
    assert verdict == TrialScheduler.STOP


def test_the_debug_line_names_each_rung_with_its_best_score():
    made = search(concurrent=1)
    controller = Controller(made)
    made.next()
    for rung in (0, 1):
        made.report("0000", result(rung, 0.5 + 0.1 * rung))
    assert controller.scheduler.debug_string() == "rung 0: 1 trials, best 0.500 | rung 1: 1 trials, best 0.600"
