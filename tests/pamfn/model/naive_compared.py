"""A stacked network beside one replica of it that is run with loops: what they say, their gradients and statistics."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import torch
from naive_ablations import NaiveAblation
from naive_pamfn import NaivePAMFN, Said
from small_networks import draws_of
from torch import Tensor

from pamfn.model.network import PAMFN
from pamfn.model.output import Output
from pamfn.recipe import Recipe
from pamfn.replicas.cut import cut
from pamfn.replicas.noise import Noise

EXACT = 1e-10


def naively(made: PAMFN, replica: int, of: list[dict[str, Tensor]], noise: Noise | None = None) -> Said:
    """Runs one replica, cut out, with loops."""
    return naive(made, replica, noise)(of)


def naive(made: PAMFN, replica: int, noise: Noise | None = None) -> NaivePAMFN:
    """Returns one replica, cut out, as a network of loops."""
    settings, axis = made.recipe, made.fusion_axis
    if axis is not None:
        settings = dataclasses.replace(settings, fusion_nets=axis.counts[replica])
    kind = NaiveAblation if is_ablation(settings) else NaivePAMFN
    fixed = tuple(n for n, b in made.branches.items() if not next(b.parameters()).requires_grad)
    draws = None if noise is None else draws_of(noise, replica, made.replicas)
    return kind(settings, cut(made, replica), made.modalities, training=made.training, fixed=fixed, draws=draws)


def is_ablation(settings: Recipe) -> bool:
    """Returns whether a network leaves out or replaces anything of Section III."""
    whole = Recipe()
    return any(getattr(settings, name) != getattr(whole, name) for name in ("msfd", "cmfd", "policy", "fusing_stages"))


def assert_says(output: Output, replica: int, said: Said, there: Sequence[int]) -> None:
    """Asserts that the stacked network says of its videos ``there`` what the loops say of theirs."""
    scores_B = output.score_RB[replica, list(there)]
    torch.testing.assert_close(scores_B, torch.stack(said.scores), rtol=0, atol=EXACT)
    for theirs, decided in zip(said.decisions, output.decisions, strict=True):
        for mine, b in enumerate(there):
            assert decided[replica, b, : len(theirs[mine])].tolist() == theirs[mine]
    for expected, weights in zip(said.attention, output.attention, strict=True):
        for mine, b in enumerate(there):
            steps = expected[mine].shape[-1]
            weights_HMT = weights[replica, :, :, b, :steps]
            torch.testing.assert_close(weights_HMT.detach(), expected[mine], rtol=0, atol=EXACT)


def is_buffer(name: str) -> bool:
    return name.rsplit(".", 1)[-1] in ("running_mean", "running_var", "mean", "scale")


def assert_same_gradients(made: PAMFN, replica: int, trained: dict[str, Tensor]) -> None:
    holder = copy.deepcopy(made)
    for copied, parameter in zip(holder.parameters(), made.parameters(), strict=True):
        copied.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    gradients = cut(holder, replica)
    largest = max(float(v.abs().max()) for n, v in gradients.items() if n in trained)
    assert largest > 1e-3
    for name, parameter in trained.items():
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradients[name], expected, rtol=1e-8, atol=EXACT, msg=lambda m, n=name: f"{n}: {m}")


def assert_same_statistics(made: PAMFN, replica: int, reference: NaivePAMFN, before: dict[str, Tensor] | None) -> None:
    after = cut(made, replica)
    statistics = [name for name in after if is_buffer(name)]
    for name in statistics:
        torch.testing.assert_close(
            after[name], reference.state[name], rtol=0, atol=EXACT, msg=lambda m, n=name: f"{n}: {m}"
        )
    if before is not None:
        assert any(not torch.equal(after[name], before[name]) for name in statistics)
