"""Calls from a trial's process to the engines, and what can become of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from tuning.engine.leaving import was_taken_back
from tuning.engine.status import DeviceStatus

SOON = 0.5  # seconds for the other engines to answer after the first


class EngineLost(RuntimeError):  # noqa: N818  # reads as what happened
    """An engine's process or node was lost while it worked for a trial.

    Args:
        why: What happened.
        taken_back: Whether the owner of the node has taken it back, as was to be expected.
    """

    def __init__(self, why: str, *, taken_back: bool = False) -> None:
        super().__init__(why)
        self.taken_back = taken_back


class Engines:
    """All engines of a study, by number.

    Args:
        handles: Their actors.
    """

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles, self._nodes = tuple(handles), dict[int, str]()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._handles)

    def statuses(self, seconds: float) -> dict[int, DeviceStatus]:
        """Returns what each engine does, of those that answer in time: one may be starting, or stuck.

        Args:
            seconds: How long to wait for the first answer; the others must come soon after it.
        """
        asked = {handle.status.remote(): number for number, handle in enumerate(self._handles)}
        ray.wait(list(asked), num_returns=1, timeout=seconds)
        answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=SOON)
        found = {}
        for reference in answered:
            try:
                status = ray.get(reference)
            except ray.exceptions.RayError:
                continue
            if status is not None:
                found[asked[reference]] = status
                self._nodes[asked[reference]] = status.node
        return found

    def advance(
        self, engine: int, trial_id: str, config: Mapping[str, Any], token: str, told: int
    ) -> Mapping[str, Any]:
        """Has an engine advance a trial; see `tuning.engine.residence.Residence.advance`.

        Raises:
            EngineLost: If the engine does not live to say what came of it.
        """
        try:
            result: Mapping[str, Any] = ray.get(self._handles[engine].advance.remote(trial_id, config, token, told))
        except ray.exceptions.RayError as error:
            back = was_taken_back(self._nodes.get(engine, ""))
            raise EngineLost(f"engine {engine} was lost: {type(error).__name__}", taken_back=back) from error
        return result

    def release(self, engine: int, trial_id: str, token: str | None, seconds: float) -> None:
        """Has an engine let a trial go; does not insist."""
        ray.wait([self._handles[engine].release.remote(trial_id, token)], timeout=seconds)
