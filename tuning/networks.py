"""All networks of a trial: those that train side by side now, and those that rest where they stood."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from pamfn.metrics import AVERAGES
from pamfn.phases.fusion import read_by_model
from pamfn.phases.objective import objective_of
from pamfn.recipe import Recipe
from tuning.branches import BranchStore
from tuning.cohort import Cohort, CohortLike, CohortMaker
from tuning.milestone import Milestone
from tuning.pretraining import Pretraining
from tuning.study_data import StudyData


class Networks:
    """The replicas of a trial on top of their pretrained branches, any of which can be trained on from where it stands.

    Args:
        recipe: The trial's settings.
        data: Features and replicas.
        branch_store: Folder of the pretrained branches that all studies of a root share.
        cohorts: Puts replicas side by side; by default in programs of this trial's own.
        clock: Seconds of training, which never go back.

    Attributes:
        branch_seconds: How long branches were trained for these networks.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: StudyData,
        branch_store: str,
        cohorts: CohortMaker = Cohort,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.names = [replica.name for replica in data.replicas]
        self.branch_scores: dict[str, dict[str, float]] = {}
        self.parameters, self.branch_seconds = 0, 0.0
        self._trained_before = 0
        self._clock = clock
        self._recipe, self._data, self._branch_store, self._cohorts = recipe, data, branch_store, cohorts
        self._bank = read_by_model(recipe, data.bank)
        self._pretraining: Pretraining | None = None
        self._cohort: CohortLike | None = None
        self._resting: dict[str, Mapping[str, Tensor]] = {}

    def train(self, rows: Sequence[int], progress: float) -> Milestone:
        """Trains some of the replicas to a milestone.

        Args:
            rows: Which, as indices; the others rest.
            progress: Share of the full budget.

        Raises:
            BranchDiverged: If a branch that had to be trained here diverged.
        """
        names = [self.names[row] for row in rows]
        if self._cohort is None or self._cohort.names != names:
            self._rest()
            self._cohort = self._gathered(rows)
        return self._cohort.train(progress)

    def states(self) -> dict[str, Mapping[str, Tensor]]:
        """Returns all that each replica that has begun needs to go on, by name, in the order of the replicas."""
        states = self._resting | (self._cohort.states() if self._cohort else {})
        return {name: states[name] for name in self.names if name in states}

    def restore(
        self,
        states: Mapping[str, Mapping[str, Tensor]],
        branch_scores: dict[str, dict[str, float]],
        trained: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Takes up what ``states`` and ``branch_scores`` were; the replicas rest until they are trained on.

        Args:
            states: Where each replica stood.
            branch_scores: What their branches score alone.
            trained: Branches that were trained for them.
            seconds: How long that took.
        """
        self.close()
        self._trained_before, self.branch_seconds = trained, seconds
        self._resting, self.branch_scores = dict(states), branch_scores

    def close(self) -> None:
        """Gives back what the replicas that train hold; where they stood is lost."""
        cohort, self._cohort = self._cohort, None
        if cohort is not None:
            cohort.close()

    def branch_averages(self) -> dict[str, float]:
        """Returns the average of what each modality's branches score alone, of the replicas that have begun."""
        average = AVERAGES[objective_of(self._recipe).metric]
        return {modality: average(list(scores.values())) for modality, scores in self.branch_scores.items()}

    def branch_keys(self) -> dict[str, list[str]]:
        """Returns by modality the keys of all replicas' branches; nothing before the first is asked for."""
        return self._pretraining.keys if self._pretraining else {}

    def branch_counts(self) -> tuple[int, int]:
        """Returns how many branches were trained for these networks, wherever they were, and how many were there."""
        trained, loaded = (self._pretraining.trained, self._pretraining.loaded) if self._pretraining else (0, 0)
        return self._trained_before + trained, max(0, loaded - self._trained_before)

    def _rest(self) -> None:
        """Puts those that train to rest, so that the next ones have the memory."""
        if self._cohort is not None:
            self._resting |= self._cohort.states()
            self.close()

    def _gathered(self, rows: Sequence[int]) -> CohortLike:
        """Returns replicas side by side, each where it stood when it trained last."""
        replicas = [self._data.replicas[row] for row in rows]
        cohort = self._cohorts(self._recipe, replicas, self._bank, self._branches(rows))
        for name in cohort.names:
            if name in self._resting:
                cohort.restore(name, self._resting.pop(name))
        self.parameters = cohort.parameters
        return cohort

    def _branches(self, rows: Sequence[int]) -> dict[str, list[dict[str, Tensor]]] | None:
        """Returns the pretrained branches of replicas, and notes what each scores alone; None in one stage."""
        if self._recipe.phases == "one":
            return None
        if self._pretraining is None:
            data, store = self._data, BranchStore(self._branch_store)
            self._pretraining = Pretraining(
                self._recipe, data.replicas, self._bank, data.contents, store, self._cohorts
            )
        began, trained = self._clock(), self._pretraining.trained
        branches, scores = self._pretraining.branches(rows)
        if self._pretraining.trained > trained:  # else it loaded them, or waited for who trained them
            self.branch_seconds += self._clock() - began
        for modality, values in scores.items():
            named = zip((self.names[row] for row in rows), values, strict=True)
            self.branch_scores.setdefault(modality, {}).update(named)
        return branches
