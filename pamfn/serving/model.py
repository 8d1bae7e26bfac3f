"""A model that answers requests: rows of named fields in (see `pamfn.serving.asked`), one answer a row out."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pamfn.data.faults import ShardError
from pamfn.phases.saved import SavedNetworks, load_networks
from pamfn.serving.asked import Asked, Reader, Row
from pamfn.serving.clips import bank_of
from pamfn.serving.faults import RequestError, shown
from pamfn.serving.places import Places
from pamfn.serving.scorer import Scorer, Seen
from pamfn.serving.shards import Videos, read_videos
from pamfn.serving.tasks import FILE, NetworksOfTask, load_tasks

Answer = dict[str, Any]


class ServedModel:
    """Saved networks that answer requests; several threads may ask at once.

    Args:
        networks: The networks.
        tasks: What they score.
        places: Which shards a request may name.
        device: Where to compute.
    """

    def __init__(
        self,
        networks: SavedNetworks,
        tasks: Sequence[NetworksOfTask],
        places: Places,
        device: torch.device | str = "cpu",
    ) -> None:
        actions = tuple(dict.fromkeys(action for task in tasks for action in task.actions))
        self._reader = Reader(networks.widths, actions, places)
        self._scorer = Scorer(networks, tasks, device)
        self._alone = threading.Lock()  # networks that are called one by one share the tensors of one

    @classmethod
    def load(cls, folder: str | Path) -> ServedModel:
        """Returns the model of a folder with networks and ``tasks.json``.

        Raises:
            ValueError: If it cannot be read; one line that names the file.
        """
        networks = load_networks(Path(folder))
        tasks = load_tasks(Path(folder), networks.names)
        if tasks is None:
            raise ValueError(f"{Path(folder) / FILE}: is not there; it says which class each network scores")
        return cls(networks, tasks, Places.of(os.environ))

    def answer(self, rows: Sequence[Row], *, details: bool = True) -> list[Answer]:
        """Returns for each row its ``video_id``, ``action``, ``score``, ``scores`` by task, and ``networks``.

        A score is the mean over networks in the annotators' unit; ``score`` is None where a class has several, all of
        them in ``scores``. Each of ``networks`` has its ``name``, ``task`` and ``score`` and, as far as the model has
        them, ``decisions`` and ``attention`` of each stage, step by step, or ``highlights``.

        Args:
            rows: The clips; absent fields are left out of a row.
            details: Whether to say how the scores came about.

        Raises:
            RequestError: If a row cannot be answered; every fault of all rows.
        """
        asked, faults = self._reader.read(rows)
        shards = {} if faults else self._shards(asked, faults)
        if faults:
            raise RequestError(faults)
        answers: dict[int, Answer] = {}
        with self._alone:
            for data in dict.fromkeys(one.data for one in asked):
                mine = [one for one in asked if one.data == data]
                answers |= self._answers(mine, shards.get(data), details=details)
        return [answers[at] for at in range(len(rows))]

    def _shards(self, asked: Sequence[Asked], faults: list[str]) -> dict[str, Videos]:
        """Reads the shards that are named; adds what is wrong with them to the faults."""
        found: dict[str, Videos] = {}
        for data in dict.fromkeys(one.data for one in asked if one.data):
            mine = [one for one in asked if one.data == data]
            try:
                ids = [str(one.video_id) for one in mine]
                found[data] = read_videos(data, ids, self._reader.widths, self._scorer.device)
            except ShardError as error:
                faults += [f"data: {fault}" for fault in error.faults]
                continue
            for one in mine:
                action = found[data].actions[str(one.video_id)]
                wrong = self._reader.action_faults(action)
                if one.action not in ("", action):
                    wrong.append(f"action: given {shown(one.action)}; the shards say {action!r}")
                faults += [f"clip {one.at} ({shown(one.video_id)}): {fault}" for fault in wrong]
        return found

    def _answers(self, asked: Sequence[Asked], videos: Videos | None, *, details: bool) -> dict[int, Answer]:
        """Returns the answers to rows of one bank, by their place in the request."""
        if videos is None:
            bank = bank_of([one.clip for one in asked if one.clip is not None], self._scorer.device)
            places, actions = list(range(len(asked))), [one.action for one in asked]
        else:
            ids, bank = [str(one.video_id) for one in asked], videos.bank
            places, actions = [videos.index[name] for name in ids], [videos.actions[name] for name in ids]
        wanted: dict[str, NDArray[np.int64]] = {}
        for task in self._scorer.tasks:
            mine = [place for place, action in zip(places, actions, strict=True) if action in task.actions]
            wanted[task.task] = np.unique(np.array(mine, dtype=np.int64))
        scores = self._scorer.scores(bank, wanted)
        answers = {}
        for one, place, action in zip(asked, places, actions, strict=True):
            tasks = [task for task in self._scorer.tasks if action in task.actions]
            by_task = {t.task: scores[t.task][:, np.searchsorted(wanted[t.task], place)] for t in tasks}
            means = {task: float(each.mean()) for task, each in by_task.items()}
            seen = {t.task: self._scorer.seen(bank, t.task, place) for t in tasks} if details else {}
            answers[one.at] = {
                "video_id": one.video_id,
                "action": action,
                "score": next(iter(means.values())) if len(means) == 1 else None,
                "scores": means,
                "networks": [said for task in tasks for said in self._said(task, by_task[task.task], seen)],
            }
        return answers

    def _said(
        self, task: NetworksOfTask, scores: NDArray[np.float64], seen: Mapping[str, Sequence[Seen]]
    ) -> list[Answer]:
        """Returns what each network of a task says of a video."""
        names = self._scorer.networks.names
        each = seen.get(task.task) or [Seen()] * len(task.networks)
        return [
            {"name": names[index], "task": task.task, "score": float(score), **self._told(one)}
            for index, score, one in zip(task.networks, scores, each, strict=True)
        ]

    def _told(self, seen: Seen) -> Answer:
        """Returns how a score came about as plain values, as far as the model says."""
        told: Answer = {}
        if seen.decisions:
            told["decisions"] = [decided.tolist() for decided in seen.decisions]
        if seen.attention:
            told["attention"] = [dict(zip(self._reader.widths, of.tolist(), strict=True)) for of in seen.attention]
        if len(seen.highlights):
            told["highlights"] = seen.highlights.tolist()
        return told
