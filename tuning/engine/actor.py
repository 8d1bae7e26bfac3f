"""The process that holds a device, as Ray has it.

This module imports no torch: whoever holds a handle of the actor imports it, and each trial's own process does.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray

from tuning.engine.leaving import is_leaving
from tuning.engine.status import DeviceStatus

if TYPE_CHECKING:
    from pamfn.data.features import Contents
    from tuning.engine.residence import Arrays, Residence, Setting

UNREADY = 60.0  # seconds for the data to come to a process that a trial has reached before them


class Engine:
    """A `Residence` in a process of its own, where calls that advance trials keep none of the others waiting.

    Args:
        setting: What the engines have in common.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting, self._node = setting, str(ray.get_runtime_context().get_node_id())
        self._residence: Residence
        self._loaded, self._loading = threading.Event(), threading.Lock()

    @ray.method(concurrency_group="status")  # type: ignore[untyped-decorator]  # Ray is untyped
    def load(self, contents: Contents, arrays: Arrays) -> dict[str, str]:
        """Takes the data; before that the engine does nothing, and after it a second time changes nothing.

        They are no arguments of the constructor, since Ray does not keep those for the process that comes after this.

        Args:
            contents: What is known of the study's training videos.
            arrays: Their features.

        Returns:
            What the numbers of this process depend on beside the settings of a trial.
        """
        from tuning.engine.residence import Residence

        with self._loading:
            if not self._loaded.is_set():
                self._residence = Residence(self._setting, contents, arrays)
                self._loaded.set()
        return self._residence.numerics

    @ray.method(concurrency_group="advance")  # type: ignore[untyped-decorator]
    def advance(self, trial_id: str, config: Mapping[str, Any], token: str, told: int) -> dict[str, Any]:
        """Trains a trial to its next rung; see `Residence.advance`. The result says on which node that was."""
        if not self._loaded.wait(UNREADY):
            return {"let_go": True}
        return {**self._residence.advance(trial_id, config, token, told), "node": self._node}

    @ray.method(concurrency_group="status")  # type: ignore[untyped-decorator]
    def release(self, trial_id: str, token: str | None) -> None:
        """Lets a trial go; see `Residence.release`."""
        if self._loaded.is_set():
            self._residence.release(trial_id, token)

    @ray.method(concurrency_group="status")  # type: ignore[untyped-decorator]
    def status(self) -> DeviceStatus | None:
        """Returns what the device does; None before there are data."""
        if not self._loaded.is_set():
            return None
        return replace(self._residence.status(), node=self._node, leaving=is_leaving(self._node))
