"""A trial's own process: no torch in it, and a way through lost engines."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from launching import REPOSITORY
from test_engine_watch import IDLE

from tuning.engine.calls import EngineLost
from tuning.engine.status import shape_of
from tuning.engine.thin import FAILURES, NOBODY, Passenger, TrialFailed

CONFIG = {"lr": 0.1}


class Fleet:
    """Stands in for engines that answer from a script.

    Args:
        statuses: By round of asking, what the engines that answer say; the last round is repeated.
        answers: What becomes of each call: a result, or an exception.
    """

    def __init__(self, statuses, answers):
        self.rounds, self.answers = list(statuses), list(answers)
        self.calls, self.released = [], []

    @property
    def count(self):
        return len(self.rounds[0])

    def statuses(self, seconds):
        return self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]

    def advance(self, engine, trial_id, config, token, told):
        self.calls.append((engine, token, told))
        assert (trial_id, config) == ("0007", CONFIG)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def release(self, engine, trial_id, token, seconds):
        self.released.append((engine, token))


def rung(number, passed):
    return {"rung": number, "passed": passed}


def passenger(fleet, **more):
    return Passenger(fleet, "0007", CONFIG, **{"sleep": lambda seconds: None, **more})


def engines_of(fleet):
    return [engine for engine, *_ in fleet.calls]


def chosen(statuses):
    fleet = Fleet([statuses], [rung(0, 1)])
    passenger(fleet).advance()
    return engines_of(fleet)[0]


def test_it_goes_where_there_is_most_room():
    assert chosen({0: replace(IDLE, rows_room=4), 1: replace(IDLE, rows_room=8), 2: IDLE}) == 2


def test_it_goes_to_the_engine_that_holds_it_though_there_is_more_room_elsewhere():
    assert chosen({0: IDLE, 1: replace(IDLE, rows_room=0, trials=("0003", "0007"))}) == 1


def test_of_full_engines_it_goes_to_the_one_with_the_shortest_queue():
    full = replace(IDLE, rows_room=0)
    assert chosen({0: replace(full, rows_waiting=9), 1: replace(full, rows_waiting=4)}) == 1


def test_it_goes_to_an_idle_engine_though_a_busy_one_has_wider_programs():
    assert chosen({0: replace(IDLE, rows_room=48, trials=("0001",)), 1: replace(IDLE, rows_room=16)}) == 1


def test_it_goes_to_an_engine_with_room_though_a_full_one_has_fewer_trials():
    assert chosen({0: replace(IDLE, rows_room=0), 1: replace(IDLE, trials=("0001", "0002"))}) == 1


def test_of_equal_engines_it_goes_to_the_one_with_fewer_trials():
    assert chosen({0: replace(IDLE, trials=("0001",)), 1: IDLE}) == 1


def test_it_goes_where_others_have_networks_of_its_shape_unless_that_engine_is_much_busier():
    mine, other = shape_of(CONFIG), shape_of({**CONFIG, "stages": 5})
    assert mine != other == shape_of({**CONFIG, "stages": 5, "lr": 1.0, "fusion_nets": 9})

    def alike(trials):
        names = tuple(str(n) for n in range(trials))
        crowd = replace(IDLE, trials=names, shapes=(mine, *(other,) * (trials - 1)))
        return chosen({0: crowd, 1: replace(IDLE, trials=("a",), shapes=(other,))})

    assert [alike(trials) for trials in (1, 2, 4)] == [0, 0, 1]


def test_trials_that_see_the_same_spread_over_equal_engines():
    went = []
    for number in range(64):
        fleet = Fleet([{engine: IDLE for engine in range(4)}], [])
        seen = Passenger(fleet, f"{number:04d}", CONFIG)._chosen()
        went.append(seen)
    assert all(8 <= went.count(engine) <= 24 for engine in range(4))


def moved(mine, other, trial="0007"):
    """Returns whether a trial that has reported once goes from engine 0 with these trials to engine 1 with those."""
    crowded = {0: replace(IDLE, trials=mine), 1: replace(IDLE, trials=other)}
    fleet = Fleet([{0: IDLE}, crowded], [rung(0, 3), rung(1, 9)])
    passenger = Passenger(fleet, trial, CONFIG)
    passenger.advance()
    fleet.rounds = [crowded, {1: IDLE} if not other else crowded]
    passenger.advance()
    return engines_of(fleet)[1] == 1 and fleet.released == [(0, fleet.calls[0][1])]


def test_it_goes_to_an_engine_that_has_nothing_to_do():
    assert moved(("0003", "0007"), ())


def test_it_stays_where_the_other_engine_has_work_or_its_own_no_other_trial():
    assert not moved(("0003", "0007"), ("0005",))
    assert not moved(("0007",), ())


def test_one_trial_goes_at_a_time():
    assert not moved(("0007", "0008"), ())


def test_it_stays_with_its_engine_and_says_what_it_has_been_told():
    fleet = Fleet([{0: IDLE}], [rung(0, 3), rung(1, 9)])
    mine = passenger(fleet)
    assert mine.advance() == {"rung": 0}
    assert mine.advance() == {"rung": 1}
    assert [told for *_, told in fleet.calls] == [0, 3]
    assert len({token for _, token, _ in fleet.calls}) == 1


def test_a_lost_engine_is_outlived():
    lost = EngineLost("engine 0 was lost: ActorDiedError")
    fleet = Fleet([{0: IDLE}, {}, {1: IDLE}], [rung(0, 3), lost, rung(1, 9)])
    mine = passenger(fleet)
    mine.advance()
    assert mine.advance() == {"rung": 1}
    assert [(engine, told) for engine, _, told in fleet.calls] == [(0, 0), (0, 3), (1, 3)]


def test_engines_lost_in_a_row_without_a_rung_in_between_end_it():
    fleet = Fleet([{0: IDLE}], [EngineLost("engine 0 was lost: ActorDiedError")] * (FAILURES + 1))
    with pytest.raises(TrialFailed) as caught:
        passenger(fleet).advance()
    assert str(caught.value).splitlines()[-1] == (
        "engine 0 was lost: ActorDiedError, 4 times without a rung in between"
    )


def test_a_rung_forgives_the_losses_before_it_and_a_point_between_rungs_does_not():
    lost = [EngineLost("lost")] * FAILURES
    forgiven = passenger(Fleet([{0: IDLE}], [*lost, rung(0, 3), *lost, rung(1, 9)]))
    assert [forgiven.advance(), forgiven.advance()] == [{"rung": 0}, {"rung": 1}]
    between = passenger(Fleet([{0: IDLE}], [*lost, rung(-1, 2), *lost, rung(0, 3)]))
    assert between.advance() == {"rung": -1}
    with pytest.raises(TrialFailed):
        between.advance()


def test_a_trial_that_was_let_go_by_mistake_goes_on():
    fleet = Fleet([{0: IDLE}], [rung(0, 3), {"let_go": True}, rung(1, 9)])
    mine = passenger(fleet)
    mine.advance()
    assert mine.advance() == {"rung": 1}


def test_a_trial_that_has_another_process_by_now_gives_up():
    with pytest.raises(TrialFailed, match="has let the trial go, 4 times"):
        passenger(Fleet([{0: IDLE}], [{"let_go": True}] * 9)).advance()


def test_what_the_trial_raised_is_the_last_line_of_what_it_raises_here():
    with pytest.raises(TrialFailed) as caught:
        passenger(Fleet([{0: IDLE}], [{"error": "ValueError: lr: -1 must be above 0"}])).advance()
    assert str(caught.value).splitlines()[-1] == "ValueError: lr: -1 must be above 0"


def test_it_gives_up_when_no_engine_answers_for_long():
    now = [0.0]

    def sleep(seconds):
        now[0] += 60 * seconds

    with pytest.raises(TrialFailed, match=f"no engine has answered for {NOBODY:g} s"):
        passenger(Fleet([{}], []), sleep=sleep, clock=lambda: now[0]).advance()


def test_letting_go_names_the_process_and_is_done_once():
    fleet = Fleet([{5: IDLE}], [rung(0, 3)])
    mine = passenger(fleet)
    mine.let_go()
    assert fleet.released == []
    mine.advance()
    mine.let_go()
    mine.let_go()
    assert fleet.released == [(5, fleet.calls[0][1])]


def test_a_trials_own_process_imports_neither_torch_nor_mlflow():
    script = """
