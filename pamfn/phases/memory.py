"""How many replicas train side by side in the memory that there is."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pamfn.recipe import Recipe

CPU_BYTES = 3 << 30  # what one training may take for the activations of a step on a CPU
GPU_SHARE = 0.8  # of the memory that is free on the device


def step_bytes(recipe: Recipe, widths: Mapping[str, int]) -> int:
    """Returns about what one replica's phase-2 step keeps for its gradient, in bytes.

    Counted for float32 in the first stage, which has the most time steps: a residual block keeps about eight maps of
    its input's size and unfolds one to three times that, for each FusionNet; each modality and the mixed branch a
    dozen. Later stages have half the steps each time. Measured beside it by ``benchmarks/epoch.py``.
    """
    segments = recipe.batch_size * recipe.clip
    maps = 14 * recipe.fusion_nets + 12 * (len(widths) + 1)
    inputs = sum(widths.values()) * 2
    return 4 * segments * (2 * maps * recipe.width + inputs)


def replicas_at_once(recipe: Recipe, widths: Mapping[str, int], replicas: int, device: torch.device) -> int:
    """Returns how many of a trial's replicas to train as one batched program; at least one."""
    room = CPU_BYTES
    if device.type == "cuda":
        room = int(torch.cuda.mem_get_info(device)[0] * GPU_SHARE)
    return max(1, min(replicas, room // step_bytes(recipe, widths)))
