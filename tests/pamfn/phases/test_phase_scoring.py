"""Scoring whole videos: a score is a function of the video alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from phase_cases import WIDTHS, planted, replica, small, training_of
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.phases import scoring
from pamfn.phases.scorer import Scored, Scorer
from pamfn.phases.scoring import correlate, predict
from pamfn.phases.training import Training

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9), replica(FEATURES, 10, first=9, seed=2)]
CLOSE = 1e-5


@pytest.fixture(scope="module", params=["paper", "released"])
def trained(request: pytest.FixtureRequest) -> Training:
    settings = small(request.param, phases="one", stages=3, standardise=True, evaluation_noise=False)
    training = training_of("one", settings, REPLICAS, BANK)
    list(training.run([0.5], score=False))
    return training


def test_scores_come_in_the_order_of_the_videos(trained: Training) -> None:
    videos = np.arange(len(FEATURES))
    shuffled = np.random.default_rng(0).permutation(videos)
    whole = predict(trained.network, BANK, [videos, videos])
    mixed = predict(trained.network, BANK, [shuffled, videos])
    np.testing.assert_allclose(mixed[0], whole[0][shuffled], atol=CLOSE)
    assert ((whole[0] > 0) & (whole[0] < 1)).all()


def test_scoring_one_by_one_or_in_padded_batches_is_the_same(
    trained: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [np.arange(len(FEATURES)), np.arange(5, 23)]
    together = predict(trained.network, BANK, videos)
    monkeypatch.setattr(scoring, "ROOM", 1)  # a batch of one video a replica
    one_by_one = predict(trained.network, BANK, videos)
    for some, other in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(some, other, atol=CLOSE)


def test_replicas_may_score_different_numbers_of_videos_or_none(trained: Training) -> None:
    scores = predict(trained.network, BANK, [np.arange(3), np.empty(0, dtype=np.int64)])
    assert [len(mine) for mine in scores] == [3, 0]
    assert [len(mine) for mine in predict(trained.network, BANK, [np.empty(0, dtype=np.int64)] * 2)] == [0, 0]


def test_a_video_asked_for_twice_scores_twice_the_same(trained: Training) -> None:
    (scores, _) = predict(trained.network, BANK, [np.array([7, 3, 7]), np.array([1])])
    assert scores[0] == pytest.approx(scores[2], abs=CLOSE)


def test_scoring_changes_nothing(trained: Training) -> None:
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    trained.network.train()
    trained.predict()
    assert trained.network.training
    assert all(torch.equal(value, before[name]) for name, value in trained.network.state_dict().items())


def test_identical_videos_in_any_batch_differ_by_less_than_a_constant_prediction_may(trained: Training) -> None:
    copies = [0, 1, 0, 2, 0, 3, 0, 4, 5, 0]  # one video among longer and shorter ones
    bank = Bank.of(FEATURES.subset(copies))
    (scores, _) = predict(trained.network, bank, [np.arange(len(copies)), np.array([0])])
    assert np.ptp(scores[[i for i, video in enumerate(copies) if video == 0]]) <= 1e-7


def test_correlations_come_with_the_tally_of_constant_predictions() -> None:
    truth = FEATURES.scores["total"]
    scores = [truth[REPLICAS[0].valid] / 25, np.full(8, 0.5)]
    correlations, constant = correlate(scores, REPLICAS)
    assert correlations == [pytest.approx(1.0), 0.0]
    assert constant == [False, True]


def test_a_bank_of_other_streams_is_a_key_error_and_not_a_wrong_score(trained: Training) -> None:
    with pytest.raises(KeyError, match="audio"):
        predict(trained.network, BANK.only("rgb", "flow"), [np.arange(2)] * 2)
    assert set(WIDTHS) == set(BANK.widths)


class _HostRecorder:
    """Replays a function into the tensor that it returned when it was recorded, as a CUDA graph does."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def record(self, run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        result = run().clone()
        self.recorded += 1

        def replay() -> None:
            result.copy_(run())
            self.replayed += 1

        return replay, result


def test_recorded_evaluations_score_as_plain_ones_do() -> None:
    settings = small("paper", phases="one", stages=3)
    program = training_of("one", settings, REPLICAS, BANK)._program
    recorder = _HostRecorder()
    whole = Scored(program.network, program._pack, program.mould.objective.said, recorder)
    program._scorer = Scorer(program.mould, None, whole, recorder)
    plain = predict(program.network, BANK, [r.valid for r in REPLICAS])
    alone = predict(cut_out := program._scorer._copied(program.seats[:1]).network, BANK, [REPLICAS[0].valid])
    assert cut_out is not program.network
    for asked in range(3):
        for some, other in zip(program.predict(program.seats), plain, strict=True):
            np.testing.assert_array_equal(some, other)
        np.testing.assert_array_equal(program.predict(program.seats[:1])[0], alone[0])
        assert recorder.recorded == 2 * min(asked, 1)  # the shape of all, and that of one of them
    assert recorder.replayed == 2 + 2  # each recording once to prove itself
    for seat in program.seats:
        seat.goal += 1
    program.step()
    changed = program.predict(program.seats)
    assert not np.array_equal(changed[0], plain[0])
    np.testing.assert_array_equal(changed[0], predict(program.network, BANK, [r.valid for r in REPLICAS])[0])
