"""The ablations of Tables VI to VIII against loops, in float64: scores, decisions, gradients and statistics."""

from __future__ import annotations

import pytest
import torch
from naive_compared import assert_same_gradients, assert_same_statistics, assert_says, is_buffer, naive, naively
from small_networks import batch, network, videos

from pamfn.model.network import PAMFN
from pamfn.recipe import recipe
from pamfn.replicas.cut import cut
from pamfn.replicas.noise import Noise

SMALL = {"width": 8, "fusion_nets": 3, "head_dropout": 0.2, "tau_init": 2.0}
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "without CMFD": ("paper", {"cmfd": "none"}),
    "without MSFD": ("paper", {"msfd": "none", "cmfd_heads": 2}),
    "weighted CMFD": ("paper", {"cmfd": "weighted"}),
    "weighted MSFD": ("paper", {"msfd": "weighted"}),
    "both weighted": ("paper", {"msfd": "weighted", "cmfd": "weighted", "stages": 2}),
    "weighted CMFD alone": ("paper", {"msfd": "none", "cmfd": "weighted"}),
    "unranked": ("paper", {"policy": "unranked"}),
    "unranked, weighted": ("paper", {"policy": "unranked", "cmfd": "weighted", "stages": 2}),
    "free": ("paper", {"policy": "free"}),
    "free, weighted": ("paper", {"policy": "free", "cmfd": "weighted", "msfd": "none"}),
    "first stage": ("paper", {"fusing_stages": 1}),
    "first two stages of four": ("paper", {"fusing_stages": 2, "stages": 4}),
    "first stage without MSFD": ("paper", {"fusing_stages": 1, "msfd": "none"}),
    "as many stages as there are": ("paper", {"fusing_stages": 5, "stages": 2}),
    "released without CMFD": ("released", {"cmfd": "none"}),
    "released without MSFD": ("released", {"msfd": "none"}),
    "released, weighted and first stage": ("released", {"cmfd": "weighted", "fusing_stages": 1}),
    "released, unranked": ("released", {"policy": "unranked"}),
}


@pytest.fixture(params=CASES, name="made")
def _made(request: pytest.FixtureRequest) -> PAMFN:
    preset, changes = CASES[request.param]
    made = network(recipe(preset, **{**SMALL, **changes}))
    made.fix(["rgb", "flow"])
    return made


def test_scoring_a_padded_batch_is_what_loops_over_videos_say(made):
    made.eval()
    of = videos(made, [[9, 1, 16, 21], [4, 21, 3, 7]])
    output = made(*batch(of), None)
    for replica, mine in enumerate(of):
        assert_says(output, replica, naively(made, replica, mine), range(4))


def test_training_steps_are_what_loops_say_to_the_last_gradient_and_statistic(made):
    made.train()
    of, noise = videos(made, [[17, 3, 9, 12], [5, 17, 1, 8]]), Noise([3, 4], [8, 8])
    references = [naive(made, replica, noise) for replica in range(2)]
    before = [cut(made, replica) for replica in range(2)]
    output = made(*batch(of), noise)
    factors = torch.tensor([[1.0, -2.0, 3.0, 0.5], [2.0, 1.0, -1.0, 4.0]], dtype=torch.float64)
    (output.score_RB * factors).sum().backward()
    for replica, reference in enumerate(references):
        trained = {n: v.requires_grad_() for n, v in reference.state.items() if not is_buffer(n)}
        said = reference(of[replica])
        assert_says(output, replica, said, range(4))
        (factors[replica] * torch.stack(said.scores)).sum().backward()
        assert_same_gradients(made, replica, trained)
        assert_same_statistics(made, replica, reference, before[replica])


@pytest.mark.parametrize("cmfd", ["attention", "weighted"])
@pytest.mark.parametrize("policy", ["ranked", "unranked", "free"])
def test_replicas_of_different_k_are_each_what_loops_say_of_their_own(policy, cmfd):
    settings = recipe(**SMALL, policy=policy, cmfd=cmfd)
    made = network(settings, seeds=(1, 2, 3), fusion_nets=[2, 4, 1]).train()
    of, noise = videos(made, [[11, 6, 9]] * 3), Noise([3, 4, 5], [8, 8, 8])
    references = [naive(made, replica, noise) for replica in range(3)]
    output = made(*batch(of), noise)
    output.score_RB.square().sum().backward()
    for replica, reference in enumerate(references):
        trained = {n: v.requires_grad_() for n, v in reference.state.items() if not is_buffer(n)}
        said = reference(of[replica])
        assert_says(output, replica, said, range(3))
        torch.stack(said.scores).square().sum().backward()
        assert_same_gradients(made, replica, trained)
