"""Recording a function and replaying it, on a recorder that replays on the host."""

from __future__ import annotations

import pytest
import torch

from pamfn.replicas.captured import Captured


class HostRecorder:
    """Replays a function into the tensor that it returned when it was recorded, as a CUDA graph does."""

    def __init__(self, off=0.0):
        self.off, self.recorded = off, 0

    def record(self, run):
        run()
        result = run().clone()
        self.recorded += 1

        def replay():
            result.copy_(run() + self.off)

        return replay, result


class Summing:
    """Adds its input to a running total and to a gradient; counts its calls."""

    def __init__(self):
        self.calls, self.total, self.grad = 0, torch.zeros(3), torch.zeros(3)

    def __call__(self, inputs):
        self.calls += 1
        self.total += inputs["x"]
        self.grad.copy_(2 * inputs["x"])
        return self.total * inputs["y"]


def captured(function, recorder):
    return Captured(function, lambda: [function.grad], lambda: [function.total], recorder)


def inputs(step):
    return {"x": torch.full((3,), float(step)), "y": torch.tensor([1.0, 2.0, 3.0])}


def test_replays_are_what_calls_would_have_been():
    plain, recorded = Summing(), Summing()
    call = captured(recorded, HostRecorder())
    for step in range(6):
        expected = plain(inputs(step))
        assert torch.equal(call((), inputs(step)), expected)
        assert torch.equal(recorded.total, plain.total)
        assert torch.equal(recorded.grad, plain.grad)


def test_a_shape_is_recorded_when_it_is_met_again_and_once():
    function, recorder = Summing(), HostRecorder()
    call = captured(function, recorder)
    call((), inputs(0))
    assert recorder.recorded == 0
    for step in range(3):
        call((), inputs(step))
    assert recorder.recorded == 1
    call(("elsewhere",), inputs(1))
    call(("elsewhere",), inputs(1))
    assert recorder.recorded == 2
    call.forget()
    call((), inputs(0))
    call((), inputs(0))
    assert recorder.recorded == 3


def test_a_recording_that_says_something_else_is_not_trusted():
    call = captured(Summing(), HostRecorder(off=0.5))
    call((), inputs(1))
    with pytest.raises(RuntimeError, match="differs from the plain one by"):
        call((), inputs(1))


def test_values_that_are_not_finite_in_both_are_no_difference():
    function = Summing()
    call = captured(function, HostRecorder())
    bad = {"x": torch.tensor([torch.nan, 1.0, 2.0]), "y": torch.ones(3)}
    call((), bad)
    assert call((), bad).isnan().tolist() == [True, False, False]
    assert call((), bad).isnan().tolist() == [True, False, False]


def test_without_a_recorder_every_call_is_a_call():
    function = Summing()
    call = captured(function, None)
    for step in range(4):
        call((), inputs(step))
    assert function.calls == 4


def test_only_so_many_recordings_are_kept():
    function, recorder = Summing(), HostRecorder()
    call = captured(function, recorder)
    for key in range(12):
        call((key,), inputs(0))
        call((key,), inputs(0))
    assert len(call._recordings) == 8
    call((11,), inputs(0))
    assert recorder.recorded == 12
