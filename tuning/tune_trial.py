"""A trial in a process of its own, as Ray Tune runs it where there are no engines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.trainable.trainable import _TrainingResult

from pamfn.phases.memory import keep_freed_memory
from tuning.keeping import FOLDER, kept_checkpoint
from tuning.precision import set_determinism, set_precision
from tuning.publishing import Publisher
from tuning.study import Study
from tuning.trial import Trial
from tuning.usage import Usage


class TuneTrial(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """A `Trial` as Ray Tune runs it: one step is one rung.

    Wherever it starts, it goes on from the newest complete checkpoint of its id and configuration that any launch of
    the study wrote, and without one from the beginning, to the same numbers: Tune knows of no earlier launch, and may
    name a checkpoint that was cut short when its node went down.
    """

    def setup(self, config: dict[str, Any], study: Study, launch: int) -> None:
        """Takes the configuration; Tune calls it once an actor.

        Where studies lie in a bucket, checkpoints are published as engines do, and Tune takes none.
        """
        threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        torch.set_num_threads(max(1, threads))
        keep_freed_memory()
        set_determinism(study.space.resources.deterministic)
        set_precision(torch.device("cuda" if torch.cuda.is_available() else "cpu"), study.space.resources.precision)
        self._study, self._config, self._launch = study, config, launch
        self._trial: Trial | None = None
        self._publisher: Publisher | None = None
        self._usage = Usage()

    def step(self) -> dict[str, Any]:
        """Trains to the next rung; the result says on which node of the cluster that was, and what it used of it.

        Whether the trial is done is the search's to say, which writes it down before anyone is told. Once it has, the
        trial is never begun again: the weights of one that has had its full budget are on the storage before.
        """
        begins = self._trial is None
        self._trial = self._trial or self._continued()
        result = self._trial.advance()
        if self._publisher is not None and not result["status_reason"]:
            self._publisher.publish(self._trial)
        unheard = result["done"] and not result["curve"]  # its process was lost between the checkpoint and the report
        if unheard or (begins and self._publisher is not None):  # what is published may have been reported to nobody
            result |= {"curve": self._trial.curve, "curve_start": 0}
        elif self._publisher is None and result["done"] and not result["status_reason"]:
            self.save()
        node = ray.get_runtime_context().get_node_id()
        return {**result, "done": False, "node": node, "usage": self._usage.of_late()}

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Has Tune take a checkpoint, unless it has been published."""
        if self._study.kept.store is not None:
            return _TrainingResult(checkpoint=None, metrics={})
        return super().save(checkpoint_dir)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the trial into the folder that Tune gives."""
        if self._trial is not None:
            self._trial.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: str) -> None:
        """Leaves it to the next step to find the newest checkpoint."""

    def restore(self, checkpoint_path: Any) -> None:
        """Leaves it to the next step to find the newest checkpoint."""
        self._trial = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turns the actor over to another trial; nothing of the former one stays but the data in memory."""
        self._config, self._trial = new_config, None
        return True

    def _continued(self) -> Trial:
        trial, study = Trial(self._study, self._config), self._study
        if self._publisher is not None:
            self._publisher.close()
        if study.kept.store is not None:
            self._publisher = Publisher(study.folder / FOLDER / str(self._launch) / self.trial_id, study.kept)
        checkpoint = kept_checkpoint(self._study.kept, self.trial_id, self._config)
        if checkpoint is not None:
            trial.load(checkpoint)
        return trial
