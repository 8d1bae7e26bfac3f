"""A study's runs as MLflow has them, and how each kind of letter changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.tracking.experiment import find_runs, take_over_models
from tuning.tracking.location import TrackingError
from tuning.tracking.models import log_model
from tuning.tracking.outbox import Letter
from tuning.tracking.points import point_metrics
from tuning.tracking.record import StudyRecord
from tuning.tracking.run import RunWriter
from tuning.tracking.told import AwayError, RefusedError

ENDINGS = ("finished", "stopped", "paused", "failed", "interrupted", "ended")
"""First words of the reasons why a trial ends; the last is a trial that ran when the study's budget was spent."""

STATUS = {"failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's status by the first word of a reason; every other end is FINISHED."""

STUDY = ""
"""Whom a letter is about that is about no trial."""


class StudyRuns:
    """The runs of one study: one of its own, and one a trial, found again by tag.

    Every letter may be carried out again, whole or in part, and changes nothing then.

    Args:
        client: A `tuning.tracking.told.ToldClient`.
        experiment_id: The experiment.
        record: The study.
        study_run: The study's run.
        resumed: Whether it may have runs of trials already.
    """

    def __init__(self, client: Any, experiment_id: str, record: StudyRecord, study_run: Any, *, resumed: bool) -> None:
        self._client, self._experiment_id, self._record = client, experiment_id, record
        self._study = self._writer(study_run)
        self._runs: dict[str, RunWriter] | None = None if resumed else {}
        self._doubtful = resumed

    def carry_out(self, trial_id: str, letters: Sequence[Letter]) -> None:
        """Does what letters about one trial, or about the study, say, in as few requests as it takes.

        Raises:
            RefusedError: If MLflow does not take one of them; the others have to be carried out one by one.
            AwayError: If MLflow cannot be reached; all of them have to be carried out again.
        """
        written: RunWriter | None = None
        try:
            for letter in letters:
                if letter["do"] == "begin":
                    self._begin(trial_id, letter)
                written = self._run(trial_id)
                if letter["do"] != "begin":
                    getattr(self, f"_{letter['do']}")(written, letter)
            if written is not None:
                written.flush()
        except AwayError:
            self._doubtful = True
            raise
        finally:
            if written is not None:
                written.discard()

    def is_well(self) -> bool:
        """Tells whether MLflow can say what it has, for which it needs its database."""
        try:
            self._client.get_run(self._study.run_id)
        except TrackingError:
            return False
        return True

    def run_ids(self) -> dict[str, str]:
        """Returns the runs of the trials, by trial."""
        return {trial_id: run.run_id for trial_id, run in (self._runs or {}).items()}

    def _begin(self, trial_id: str, letter: Letter) -> None:
        """Makes a trial's run with its parameters, or takes over the one there is.

        A run of other parameters is not the trial's: its study was resumed from a journal that had lost its end, and
        the search went another way from there. Such a run is left to itself, tagged as ``superseded``.
        """
        runs = self._trials()
        former = runs.get(trial_id)
        if former is not None:
            former.flush()
        if former is not None and former.contradicts(letter["searched"]):
            former.note({}, {"kind": "superseded", "status_reason": "superseded: its id went to another trial"}, 0)
            former.flush()
            former.close(STATUS["interrupted"], letter["at"])
            del runs[trial_id]
        if trial_id not in runs and self._doubtful:
            self._look_for(trial_id)
        if trial_id not in runs:
            tags = {"kind": "trial", "trial_id": trial_id, "study_run": self._study.run_id, **letter["tags"]}
            made = self._client.create_run(
                self._experiment_id, start_time=letter["at"], tags=tags, run_name=letter["name"]
            )
            runs[trial_id] = self._writer(made)
        run = runs[trial_id]
        run.describe(letter["parameters"], self._record.data)
        if run.tags.get("waits"):
            run.note({}, {"waits": ""}, 0)
        if run.status == STATUS["interrupted"]:  # any other end is for good; a resumed study tells of it once more
            run.reopen()

    def _write(self, run: RunWriter, letter: Letter) -> None:
        at = letter["at"]
        run.note(letter.get("scalars") or {}, letter.get("tags") or {}, at)
        for point in letter.get("curve") or ():
            run.add_point(int(point["epoch"]), point_metrics(point, self._record.metric), at)
        moment_at: int = letter.get("moment_at") or at
        run.add_moment(letter.get("moment") or {}, moment_at)

    def _open(self, run: RunWriter, letter: Letter) -> None:
        run.reopen()
        run.describe(letter["parameters"], self._record.data)
        for name, text in letter["texts"].items():
            self._client.log_text(run.run_id, text, name)

    def _close(self, run: RunWriter, letter: Letter) -> None:
        reason = letter["reason"]
        run.note({}, {"status_reason": reason}, letter["at"])
        run.flush()
        run.close(STATUS.get(first_word(reason), "FINISHED"), letter["at"])

    def _upload(self, run: RunWriter, letter: Letter) -> None:
        if Path(letter["file"]).exists():  # else it was uploaded before
            self._client.log_artifact(run.run_id, letter["file"], letter["folder"])

    def _model(self, run: RunWriter, letter: Letter) -> None:
        run.flush()
        if self._doubtful:
            take_over_models(self._client, self._experiment_id, run)
        name, folder = letter["model"], Path(letter["from"])
        step = letter.get("step", 0)
        if folder.exists():  # else its files went with a delivery before
            log_model(self._client, self._experiment_id, run, name, folder, letter["about"], self._record, step)

    def _end(self, run: RunWriter, letter: Letter) -> None:
        """Closes the study's run, and the runs of trials that are still open as interrupted."""
        runs = self._trials()
        for trial in [found for found in runs.values() if found.status == "RUNNING"]:
            self._close(trial, {**letter, "reason": "interrupted"})
        if self._doubtful:
            self._make_sure()
        words = [first_word(trial.tags.get("status_reason", "")) for trial in runs.values()]
        counts = {"trials": str(len(words)), **{f"trials_{word}": str(words.count(word)) for word in ENDINGS}}
        run.note({}, {**counts, **letter["tags"]}, letter["at"])
        self._close(run, letter)
        self._doubtful = False

    def _trials(self) -> dict[str, RunWriter]:
        """Returns the runs of the trials; those of earlier launches are asked for once."""
        if self._runs is None:
            found = find_runs(self._client, self._experiment_id, self._study.run_id)
            found.sort(key=lambda run: len(run.data.params) + len(run.data.metrics))  # of two, the one that was used
            self._runs = {run.data.tags["trial_id"]: self._writer(run) for run in found}
        return self._runs

    def _run(self, trial_id: str) -> RunWriter:
        run = self._study if trial_id == STUDY else self._trials().get(trial_id)
        if run is None:
            raise RefusedError(f"trial {trial_id} has no run: MLflow did not take its beginning")
        return run

    def _look_for(self, trial_id: str) -> None:
        """Looks for a run that was made though nobody said so."""
        found = find_runs(self._client, self._experiment_id, self._study.run_id, trial_id)
        if found:
            self._trials()[trial_id] = self._writer(found[0])

    def _make_sure(self) -> None:
        """Sees that what was asked for in vain, and done all the same later, has left nothing behind."""
        runs = self._trials()
        for found in find_runs(self._client, self._experiment_id, self._study.run_id):
            ours = runs.get(found.data.tags["trial_id"])
            if ours is not None and ours.run_id != found.info.run_id:
                self._client.delete_run(found.info.run_id)
            elif ours is not None:
                ours.assert_on(found)

    def _writer(self, run: Any) -> RunWriter:
        return RunWriter(self._client, run, self._record.metric)


def first_word(reason: str) -> str:
    """Returns what a reason begins with: ``stopped`` of ``stopped at rung 2``, ``failed`` of ``failed: why``."""
    return reason.replace(":", " ").split(" ")[0]


def shared_tags(record: StudyRecord, source: Mapping[str, str]) -> dict[str, str]:
    """Returns the tags that all runs of a study have."""
    shared = {"study": record.name, "seed": str(record.seed), "space_digest": record.space_digest}
    return shared | {"data_digest": record.data.digest, **source}
