"""Small networks with weights that hide nothing, videos for them, and the noise of one replica."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from naive_pamfn import Draws
from torch import Tensor, nn

from pamfn.model.network import PAMFN
from pamfn.recipe import Recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

WIDTHS = {"rgb": 6, "flow": 5, "audio": 4}


def network(recipe: Recipe, *, seeds: Sequence[int] = (11, 12), modalities: int = 3, **changes: object) -> PAMFN:
    """Returns a float64 network without a zero bias, a unit scale or fresh statistics that could hide a fault."""
    widths = {name: WIDTHS[name] for name in list(WIDTHS)[3 - modalities :]}
    made = PAMFN(recipe, widths, seeds, **changes).double()
    stir(made, 5)
    return made


@torch.no_grad()
def stir(module: nn.Module, seed: int) -> None:
    """Moves every weight and statistic at random."""
    draws = torch.Generator().manual_seed(seed)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not tensor.is_floating_point():
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=draws)
        else:
            tensor.add_(torch.empty_like(tensor).uniform_(-0.4, 0.4, generator=draws))


def videos(made: PAMFN, lengths: Sequence[Sequence[int]], *, seed: int = 7) -> list[list[dict[str, Tensor]]]:
    """Returns videos of these lengths by replica: features (steps, width) of each modality, each with its own mean."""
    draws = torch.Generator().manual_seed(seed)

    def stream(steps: int, width: int) -> Tensor:
        return torch.randn(steps, width, dtype=torch.float64, generator=draws) + torch.randn(
            width, dtype=torch.float64, generator=draws
        )

    widths = {name: WIDTHS[name] for name in made.modalities}
    return [[{name: stream(n, width) for name, width in widths.items()} for n in row] for row in lengths]


def batch(of: list[list[dict[str, Tensor]]], steps: int | None = None) -> tuple[dict[str, Tensor], Segments]:
    """Returns videos zero-padded into one batch, and their lengths; an empty video is an absent one."""
    lengths_RB = torch.tensor([[len(next(iter(video.values()))) for video in row] for row in of])
    steps = steps or int(lengths_RB.max())
    x = {
        name: torch.stack([torch.stack([padded(video[name], steps) for video in row]) for row in of])
        for name in of[0][0]
    }
    return x, Segments(steps, lengths_RB)


def padded(x_TD: Tensor, steps: int) -> Tensor:
    """Returns a stream with zeros at its end."""
    return torch.cat([x_TD, x_TD.new_zeros(steps - len(x_TD), x_TD.shape[1])])


def draws_of(noise: Noise, replica: int, replicas: int) -> Draws:
    """Returns what the noise hands to one replica, as factors and samples of its own."""

    def ones(shape: tuple[int, ...]) -> Tensor:
        return torch.ones(replicas, *shape, dtype=torch.float64)

    return Draws(
        dropout=lambda site, rate, shape: noise.dropout(ones(shape), rate, site)[replica],
        token_dropout=lambda site, rate, shape: noise.token_dropout(ones(shape), rate, site)[replica],
        gumbel=lambda site, shape: noise.gumbel(ones(shape), site)[replica],
    )
