"""The flat buffers of all tensors of a network that share a leading axis: one row for each of its networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALIGN = 16  # floats; keeps every parameter's start on a cache line


@dataclass(frozen=True)
class _Place:
    """Where a tensor of the network lies in the rows of a buffer."""

    module: nn.Module
    name: str
    shape: tuple[int, ...]
    start: int
    is_parameter: bool

    def of(self, buffer_RP: Tensor) -> Tensor:
        size = 1
        for extent in self.shape:
            size *= extent
        return buffer_RP[:, self.start : self.start + size].view(-1, *self.shape)


class Rows:
    """The flat buffers of all tensors that share a leading axis.

    Attributes:
        weights: Trained parameters, (capacity, P).
        grads: Their gradients, (capacity, P).
        first: Their first moments, or SGD's momentum, (capacity, P).
        second: Their second moments, (capacity, P).
        kept: Frozen parameters and buffers, (capacity, Q).
        count: Rows in use, the first ones.
        generation: How often the buffers have moved.
    """

    generation = 0

    def __init__(
        self, trained: Sequence[tuple[nn.Module, str]], kept: Sequence[tuple[nn.Module, str]], *, trains: bool
    ) -> None:
        self._trained, width = _placed(trained)
        frozen = [(m, n) for m, n in kept if n in m._parameters]
        self._kept, kept_width = _placed([*frozen, *((m, n) for m, n in kept if n in m._buffers)])
        self._frozen_width = _placed(frozen)[1]
        tensors = [getattr(module, name) for module, name in (*trained, *kept)]
        like = tensors[0] if tensors else torch.empty(0)
        self.count = len(like) if tensors else 0
        self.weights = like.new_zeros(self.count, width)
        self.grads, self.first, self.second = (like.new_zeros(self.count, width * trains) for _ in range(3))
        self.kept = like.new_zeros(self.count, kept_width)
        with torch.no_grad():
            for place, buffer in self._places():
                place.of(buffer).copy_(getattr(place.module, place.name))
        self._show()

    @property
    def capacity(self) -> int:
        """Rows that there is memory for."""
        return len(self.weights)

    @property
    def row_bytes(self) -> int:
        """Bytes that one row takes."""
        return sum(buffer[:1].nbytes for buffer in self._buffers().values()) if self.capacity else 0

    def resize(self, count: int) -> None:
        """Sets how many rows are in use; new ones hold zeros or what was there before."""
        if count > self.capacity or count == 0:  # an empty program keeps no memory
            made = {name: old.new_zeros(count, old.shape[1]) for name, old in self._buffers().items()}
            used = min(self.count, count)
            for name, new in made.items():  # only now that there was memory for all of them
                new[:used].copy_(getattr(self, name)[:used])
                setattr(self, name, new)
            self.generation += 1
        self.count = count
        self._show()

    def keep_only(self, rows: Sequence[int]) -> None:
        """Drops all rows but these, which move up and keep their order."""
        for name, buffer in self._buffers().items():
            if name != "grads":
                for new, old in enumerate(rows):
                    if new != old:
                        buffer[new].copy_(buffer[old])
        self.resize(len(rows))

    def blank(self, rows: slice) -> None:
        """Makes rows forget all that they held, also between the parameters, where nothing is written to otherwise."""
        for buffer in self._buffers().values():
            buffer[rows].zero_()

    def copy_from(self, other: Rows, pairs: Sequence[tuple[int, int]]) -> None:
        """Copies weights and buffers of another network of this shape, row by row, given (mine, the other's)."""
        for mine, theirs in pairs:
            self.weights[mine].copy_(other.weights[theirs])
            self.kept[mine].copy_(other.kept[theirs])

    @property
    def statistics(self) -> Tensor:
        """What a forward pass changes, the running statistics of batch norms, (rows in use, ...)."""
        return self.kept[: self.count, self._frozen_width :]

    def _buffers(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("weights", "grads", "first", "second", "kept")}

    def _places(self) -> list[tuple[_Place, Tensor]]:
        return [*((p, self.weights) for p in self._trained), *((p, self.kept) for p in self._kept)]

    def _show(self) -> None:
        """Makes the network's tensors views of the rows in use."""
        for place, buffer in self._places():
            view = place.of(buffer[: self.count])
            if not place.is_parameter:
                place.module._buffers[place.name] = view
                continue
            trained = buffer is self.weights
            parameter = nn.Parameter(view, requires_grad=trained)
            if trained and self.grads.shape[1]:
                parameter.grad = place.of(self.grads[: self.count])
            place.module._parameters[place.name] = parameter


def room_of(parameter: Tensor) -> int:
    """Returns the floats of a row that a stacked tensor takes."""
    return -(-parameter[0].numel() // ALIGN) * ALIGN


def _placed(named: Sequence[tuple[nn.Module, str]]) -> tuple[list[_Place], int]:
    """Returns where tensors lie in a row, one after the other, and the length of the row."""
    places, start = [], 0
    for module, name in named:
        tensor = getattr(module, name)
        places.append(_Place(module, name, tuple(tensor.shape[1:]), start, isinstance(tensor, nn.Parameter)))
        start += room_of(tensor)
    return places, start
