"""A study whose final stage MLflow was told of, for tests of what becomes of its winner."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
from final_rows import CANDIDATE, REFERENCE, choice, two_classes
from mlflow import MlflowClient
from tracked_study import empty_database

from pamfn.data.shards import read_shards
from tuning.finals import _track
from tuning.selection.judging import judge
from tuning.selection.predictions import PREDICTIONS
from tuning.selection.training import folder_of, train_final
from tuning.tracking import StudyRecord, Tracker

ROUNDING = 1e-6 * 25.0  # of scores up to 25: what another batch changes


class Logged:
    """A study whose winner was logged, and what its final stage predicted."""

    def __init__(self, shards: Path, root: Path) -> None:
        (root / "mlflow.db").write_bytes(empty_database())
        study = two_classes(shards, root, "final.top=1", "fixed.epochs=3")
        self.study = dataclasses.replace(study, tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
        for candidate in (CANDIDATE, REFERENCE):
            train_final(self.study, candidate)
        self.results = judge(self.study, choice(), {"number": 1, "chosen": "this"})
        self.tell()
        self.client = MlflowClient(self.study.tracking_uri)
        (self.model,) = self.client.search_logged_models(
            [self.client.get_experiment_by_name(self.study.name).experiment_id]
        )
        self.folder = folder_of(self.study, CANDIDATE)
        rows = pq.read_table(self.folder / PREDICTIONS).to_pylist()
        self.predicted = {(row["network"], row["video_id"]): row["predicted"] for row in rows}
        self.test = read_shards(shards, splits=["test"])

    def tell(self, *, resume: bool = False) -> None:
        """Tells MLflow of the study's end, as a launch does."""
        tracker = Tracker(self.study.tracking_uri, StudyRecord.of(self.study), resume=resume)
        for candidate in (CANDIDATE, REFERENCE):
            tracker.trial_started(candidate.trial_id, candidate.config)
        _track(self.study, self.results, tracker)
        account = tracker.end_study("finished")
        assert (account.due, account.refused) == (0, 0), account.words()

    @property
    def artifacts(self) -> Path:
        return Path(self.model.artifact_location)

    def clips(self) -> list[dict[str, object]]:
        """Returns all test videos by their features."""
        found = []
        for index, (video, action) in enumerate(zip(self.test.video_ids, self.test.actions, strict=True)):
            rows = self.test.rows([index])
            clip = {name: values[rows].tolist() for name, values in self.test.features.items()}
            found.append({"video_id": video, "action": action, **clip})
        return found

    def check(self, answers: list[dict[str, object]]) -> None:
        """Checks that answers to all test videos are bitwise what the final stage predicted."""
        found = {(each["name"], answer["video_id"]): each["score"] for answer in answers for each in answer["networks"]}
        assert found == self.predicted
