"""PAMFN as a good user of plain PyTorch writes it: one network, nn.Conv1d over (B, D, T), a loop over K FusionNets.

It is what the batched network is held against (``benchmarks/step.py``): the paper's preset, without a replica axis,
without masks, and with torch's own dropout and generator. Its names are those of one replica cut out of ours, but that
FusionNet k is ``stages.i.afm.nets.k``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from plain_layers import Block, Decoder, Embedding, Head, Mixed
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


class Branch(nn.Module):
    """One modality's branch; its head is trained in phase 1 and stands still here."""

    def __init__(self, settings: Recipe, inputs: int) -> None:
        super().__init__()
        self.embedding = Embedding(inputs, settings.width, settings.embedding_dropout)
        self.blocks = nn.ModuleList(Block(settings.width) for _ in range(settings.stages))
        self.head = Head(settings.width, settings.branch_head_dropout)

    def forward(self, x_BTI: Tensor) -> list[Tensor]:
        """Returns the N + 1 feature maps, of T, T/2, T/4, ..., 1 steps."""
        maps = [self.embedding(x_BTI)]
        for block in self.blocks[:-1]:
            maps.append(functional.avg_pool1d(block(maps[-1]), 2))
        maps.append(self.blocks[-1](maps[-1]).mean(-1, keepdim=True))
        return maps


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
