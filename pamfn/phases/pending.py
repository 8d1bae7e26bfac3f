"""Numbers on their way from a device to the host, which goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Transfer:
    """A tensor that is copied to the host without anybody's waiting for it.

    Args:
        tensor: Where it is now; may change once this is made.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if tensor.device.type == "cuda":
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._host = tensor.detach().cpu().clone()

    @property
    def ready(self) -> bool:
        """Whether it has arrived."""
        return self._event is None or bool(self._event.query())  # type: ignore[no-untyped-call]

    def value(self) -> Tensor:
        """Returns it; waits for it if need be."""
        if self._event is not None:
            self._event.synchronize()
        return self._host


class Pending(Generic[T]):
    """What will be known when some transfers have arrived.

    Args:
        transfers: The transfers.
        finish: Makes it of their values.
    """

    def __init__(self, transfers: Sequence[Transfer], finish: Callable[[list[Tensor]], T]) -> None:
        self._transfers, self._finish = list(transfers), finish

    @classmethod
    def all(cls, others: Sequence[Pending[Any]], finish: Callable[[], T]) -> Pending[T]:
        """Returns what will be known when others are."""
        return cls([transfer for other in others for transfer in other._transfers], lambda _: finish())

    @property
    def ready(self) -> bool:
        """Whether everything has arrived."""
        return all(transfer.ready for transfer in self._transfers)

    def value(self) -> T:
        """Returns it; waits for it if need be."""
        return self._finish([transfer.value() for transfer in self._transfers])
