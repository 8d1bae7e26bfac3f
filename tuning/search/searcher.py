"""Ray Tune's side of the suggestions: its trials are made here, under our ids, as ``StudySearch`` asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.tune import CheckpointConfig
from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.search import SearchAlgorithm

from tuning.search.core import StudySearch, Work
from tuning.secrets import redacted

_BUSY = (Trial.PENDING, Trial.RUNNING)  # a running one may also be writing the checkpoint with which it ends or waits


class StudyTrials(SearchAlgorithm):  # type: ignore[misc]  # Ray is untyped
    """Makes a Tune trial of whatever the search says is to run next, as long as fewer than ``concurrent`` are busy.

    A trial that waited in this process is put on ``promoted``, for the scheduler to continue; one that an earlier
    process left is made anew under its id, and finds its newest checkpoint by itself. A trial that has ended according
    to the search is never made again.

    Give ``tune.run`` no ``num_to_keep``: with one it writes a snapshot of everything at each other checkpoint.

    Args:
        search: The search.
        keep: Checkpoints to keep of each trial.

    Attributes:
        trials: Tune's trials of this process, by id.
        promoted: Those of them that have waited and are to go on.
    """

    def __init__(self, search: StudySearch, keep: int = 2) -> None:
        self.search = search
        self.trials: dict[str, Any] = {}
        self.promoted: list[Any] = []
        self._keep = keep
        self._live: list[Any] = []
        self._spec: dict[str, Any] = {}
        self._parser = _make_parser()

    @property
    def total_samples(self) -> int:
        """How many trials there will be at most."""
        return self.search.settings.trials

    def add_configurations(self, experiments: Any) -> None:
        """Takes over what all trials of the study have in common."""
        (experiment,) = experiments
        checkpoints = experiment.spec.get("checkpoint_config") or CheckpointConfig()
        self._spec = {**experiment.spec, "checkpoint_config": replace(checkpoints, num_to_keep=self._keep)}

    def next_trial(self) -> Any | None:
        """Returns a trial to start; None if none is to be started now."""
        if self._finished or len(self.live()) >= self.search.settings.concurrent:
            return None
        work = self.search.next()
        if work is None:
            return None
        known = self.trials.get(work.trial)
        if known is not None:
            self.promoted.append(known)
            return None
        self.trials[work.trial] = self._made(work)
        self._live.append(self.trials[work.trial])
        return self.trials[work.trial]

    def unfinished(self) -> list[Any]:
        """Returns the trials that have not ended, in the order in which they were made."""
        self._live = [trial for trial in self._live if not trial.is_finished()]
        return self._live

    def live(self) -> list[Any]:
        """Returns the trials that hold a place: those that run, are about to, or are promoted."""
        return [trial for trial in self.unfinished() if trial.status in _BUSY or trial in self.promoted]

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Notes that a trial has failed for good; every other end is known already."""
        if error:
            self.search.fail(trial_id, error_of(self.trials[trial_id]))

    def is_finished(self) -> bool:
        """Tells whether nothing more is to run: no suggestion will come, and no trial runs or waits."""
        return self._finished or self.search.done

    def save_to_dir(self, dirpath: str, **_: Any) -> None:
        """Does nothing: the search has its journal."""

    def _made(self, work: Work) -> Any:
        spec = {**self._spec, "config": {**self._spec.get("config", {}), **work.config}}
        return _create_trial_from_spec(spec, self._parser, evaluated_params=work.config, trial_id=work.trial)


def error_of(trial: Any) -> str:
    """Returns a trial's last exception in one line, as its error file ends.

    The file begins with Ray's own wrapping, and its last line is the exception's own type and message.
    """
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return redacted(lines[-1])[:200] if lines else "no reason was recorded"
