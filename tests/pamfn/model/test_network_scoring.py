"""In evaluation a score is a function of the video alone, for every N and every length."""

from __future__ import annotations

import pytest
import torch
from small_networks import WIDTHS, batch, stir
from torch import Tensor

from pamfn.model.network import PAMFN
from pamfn.recipe import recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

LENGTHS = [*range(1, 21), 33]
CLOSE = {"rtol": 0, "atol": 1e-5}


def scoring(preset: str, stages: int, replicas: int = 2, **changes: object) -> PAMFN:
    """Returns a float32 network that is ready to score."""
    settings = recipe(preset, stages=stages, **{"width": 8, "fusion_nets": 4, "evaluation_noise": False, **changes})
    made = PAMFN(settings, WIDTHS, range(replicas))
    stir(made, 3)
    return made.eval()


def video(length: int) -> dict[str, Tensor]:
    """Returns the one video of this length."""
    draws = torch.Generator().manual_seed(length)
    return {name: torch.randn(length, width, generator=draws) for name, width in WIDTHS.items()}


@torch.no_grad()
def score(made: PAMFN, lengths: list[int], steps: int | None = None) -> Tensor:
    """Returns the scores of videos of these lengths in one padded batch, (R, B)."""
    return made(*batch([[video(n) for n in lengths]] * made.replicas, steps), None).score_RB


@torch.no_grad()
def score_alone(made: PAMFN, length: int) -> Tensor:
    """Returns the score of one video in a batch of its own, unpadded and with no mask at all, (R, 1)."""
    x, _ = batch([[video(length)]] * made.replicas)
    return made(x, Segments(length), None).score_RB


@pytest.mark.parametrize("stages", [2, 3, 4, 5])
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_one_by_one_and_in_a_padded_batch_every_length_scores_the_same(preset, stages):
    made = scoring(preset, stages)
    together = score(made, LENGTHS)
    alone = torch.cat([score_alone(made, length) for length in LENGTHS], dim=1)
    torch.testing.assert_close(together, alone, **CLOSE)
    assert together.std(dim=1).min() > 1e-3  # the videos do differ


@pytest.mark.parametrize("stages", [2, 5])
def test_neither_order_nor_company_nor_padding_changes_a_score(stages):
    made = scoring("paper", stages)
    lengths = [5, 1, 18, 2, 9]
    expected = dict(zip(lengths, score(made, lengths).unbind(1), strict=True))
    for company, steps in (([9, 2, 18, 1, 5], 18), ([1, 9], 9), ([5, 5, 2], 64), ([18], 19), ([2, 1], 2)):
        for length, mine in zip(company, score(made, company, steps).unbind(1), strict=True):
            torch.testing.assert_close(mine, expected[length], **CLOSE)


def test_absent_videos_leave_the_others_scores_to_the_last_bit():
    made = scoring("paper", 3)
    x, segments = batch([[video(9), video(4)]] * 2)
    with torch.no_grad():
        both = made(x, segments, None).score_RB
        lengths = segments.lengths_RB.clone()
        lengths[0, 1] = lengths[1, 0] = 0
        for name in x:
            x[name] = Segments(9, lengths).zeroed(x[name])
        some = made(x, Segments(9, lengths), None).score_RB
    assert torch.equal(some[0, 0], both[0, 0])
    assert torch.equal(some[1, 1], both[1, 1])


def test_scoring_twice_gives_the_same_and_changes_nothing_in_the_network():
    made = scoring("paper", 3)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    assert torch.equal(score(made, LENGTHS), score(made, LENGTHS))
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_the_decision_is_the_arg_max_of_the_logits():
    made = scoring("paper", 3)
    with torch.no_grad():
        output = made(*batch([[video(12)]] * 2), None)
        maps = made.branch_features(batch([[video(12)]] * 2)[0], Segments(12), None)
        logits = made.stages[0].afm.policy([by_stage[0] for by_stage in maps])
    pooled = torch.stack([logits[:, :, 2 * t : 2 * t + 2].mean(2) for t in range(6)], dim=2)
    assert torch.equal(output.decisions[0], pooled.argmax(-1) + 1)


def test_gumbel_noise_in_evaluation_changes_scores_from_step_to_step_and_is_off_without_it():
    made = scoring("released", 3)
    x, segments = batch([[video(n) for n in (7, 20, 12)]] * 2)
    with torch.no_grad():
        noisy = [made(x, segments, Noise([1, 2], [step, step])).score_RB for step in (0, 1, 0)]
        quiet = made(x, segments, None).score_RB
    assert not torch.equal(noisy[0], noisy[1])
    assert torch.equal(noisy[0], noisy[2])
    assert not torch.equal(noisy[0], quiet)


def test_noise_in_evaluation_drops_nothing():
    made = scoring("released", 3, fusion_nets=1)  # with one FusionNet there is nothing to decide
    x, segments = batch([[video(n) for n in (7, 20, 12)]] * 2)
    with torch.no_grad():
        assert torch.equal(made(x, segments, Noise([1, 2], [0, 0])).score_RB, made(x, segments, None).score_RB)


def test_a_branch_alone_scores_every_length_the_same_in_any_company():
    branch = scoring("paper", 4).branches["flow"]
    with torch.no_grad():
        together = branch(*batch([[video(n) for n in LENGTHS]] * 2), None).score_RB
        alone = [branch(*batch([[video(n)]] * 2), None).score_RB for n in LENGTHS]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), **CLOSE)


def test_standardised_inputs_leave_padding_at_zero():
    made = scoring("paper", 3, standardise=True)
    together = score(made, LENGTHS)
    alone = torch.cat([score_alone(made, length) for length in LENGTHS], dim=1)
    torch.testing.assert_close(together, alone, **CLOSE)


def test_attention_weights_sum_to_one_and_decisions_are_ranks():
    made = scoring("paper", 3, msfd_heads=2)
    with torch.no_grad():
        output = made(*batch([[video(n) for n in (16, 5)]] * 2), None)
    assert [tuple(w.shape) for w in output.attention] == [(2, 2, 3, 2, 8), (2, 2, 3, 2, 4), (2, 2, 3, 2, 1)]
    assert [tuple(d.shape) for d in output.decisions] == [(2, 2, 8), (2, 2, 4), (2, 2, 1)]
    for weights, decisions in zip(output.attention, output.decisions, strict=True):
        torch.testing.assert_close(weights.sum(2), torch.ones_like(weights.sum(2)))
        assert decisions.min() >= 1
        assert decisions.max() <= 4


def test_scores_lie_between_0_and_1():
    scores = score(scoring("paper", 3), LENGTHS)
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_a_gpu_scores_as_the_cpu_does(preset):
    made = scoring(preset, 3)
    x, segments = batch([[video(n) for n in LENGTHS]] * 2)
    with torch.no_grad():
        here = made(x, segments, None).score_RB
        there = made.cuda()(
            {n: v.cuda() for n, v in x.items()}, Segments(33, segments.lengths_RB.cuda()), None
        ).score_RB
    torch.testing.assert_close(there.cpu(), here, **CLOSE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_on_the_same_noise_as_the_cpu():
    made = scoring("paper", 3).train()
    x, segments = batch([[video(n) for n in (12, 12, 7)]] * 2)
    noise, lengths = ([1, 2], [3, 4]), segments.lengths_RB
    here = made(x, segments, Noise(*noise)).score_RB.detach()
    cuda = {name: value.cuda() for name, value in x.items()}
    there = made.cuda()(cuda, Segments(12, lengths.cuda()), Noise(*noise, "cuda")).score_RB.detach()
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-4)  # batch statistics of few segments
