"""ACTION-NET: a stream of motion and a stream of postures, each weighing its segments by what surrounds them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from pamfn.baselines.scored import Scored
from pamfn.options import Between


class ActionNet(nn.Module):
    """Scores a video by two context-aware streams, a dynamic and a static one (Table I).

    At width 256, with a dynamic stream 1024 wide and a static one 2048 wide, it has 3,542,787 parameters, the published
    3.54M. One a stream does nothing: the last bias of its attention, which the softmax cancels. The static stream read
    features of single frames, by a ResNet; here it reads the second of two modalities.

    The paper leaves open what stands in for those frames where there are none, and so it is an option:

    Args:
        inputs: Width of each stream that it reads, by name: the dynamic one and, if there are two, the static one.
        width: Width D of a stream; half of it hides in the attention and in the head.
        one_modality: Where one modality is given, ``both`` streams read it, each with weights of its own, or the static
            one is ``dropped``. With two modalities it says nothing.
        graph_layers: Graph layers of a stream.
        dropout: Dropout before the score.

    Raises:
        ValueError: If there are neither one nor two streams.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        width: int = 256,
        one_modality: Literal["both", "dropped"] = "both",
        graph_layers: Annotated[int, Between(1, 8)] = 2,
        dropout: Annotated[float, Between(0.0, 0.95)] = 0.5,
    ) -> None:
        super().__init__()
        if not 1 <= len(inputs) <= 2:
            raise ValueError(f"inputs: ACTION-NET reads one or two streams, not {', '.join(inputs) or 'none'}")
        self.read = tuple(inputs) * 2 if len(inputs) == 1 and one_modality == "both" else tuple(inputs)
        self.streams = nn.ModuleList(ContextStream(inputs[name], width, graph_layers) for name in self.read)
        self.head = nn.Sequential(
            nn.Linear(len(self.read) * 2 * width, width // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width // 2, 1),
        )
        self.apply(_start)

    def forward(self, x: Mapping[str, Tensor]) -> Scored:
        """Scores videos by stream, (B, T, inputs)."""
        videos_BE = [stream(x[name]) for stream, name in zip(self.streams, self.read, strict=True)]
        return Scored(self.head(torch.cat(videos_BE, dim=-1)).squeeze(-1).sigmoid())


class ContextStream(nn.Module):
    """One stream: segments embedded, seen among their neighbours in time, and pooled by attention.

    Args:
        features: Width of the features; the embedding's hidden layer has half of it.
        width: Width D of the embedded segments.
        graph_layers: How often a segment takes in its neighbours.
    """

    def __init__(self, features: int, width: int, graph_layers: int) -> None:
        super().__init__()
        hidden = max(1, features // 2)
        self.embedding = _layers(features, hidden, width)
        self.graph = nn.ModuleList(nn.Linear(width, width) for _ in range(graph_layers))
        self.attention = nn.Sequential(nn.Linear(2 * width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1))

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Returns one vector a video, (B, 2 D)."""
        own_BTD = self.embedding(x_BTI)
        near_TT, context_BTD = adjacency(own_BTD), own_BTD
        for layer in self.graph:
            context_BTD = layer(near_TT @ context_BTD).relu()
        seen_BTE = torch.cat([own_BTD, context_BTD], dim=-1)
        weight_BT1: Tensor = self.attention(seen_BTE).softmax(1)
        return (weight_BT1 * seen_BTE).sum(1)


def adjacency(like_BTD: Tensor) -> Tensor:
    """Returns how near segments are to each other, (T, T): exp(-|i - j|), symmetrically normalised.

    Each entry is divided by the square roots of the sums of its row and of its column.
    """
    steps = torch.arange(like_BTD.shape[-2], device=like_BTD.device, dtype=like_BTD.dtype)
    near_TT = (-(steps - steps[:, None]).abs()).exp()
    root_T = near_TT.sum(1).sqrt()
    return near_TT / (root_T * root_T[:, None])


def _layers(*widths: int) -> nn.Sequential:
    made = [module for pair in pairwise(widths) for module in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*made)


def _start(module: nn.Module) -> None:
    """Gives a linear map the initial weights that ACTION-NET's authors give it: Xavier's, without a bias."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
