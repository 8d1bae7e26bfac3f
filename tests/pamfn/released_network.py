"""The released computation in plain layers of torch, with the released names of its weights.

Written from a description of the released network alone. It shares nothing with the package: features are (B, D, T),
one network, one length at a time, and every module is torch's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = {"rgb": 7, "flow": 6, "audio": 5}


class Branch(nn.Module):
    def __init__(self, inputs: int, width: int, stages: int) -> None:
        super().__init__()
        self.stages = stages
        self.embedding = nn.Sequential(
            nn.Conv1d(inputs, 2 * width, 1),
            nn.BatchNorm1d(2 * width),
            nn.ReLU(),
            nn.Conv1d(2 * width, width, 1),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.3),
        )
        for i in range(1, stages + 1):
            setattr(self, f"stage{i}", BranchBlock(width))
        self.fc = nn.Sequential(nn.Dropout(0.5), nn.Conv1d(width, 1, 1), nn.Sigmoid())

    def maps(self, x: Tensor) -> list[Tensor]:
        maps = [self.embedding(x)]
        for i in range(1, self.stages + 1):
            y = getattr(self, f"stage{i}")(maps[-1])
            maps.append(functional.avg_pool1d(y, 2, 2) if i < self.stages else y.mean(-1, keepdim=True))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.maps(x)[-1])[:, 0, 0]


class BranchBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.BatchNorm1d(width), nn.GELU())
        self.conv2 = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.BatchNorm1d(width), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x))


def convolutions(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, width, 3, padding=1),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Conv1d(width, width, 3, padding=1),
        nn.BatchNorm1d(width),
        nn.ReLU(),
    )


class Attention(nn.Module):
    """Negated scores of one query a step; ``norm`` is there and never called."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_layers = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)

    def forward(self, query: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reads (B, T, D) and (B, T, J, D); returns (B, T, D)."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1))
            for layer, x in zip(self.linear_layers, (query[:, :, None], tokens, tokens), strict=True)
        )
        scores = -torch.einsum("btqhd,btjhd->bthj", q, k) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores + mask[:, :, None]
        return torch.einsum("bthj,btjhd->bthd", scores.softmax(-1), v).flatten(2)


