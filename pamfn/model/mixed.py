"""The mixed-modality branch's convolution block (Sec. III-B.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments


class MixedBlock(nn.Module):
    """The mixed branch's convolution block, 3 D to D wide: two convolutions beside a linear shortcut.

    The mixed state is the concatenation of the block's output, MSFD's and CMFD's (the release's form of Sec. III-B.2).

    Args:
        rows: Replicas R.
        width: Features D.
    """

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.conv1 = Conv3(rows, 3 * width, width)
        self.norm1 = BatchNorm(rows, width)
        self.conv2 = Conv3(rows, width, width)
        self.norm2 = BatchNorm(rows, width)
        self.shortcut = Linear(rows, 3 * width, width)
        self.shortcut_norm = BatchNorm(rows, width)

    def forward(self, state_RBTS: Tensor, segments: Segments) -> Tensor:
        """Maps the mixed state (R, B, T, 3 D) to (R, B, T, D)."""
        return self._finish(self.conv1(segments.zeroed(state_RBTS)), self.shortcut(state_RBTS), segments)

    def of_zeros(self, videos: int, segments: Segments) -> Tensor:
        """Returns what the first stage's state of zeros gives, (R, B, T, D): its products are biases."""
        first = self.conv1.of_zeros(segments.steps, videos)
        shortcut = self.shortcut.bias[:, None, None].expand(first.shape)
        return self._finish(first, shortcut, segments)

    def _finish(self, first_RBTD: Tensor, shortcut_RBTD: Tensor, segments: Segments) -> Tensor:
        hidden = functional.relu(self.norm1(first_RBTD, segments))
        hidden = functional.relu(self.norm2(self.conv2(segments.zeroed(hidden)), segments))
        return hidden + functional.relu(self.shortcut_norm(shortcut_RBTD, segments))
