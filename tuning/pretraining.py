"""Phase 1 for a set of replicas, through the store that trials and studies share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.data.features import Contents
from pamfn.phases.branches import branch_settings
from pamfn.phases.replica import Replica
from pamfn.recipe import Recipe
from tuning.branches import BranchStore, branch_key
from tuning.cohort import Cohort, CohortMaker
from tuning.divergence import BranchDiverged, first_fault

HELD_OUT = "held_out_spearman"  # stored beside a branch's weights; NaN where nothing was held out
FORMAT = 1  # of the training itself; a change of its numbers makes new keys


class Pretraining:
    """The branches of a trial's replicas: loaded where somebody has trained them, trained where nobody has.

    Args:
        recipe: The trial's settings.
        replicas: Its replicas.
        bank: Features, with the modalities in the network's order.
        contents: The videos that the bank holds.
        store: Where branches are kept.
        cohorts: Trains those that nobody has trained.
    """

    def __init__(
        self,
        recipe: Recipe,
        replicas: Sequence[Replica],
        bank: Bank,
        contents: Contents,
        store: BranchStore,
        cohorts: CohortMaker = Cohort,
    ) -> None:
        self._cohorts = cohorts
        self._recipe, self._replicas, self._bank, self._store = recipe, replicas, bank, store
        self.keys = {
            modality: [artefact_key(recipe, modality, replica, contents) for replica in replicas]
            for modality in bank.widths
        }
        self._asked = {key: (m, i) for m, keys in self.keys.items() for i, key in enumerate(keys)}
        self.trained, self.loaded = 0, 0
        self._fetched: set[str] = set()

    def branches(
        self, some: Sequence[int] | None = None
    ) -> tuple[dict[str, list[dict[str, Tensor]]], dict[str, list[float]]]:
        """Returns, by modality, each replica's branch and its correlation on the held-out fold.

        Args:
            some: Indices of the replicas that are asked for; None for all.

        Raises:
            BranchDiverged: If a branch that had to be trained here diverged.
        """
        rows = range(len(self._replicas)) if some is None else some
        asked, trained = [keys[i] for keys in self.keys.values() for i in rows], self.trained
        found = self._store.fetch(asked, self._train, chunk=None if self._cohorts.together else len(rows))
        self.loaded += max(0, len({*asked} - self._fetched) - (self.trained - trained))
        self._fetched.update(asked)
        states = {m: [dict(found[keys[i]]) for i in rows] for m, keys in self.keys.items()}
        scores = {m: [float(state.pop(HELD_OUT)) for state in mine] for m, mine in states.items()}
        return states, scores

    def _train(self, keys: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Tensor], Mapping[str, Any]]]:
        """Trains the branches of these keys, those of one modality side by side, and maybe all modalities at once."""
        groups: dict[str, list[str]] = {}
        for key in keys:
            groups.setdefault(self._asked[key][0], []).append(key)
        with ThreadPoolExecutor(len(groups)) as threads:  # each waits for the device
            each = threads.map if self._cohorts.together else map
            for made in chain.from_iterable(each(self._train_one, groups, groups.values())):
                self.trained += 1
                yield made

    def _train_one(
        self, modality: str, keys: Sequence[str]
    ) -> list[tuple[str, Mapping[str, Tensor], Mapping[str, Any]]]:
        replicas = [self._replicas[self._asked[key][1]] for key in keys]
        scored = all(len(replica.valid) for replica in replicas)
        report, states = self._cohorts.branches(self._recipe, modality, replicas, self._bank, score=scored)
        if fault := first_fault([f"{modality} branch of {replica.name}" for replica in replicas], report.ended):
            raise BranchDiverged(fault)
        scores = report.scores if scored else [math.nan] * len(keys)
        meta = {"modality": modality, "settings": branch_settings(self._recipe)}
        return [
            (key, {**state, HELD_OUT: torch.tensor(score)}, {**meta, "replica": replica.name})
            for key, replica, state, score in zip(keys, replicas, states, scores, strict=True)
        ]


def artefact_key(recipe: Recipe, modality: str, replica: Replica, contents: Contents) -> str:
    """Returns a branch's content key: its settings, the data, the videos it trains and is scored on, its seed."""
    return branch_key(
        settings=branch_settings(recipe),
        format=FORMAT,
        modality=modality,
        data=contents.schema.digest,
        of_class=replica.task,
        videos=_digest(replica, contents),
        seed=replica.seed,
    )


def _digest(replica: Replica, contents: Contents) -> str:
    digest = hashlib.sha256()
    for videos in (replica.train, replica.valid):
        digest.update(b"|".join(f"{contents.video_ids[v]}={replica.scores_V[v]!r}".encode() for v in videos) + b"||")
    return digest.hexdigest()
