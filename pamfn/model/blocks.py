"""The convolution block that branches and FusionNets share, and the embedding of a feature stream."""

from __future__ import annotations

from torch import Tensor, nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.chunk_norm import ACTIVATIONS
from pamfn.replicas.chunks import goes_by_chunks
from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.noise import Noise
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments, pool_by_two
from pamfn.replicas.units import Layer, residual, unit


class ResidualBlock(nn.Module):
    """x + two of (kernel-3 convolution, batch norm, activation): ResNet's block in 1-D (Sec. III-B).

    The paper leaves the activation open; the release uses GELU in the branches, nothing after the sum.

    Args:
        rows: Replicas, or FusionNets of all replicas where ``axis`` is given.
        width: Features D.
        activation: ``gelu`` or ``relu``.
        axis: The FusionNet axis, if the rows are FusionNets.
    """

    def __init__(self, rows: int, width: int, *, activation: str = "gelu", axis: FusionAxis | None = None) -> None:
        super().__init__()
        self.activation = activation
        self.conv1 = Conv3(rows, width, width, axis=axis)
        self.norm1 = BatchNorm(rows, width, axis=axis)
        self.conv2 = Conv3(rows, width, width, axis=axis)
        self.norm2 = BatchNorm(rows, width, axis=axis)
        self.axis = axis

    def forward(self, x_RBTD: Tensor, segments: Segments, *, pool: bool = False) -> Tensor:
        """Maps (rows, B, T, D) to the same shape, or to T // 2 steps; what is beyond a video's end is not seen.

        Args:
            x_RBTD: The features.
            segments: Which of them are there.
            pool: Whether to return means of neighbours in time.
        """
        if goes_by_chunks(x_RBTD, training=self.training):
            pairs = [(self.conv1, self.norm1), (self.conv2, self.norm2)]
            return residual(pairs, x_RBTD, segments, self.activation, pool=pool)
        hidden = activated(self.conv1, self.norm1, x_RBTD, segments, self.activation)
        y_RBTD = x_RBTD + activated(self.conv2, self.norm2, hidden, segments, self.activation)
        return pool_by_two(y_RBTD) if pool else y_RBTD


def activated(layer: Layer, norm: BatchNorm, x_RBTD: Tensor, segments: Segments, activation: str) -> Tensor:
    """Returns the activation of batch norm of a layer's output, in which its bias moves the running mean alone.

    A batch's own statistics take the bias away again, so in exact arithmetic its gradient is zero. Computed, it would
    be rounding noise, and AdamW, which divides a gradient by its size, would make full steps of it. A convolution sees
    zeros beyond a video's end.
    """
    if goes_by_chunks(x_RBTD, training=norm.training):
        return unit(layer, norm, x_RBTD, segments, activation)
    if isinstance(layer, Conv3):
        x_RBTD = segments.zeroed(x_RBTD, layer.axis)
    y: Tensor = norm(layer.without_bias(x_RBTD), segments, offset_RD=layer.bias)
    return ACTIVATIONS[activation].forward(y)


class Embedding(nn.Module):
    """Projects a stream's features to width D (Sec. III-A): two of (linear, batch norm, ReLU), then dropout.

    The paper names an embedding layer only; its form is the release's.

    Args:
        rows: Replicas.
        inputs: Width of the stream's features.
        width: Features D; the hidden layer has 2 D.
        dropout: Dropout after it.
        site: Name of its noise.
    """

    def __init__(self, rows: int, inputs: int, width: int, *, dropout: float, site: str) -> None:
        super().__init__()
        self.dropout, self.site = dropout, site
        self.linear1 = Linear(rows, inputs, 2 * width)
        self.norm1 = BatchNorm(rows, 2 * width)
        self.linear2 = Linear(rows, 2 * width, width)
        self.norm2 = BatchNorm(rows, width)

    def forward(self, x_RBTI: Tensor, segments: Segments, noise: Noise | None) -> Tensor:
        """Maps (R, B, T, inputs) to (R, B, T, D)."""
        hidden = activated(self.linear1, self.norm1, x_RBTI, segments, "relu")
        x_RBTD = activated(self.linear2, self.norm2, hidden, segments, "relu")
        return dropped(x_RBTD, self.dropout, noise if self.training else None, self.site)


def dropped(x_R: Tensor, probability: float, noise: Noise | None, site: str) -> Tensor:
    """Returns dropout of (R, ...), or the input where there is no noise."""
    return x_R if noise is None or probability == 0 else noise.dropout(x_R, probability, site)
