"""A replica gives the same numbers alone and in company, and no trouble of a neighbour's reaches it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from phase_cases import planted, replica, same, settings_of, training_of

from pamfn.data.bank import Bank
from pamfn.replicas.cut import cut

FEATURES = planted()
BANK = Bank.of(FEATURES)
COMPANY = [
    replica(FEATURES, 8, seed=3),
    replica(FEATURES, 9, first=5, seed=4),
    replica(FEATURES, 11, first=16, seed=5),
    replica(FEATURES, 7, first=24, seed=6),
]
# float32: another number of rows picks another matrix kernel, which sums in another order (1e-7). AdamW divides even
# such a gradient by its size, so that biases before a batch norm, whose gradient is nothing but rounding, wander at the
# learning rate, and the running means follow late: losses agree to 1e-8, scores to 3e-4 (phase 1, by SGD, to 1e-7).
# Other noise or another order of batches shows at 1e-2.
TOLERANCE = 2e-3


@pytest.mark.parametrize(("phase", "preset"), [("phase1", "paper"), ("phase2", "paper"), ("phase2", "released")])
def test_alone_and_in_company_are_the_same_over_fifty_steps(phase: str, preset: str) -> None:
    # The release's normalisation of a constant makes noise of rounding (see MixedBlock.of_zeros): the exact start here.
    settings = settings_of(phase, preset, epochs=17, phase1_epochs=17, mixed_start="exact", evaluation_noise=False)
    together, alone = (training_of(phase, settings, some, BANK) for some in (COMPANY, [COMPANY[2]]))
    (joint,), (report,) = together.run([1.0]), alone.run([1.0])
    assert alone.steps == [51]
    assert report.losses[0] == pytest.approx(joint.losses[2], abs=1e-5)
    np.testing.assert_allclose(alone.predict()[0], together.predict()[2], atol=TOLERANCE)


def test_noise_in_evaluation_is_the_same_alone_and_in_company() -> None:
    settings = settings_of("one", "released")
    together = training_of("one", settings, COMPANY, BANK)
    for i, mine in enumerate(COMPANY):
        alone = training_of("one", settings, [mine], BANK)
        np.testing.assert_allclose(alone.predict()[0], together.predict()[i], atol=1e-5)
        quiet = training_of("one", dataclasses.replace(settings, evaluation_noise=False), [mine], BANK)
        assert np.abs(alone.predict()[0] - quiet.predict()[0]).max() > 1e-4


@pytest.mark.parametrize("phase", ["phase1", "phase2", "one"])
def test_a_nan_feature_ends_its_replica_with_a_reason_and_leaves_the_others_bit_identical(phase: str) -> None:
    settings = settings_of(phase)
    spoilt = planted()
    video = int(COMPANY[1].train[0])  # in no other replica's training or scoring
    others = [r for r in COMPANY if video not in {*r.train.tolist(), *r.valid.tolist()}]
    mine = [COMPANY[1], *others]
    assert len(others) == 2
    spoilt.features["rgb"][spoilt.offsets[video]] = np.nan
    sound, broken = (training_of(phase, settings, mine, Bank.of(data)) for data in (FEATURES, spoilt))
    (expected,), (report,) = sound.run([1.0]), broken.run([1.0])
    assert report.ended == ["diverged: the training loss is not finite", "", ""]
    assert math.isnan(report.scores[0])
    assert report.scores[1:] == expected.scores[1:]
    for i in (1, 2):
        assert same(broken.state(i), sound.state(i))


def test_a_huge_learning_rate_ends_its_replica_with_a_reason_and_leaves_the_others_bit_identical() -> None:
    settings = settings_of("phase1", phase1_epochs=6)
    sound = training_of("phase1", settings, COMPANY, BANK)
    wild = training_of("phase1", settings, COMPANY, BANK)
    wild._seats[0].plan = dataclasses.replace(wild.plans[0], lr=1e20)
    (expected,), (report,) = sound.run([1.0]), wild.run([1.0])
    assert report.ended[0].startswith("diverged: ")
    assert report.ended[1:] == ["", "", ""]
    assert report.scores[1:] == expected.scores[1:]
    for i in (1, 2, 3):
        assert same(wild.state(i), sound.state(i))


def test_a_replica_that_rests_is_not_touched() -> None:
    tasks = [dataclasses.replace(r, task=task) for r, task in zip(COMPANY, "abcd", strict=True)]
    settings = settings_of("one", "released", epochs={"a": 1, "b": 2, "c": 4, "d": 8})
    training = training_of("one", settings, tasks, BANK)
    (report,) = training.run([0.125])
    assert report.epochs == [1, 1, 1, 1]
    resting = training.state(0)
    reports = list(training.run([0.25, 0.4]))
    assert [r.epochs for r in reports] == [[1, 1, 1, 2], [1, 1, 2, 3]]
    assert same(training.state(0), resting)
    assert math.isnan(reports[1].losses[0])
    assert not math.isnan(reports[1].scores[0])


def test_a_training_whose_replicas_all_rest_reports_all_the_same() -> None:
    training = training_of("one", settings_of("one", epochs=2), COMPANY, BANK)
    reports = list(training.run([0.25, 0.5, 0.6, 1.0]))
    assert [r.epochs for r in reports] == [[1] * 4, [1] * 4, [1] * 4, [2] * 4]
    assert reports[0].scores == reports[1].scores == reports[2].scores


def test_initial_weights_are_a_replicas_own() -> None:
    settings = settings_of("one")
    together = training_of("one", settings, COMPANY, BANK)
    for i, mine in enumerate(COMPANY):
        assert same(cut(together.network, i), cut(training_of("one", settings, [mine], BANK).network, 0))
    assert not torch.equal(together.network.head.score.weight[0], together.network.head.score.weight[1])
