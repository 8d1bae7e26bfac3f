"""What a process is told of how exact, and how repeatable, its numbers are to be."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from tuning.precision import WORKSPACE, numerics, set_determinism
from tuning.sections import Resources

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    set_determinism(on=False)


def test_a_study_that_asks_for_it_takes_only_algorithms_that_repeat_their_numbers() -> None:
    set_determinism(on=True)
    said = numerics(CPU)
    settings = ("deterministic_algorithms", "cudnn_deterministic", "cudnn_benchmark")
    assert [said[name] for name in settings] == ["true", "true", "false"]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == WORKSPACE
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.ones(4).put_(torch.tensor([1]), torch.ones(1))


def test_a_study_that_does_not_says_so() -> None:
    assert Resources().deterministic is False
    set_determinism(on=False)
    said = numerics(CPU)
    assert (said["deterministic_algorithms"], said["cudnn_deterministic"], said["cudnn_benchmark"]) == ("false",) * 3
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