class ModalityFusion(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv1d(width, width, 1)
        self.fusion_s = Attention(width, heads)

    def forward(self, c: Tensor, tokens: list[Tensor]) -> Tensor:
        asked = self.query_conv(c).transpose(1, 2)
        return self.fusion_s(asked, torch.stack(tokens, dim=2).permute(0, 3, 2, 1)).transpose(1, 2)


class CrossFusion(nn.Module):
    def __init__(self, width: int, nets: int, heads: int) -> None:
        super().__init__()
        self.nets = nets
        for m in (1, 2, 3):
            trunk = nn.Sequential(nn.Conv1d(width, width, 1), nn.BatchNorm1d(width), nn.ReLU())
            setattr(self, f"proj{m}", nn.Sequential(trunk, nn.Conv1d(width, nets, 1)))
        self.ffn = nn.ModuleList(convolutions(width, width) for _ in range(nets))
        self.policy = nn.Sequential(nn.Conv1d(3 * width, nets, 1))
        self.query_conv = nn.Conv1d(2 * width, width, 1)
        self.fusion_f = Attention(width, heads)

    def forward(self, c: Tensor, modal: Tensor, before: list[Tensor], tau: Tensor, pool: Any) -> tuple[Tensor, Tensor]:
        logits = torch.stack([getattr(self, f"proj{m + 1}")(x) for m, x in enumerate(before)])
        weights = logits.softmax(0)  # (3, B, K, T)
        tokens = []
        for k in range(self.nets):
            summed = sum(weights[m, :, k : k + 1] * x for m, x in enumerate(before))
            tokens.append(pool(summed + self.ffn[k](summed)))
        decided = pool(self.policy(torch.cat(before, dim=1))) / tau
        decision = decided.softmax(1).argmax(1)  # (B, T), 0 to K - 1
        mask = torch.where(torch.arange(self.nets) > decision[..., None], -1e9, 0.0)
        asked = (self.query_conv(torch.cat([c, modal], dim=1)) * -1).transpose(1, 2)
        out = self.fusion_f(asked, torch.stack(tokens, dim=2).permute(0, 3, 2, 1), mask)
        return out.transpose(1, 2), decision + 1


class Stage(nn.Module):
    def __init__(self, width: int, nets: int, heads: tuple[int, int]) -> None:
        super().__init__()
        self.conv = convolutions(3 * width, width)
        self.short_cut = nn.Sequential(nn.Conv1d(3 * width, width, 1), nn.BatchNorm1d(width), nn.ReLU())
        self.s_fusion = ModalityFusion(width, heads[0])
        self.f_fusion = CrossFusion(width, nets, heads[1])

    def forward(
        self, state: Tensor, before: list[Tensor], after: list[Tensor], tau: Tensor, pool: Any
    ) -> tuple[Tensor, Tensor]:
        c = self.conv(state) + self.short_cut(state)
        modal = self.s_fusion(c, after)
        cross, decision = self.f_fusion(c, modal, before, tau, pool)
        return torch.cat([c, modal, cross], dim=1), decision


class Released(nn.Module):
    def __init__(
        self,
        *,
        width: int = 16,
        stages: int = 3,
        nets: int = 6,
        reduction: int = 1,
        heads: tuple[int, int] = (1, 1),
        inputs: tuple[int, ...] = tuple(WIDTHS.values()),
    ) -> None:
        super().__init__()
        self.stages = stages
        self.model_r, self.model_f, self.model_a = (Branch(own, width, stages) for own in inputs)
        for i in range(1, stages + 1):
            setattr(self, f"stage{i}", Stage(width, nets, heads))
        hidden = width // reduction
        self.fc = nn.Sequential(
            nn.Dropout(0.0),
            nn.Conv1d(3 * width, hidden, 1),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv1d(hidden, 1, 1),
            nn.Sigmoid(),
        )
        self.tau = nn.Parameter(torch.tensor(10.0))
        self.c = nn.Parameter(torch.zeros(3 * width), requires_grad=False)

    def forward(self, x: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Scores (B, inputs, T) of each modality; returns the scores (B,) and the decisions of each stage."""
        branches = (self.model_r, self.model_f, self.model_a)
        maps = [branch.maps(x[name]) for branch, name in zip(branches, WIDTHS, strict=True)]
        videos, steps = x["rgb"].shape[0], x["rgb"].shape[-1]
        state, decisions = self.c[None, :, None].expand(videos, -1, steps // 2), []
        for i in range(self.stages):
            last = i == self.stages - 1
            pool = globally if last else by_two
            stage = getattr(self, f"stage{i + 1}")
            state, decision = stage(state, [m[i] for m in maps], [m[i + 1] for m in maps], self.tau, pool)
            decisions.append(decision)
            if not last:
                state = globally(state) if i == self.stages - 2 else by_two(state)
        return self.fc(state)[:, 0, 0], decisions


def by_two(x: Tensor) -> Tensor:
    return functional.avg_pool1d(x, 2, 2)


def globally(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


def released(seed: int, **sizes: Any) -> Released:
    """Returns a network with random weights, biases and statistics, whose decisions vary."""
    drawn = torch.Generator().manual_seed(seed)
    network = Released(**sizes).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name in ("tau", "c") or name.endswith("num_batches_tracked"):
                continue
            if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
                value.uniform_(0.5, 1.5, generator=drawn)
            elif value.ndim == 1:
                value.normal_(0, 0.2, generator=drawn)
            else:
                gain = 4 if "policy" in name or "query" in name else 1
                value.normal_(0, gain / math.sqrt(value[0].numel()), generator=drawn)
        network.tau.fill_(3.7)
    return network
