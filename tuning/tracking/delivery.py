"""Delivering what a study has to tell MLflow, in a thread of its own: slowly, again and again, whatever it takes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pamfn.data.rules import counted
from tuning.tracking.outbox import REFUSED, Letter, Outbox
from tuning.tracking.told import AwayError, RefusedError

ROUND = 1.0  # seconds between two rounds of requests, at least: what comes meanwhile goes together
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before the next try; the last for all that follow
PATIENCE = 60.0  # seconds that an end waits for a server that is away
TRIES = 20  # of what a server that is well answers with a failure; it counts as refused then


class Carrier(Protocol):
    """Carries letters out; `tuning.tracking.runs.StudyRuns` does."""

    def carry_out(self, trial_id: str, letters: Sequence[Letter]) -> None:
        """Does what letters say that are about one trial, or about the study.

        Raises:
            RefusedError: If one of them is refused.
            AwayError: If they have to be carried out again.
        """
        ...

    def is_well(self) -> bool:
        """Tells whether MLflow can say what it has: that it fails with some letters is then due to them."""
        ...


@dataclass(frozen=True)
class Account:
    """What came of a study's letters in this launch.

    Args:
        delivered: How many MLflow has.
        due: How many wait in the outbox.
        refused: How many MLflow did not take.
        outbox: Where they wait; those that were not taken lie beside it.
        why: Why the last one could not be delivered; empty if all could.
    """

    delivered: int
    due: int
    refused: int
    outbox: Path
    why: str = ""

    def words(self) -> str:
        """Returns it for people, in one line."""
        words = f"MLflow has {counted(self.delivered, 'write')} of this launch"
        if self.refused:
            words += f", {self.refused} more were not taken: see {self.outbox.with_name(REFUSED)}"
        if self.due:
            words += f", {self.due} wait in {self.outbox} and are delivered when the study is resumed ({self.why})"
        return words


class Delivery:
    """Takes letters from an outbox and has them carried out, in a thread that ends with the process.

    The letters about a trial are carried out in their order, many in one request. While MLflow is away they stay in the
    outbox; what it refuses is put aside, so that nothing waits behind it.

    Args:
        outbox: The letters.
        carrier: Carries them out.
        note: Tells people a line; called by whoever calls `tell` or `wait`.
    """

    def __init__(self, outbox: Outbox, carrier: Carrier, note: Callable[[str], None]) -> None:
        self._outbox, self._carrier, self._note = outbox, carrier, note
        self._handled, self._refused, self._why = 0, 0, ""
        self._away_since: float | None = None
        self._lines, self._said_away = deque[str](), False
        self._at_once, self._changed = threading.Event(), threading.Condition()
        self._tries: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="mlflow-delivery", daemon=True)
        self._thread.start()

    def tell(self) -> None:
        """Tells people what happened to the delivery."""
        while self._lines:
            self._note(self._lines.popleft())

    def wait(self, patience: float = PATIENCE) -> Account:
        """Returns when MLflow has everything, or has been away for this long, and says how far it came."""
        self._at_once.set()
        began = time.monotonic()
        while self._outbox.pending and self._thread.is_alive():
            since = self._away_since
            if since is not None and time.monotonic() - max(began, since) > patience:
                break
            with self._changed:
                self._changed.wait(0.2)
            self.tell()
        self._at_once.clear()
        self.tell()
        return Account(self._handled - self._refused, self._outbox.pending, self._refused, self._outbox.path, self._why)

    def _run(self) -> None:
        try:
            while True:
                self._at_once.wait(ROUND)
                letters = self._outbox.due()
                self._outbox.settle()
                self._outbox.ship_what_waits()
                if letters:
                    self._deliver(letters)
                elif self._at_once.is_set():
                    time.sleep(0.05)
        except BaseException as error:
            self._why = f"its delivery broke: {type(error).__name__}: {error}"
            raise

    def _deliver(self, letters: list[Letter]) -> None:
        """Delivers letters, however long that takes."""
        for part in _parts(letters):
            groups: dict[str, list[Letter]] = {}
            for letter in part:
                groups.setdefault(letter["to"], []).append(letter)
            pauses = 0
            while groups:
                if self._round(groups):
                    self._back()
                    continue
                self._outbox.ship_what_waits()
                threading.Event().wait(PAUSES[min(pauses, len(PAUSES) - 1)])
                pauses += 1
            with self._changed:
                self._outbox.delivered(part)
                self._handled += len(part)
                self._changed.notify_all()

    def _round(self, groups: dict[str, list[Letter]]) -> bool:
        """Carries out the letters of each trial, and takes out those that were; returns whether all were."""
        failed = False
        for trial_id in list(groups):
            try:
                self._carry_out(trial_id, groups[trial_id])
            except AwayError as error:
                failed = True
                self._away(error)
                if not error.answered:
                    break
            else:
                del groups[trial_id]
                self._away_since = None
        return not failed

    def _carry_out(self, trial_id: str, letters: list[Letter]) -> None:
        try:
            self._carrier.carry_out(trial_id, letters)
        except RefusedError:
            for letter in letters:
                self._carry_out_alone(trial_id, letter)
        except AwayError as error:
            if not (error.answered and self._carrier.is_well()):  # its database may be away, for however long
                raise
            tries = self._tries[trial_id] = self._tries.get(trial_id, 0) + 1
            if tries < TRIES:
                raise
            for letter in letters:
                self._carry_out_alone(trial_id, letter, hopeless=True)
        self._tries.pop(trial_id, None)

    def _carry_out_alone(self, trial_id: str, letter: Letter, *, hopeless: bool = False) -> None:
        """Carries a letter out, or puts it aside if it is the one that cannot be."""
        try:
            self._carrier.carry_out(trial_id, [letter])
        except (RefusedError, AwayError) as error:
            if isinstance(error, AwayError) and not (hopeless and error.answered):
                raise
            self._outbox.refused(letter, str(error))
            self._refused, self._why = self._refused + 1, str(error)
            self._lines.append(f"{error}: not written, and put aside ({letter['do']}, trial {letter['to'] or 'none'})")

    def _away(self, error: AwayError) -> None:
        """Takes in that MLflow is away, and says so once."""
        self._why = str(error)
        self._away_since = self._away_since or time.monotonic()
        if not self._said_away:
            self._said_away = True
            self._lines.append(f"{error}: the study goes on, and what it has to tell waits in {self._outbox.path}")

    def _back(self) -> None:
        """Takes in that MLflow has taken everything of a round."""
        self._why = ""
        if self._said_away:
            self._said_away = False
            self._lines.append("MLflow answers again; what waited is delivered")


def _parts(letters: Sequence[Letter]) -> list[list[Letter]]:
    """Returns letters in parts; the end of a study, which is about all trials, is one by itself."""
    parts: list[list[Letter]] = [[]]
    for letter in letters:
        if letter["do"] == "end":
            parts += [[letter], []]
        else:
            parts[-1].append(letter)
    return [part for part in parts if part]
