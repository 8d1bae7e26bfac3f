"""How exact a process computes: set in one place, and said in words."""

from __future__ import annotations

import os

import torch

WORKSPACE = ":4096:8"  # of cuBLAS; with its default, sums may come in another order every time


def set_precision(device: torch.device, precision: str) -> None:
    """Sets how exact matrix products on a GPU are; nothing on a CPU.

    Args:
        device: Where the process trains.
        precision: ``tf32``, or ``float32``; with ``bf16`` what is not bf16 is float32.
    """
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def set_determinism(on: bool) -> None:
    """Has torch take only algorithms that give the same numbers every time, or whichever is fastest.

    To be called before a process uses a GPU: cuBLAS reads its setting once. An operation that has no such algorithm
    raises. What a replica's numbers depend on beside these is who shares its batch, by rounding.
    """
    if on:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = WORKSPACE
    torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = on, False


def numerics(device: torch.device) -> dict[str, str]:
    """Returns what the numbers of this process depend on beside the settings of a trial."""
    on_gpu = device.type == "cuda"
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "threads": str(torch.get_num_threads()),
        "tf32": str(on_gpu and torch.backends.cuda.matmul.allow_tf32).lower(),
        "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()).lower(),
        "cudnn_deterministic": str(torch.backends.cudnn.deterministic).lower(),
        "cudnn_benchmark": str(torch.backends.cudnn.benchmark).lower(),
    }
