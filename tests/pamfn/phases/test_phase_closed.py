"""Models that a formula fits, trained as the others are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from phase_cases import planted, replica, small

from pamfn.architectures import trained_network
from pamfn.data.bank import Bank
from pamfn.phases.closed import ClosedTraining
from pamfn.phases.fusion import training_of
from pamfn.phases.scoring import predict
from pamfn.recipe import Recipe

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9), replica(FEATURES, 10, first=9, seed=2)]


def settings(**changes: object) -> Recipe:
    return small("paper", model="svr", phases="one", fine_tuned=(), padding="zero", **changes)


def test_a_closed_form_is_fitted_at_the_first_milestone_and_reports_at_all() -> None:
    training = training_of(settings(epochs=6), REPLICAS, BANK, None)
    assert isinstance(training, ClosedTraining)
    first, last = training.run([0.5, 1.0])
    assert (first.epochs, last.epochs) == ([3, 3], [6, 6])
    assert first.scores == last.scores
    assert first.losses == last.losses
    assert all(math.isfinite(loss) for loss in first.losses)
    assert training.parameters > 0


def test_a_closed_form_goes_on_and_is_saved_as_what_it_was() -> None:
    training = training_of(settings(), REPLICAS, BANK, None)
    (report,) = training.run([1.0])
    other = training_of(settings(), REPLICAS, BANK, None)
    for row in range(2):
        other.restore(row, training.state(row))
    (again,) = other.run([1.0])
    assert (again.scores, again.losses) == (report.scores, report.losses)
    network = trained_network(settings(), BANK.widths, [training.whole(row) for row in range(2)]).eval()
    saved = predict(network, BANK, [r.valid for r in REPLICAS])
    for mine, theirs in zip(saved, training.predict(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_replica_is_fitted_to_its_own_training_videos_alone() -> None:
    both, alone = (training_of(settings(), some, BANK, None) for some in (REPLICAS, REPLICAS[1:]))
    (report,), (mine,) = both.run([1.0]), alone.run([1.0])
    assert report.scores[1] == pytest.approx(mine.scores[0])
    assert report.scores[0] != pytest.approx(mine.scores[0])
