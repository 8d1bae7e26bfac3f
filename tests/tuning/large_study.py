"""A study of a hundred trials as it would have been: the real search on scores that follow from the configurations."""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import random
from collections.abc import Mapping
from typing import Any

from tuning.report.history import History, history
from tuning.score_metric import SPEARMAN
from tuning.search import Journal, SearchedTrial, SearchSettings, StudySearch
from tuning.space import load_space
from tuning.space_model import Space
from tuning.study import rung_epochs
from tuning.tracking import StudyResults, TrialResult
from tuning.tracking.names import run_name

RG, FOLDS = ("Ball", "Clubs", "Hoop", "Ribbon"), 5
EPOCHS, EVERY = 400, 10
BEGAN = 1_700_000_000.0
ENGINES, SLOTS = 2, 4
BRANCHES = len(RG) * FOLDS * 3  # of a trial: classes, folds, modalities
BRANCH_SECONDS = 7.0


def quality(config: Mapping[str, Any]) -> float:
    """What a configuration reaches in truth, on Fisher's z scale: the learning rate matters most, then K."""
    far = abs(math.log10(config["lr"] / 9e-4)) ** 1.5
    return 1.05 - 0.9 * far - 0.006 * (config["fusion_nets"] - 8) ** 2 + 0.02 * (config["stages"] == 3)


class Training:
    """A trial that trains on a slot of an engine, from rung to rung.

    Args:
        number: Its number, which all its noise comes from.
        config: Its settings; a large learning rate diverges at the second rung.
        rungs: The epochs of the rungs.
    """

    def __init__(self, number: int, config: Mapping[str, Any], rungs: list[int]) -> None:
        self.rungs, self.rung, self.seconds = rungs, 0, 0.0
        self.diverges = config["lr"] > 1.9e-3
        self.pace = 0.9 + 0.06 * config["fusion_nets"]  # seconds an epoch
        self.made = BRANCHES if number < 3 else 0  # the first ones train branches that all others share
        self._random = random.Random(number)
        self.level = quality(config) + self._random.gauss(0, 0.02)
        self._lean = {(task, fold): self._random.gauss(0, 0.07) for task in RG for fold in range(FOLDS)}

    @property
    def start(self) -> int:
        """The epoch that it stands at."""
        return self.rungs[self.rung - 1] if self.rung else 0

    @property
    def leg(self) -> float:
        """Seconds to the next rung."""
        branches = BRANCH_SECONDS * self.made if not self.rung else 0.0
        return branches + self.pace * (self.rungs[self.rung] - self.start)

    def advance(self, engine: int) -> dict[str, Any]:
        """Returns the result at the next rung."""
        end = self.rungs[self.rung]
        self.seconds += self.leg / SLOTS
        curve = [self._point(epoch) for epoch in sorted({*range(self.start + EVERY, end, EVERY), end})]
        score = math.nan if self.diverges and self.rung else curve[-1]["val_spearman"]
        told = {
            "val_spearman": score,
            "epoch": end,
            "progress": end / EPOCHS,
            "rung": self.rung,
            "curve": curve,
            "status_reason": "diverged: Hoop/fold2/seed0" if math.isnan(score) else "",
            "train_seconds": self.seconds,
            "engine": engine,
            "branches_trained": self.made,
            "branches_loaded": BRANCHES - self.made,
            "branch_seconds": BRANCH_SECONDS * self.made / SLOTS,
        }
        self.rung += 1
        return told

    def _point(self, epoch: int) -> dict[str, Any]:
        grown = self.level * (1 - math.exp(-epoch / 60))
        scores = {
            f"{task}/fold{fold}/seed0": math.tanh(
                grown + lean + 0.08 * RG.index(task) - 0.12 + self._random.gauss(0, 0.02)
            )
            for (task, fold), lean in self._lean.items()
        }
        average = SPEARMAN.average(list(scores.values()))
        return {"epoch": epoch, "progress": epoch / EPOCHS, "val_spearman": average, "scores": scores}


