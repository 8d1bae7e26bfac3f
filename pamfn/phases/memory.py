"""How many replicas train side by side in the memory that there is."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pamfn.model.outline import outline
from pamfn.recipe import Recipe

CPU_BYTES = 3 << 30  # what one training may take for the activations of a step on a CPU
GPU_SHARE = 0.8  # of the memory that is free on the device


def step_bytes(recipe: Recipe, widths: Mapping[str, int]) -> int:
    """Returns about what one replica's phase-2 step keeps for its gradient, in bytes.

    Maps of (videos, segments, width) in float32: some twelve for each FusionNet in the first stage, which has the most
    time steps, and half as many for each modality and the mixed branch; the later stages, of half the steps each, come
    to as much again. Fitted to what ``benchmarks/epoch.py`` measures: for widths 32 to 256, K 4 to 24 and two to four
    stages on the published modalities it is 0.8 to 1.1 of the measured growth.
    """
    segments = recipe.batch_size * recipe.clip
    maps = 12 * recipe.fusion_nets + 6 * (len(widths) + 1)
    inputs = sum(widths.values()) * 2
    return 4 * segments * (2 * maps * recipe.width + inputs)


def network_bytes(recipe: Recipe, widths: Mapping[str, int]) -> int:
    """Returns at most what one replica holds between steps: weights, their gradients, and AdamW's two moments."""
    return 4 * 4 * sum(parameter.numel() for parameter in outline(recipe, widths).parameters())


def replicas_at_once(recipe: Recipe, widths: Mapping[str, int], replicas: int, device: torch.device) -> int:
    """Returns how many of a trial's replicas to train as one batched program; at least one.

    Args:
        recipe: The settings.
        widths: Feature width of each modality.
        replicas: Replicas of the trial; the networks of all of them stay in memory.
        device: Where they train.
    """
    room = CPU_BYTES
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, of what it freed
        free = torch.cuda.mem_get_info(device)[0] + kept
        room = int(free * GPU_SHARE) - replicas * network_bytes(recipe, widths)
    return max(1, min(replicas, room // step_bytes(recipe, widths)))
