"""What a network learns to predict: score over C, or the quantile in the training fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phase_cases import planted, replica, settings_of, training_of

from pamfn.data.bank import Bank
from pamfn.phases.target import QuantileTarget, ScaledTarget, fit_target

SCORES = st.lists(st.floats(0, 25).map(lambda x: round(x, 1)), min_size=1, max_size=40)


def test_scaled_targets_are_scores_over_the_largest() -> None:
    target = ScaledTarget(25.0)
    assert target.encode([0, 10, 25]).tolist() == [0, 0.4, 1]
    assert target.decode([0, 0.4, 1]).tolist() == [0, 10, 25]


def test_quantiles_are_mid_ranks_and_ties_share_theirs() -> None:
    target = QuantileTarget.fit([3, 1, 2, 2])
    assert target.scores == (1, 2, 3)
    assert target.quantiles == (0.125, 0.5, 0.875)  # (rank - 1/2) / 4, the tied ranks 2 and 3 as 2.5
    assert target.encode([1, 2, 3, 1.5]).tolist() == [0.125, 0.5, 0.875, 0.3125]
    assert target.decode([0.125, 0.5, 0.3125]).tolist() == [1, 2, 1.5]


def test_what_lies_beyond_the_training_fold_has_its_ends_quantile() -> None:
    target = QuantileTarget.fit([5, 10])
    assert target.encode([0, 25]).tolist() == [0.25, 0.75]
    assert target.decode([0, 1]).tolist() == [5, 10]


@given(SCORES)
def test_quantiles_lie_within_the_sigmoid_and_keep_the_order(scores: list[float]) -> None:
    target = QuantileTarget.fit(scores)
    encoded = target.encode(scores)
    assert ((encoded > 0) & (encoded < 1)).all()
    assert np.mean(encoded) == pytest.approx(0.5)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(encoded[order]) >= 0).all()
    assert ((np.diff(encoded[order]) > 0) == (np.diff(np.asarray(scores)[order]) > 0)).all()


@given(SCORES, st.sampled_from(["scaled", "quantile"]))
def test_decoding_undoes_encoding_within_the_training_fold(scores: list[float], kind: str) -> None:
    target = fit_target(kind, scores, 25.0)
    assert target.decode(target.encode(scores)) == pytest.approx(np.asarray(scores))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="target: 'rank' is not one of scaled, quantile"):
        fit_target("rank", [1, 2], 25.0)


def test_targets_are_fitted_on_the_training_fold_only() -> None:
    features = planted()
    mine, other = replica(features, 10), replica(features, 10, first=18, seed=2)
    training = training_of("phase1", settings_of("phase1", target="quantile"), [mine, other], Bank.of(features))
    for of, target in zip((mine, other), training.targets, strict=True):
        assert target == QuantileTarget.fit(features.scores["total"][of.train])
    assert training.targets[0] != training.targets[1]