import pickle, sys
from tuning.engine.actor import Engine
from tuning.engine.calls import Engines
from tuning.engine.status import Pace
from tuning.engine.thin import ThinTrial, nothing
pickle.loads(pickle.dumps((ThinTrial, Engine, Engines([]), Pace)))
print([name for name in ("torch", "mlflow", "scipy", "hyperopt", "pamfn.model") if name in sys.modules])
"""
    paths = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    out = subprocess.run([sys.executable, "-c", script], env=paths, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_engines_whose_nodes_were_taken_back_use_up_none_of_its_losses():
    taken = [EngineLost("engine 0 was lost: ActorDiedError", taken_back=True)] * (3 * FAILURES)
    fleet = Fleet([{0: IDLE}], [*taken, *[EngineLost("lost")] * FAILURES, rung(0, 3)])
    assert passenger(fleet).advance() == {"rung": 0}


def test_a_trial_leaves_an_engine_whose_node_will_be_taken_away_at_the_next_rung():
    leaving, other = replace(IDLE, leaving=True), replace(IDLE, trials=("0003",))
    mine = passenger(Fleet([{0: IDLE}, {0: leaving, 1: other}], [rung(0, 3), rung(1, 9)]))
    mine.advance()
    mine.advance()
    assert mine.engine == 1


def test_a_trial_stays_where_all_nodes_will_be_taken_away():
    leaving = replace(IDLE, leaving=True)
    fleet = Fleet([{0: leaving, 1: leaving}], [rung(0, 3), rung(1, 9)])
    mine = passenger(fleet)
    mine.advance()
    mine.advance()
    assert mine.engine is not None
    assert fleet.released == []
