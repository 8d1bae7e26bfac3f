"""What other threads ask a loop to do between two of its steps."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
ALIVE = 5.0  # seconds after which who waits for the loop looks whether there is one


@dataclass(frozen=True)
class _Command:
    do: Callable[[], Any]
    done: Future[Any]


class Mailbox:
    """Commands to a loop, which alone carries them out.

    Args:
        alive: Whether the loop's thread lives.
    """

    def __init__(self, alive: Callable[[], bool]) -> None:
        self._alive = alive
        self._commands: queue.SimpleQueue[_Command] = queue.SimpleQueue()

    def ask(self, do: Callable[[], T]) -> T:
        """Has something done by the loop, and returns what came of it; from any other thread.

        Raises:
            RuntimeError: If there is no loop any more.
            Exception: Whatever was raised in doing it.
        """
        command = _Command(do, Future())
        self._commands.put(command)
        while not wait([command.done], timeout=ALIVE if self._alive() else 0.0).done:
            if not self._alive() and not command.done.done():
                raise RuntimeError("the device's loop has ended")
        result: T = command.done.result()
        return result

    def obey(self, patience: float | None) -> None:
        """Does what was asked for; by the loop.

        Args:
            patience: Seconds to wait for the first command; None for as long as it takes.
        """
        try:
            command = self._commands.get_nowait() if patience == 0.0 else self._commands.get(timeout=patience)
            while True:
                try:
                    command.done.set_result(command.do())
                except Exception as error:  # noqa: BLE001  # it goes to who asked
                    command.done.set_exception(error)
                command = self._commands.get_nowait()
        except queue.Empty:
            return
