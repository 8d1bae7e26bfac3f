"""LCBench's surrogate: what training any configuration on a task would cost and reach, epoch by epoch.

The model predicts seconds so far and validation accuracy for every (task, configuration, epoch); nothing is random in
it. Seconds that fall from one epoch to the next (up to 2% of the steps do) are held at their highest so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.seeding import generator
from tuning.domains import Domain, FloatDomain, IntDomain
from tuning.faults import nearest_or_all
from tuning.region import Region

Array = NDArray[np.float64]
EPOCHS = 52
SAMPLE = 5000
SETTINGS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
_FILES = ("model.onnx", "encoding.json", "config_space.json")
_TASK = "OpenML_task_id"
_AT_ONCE = 500  # configurations a call


class BenchError(ValueError):
    """The benchmark cannot be run as it was asked for; the message says what to do."""


@dataclass(frozen=True)
class Curve:
    """One training: accuracy in percent after every epoch, and the seconds since its start."""

    accuracy_E: Array
    seconds_E: Array


@dataclass(frozen=True)
class Reference:
    """What ``SAMPLE`` random configurations of a task reach, the scale on which a search is judged.

    Args:
        best: The highest accuracy at any epoch.
        median: The median over configurations of the accuracy after the last epoch.
        worst: The lowest accuracy at any epoch, with which a search is credited before its first epoch ends.
        seconds: Mean time of a full training.
    """

    best: float
    median: float
    worst: float
    seconds: float

    def regret(self, accuracy: float) -> float:
        """Returns the normalised regret: 1 at the median of full random trainings, 0 at the best of the sample.

        It is below 0 for a search that found something better than the whole sample.
        """
        return (self.best - accuracy) / (self.best - self.median)


class Surrogate:
    """The surrogate of all tasks.

    Args:
        folder: LCBench's files as YAHPO Gym publishes them.

    Raises:
        BenchError: If a file or onnxruntime is missing.
    """

    def __init__(self, folder: Path) -> None:
        if missing := [name for name in _FILES if not (folder / name).is_file()]:
            raise BenchError(
                f"--data {folder}: {', '.join(missing)} must be there; it is the folder lcbench of "
                "https://github.com/slds-lmu/yahpo_data"
            )
        self._folder = folder
        self._codes: dict[str, int] = json.loads((folder / _FILES[1]).read_text(encoding="utf-8"))[_TASK]
        space = json.loads((folder / _FILES[2]).read_text(encoding="utf-8"))["hyperparameters"]
        entries = {entry["name"]: entry for entry in space}
        self.tasks: tuple[str, ...] = tuple(entries[_TASK]["choices"])
        self.domains: dict[str, Domain] = {name: _domain(entries[name]) for name in SETTINGS}
        self._references: dict[str, Reference] = {}
        self._session = _session(folder / _FILES[0])

    def __reduce__(self) -> tuple[type[Surrogate], tuple[Path]]:
        return Surrogate, (self._folder,)

    def check(self, tasks: Sequence[str]) -> None:
        """Checks that tasks are known.

        Raises:
            BenchError: If one is not.
        """
        for task in tasks:
            if task not in self.tasks:
                raise BenchError(f"--tasks: {task} is no task of LCBench; {nearest_or_all(task, self.tasks)}")

    def curve(self, task: str, config: Mapping[str, Any]) -> Curve:
        """Returns the training of one configuration."""
        accuracy_NE, seconds_NE = self.curves(task, [config])
        return Curve(accuracy_NE[0], seconds_NE[0])

    def curves(self, task: str, configs: Sequence[Mapping[str, Any]]) -> tuple[Array, Array]:
        """Returns accuracies and seconds of many trainings, both of shape (configurations, epochs)."""
        settings_NC = np.array([[config[name] for name in SETTINGS] for config in configs], np.float32)
        epochs = np.tile(np.arange(1, EPOCHS + 1, dtype=np.float32), len(configs))
        rows = np.column_stack([epochs, np.repeat(settings_NC, EPOCHS, axis=0)])
        inputs = {"x_cat": np.full((len(rows), 1), self._codes[task], np.int32), "x_cont": rows}
        output = np.asarray(self._session.run(None, inputs)[0], np.float64).reshape(len(configs), EPOCHS, -1)
        return output[:, :, 1], np.maximum.accumulate(output[:, :, 0], axis=1)

    def reference(self, task: str) -> Reference:
        """Returns the scale of a task; the same sample of configurations serves every task."""
        if task not in self._references:
            self._references[task] = self._sampled(task)
        return self._references[task]

    def _sampled(self, task: str) -> Reference:
        random = generator(0, "reference")
        region = Region(self.domains)
        configs = [region.draw(random) for _ in range(SAMPLE)]
        parts = [self.curves(task, configs[start : start + _AT_ONCE]) for start in range(0, SAMPLE, _AT_ONCE)]
        accuracy_NE = np.concatenate([accuracy for accuracy, _ in parts])
        seconds = float(np.mean([seconds[:, -1] for _, seconds in parts]))
        return Reference(
            float(accuracy_NE.max()), float(np.median(accuracy_NE[:, -1])), float(accuracy_NE.min()), seconds
        )


def _domain(entry: Mapping[str, Any]) -> Domain:
    if entry["type"] == "uniform_int":
        return IntDomain(type="int", low=entry["lower"], high=entry["upper"], log=entry["log"])
    return FloatDomain(type="float", low=entry["lower"], high=entry["upper"], log=entry["log"])


def _session(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BenchError("onnxruntime is not installed; pip install 'pamfn-tuning[bench]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
