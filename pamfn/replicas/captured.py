"""A function of tensors as a CUDA graph: recorded once for each shape, then replayed by one launch.

A step of a small network is a thousand kernels of a few microseconds, which Python cannot launch as fast as a GPU runs
them. A recording runs on memory of its own, so inputs are copied into it, and it must prove itself before it is
trusted: on the inputs that it was recorded with it has to give what the plain call gave.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_LOGGER = logging.getLogger(__name__)
MOST = 8  # recordings kept
TOLERANCE = 1e-3  # of a recording's results, relative to their largest; kernels may be chosen anew

Tensors = Mapping[str, Tensor]
Function = Callable[[Tensors], Tensor]


class Recorder(Protocol):
    """Records what a function launches."""

    def record(self, run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Returns how to replay a function, which has run before, and the tensor that it will write its result into."""
        ...


class CudaRecorder:
    """Records CUDA graphs, which share the memory that none of them needs between two replays."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Records a function once it has run on a stream of its own, as autograd needs it."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):  # others use the GPU, too
            result = run()
        return graph.replay, result


@dataclass(frozen=True)
class _Recording:
    inputs: dict[str, Tensor]
    replay: Callable[[], None]
    result: Tensor


class Captured:
    """Calls a function the first time that a shape is met, records it the second time, and replays it from then on.

    Args:
        function: Maps tensors to one tensor; may write into others, such as gradients. It must not look at values on
            the host, and what it makes must depend on shapes alone.
        touched: Returns what it writes into beside its result; a recording has to leave the same there.
        undone: Returns what it must not have changed by the time that it has proved itself: it runs several times.
        recorder: Records; None calls the function every time.
        most: Recordings kept; each has memory of its own for what its function reads and computes.
    """

    def __init__(
        self,
        function: Function,
        touched: Callable[[], list[Tensor]],
        undone: Callable[[], list[Tensor]],
        recorder: Recorder | None,
        most: int = MOST,
    ) -> None:
        self._most = most
        self._function, self._touched, self._undone, self._recorder = function, touched, undone, recorder
        self._recordings: OrderedDict[tuple[object, ...], _Recording | None] = OrderedDict()

    def __call__(self, key: tuple[object, ...], inputs: Tensors) -> Tensor:
        """Returns the function's result, which the next call may write over.

        Args:
            key: What else the function's launches depend on, such as where its parameters are.
            inputs: The tensors; equal names every time.
        """
        if self._recorder is None:
            return self._function(inputs)
        key = (*key, *((name, value.shape, value.dtype) for name, value in inputs.items()))
        if key not in self._recordings:
            self._recordings[key] = None
            return self._function(inputs)
        recording = self._recordings[key]
        if recording is None:
            return self._first_recorded(key, inputs, self._recorder)
        self._recordings.move_to_end(key)
        for name, value in inputs.items():
            recording.inputs[name].copy_(value, non_blocking=True)
        recording.replay()
        return recording.result

    def forget(self) -> None:
        """Drops all recordings: what they run on has moved."""
        self._recordings.clear()

    def _first_recorded(self, key: tuple[object, ...], inputs: Tensors, recorder: Recorder) -> Tensor:
        """Records the function, compares the recording with a call on the same inputs, and returns that call's result.

        Raises:
            RuntimeError: If the recording says something else: a step that cannot be trusted is not taken.
        """
        own = {name: value.clone() for name, value in inputs.items()}
        before = [tensor.clone() for tensor in self._undone()]
        replay, result = recorder.record(lambda: self._function(own))
        _put_back(self._undone(), before)
        expected = self._function(own).clone()
        plain = [tensor.clone() for tensor in self._touched()]
        after = [tensor.clone() for tensor in self._undone()]
        _put_back(self._undone(), before)
        replay()
        pairs = [
            (expected, result),
            *zip(plain, self._touched(), strict=True),
            *zip(after, self._undone(), strict=True),
        ]
        worst = max((_difference(one, other) for one, other in pairs), default=0.0)
        if worst > TOLERANCE:
            raise RuntimeError(f"a recorded step differs from the plain one by {worst:.2g} of its size")
        self._recordings[key] = _Recording(own, replay, result)
        self._recordings.move_to_end(key)
        made = [key for key, recording in self._recordings.items() if recording is not None]
        for old in made[: -self._most]:
            del self._recordings[old]
        _LOGGER.debug("recorded %s", key)
        return result


def _put_back(tensors: list[Tensor], values: list[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def _difference(one: Tensor, other: Tensor) -> float:
    """Returns the largest difference relative to the largest value; values that are not finite in both do not count."""
    if not one.numel():
        return 0.0
    both = one.isfinite() & other.isfinite()
    apart = torch.where(both, one - other, 0.0).abs().max()
    largest = torch.where(both, one, 0.0).abs().max().clamp(min=1e-12)
    strange = (one.isfinite() != other.isfinite()).any()
    return float("inf") if bool(strange) else float(apart / largest)
