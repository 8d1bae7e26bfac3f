"""PAMFN as a good user of plain PyTorch writes it: one network, nn.Conv1d over (B, D, T), a loop over K FusionNets.

It is what the batched network is held against (``benchmarks/step.py``): the paper's preset, without a replica axis,
without masks, and with torch's own dropout and generator. Its names are those of one replica cut out of ours, but that
FusionNet k is ``stages.i.afm.nets.k``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.recipe import Recipe, recipe

DISABLED = -1e9
WRITTEN_FOR = (
    "msfd_heads",
    "cmfd_heads",
    "cmfd_sign",
    "policy_layers",
    "fusion_design",
    "fusion_activation",
    "query_layers",
    "head_layers",
    "fixed_branches",
    "mixed_start",
    "tau_form",
    "evaluation_noise",
    "standardise",
)
"""The settings that decide what the network is made of; it is written for the paper's."""


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
    """Two of (1x1 convolution, batch norm, ReLU), then dropout."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(inputs, 2 * width, 1)
        self.norm1 = nn.BatchNorm1d(2 * width)
        self.linear2 = nn.Conv1d(2 * width, width, 1)
        self.norm2 = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BIT: Tensor) -> Tensor:
        """Maps (B, inputs, T) to (B, D, T)."""
        hidden = functional.relu(self.norm1(self.linear1(x_BIT)))
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


class Branch(nn.Module):
    """One modality's branch; its head is trained in phase 1 and stands still here."""

    def __init__(self, settings: Recipe, inputs: int) -> None:
        super().__init__()
        self.embedding = Embedding(inputs, settings.width, settings.embedding_dropout)
        self.blocks = nn.ModuleList(Block(settings.width) for _ in range(settings.stages))
        self.head = Head(settings.width, settings.branch_head_dropout)

    def forward(self, x_BTI: Tensor) -> list[Tensor]:
        """Returns the N + 1 feature maps, of T, T/2, T/4, ..., 1 steps."""
        maps = [self.embedding(x_BTI.transpose(1, 2))]
        for block in self.blocks[:-1]:
            maps.append(functional.avg_pool1d(block(maps[-1]), 2))
        maps.append(self.blocks[-1](maps[-1]).mean(-1, keepdim=True))
        return maps


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
        return (weights_BT1J @ self.value(tokens_BTJD))[:, :, 0]


class FusionNet(nn.Module):
    """Weighs the modalities, sums them, and refines the sum (Eq. 5 and 6)."""

    def __init__(self, width: int, modalities: int) -> None:
        super().__init__()
        hidden = max(width // 4, 4)
        self.hidden = nn.Conv1d(modalities * width, hidden, 1)
        self.weights = nn.Conv1d(hidden, modalities, 1)
        self.refine = Block(width)

    def forward(self, read_BCT: Tensor, modal: list[Tensor]) -> Tensor:
        """Maps the projections (B, M D, T) and M features (B, D, T) to (B, D, T)."""
        weights_BMT = torch.softmax(self.weights(functional.relu(self.hidden(read_BCT))), dim=1)
        summed = torch.stack([x_BDT * weights_BMT[:, m, None] for m, x_BDT in enumerate(modal)]).sum(0)
        refined: Tensor = self.refine(summed)
        return refined


class Policy(nn.Module):
    """Two fully-connected layers to the logits of K decisions (Eq. 7, 8)."""

    def __init__(self, width: int, modalities: int, nets: int) -> None:
        super().__init__()
        self.hidden = nn.Conv1d(modalities * width, width, 1)
        self.logits = nn.Conv1d(width, nets, 1)

    def forward(self, joined_BCT: Tensor) -> Tensor:
        """Maps (B, M D, T) to logits (B, K, T)."""
        logits: Tensor = self.logits(functional.relu(self.hidden(joined_BCT)))
        return logits

    def mask(self, logits_BTK: Tensor, tau: Tensor) -> Tensor:
        """Returns the straight-through mask, 0 for ranks up to the decision (Eq. 9, 10, 12); no noise in evaluation."""
        noisy = torch.log_softmax(logits_BTK, dim=-1)
        if self.training:
            noisy = noisy - torch.log(-torch.log(torch.rand_like(noisy).clamp(min=1e-20)))
        soft = torch.softmax(noisy / tau, dim=-1)
        rank_K = torch.arange(noisy.shape[-1], device=noisy.device)
        hard = torch.where(rank_K <= noisy.argmax(dim=-1, keepdim=True), 0.0, DISABLED)
        return hard + (soft - soft.detach())


class Fusion(nn.Module):
    """K FusionNets behind one projection a modality, and the PolicyNet."""

    def __init__(self, width: int, modalities: int, nets: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(modalities))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(modalities))
        self.nets = nn.ModuleList(FusionNet(width, modalities) for _ in range(nets))
        self.policy = Policy(width, modalities, nets)

    def fused(self, modal: list[Tensor]) -> list[Tensor]:
        """Returns every FusionNet's features, K of (B, D, T)."""
        read = [
            functional.relu(norm(project(x)))
            for project, norm, x in zip(self.projections, self.norms, modal, strict=True)
        ]
        read_BCT = torch.cat(read, dim=1)
        return [net(read_BCT, modal) for net in self.nets]


