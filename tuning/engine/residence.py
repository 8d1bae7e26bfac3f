"""One device and the trials on it: they come, are advanced side by side, and go.

Every trial runs the same `Trial` that it runs without an engine, in a thread of its own that waits for the device's
loop to have trained its replicas to the next milestone. Nothing here knows of Ray.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.data.features import Contents
from tuning.cohort import CohortMaker
from tuning.engine.leash import LetGo, leashed
from tuning.engine.meter import Meter
from tuning.engine.resident import Resident, one_line
from tuning.engine.status import DeviceStatus, shape_of
from tuning.keeping import FOLDER, kept_checkpoint
from tuning.precision import numerics, set_determinism
from tuning.publishing import Publisher
from tuning.study import Study
from tuning.study_data import StudyData, replicas_of
from tuning.trial import Trial

_LOGGER = logging.getLogger(__name__)
Arrays = Mapping[str, Mapping[str, NDArray[Any]]]
TRIES = 3  # to read a checkpoint: another engine may put a newer one in its place meanwhile


class DeviceLike(Protocol):
    """What trains on one device."""

    def cohorts(self) -> CohortMaker:
        """Returns what puts a trial's replicas into rows of the device's programs."""
        ...

    def status(self) -> DeviceStatus:
        """Returns what the device does; never waits for a step."""
        ...

    def close(self) -> None:
        """Ends the device's loop."""
        ...


@dataclass(frozen=True)
class Setting:
    """What all engines of a study are started with.

    Args:
        study: The study.
        launch: Number of the launch; checkpoints are written into its folder.
        device: Kind of the device: ``cpu`` or ``cuda``.
        threads: Threads of a process on processors.
        make: Makes the device of the data in its memory; ``precision`` is the study's.
    """

    study: Study
    launch: int
    device: str
    threads: int
    make: Callable[..., DeviceLike]


class Residence:
    """One device and the trials on it.

    A trial belongs to the caller that came last, by its token: one whose process was lost comes again under another
    token and finds the trial where it stands, and the call that nobody waits for any more is let go.

    Args:
        setting: What the engines have in common.
        contents: What is known of the study's training videos.
        arrays: Their features, as `Bank.arrays` gave them; on processors they are used where they lie.
    """

    def __init__(self, setting: Setting, contents: Contents, arrays: Arrays) -> None:
        torch.set_num_threads(setting.threads)
        set_determinism(setting.study.space.resources.deterministic)
        self._study = setting.study
        bank = Bank.over(arrays, setting.device)
        self._data = StudyData(contents, bank, replicas_of(setting.study, contents))
        self._device = setting.make(self._data, precision=setting.study.space.resources.precision)
        self._here = setting.study.folder / FOLDER / str(setting.launch)
        self._meter, self._lock = Meter(), threading.Lock()
        self._residents: dict[str, Resident] = {}
        self._former: set[str] = set()
        self._over: set[str] = set()

    @property
    def numerics(self) -> dict[str, str]:
        """What the numbers of this process depend on beside the settings of a trial."""
        return {"precision": self._study.space.resources.precision, **numerics(self._data.bank.device)}

    def close(self) -> None:
        """Ends the device's loop; the trials on it are lost."""
        self._device.close()

    def advance(self, trial_id: str, config: Mapping[str, Any], token: str, told: int) -> dict[str, Any]:
        """Trains a trial to its next rung, its checkpoint written.

        Args:
            trial_id: The trial.
            config: Its values of the searched settings.
            token: Names the caller; no two callers have the same.
            told: How many legs of the trial the caller has been told of.

        Returns:
            The result of `Trial.advance`, or of `Trial.standing` where the trial stands further than the caller knows,
            with ``passed``; ``{"error": line}`` if it raised; ``{"let_go": True}`` if it was let go.
        """
        resident = self._resident(trial_id, config, token)
        if resident is None:
            return {"let_go": True}
        try:
            return resident.advance(token, told)
        except LetGo:
            return {"let_go": True}
        except Exception as error:  # whatever it is, it is the trial's, and the other trials go on
            _LOGGER.exception("trial %s", trial_id)
            self._drop(trial_id, resident)
            return {"error": one_line(error)}

    def release(self, trial_id: str, token: str | None) -> None:
        """Lets a trial go.

        Args:
            trial_id: The trial; nothing happens if it is not here.
            token: Who lets it go; nothing happens if it is another's by now. None if nobody is to have it any more,
                also not a call that is still on its way.
        """
        with self._lock:
            self._over |= {trial_id} if token is None else set()
            resident = self._residents.get(trial_id)
        if resident is not None and token in (None, resident.token):
            self._drop(trial_id, resident)

    def status(self) -> DeviceStatus:
        """Returns what the device does."""
        with self._lock:
            shapes = {trial_id: resident.shape for trial_id, resident in self._residents.items()}
        return replace(self._device.status(), trials=tuple(shapes), shapes=tuple(shapes.values()))

    def _resident(self, trial_id: str, config: Mapping[str, Any], token: str) -> Resident | None:
        """Returns a trial, now the caller's; None if that is over, or has been taken over from this caller before."""
        with self._lock:
            if token in self._former or trial_id in self._over:
                return None
            resident = self._residents.get(trial_id)
            if resident is None:
                publisher = Publisher(self._here / trial_id, self._study.kept)
                begin = partial(self._trial, trial_id, config)
                resident = Resident(begin, self._meter, publisher, shape_of(config))
                self._residents[trial_id] = resident
            if resident.token != token:
                self._former.add(resident.token)
                resident.token = token
            return resident

    def _drop(self, trial_id: str, resident: Resident) -> None:
        with self._lock:
            if self._residents.get(trial_id) is resident:
                del self._residents[trial_id]
        resident.release()

    def _trial(self, trial_id: str, config: Mapping[str, Any], gone: threading.Event) -> Trial:
        """Returns a trial where its newest checkpoint stands, whoever wrote that."""
        for _ in range(TRIES):
            cohorts = leashed(self._device.cohorts(), gone)
            trial = Trial(self._study, config, cohorts, self._data, self._meter.seconds)
            checkpoint = kept_checkpoint(self._study.kept, trial_id, config)
            try:
                if checkpoint is not None:
                    trial.load(checkpoint)
            except FileNotFoundError:
                continue
            return trial
        raise FileNotFoundError(f"{self._here / trial_id}: its checkpoints went while they were read, {TRIES} times")
