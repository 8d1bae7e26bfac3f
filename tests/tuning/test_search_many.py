"""What is kept up to date trial by trial, in studies of thousands, is what going through all of them gives."""

from __future__ import annotations

import math
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuning.console import StudyProgress
from tuning.console.progress import STATES
from tuning.domains import FloatDomain
from tuning.region import Region
from tuning.search import Rungs
from tuning.search.gaussian import MOST, believe
from tuning.search.tree import _told, suggest

STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from([0.1, 0.2, 0.3, 0.4])), max_size=60)


class PlainRungs:
    """Ranks and promotions as the paper says them, found by sorting everything every time."""

    def __init__(self):
        self.scores, self.waits, self.left = {}, set(), set()

    def rank(self, trial, rung):
        return 1 + sum(other > self.scores[rung][trial] for other in self.scores[rung].values())

    def promotable(self, share):
        for rung in sorted(self.scores, reverse=True):
            ranked = sorted(self.scores[rung], key=lambda trial: (-self.scores[rung][trial], trial))
            for trial in ranked[: share(len(ranked))]:
                if (trial, rung) in self.waits and trial not in self.left:
                    return trial, rung
        return None


@given(STEPS, st.booleans(), st.randoms(use_true_random=False))
def test_ranks_and_promotions_are_those_of_sorting_all_scores_anew(steps, spent, chance):
    rungs, plain = Rungs(2, "promote"), PlainRungs()
    for number, rung, score in steps:
        trial = f"t{number}"
        if trial in plain.scores.get(rung, {}):
            continue
        rungs.record(trial, rung, score)
        plain.scores.setdefault(rung, {})[trial] = score
        decision = rungs.decide(trial, rung)
        assert decision.rank == plain.rank(trial, rung)
        if not decision.goes_on:
            plain.waits.add((trial, rung))
        if chance.random() < 0.2:
            rungs.leave(trial)
            plain.left.add(trial)
        found = rungs.promotable(spent)
        assert found == plain.promotable(lambda count: math.ceil(count / 2) if spent else count // 2)
        if found and chance.random() < 0.5:
            rungs.promote(*found)
            plain.waits.discard(found)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["report", "again", "end"]), st.integers(0, 3)), max_size=50)
)
def test_counts_and_leader_are_those_of_going_through_all_trials(steps):
    progress = StudyProgress("many", (), 6)
    for number, what, level in steps:
        trial = f"t{number}"
        progress.started(trial, {})
        if what == "report":
            score = math.nan if level == 3 else level / 4
            progress.reported(trial, {"rung": level - 1, "epoch": 1, "progress": 0.1, "val_spearman": score})
        elif what == "again":
            progress.retried(trial)
        else:
            progress.ended(trial, ["finished", "stopped at rung 0", "failed: why", "waiting at rung 1"][level])
        words = [t.state.replace(":", " ").split(" ")[0].replace("again", "running") for t in progress.trials.values()]
        assert progress.counts() == {word: words.count(word) for word in STATES}
        scored = [t for t in progress.trials.values() if t.rung >= 0 and math.isfinite(t.score)]
        assert progress.leader() is max(scored, key=lambda t: (t.rung, t.score), default=None)


def test_hyperopt_is_told_of_the_best_of_thousands_and_of_the_latest():
    chance = random.Random(0)
    scores = [chance.random() if chance.random() < 0.7 else None for _ in range(5000)]
    told = _told(scores)
    assert told == sorted(set(told))
    assert len(told) == 300 + 18 + 200
    best = sorted((place for place in range(5000) if scores[place] is not None), key=lambda place: -scores[place])
    assert set(best[:18]) <= set(told), "of 5,000 trials HyperOpt counts a quarter of the root as good"
    assert told[-100:] == list(range(4900, 5000))
    assert _told(scores[:200]) == list(range(200))


def test_proposals_after_thousands_of_trials_are_near_what_was_good_ages_ago():
    region = Region({"x": FloatDomain(type="float", low=0.0, high=1.0)})
    places = np.random.default_rng(0).random(3000)
    observed = [({"x": float(x)}, 0.9 - abs(float(x) - 0.2)) for x in places[:1000]]
    observed += [({"x": float(x)}, 0.2 - 0.1 * float(x)) for x in 0.5 + places[1000:] / 2]
    found = [suggest(region, observed, seed=seed)["x"] for seed in range(5)]
    assert np.median(np.abs(np.array(found) - 0.2)) < 0.05


def test_a_model_of_thousands_is_of_the_latest_and_the_best_and_failures_do_not_crowd_them_out():
    region = Region({"x": FloatDomain(type="float", low=0.0, high=1.0)})
    observed = [
        ({"x": place / 3000}, None if place % 3 else 0.5 * math.sin(place), bool(place % 3)) for place in range(3000)
    ]
    belief = believe(region, observed)
    assert belief is not None
    rows = belief.tried[:, 0]
    assert len(rows) == MOST
    assert sum(np.isclose(rows, (place / 3000)).any() for place in range(2850, 3000)) == 150