class Cluster:
    """Engines with slots on a clock of their own; the study may be interrupted once and goes on an hour later."""

    def __init__(self, space: Space, trials: int, interrupted: float | None) -> None:
        self.now, self._interrupted = BEGAN, interrupted
        self.rungs = rung_epochs(space.scheduler, EPOCHS)
        settings = SearchSettings(
            seed=space.seed,
            concurrent=ENGINES * SLOTS,
            trials=trials,
            first=space.first_point(),
            searcher="hyperopt",
            warmup=8,
            rungs=len(self.rungs),
        )
        self.search = StudySearch(space.region, settings, Journal(None, lambda: self.now))
        self._queue: list[tuple[float, int, str, int]] = []
        self._order, self._free = itertools.count(), [e for _ in range(SLOTS) for e in range(ENGINES)]
        self._training: dict[str, Training] = {}

    def run(self, until: float = math.inf) -> None:
        """Lets the study run, to its end or until some seconds have passed."""
        self.search.journal.append("launched", seed=0, concurrent=ENGINES * SLOTS, space="")
        while True:
            self._assign()
            if not self._queue or self._queue[0][0] > BEGAN + until:
                return
            self._report()

    def _assign(self) -> None:
        while self._free and (work := self.search.next()) is not None:
            made = Training(len(self._training), work.config, self.rungs)
            training = self._training.setdefault(work.trial, made)
            self._begin(work.trial, training, self._free.pop(0))

    def _begin(self, trial: str, training: Training, engine: int) -> None:
        heapq.heappush(self._queue, (self.now + training.leg, next(self._order), trial, engine))

    def _report(self) -> None:
        self.now, _, trial, engine = heapq.heappop(self._queue)
        if self._interrupted is not None and self.now > BEGAN + self._interrupted:
            self._interrupted = None
            self.now += 3600.0
            self.search.journal.append("launched", seed=0, concurrent=ENGINES * SLOTS, space="")
            self._queue = [(when + 3600.0, *rest) for when, *rest in self._queue]
        training = self._training[trial]
        if self.search.report(trial, training.advance(engine)).action == "goes on":
            self._begin(trial, training, engine)
        else:
            self._free.append(engine)


def result_of(held: SearchedTrial, first: bool) -> TrialResult:
    """A trial as its run would tell it."""
    points = [point for told in held.results for point in told["curve"]]
    last = held.results[-1] if held.results else {"epoch": 0, "train_seconds": 0.0}
    scores: dict[str, list[float]] = {}
    for name, value in (points[-1]["scores"] if points else {}).items():
        task, fold, _ = name.split("/")
        scores.setdefault(f"val_spearman.{task}.{fold}", []).append(value)
    return TrialResult(
        trial_id=held.trial,
        name=run_name(held.config),
        run_id=f"run{held.number}",
        values=held.config,
        reason=held.reason,
        first=first,
        rung=held.rung,
        score=held.scores[held.rung] if held.rung >= 0 else math.nan,
        best=max((point["val_spearman"] for point in points), default=math.nan),
        epochs=last["epoch"],
        seconds=last["train_seconds"],
        curve=tuple((point["epoch"], point["val_spearman"]) for point in points),
        folds={name: SPEARMAN.average(values) for name, values in scores.items()},
        scalars={"branch_spearman.rgb": 0.61, "branch_spearman.flow": 0.55, "branch_spearman.audio": 0.43},
    )


@functools.cache
def large(
    trials: int = 100, seed: int = 0, until: float = math.inf, name: str = "rg", interrupted: float | None = None
) -> tuple[StudyResults, History]:
    """Returns a study of rhythmic gymnastics and its journal.

    Args:
        trials: How many it was to try.
        seed: Its seed.
        until: Seconds after which it is looked at, if it is to be running still.
        name: Its name.
        interrupted: Seconds after which it was interrupted, to go on an hour later.
    """
    space = load_space("rg.yaml", [f"seed={seed}", f"budget.trials={trials}"])
    cluster = Cluster(space, trials, interrupted)
    cluster.run(until)
    held = list(cluster.search.trials.values())
    results = StudyResults(
        name=name,
        uri="sqlite:////nowhere/mlflow.db",
        experiment_id="1",
        study_run_id="run",
        space=space,
        tags={"data_digest": "0123456789abcdef" * 4, "git_commit": "0" * 40}
        | ({} if until < math.inf else {"status_reason": "finished"}),
        trials=tuple(result_of(one, first=one.number == 0) for one in held),
        modalities=("rgb", "flow", "audio"),
    )
    return results, history(cluster.search.journal.events)
