"""The layers of the plain network (``benchmarks/plain_pamfn.py``), over (B, D, T) as torch's convolutions read it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """x + two of (kernel-3 convolution, batch norm, GELU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)
        self.norm2 = nn.BatchNorm1d(width)

    def forward(self, x_BDT: Tensor) -> Tensor:
        """Maps (B, D, T) to the same shape."""
        hidden = functional.gelu(self.norm1(self.conv1(x_BDT)))
        return x_BDT + functional.gelu(self.norm2(self.conv2(hidden)))


class Embedding(nn.Module):
    """Two of (linear, batch norm, ReLU), then dropout.

    Features come as (B, T, inputs): nn.Linear reads them as they lie, at half the time of a 1x1 convolution of the
    transposed view.
    """

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, 2 * width)
        self.norm1 = nn.BatchNorm1d(2 * width)
        self.linear2 = nn.Conv1d(2 * width, width, 1)
        self.norm2 = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Maps (B, T, inputs) to (B, D, T)."""
        hidden = functional.relu(self.norm1(self.linear1(x_BTI).transpose(1, 2)))
        embedded: Tensor = self.dropout(functional.relu(self.norm2(self.linear2(hidden))))
        return embedded


class Head(nn.Module):
    """Dropout, one fully-connected layer, sigmoid."""

    def __init__(self, inputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(inputs, 1)

    def forward(self, x_BD: Tensor) -> Tensor:
        """Maps (B, inputs) to scores (B,)."""
        return torch.sigmoid(self.score(self.dropout(x_BD)))[:, 0]


class Mixed(nn.Module):
    """The mixed branch's block: two convolutions beside a linear shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(3 * width, width, 3, padding=1)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)
        self.norm2 = nn.BatchNorm1d(width)
        self.shortcut = nn.Conv1d(3 * width, width, 1)
        self.shortcut_norm = nn.BatchNorm1d(width)

    def forward(self, state_BST: Tensor) -> Tensor:
        """Maps the mixed state (B, 3 D, T) to (B, D, T)."""
        return self._finish(self.norm1(self.conv1(state_BST)), self.shortcut_norm(self.shortcut(state_BST)))

    def of_zeros(self, videos: int, steps: int) -> Tensor:
        """Returns what a state of zeros gives: a norm of a constant is the norm's bias."""
        first, shortcut = (
            norm.bias[None, :, None].expand(videos, -1, steps) for norm in (self.norm1, self.shortcut_norm)
        )
        return self._finish(first, shortcut)

    def _finish(self, first: Tensor, shortcut: Tensor) -> Tensor:
        second = functional.relu(self.norm2(self.conv2(functional.relu(first))))
        return second + functional.relu(shortcut)


class Decoder(nn.Module):
    """softmax(-q K^T / sqrt(D) + mask) V over the J tokens of each time step."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(inputs, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.scale = -1 / math.sqrt(width)

    def forward(self, query_BTI: Tensor, tokens_BTJD: Tensor, mask_BTJ: Tensor | None = None) -> Tensor:
        """Returns features (B, T, D)."""
        query_BT1D = self.query(query_BTI)[:, :, None] * self.scale
        scores_BT1J = query_BT1D @ self.key(tokens_BTJD).transpose(-1, -2)
        if mask_BTJ is not None:
            scores_BT1J = scores_BT1J + mask_BTJ[:, :, None]
        weights_BT1J = self.dropout(torch.softmax(scores_BT1J, dim=-1))
        read_BT1D: Tensor = weights_BT1J @ self.value(tokens_BTJD)
        return read_BT1D[:, :, 0]
