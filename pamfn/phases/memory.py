"""How many replicas train side by side in the memory that there is, and what keeps that memory fast."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

import torch

from pamfn.architectures import outline
from pamfn.recipe import Recipe

CPU_BYTES = 3 << 30  # what one training may take for the activations of a step on a CPU
CACHE_SHARE = 0.2  # of a device's memory; of the machine's for all processes on CPUs
GPU_SHARE = 0.8  # of the memory that is free on the device
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # of glibc's mallopt


def step_bytes(recipe: Recipe, widths: Mapping[str, int], kind: str) -> int:
    """Returns about what one replica's phase-2 step keeps for its gradient, in bytes.

    Maps of (videos, segments, width) in float32, in the first stage, which has the most time steps; the later stages,
    of half the steps each, come to as much again; without pools each has as many. On a CPU some four maps for each
    FusionNet, and the inputs four times,
    fitted to what ``benchmarks/epoch.py`` measures: for widths 32 to 256 and K 4 to 16 on the published modalities it
    is 0.9 to 1.8 of the measured growth. On a GPU, which keeps what a CPU computes again, some twelve for each
    FusionNet and half as many for each modality and the mixed branch; an engine measures there and does not rely on it.
    Other models count as if each of their streams, and one more, were a FusionNet.

    Args:
        recipe: The settings.
        widths: Feature width of each modality.
        kind: ``cpu`` or ``cuda``.
    """
    read = recipe.streams(tuple(widths))
    segments, streams = recipe.batch_size * recipe.clip, len(read) + 1
    nets = recipe.fusion_nets if recipe.has_fusion_nets else streams
    maps, inputs = (12 * nets + 6 * streams, 2) if kind == "cuda" else (4 * nets, 4)
    stages = 2 if recipe.pools else recipe.stages
    return 4 * segments * (stages * maps * recipe.width + inputs * sum(widths[name] for name in read))


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
    return max(1, min(replicas, room // step_bytes(recipe, widths, device.type)))


def rows_at_once(recipe: Recipe, widths: Mapping[str, int], device: torch.device) -> int:
    """Returns how many replicas to train side by side on a device, whoever's they are; at least one.

    As many as keep it busy (beyond that, a step takes longer by as much as it does more), and as fit its memory.

    Args:
        recipe: The settings.
        widths: Feature width of each modality.
        device: The device.
    """
    useful = useful_rows(recipe, device.type)
    if device.type == "cuda":
        total = int(torch.cuda.get_device_properties(device).total_memory * GPU_SHARE)
        return max(1, min(useful, total // (step_bytes(recipe, widths, device.type) + network_bytes(recipe, widths))))
    return max(1, min(useful, CPU_BYTES // step_bytes(recipe, widths, device.type)))


def useful_rows(recipe: Recipe, kind: str) -> int:
    """Returns how many replicas keep a device of a kind busy, ``cpu`` or ``cuda``, whatever its memory."""
    return max(8, min(64, 2048 // recipe.width)) if kind == "cuda" else max(1, min(16, 512 // recipe.width))


def cache_room(device: torch.device) -> int:
    """Returns the bytes of a device that the maps of fixed branches may take."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * CACHE_SHARE)
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * CACHE_SHARE / (os.cpu_count() or 1))


def keep_freed_memory() -> bool:
    """Makes this process keep the memory that a step frees, for the next step; returns whether it could.

    Linux's C library hands large blocks back to the system at once, and takes them again page by page, zeroed: at eight
    replicas of width 32 a third of a step's time on a CPU. To be called before the first step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(
        mallopt(option, value) == 1
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    )
