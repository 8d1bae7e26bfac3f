"""Machines that a formula fits, as a stacked network that scores videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pamfn.model.output import Output
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

if TYPE_CHECKING:
    from pamfn.baselines.closed_form import ClosedForm


class ClosedNetworks(nn.Module):
    """R fitted machines of one kind. It has no parameters: what was fitted differs in shape between replicas.

    Args:
        machine: What fits and predicts.
        states: What it fitted for each replica; empty before it did.
    """

    def __init__(self, machine: ClosedForm, states: Sequence[Mapping[str, Tensor]]) -> None:
        super().__init__()
        self.machine, self.states = machine, [dict(state) for state in states]
        self.branches = nn.ModuleDict()  # none that are pretrained

    def fix(self, modalities: Sequence[str]) -> None:
        """Does nothing: there are no branches to fix."""

    def forward(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> Output:
        """Scores videos; the arguments are those of `pamfn.model.network.PAMFN`."""
        first = next(iter(x.values()))
        rows, videos, steps, _ = first.shape
        real_RB = segments.real_RB
        lengths_RB = np.full((rows, videos), steps) if real_RB is None else real_RB.cpu().numpy()
        scores = np.zeros((rows, videos), dtype=np.float32)
        for row, state in enumerate(self.states):
            (there,) = lengths_RB[row].nonzero()
            mine = {name: of[row].cpu().numpy()[there] for name, of in x.items()}
            if len(there):
                scores[row, there] = self.machine.predict(state, self.machine.pooled(mine, lengths_RB[row, there]))
        return Output(torch.from_numpy(scores).to(first.device))