class Stage(nn.Module):
    """One stage of the mixed branch."""

    def __init__(self, settings: Recipe, modalities: int, *, last: bool) -> None:
        super().__init__()
        width = settings.width
        self.last = last
        self.mixed = Mixed(width)
        self.msfd = Decoder(width, width, settings.attention_dropout)
        self.afm = Fusion(width, modalities, settings.fusion_nets)
        self.cmfd = Decoder(2 * width, width, settings.attention_dropout)

    def forward(self, state: Tensor | None, before: list[Tensor], after: list[Tensor], tau: Tensor) -> Tensor:
        """Maps the mixed state (B, 3 D, T_i), None for the first stage's zeros, to the new one."""
        cross_BTKD = self._tokens([self._pool(x) for x in self.afm.fused(before)])
        logits_BKT = self._pool(self.afm.policy(torch.cat(before, dim=1)))
        mask_BTK = self.afm.policy.mask(logits_BKT.transpose(1, 2), tau)
        videos, _, steps = after[0].shape
        mixed_BDT = self.mixed.of_zeros(videos, steps) if state is None else self.mixed(state)
        mixed_BTD = mixed_BDT.transpose(1, 2)
        modal_BTD = self.msfd(mixed_BTD, self._tokens(after))
        cross_BTD = self.cmfd(torch.cat([mixed_BTD, modal_BTD], dim=-1), cross_BTKD, mask_BTK)
        return torch.cat([mixed_BTD, modal_BTD, cross_BTD], dim=-1).transpose(1, 2)

    def _pool(self, x_BDT: Tensor) -> Tensor:
        return x_BDT.mean(-1, keepdim=True) if self.last else functional.avg_pool1d(x_BDT, 2)

    def _tokens(self, features: list[Tensor]) -> Tensor:
        return torch.stack(features, dim=1).permute(0, 3, 1, 2)


class PlainPAMFN(nn.Module):
    """The whole network.

    Args:
        settings: The recipe; all but sizes, rates and dropouts must be the paper's.
        widths: Width of each modality's features, by name.

    Raises:
        ValueError: If the recipe asks for what this network is not written for; the message names every such setting.
    """

    def __init__(self, settings: Recipe, widths: Mapping[str, int]) -> None:
        super().__init__()
        paper = recipe()
        if other := [f"{n}={getattr(settings, n)!r}" for n in WRITTEN_FOR if getattr(settings, n) != getattr(paper, n)]:
            raise ValueError(f"{', '.join(other)}: the plain network is written for the paper's settings")
        self.settings = settings
        self.branches = nn.ModuleDict({name: Branch(settings, width) for name, width in widths.items()})
        self.stages = nn.ModuleList(
            Stage(settings, len(widths), last=i == settings.stages - 1) for i in range(settings.stages)
        )
        self.head = Head(3 * settings.width, settings.head_dropout)
        self.tau = nn.Parameter(torch.tensor(float(settings.tau_init)).log())
        self.dropout = nn.Dropout(settings.feature_dropout)
        for name, branch in self.branches.items():
            branch.requires_grad_(name in settings.fine_tuned)
            cast("Branch", branch).head.requires_grad_(False)

    def train(self, mode: bool = True) -> PlainPAMFN:
        """Sets training or evaluation; fixed branches stay in evaluation."""
        super().train(mode)
        for name, branch in self.branches.items():
            branch.train(mode and name in self.settings.fine_tuned)
        return self

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """Maps each modality's features (B, T, width of the modality) to scores (B,)."""
        maps = []
        for name, branch in self.branches.items():
            with torch.set_grad_enabled(torch.is_grad_enabled() and name in self.settings.fine_tuned):
                maps.append(branch(x[name]))
        maps = [[self.dropout(features) for features in by_stage] for by_stage in maps]
        state: Tensor | None = None
        for i, stage in enumerate(self.stages):
            before, after = [of[i] for of in maps], [of[i + 1] for of in maps]
            state = stage(state, before, after, self.tau.exp())
            if i == len(self.stages) - 2:
                state = state.mean(-1, keepdim=True)
            elif i < len(self.stages) - 2:
                state = functional.avg_pool1d(state, 2)
        score: Tensor = self.head(cast("Tensor", state)[:, :, 0])
        return score
