"""Where a step computes in bf16, and where it must not."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def coarsely(device: torch.device, *, on: bool) -> AbstractContextManager[object]:
    """Returns a block in which, if it is on, matrix products and what comes of them are bf16."""
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False) if on else nullcontext()


def exactly(device: torch.device) -> AbstractContextManager[object]:
    """Returns a block that computes in its inputs' own precision, also within `coarsely`."""
    return torch.autocast(device.type, enabled=False) if device.type in ("cpu", "cuda") else nullcontext()
