"""The mixed-modality branch's convolution block (Sec. III-B.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pamfn.model.blocks import activated
from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments


class MixedBlock(nn.Module):
    """The mixed branch's convolution block, S to D wide: two convolutions beside a linear shortcut.

    The mixed state is the concatenation of the block's output, MSFD's and CMFD's (the release's form of Sec. III-B.2),
    so S is 3 D, or less where the stage before has no MSFD or no CMFD.

    Args:
        rows: Replicas R.
        inputs: Width S of the mixed state.
        width: Features D.
        mixed_start: ``exact`` or ``computed``; see `of_zeros`.
    """

    def __init__(self, rows: int, inputs: int, width: int, *, mixed_start: str) -> None:
        super().__init__()
        self.mixed_start = mixed_start
        self.conv1 = Conv3(rows, inputs, width)
        self.norm1 = BatchNorm(rows, width)
        self.conv2 = Conv3(rows, width, width)
        self.norm2 = BatchNorm(rows, width)
        self.shortcut = Linear(rows, inputs, width)
        self.shortcut_norm = BatchNorm(rows, width)

    def forward(self, state_RBTS: Tensor, segments: Segments) -> Tensor:
        """Maps the mixed state (R, B, T, S) to (R, B, T, D)."""
        hidden = activated(self.conv1, self.norm1, state_RBTS, segments, "relu")
        shortcut = activated(self.shortcut, self.shortcut_norm, state_RBTS, segments, "relu")
        return self._finish(hidden, shortcut, segments)

    def of_zeros(self, videos: int, segments: Segments) -> Tensor:
        """Returns what the first stage's state of zeros gives, (R, B, T, D).

        A convolution of zeros is its bias, and batch norm of a constant is its own bias whatever the constant. Taking
        that value instead of normalising is the same in exact arithmetic: fresh norms have a bias of 0, which ReLU
        keeps there, so that a network trained from the start has zeros here throughout. Computed, as in the release
        (``mixed_start="computed"``), the variance is nothing but rounding noise: AdamW turns the noise in the
        convolution's gradient into full steps of its bias, which the running mean follows late, and scores in
        evaluation are then off by more than a standard deviation wherever the learning rate is high.
        """
        if self.mixed_start == "computed":
            first = self.conv1.of_zeros(segments.steps, videos)
            shortcut = self.shortcut.bias[:, None, None].expand(first.shape)
            first, shortcut = self.norm1(first, segments), self.shortcut_norm(shortcut, segments)
            return self._finish(functional.relu(first), functional.relu(shortcut), segments)
        shape = (-1, videos, segments.steps, -1)
        first, shortcut = (norm.bias[:, None, None].expand(shape) for norm in (self.norm1, self.shortcut_norm))
        return self._finish(functional.relu(first), functional.relu(shortcut), segments)

    def _finish(self, hidden_RBTD: Tensor, shortcut_RBTD: Tensor, segments: Segments) -> Tensor:
        return activated(self.conv2, self.norm2, hidden_RBTD, segments, "relu") + shortcut_RBTD
