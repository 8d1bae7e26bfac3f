"""The stacked network against Section III written out with loops, in float64."""

from __future__ import annotations

import pytest
import torch
from naive_compared import (
    EXACT,
    assert_same_gradients,
    assert_same_statistics,
    assert_says,
    is_buffer,
    naive,
    naively,
)
from small_networks import batch, network, videos

from pamfn.model.network import PAMFN
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.cut import cut
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

SMALL = {"width": 8, "fusion_nets": 3, "head_dropout": 0.2, "tau_init": 2.0}
CASES: dict[str, tuple[int, Recipe]] = {
    **{f"paper of {n} stages": (3, recipe("paper", **SMALL, stages=n)) for n in (2, 3, 4, 5)},
    **{f"released of {n} stages": (3, recipe("released", **SMALL, stages=n)) for n in (2, 3, 4, 5)},
    "paper, two modalities, heads": (2, recipe("paper", **SMALL, msfd_heads=2, cmfd_heads=4)),
    "released, two modalities, heads": (
        2,
        recipe("released", **SMALL, stages=2, msfd_heads=4, cmfd_heads=2, head_reduction=2),
    ),
    "paper with the release's head and zeros": (3, recipe("paper", **SMALL, head_layers=2, mixed_start="computed")),
    "trunks with the paper's policy": (3, recipe("paper", **SMALL, fusion_design="trunk", fine_tuned=("rgb", "flow"))),
    "one FusionNet": (2, recipe("paper", **{**SMALL, "fusion_nets": 1}, stages=2)),
    "standardised": (3, recipe("paper", **SMALL, stages=2, standardise=True)),
}


@pytest.fixture(params=CASES, name="made")
def _made(request: pytest.FixtureRequest) -> PAMFN:
    modalities, settings = CASES[request.param]
    made = network(settings, modalities=modalities)
    made.fix([name for name in made.modalities if name not in settings.fine_tuned])
    return made


def test_scoring_a_padded_batch_is_what_loops_over_videos_say(made):
    made.eval()
    of = videos(made, [[9, 1, 16, 21], [4, 21, 3, 7]])
    output = made(*batch(of), None)
    for replica, mine in enumerate(of):
        assert_says(output, replica, naively(made, replica, mine), range(4))


def test_scoring_with_noise_is_what_loops_say_with_the_same_gumbel_samples(made):
    made.eval()
    of, noise = videos(made, [[9, 18], [18, 5]]), Noise([3, 4], [8, 8])
    output = made(*batch(of), noise)
    for replica, mine in enumerate(of):
        assert_says(output, replica, naively(made, replica, mine, noise), range(2))


@pytest.mark.parametrize(
    "lengths", [[[17] * 4] * 2, [[17, 3, 9, 12], [5, 17, 1, 8]]], ids=["full clips", "masked clips"]
)
def test_training_steps_are_what_loops_say_to_the_last_gradient_and_statistic(made, lengths):
    made.train()
    of, noise = videos(made, lengths), Noise([3, 4], [8, 8])
    references = [naive(made, replica, noise) for replica in range(2)]
    before = [cut(made, replica) for replica in range(2)]
    x, segments = batch(of)
    output = made(x, Segments(17) if lengths[0] == [17] * 4 else segments, noise)
    (output.score_RB * torch.tensor([[1.0, -2.0, 3.0, 0.5], [2.0, 1.0, -1.0, 4.0]])).sum().backward()
    for replica, reference in enumerate(references):
        trained = {n: v.requires_grad_() for n, v in reference.state.items() if not is_buffer(n)}
        said = reference(of[replica])
        assert_says(output, replica, said, range(4))
        factors = [(1.0, -2.0, 3.0, 0.5), (2.0, 1.0, -1.0, 4.0)][replica]
        sum(f * s for f, s in zip(factors, said.scores, strict=True)).backward()
        assert_same_gradients(made, replica, trained)
        assert_same_statistics(made, replica, reference, before[replica])


def test_absent_videos_change_nothing_and_count_nowhere():
    made = network(CASES["released of 3 stages"][1]).train()
    of = videos(made, [[14, 14, 14], [14, 14, 14]])
    reference = naive(made, 1)
    of[1][1] = {name: x[:0] for name, x in of[1][1].items()}
    x, segments = batch(of)
    output = made(x, Segments(14, segments.lengths_RB, ragged=False), None)
    assert_says(output, 1, reference([of[1][0], of[1][2]]), [0, 2])
    assert_same_statistics(made, 1, reference, None)


def test_zeros_that_count_as_segments_are_what_zeros_are_to_loops():
    made = network(CASES["paper of 3 stages"][1]).train()
    of = videos(made, [[12, 12, 12], [12, 12, 12]])
    for replica, video, length in ((0, 1, 3), (1, 0, 7)):
        for x_TD in of[replica][video].values():
            x_TD[length:] = 0
    references = [naive(made, replica) for replica in range(2)]
    output = made(batch(of)[0], Segments(12), None)
    for replica in range(2):
        assert_says(output, replica, references[replica](of[replica]), range(3))


def test_a_branch_scores_as_loops_do():
    made = network(recipe("paper", **SMALL, stages=4))
    of, noise = videos(made, [[13, 5, 8], [2, 13, 9]]), Noise([3, 4], [8, 8])
    x, segments = batch(of)
    for training in (False, True):
        made.train(training)
        references = [naive(made, replica, noise) for replica in range(2)]
        scores = {name: branch(x, segments, noise if training else None) for name, branch in made.branches.items()}
        for replica, reference in enumerate(references):
            for name, output in scores.items():
                expected = reference.branch_score(name, [video[name] for video in of[replica]])
                torch.testing.assert_close(output.score_RB[replica], torch.stack(expected), rtol=0, atol=EXACT)


@pytest.mark.parametrize("design", ["attention", "trunk"])
@pytest.mark.parametrize("training", [False, True])
def test_replicas_of_different_k_are_each_what_loops_say_of_their_own(design, training):
    made = network(recipe("paper", **SMALL, fusion_design=design), seeds=(1, 2, 3), fusion_nets=[2, 4, 1])
    made.train(training)
    of, noise = videos(made, [[11, 6, 9]] * 3), Noise([3, 4, 5], [8, 8, 8]) if training else None
    references = [naive(made, replica, noise) for replica in range(3)]
    output = made(*batch(of), noise)
    for replica, reference in enumerate(references):
        assert_says(output, replica, reference(of[replica]), range(3))


def test_a_temperature_of_its_own_changes_a_replicas_gradient_and_not_its_decision():
    gradients, decisions = [], []
    for tau in (0.5, 5.0):
        made = network(recipe("paper", **SMALL), tau_init=[2.0, tau]).train()
        output = made(*batch(videos(made, [[9, 9, 9]] * 2)), Noise([3, 4], [8, 8]))
        output.score_RB.sum().backward()
        gradients.append(made.stages[0].afm.policy.logits.weight.grad.clone())
        decisions.append(torch.cat([d.flatten(1) for d in output.decisions], dim=1))
    assert torch.equal(decisions[0], decisions[1])
    assert torch.equal(gradients[0][:3], gradients[1][:3])
    assert not torch.allclose(gradients[0][3:], gradients[1][3:])
