"""The next batch of every replica of a program, chosen on the host and moved to the device at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.data.bank import ABSENT, Bank, StreamBank
from pamfn.replicas.noise import Sites

if TYPE_CHECKING:
    from pamfn.phases.mould import Mould
    from pamfn.phases.seat import Seat


def next_batch(
    seats: Sequence[Seat], active: NDArray[np.bool_], room: int, sites: Sites
) -> tuple[dict[str, NDArray[np.generic]], bool]:
    """Returns all that a step reads of the host, and whether every place has a video.

    Args:
        seats: The replicas.
        active: Which of them take the step; the others have no videos.
        room: Places for videos of a replica.
        sites: Where the network draws random numbers.

    Returns:
        ``videos`` and ``starts`` of the clips (R, B), their ``targets`` (R, B), the ``keys`` of the noise, and the
        ``places`` (R, B) of the clips in the cache where there is one.
    """
    batches = [seat.order.batch(seat.steps, room) for seat in seats]
    videos = np.stack([v if a else np.full_like(v, ABSENT) for (v, _), a in zip(batches, active, strict=True)])
    starts = np.stack([s for _, s in batches])
    arrays: dict[str, NDArray[np.generic]] = {
        "videos": videos,
        "starts": starts,
        "targets": np.stack([seat.targets_V[mine] for seat, mine in zip(seats, videos, strict=True)]),
        "keys": sites.keys([s.replica.seed for s in seats], [s.steps for s in seats], streams_of(seats)),
    }
    claims = [seat.claim for seat in seats if seat.claim is not None]
    if claims:
        rows = [c.first + c.places.of(v, s) for c, v, s in zip(claims, videos, starts, strict=True)]
        arrays["places"] = np.stack(rows)
    return arrays, bool((videos != ABSENT).all())


def streams_of(seats: Sequence[Seat]) -> list[str]:
    """Returns the modality of each replica where every one reads one of its own; else nothing."""
    return [seat.stream for seat in seats if seat.stream]


def read_by(mould: Mould, seats: Sequence[Seat]) -> Bank | StreamBank:
    """Returns the features as replicas read them."""
    return StreamBank(mould.bank, streams_of(seats), mould.stream) if mould.stream else mould.bank


def moved(arrays: dict[str, NDArray[np.generic]], device: torch.device) -> dict[str, Tensor]:
    """Returns arrays as tensors on a device; to a GPU they go without anybody's waiting."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in tensors.items()}
    return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
