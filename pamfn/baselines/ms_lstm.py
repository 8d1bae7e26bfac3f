"""MS-LSTM: a self-attentive LSTM and LSTMs over convolutions of three scales, which score a video together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from pamfn.baselines.scored import Scored
from pamfn.options import Between
from pamfn.replicas.segments import pad_time

SCALES = ((2, 1), (4, 2), (8, 4))  # kernel and stride of each convolution


class MultiScaleLSTM(nn.Module):
    r"""Scores a video by P descriptors of all of it, and by its course at three scales (Table I).

    Each row of A weighs the segments of a video for one descriptor; an LSTM reads the descriptors. Beside it three
    convolutions in time are each read by an LSTM. Four small layers see the last outputs, and one more sees those. In
    training :math:`\|A A^\top - I\|^2` is added, so that descriptors attend to one segment each, and to different ones.

    At width 256 on 1024 features the parts other than the three LSTMs over convolutions have 1,081,729 parameters, the
    published 1.08M: the authors' cells are their own, and no counter knew them. They are LSTMs that learn which steps
    to skip; with them it has 2,661,508 parameters, and with the LSTMs of torch, which skip none, 2,660,737.

    The paper leaves open, and so these are options: the cells, the weight of the penalty, and dropout. A public
    implementation drops the score itself, with a probability of 0.7; here dropout stands before the last layer, and is
    off. Its score is any number; here a sigmoid bounds it, as the targets are.

    Args:
        inputs: Width of the stream that it reads, by name.
        width: Width D of LSTMs and filters; half of it embeds the segments, a quarter is that of the small layers.
        descriptors: Number P of descriptors.
        cell: The LSTMs over convolutions: those of torch, or ones that ``skip`` steps, which take one call a step.
        penalty_weight: Weight of the penalty beside the mean squared error. Over scores in points a weight of 1 suits;
            over scores in (0, 1), as here, the error is smaller by the square of their scale, and the penalty, which
            starts near P, would be nearly all of the loss.
        dropout: Dropout before the score.

    Raises:
        ValueError: If there is not one stream.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        width: int = 256,
        descriptors: Annotated[int, Between(2, 512)] = 50,
        cell: Literal["lstm", "skip"] = "lstm",
        penalty_weight: Annotated[float, Between(0.0, 100.0)] = 0.01,
        dropout: Annotated[float, Between(0.0, 0.95)] = 0.0,
    ) -> None:
        super().__init__()
        if len(inputs) != 1:
            raise ValueError(f"inputs: MS-LSTM reads one stream, not {', '.join(inputs) or 'none'}")
        ((self.stream, features),) = inputs.items()
        self.penalty_weight = penalty_weight
        half, quarter = width // 2, width // 4
        self.embedding = _convolved(features, half, 1, 1)
        self.attention = nn.Sequential(
            nn.Linear(half, quarter, bias=False), nn.Tanh(), nn.Linear(quarter, descriptors, bias=False)
        )
        self.norm = nn.BatchNorm1d(half)
        self.convolutions = nn.ModuleList(_convolved(half, width, kernel, stride) for kernel, stride in SCALES)
        kind = SkippingLSTM if cell == "skip" else LastOfLSTM
        self.whole = LastOfLSTM(half, width)
        self.courses = nn.ModuleList(kind(width, width) for _ in SCALES)
        self.small = nn.ModuleList(nn.Linear(width, quarter) for _ in range(1 + len(SCALES)))
        self.merged = nn.Linear(len(self.small) * quarter, quarter)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(quarter, 1)

    def forward(self, x: Mapping[str, Tensor]) -> Scored:
        """Scores videos.

        Args:
            x: Segments by stream, (B, T, inputs). A video shorter than the longest kernel is zero-padded to its 8
                segments; in training to 12, so that even of one clip it makes two steps, which batch norm needs.
        """
        kernel, stride = SCALES[-1]
        x_BTI = pad_time(x[self.stream], kernel + stride if self.training else kernel)
        x_BDT = self.embedding(x_BTI.mT)
        weight_BPT = self.attention(x_BDT.mT).softmax(1).mT
        last = [self.whole(self.norm(x_BDT @ weight_BPT.mT).mT)]
        for convolve, course in zip(self.convolutions, self.courses, strict=True):
            last.append(course(convolve(x_BDT).mT))
        small = [layer(last_BD).relu() for layer, last_BD in zip(self.small, last, strict=True)]
        merged_BD = self.dropout(self.merged(torch.cat(small, dim=-1)).relu())
        penalty = self.penalty_weight * redundancy(weight_BPT) if self.training else None
        return Scored(self.head(merged_BD).squeeze(-1).sigmoid(), penalty)


class LastOfLSTM(nn.Module):
    """An LSTM of torch, of which the last output counts."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, width, batch_first=True)

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Returns the last output, (B, D)."""
        output_BTD: Tensor = self.lstm(x_BTI)[0]
        return output_BTD[:, -1]


class SkippingLSTM(nn.Module):
    """An LSTM that learns which steps to skip, of which the last output counts.

    Skip RNN (Campos et al., 2018): a probability says whether the state takes a step or stays as it is, rounded, and
    differentiated as if it were not. When a step is taken the new state says by how much the probability grows with
    each further step.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(features, width)
        self.growth = nn.Linear(width, 1)
        nn.init.ones_(self.growth.bias)  # few steps are skipped at first

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Returns the last output, (B, D)."""
        output_BD = memory_BD = x_BTI.new_zeros(len(x_BTI), self.cell.hidden_size)
        due_B1 = x_BTI.new_ones(len(x_BTI), 1)  # the first step is taken
        growth_B1 = torch.zeros_like(due_B1)
        for x_BI in x_BTI.unbind(1):
            taken_B1 = due_B1.round().detach() + (due_B1 - due_B1.detach())
            stays_B1 = 1 - taken_B1
            next_output_BD, next_memory_BD = self.cell(x_BI, (output_BD, memory_BD))
            growth_B1 = taken_B1 * self.growth(next_memory_BD).sigmoid() + stays_B1 * growth_B1
            output_BD = taken_B1 * next_output_BD + stays_B1 * output_BD
            memory_BD = taken_B1 * next_memory_BD + stays_B1 * memory_BD
            due_B1 = taken_B1 * growth_B1 + stays_B1 * (due_B1 + growth_B1).clamp(max=1)
        return output_BD


def redundancy(weight_BPT: Tensor) -> Tensor:
    """Returns the squared Frobenius norm of A A^T - I, averaged over the videos' A (P, T); a scalar.

    It is 0 where each descriptor attends to one segment, and no two to the same.
    """
    gram_BPP = weight_BPT @ weight_BPT.mT
    apart_PP = torch.eye(gram_BPP.shape[-1], dtype=gram_BPP.dtype, device=gram_BPP.device)
    return (gram_BPP - apart_PP).square().sum((-2, -1)).mean()


def _convolved(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, kernel, stride), nn.ReLU(), nn.BatchNorm1d(outputs))
