"""The end of a study: the best configurations trained on the whole training split, and the test split opened once.

Configurations are chosen by their held-out folds before any test video is read; the opening is recorded under the
digest of the data, so that a renamed study cannot hide that it looked before.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pamfn.metrics import bootstrap_averages, fisher_mean, interval, spearman
from pamfn.model.network import build_branch
from pamfn.phases.fusion import fusion_training
from pamfn.phases.memory import replicas_at_once
from pamfn.phases.replica import Replica, whole_split
from pamfn.phases.saved import SavedNetworks, load_networks, save_networks
from pamfn.phases.scoring import predict
from pamfn.replicas.cut import cut, put
from tuning.branches import BranchStore
from tuning.pretraining import Pretraining
from tuning.study import Study
from tuning.study_data import split_data

RESULTS, OPENINGS, BRANCHES = "final.json", "openings.jsonl", "branches.safetensors"
DRAWS = 4000


@dataclass(frozen=True)
class Candidate:
    """A configuration that was chosen by its held-out score.

    Args:
        rank: 1 for the best.
        trial_id: Its trial.
        config: Values of the searched settings.
        objective: Its score at the last rung, the full budget.
    """

    rank: int
    trial_id: str
    config: dict[str, Any]
    objective: float


def choose(rows: Sequence[Mapping[str, Any]], top: int) -> list[Candidate]:
    """Returns the best trials among those that ran their full budget, by the score at its end.

    Args:
        rows: One a trial, with ``trial_id``, ``config``, ``reason`` and, of one that finished, ``val_spearman``.
        top: How many at most.
    """
    done = [r for r in rows if r["reason"] == "finished" and math.isfinite(r["val_spearman"])]
    done.sort(key=lambda r: (-r["val_spearman"], r["trial_id"]))
    return [
        Candidate(rank, r["trial_id"], dict(r["config"]), r["val_spearman"])
        for rank, r in enumerate(done[:top], start=1)
    ]


def folder_of(study: Study, candidate: Candidate) -> Path:
    """Returns where a candidate's final networks are kept."""
    return Path(study.storage) / "final" / candidate.trial_id


def train_final(study: Study, candidate: Candidate) -> float:
    """Trains a candidate on the whole training split over the study's final seeds, and keeps the networks.

    Nothing is scored: the test split is not read here. Networks that are already there are not trained again.

    Returns:
        Seconds it took.

    Raises:
        ValueError: If a network diverged; the message names it.
    """
    begin, folder = time.monotonic(), folder_of(study, candidate)
    recipe = study.space.recipe(candidate.config)
    contents, bank = split_data(study, ("train",), "cuda" if torch.cuda.is_available() else "cpu")
    replicas = whole_split(
        contents, study.tasks, seeds=study.space.final.seeds, seed=study.seed, trained_on="train", scored_on=None
    )
    names = [replica.name for replica in replicas]
    if (folder / BRANCHES).exists() and load_networks(folder).names == names:
        return 0.0
    branches = None
    if recipe.phases == "two":
        branches, _ = Pretraining(recipe, replicas, bank, contents, BranchStore(study.branch_store)).branches()
    room = replicas_at_once(recipe, bank.widths, len(replicas), bank.device)
    states, targets = [], []
    for first in range(0, len(replicas), room):
        some = slice(first, first + room)
        mine = None if branches is None else {m: s[some] for m, s in branches.items()}
        training = fusion_training(recipe, replicas[some], bank, mine)
        (report,) = training.run([1.0], score=False)
        ended = [f"{r.name}: {why}" for r, why in zip(replicas[some], report.ended, strict=True) if why]
        if ended:
            raise ValueError(f"final training of trial {candidate.trial_id}: {'; '.join(ended)}")
        states += [{n: v.cpu() for n, v in cut(training.network, r).items()} for r in range(len(training.replicas))]
        targets += training.targets
    save_networks(folder, SavedNetworks(recipe, dict(bank.widths), names, targets, states))
    _save_branches(folder / BRANCHES, branches or {})
    return time.monotonic() - begin


def _save_branches(path: Path, branches: Mapping[str, Sequence[Mapping[str, torch.Tensor]]]) -> None:
    from safetensors.torch import save_file

    tensors = {f"{m}/{i}/{n}": v for m, states in branches.items() for i, s in enumerate(states) for n, v in s.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary)
    temporary.replace(path)


def open_test(study: Study, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Scores the candidates' final networks on the test split, once, and records that it was opened.

    Returns:
        What ``final.json`` holds: for each candidate the correlation of each class and their Fisher-z average, with 95%
        bootstrap intervals over videos and the deviation over seeds, beside each single branch of the same networks.
    """
    looked_at = {"candidates": [asdict(c) for c in candidates], "seeds": study.space.final.seeds, "seed": study.seed}
    chosen = hashlib.sha256(json.dumps(looked_at, sort_keys=True).encode()).hexdigest()
    opening = _record_opening(study, chosen)
    contents, bank = split_data(study, ("test",), "cpu")
    replicas = whole_split(
        contents, study.tasks, seeds=study.space.final.seeds, seed=study.seed, trained_on=None, scored_on="test"
    )
    rows = []
    for candidate in candidates:
        folder = folder_of(study, candidate)
        networks = load_networks(folder)
        videos = [replica.valid for replica in replicas]
        scores = {"fusion": predict(networks.network(bank.device), bank, videos)}
        scores |= {m: predict(b, bank, videos) for m, b in _load_branches(folder / BRANCHES, networks).items()}
        rows.append({**asdict(candidate), "models": _judged(scores, replicas, study.seed)})
        _write_predictions(folder / "predictions.parquet", contents.video_ids, networks, scores["fusion"], replicas)
    result = {"opening": opening, "seeds": study.space.final.seeds, "candidates": rows}
    path = Path(study.storage) / RESULTS
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")
    temporary.replace(path)
    return result


def read_results(study: Study) -> dict[str, Any] | None:
    """Returns what an earlier run of this study found when it opened the test split; None if it has not."""
    path = Path(study.storage) / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _record_opening(study: Study, chosen: str) -> dict[str, Any]:
    """Appends to the root's record of openings, before anything is read; returns the entry with its number.

    A study that was killed between this and its results goes on with the opening that it has recorded.
    """
    path = Path(study.root) / OPENINGS
    before = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    mine = [entry for entry in before if entry["digest"] == study.digest]
    if unfinished := next((e for e in mine if (e["study"], e["chosen"]) == (study.name, chosen)), None):
        return dict(unfinished)  # killed while it was scoring; nothing new is looked at
    entry = {
        "digest": study.digest,
        "study": study.name,
        "chosen": chosen,
        "user": _user(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "number": 1 + len(mine),
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    return entry


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user id
        return "unknown"


def _load_branches(path: Path, networks: SavedNetworks) -> dict[str, torch.nn.Module]:
    from safetensors.torch import load_file

    tensors = load_file(path)
    branches: dict[str, torch.nn.Module] = {}
    for modality in dict.fromkeys(name.split("/", 1)[0] for name in tensors):
        branch = build_branch(networks.recipe, modality, networks.widths[modality], len(networks.names))
        for replica in range(len(networks.names)):
            prefix = f"{modality}/{replica}/"
            put(branch, replica, {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
        branches[modality] = branch.eval()
    return branches


def _judged(
    scores: Mapping[str, Sequence[NDArray[np.float64]]], replicas: Sequence[Replica], seed: int
) -> dict[str, dict[str, Any]]:
    """Returns, for the fusion and for each single branch, the test correlation by class and on average."""
    tasks = list(dict.fromkeys(replica.task for replica in replicas))
    truth = {r.task: r.scores_V[r.valid] for r in replicas}
    judged: dict[str, dict[str, Any]] = {}
    draws = {}
    for model, predicted in scores.items():
        by_task = {t: np.stack([p for p, r in zip(predicted, replicas, strict=True) if r.task == t]) for t in tasks}
        draws[model] = bootstrap_averages(
            [by_task[t] for t in tasks], [truth[t] for t in tasks], seed=seed, draws=DRAWS
        )
        each = {t: [spearman(p, truth[t]) for p in by_task[t]] for t in tasks}
        by_seed = [fisher_mean(same_seed) for same_seed in zip(*each.values(), strict=True)]
        judged[model] = {
            "average": _with_interval(by_seed, draws[model]),
            "classes": {
                t: _with_interval(each[t], bootstrap_averages([by_task[t]], [truth[t]], seed=seed, draws=DRAWS))
                for t in tasks
            },
        }
    for model in [m for m in scores if m != "fusion"]:
        low, high = interval(draws["fusion"] - draws[model])
        gain = judged["fusion"]["average"]["spearman"] - judged[model]["average"]["spearman"]
        judged[model]["fusion_gain"] = {"spearman": gain, "low": low, "high": high}
    return judged


def _with_interval(correlations: Sequence[float], draws: NDArray[np.float64]) -> dict[str, Any]:
    low, high = interval(draws)
    deviation = float(np.std(correlations, ddof=1)) if len(correlations) > 1 else None
    return {
        "spearman": fisher_mean(correlations),
        "low": low,
        "high": high,
        "deviation": deviation,
        "each": list(correlations),
    }


def _write_predictions(
    path: Path,
    video_ids: Sequence[str],
    networks: SavedNetworks,
    scores: Sequence[NDArray[np.float64]],
    replicas: Sequence[Replica],
) -> None:
    """Writes every final network's score of every test video, in the annotators' unit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {"network": [], "task": [], "video_id": [], "predicted": [], "annotated": []}
    for replica, target, mine in zip(replicas, networks.targets, scores, strict=True):
        columns["network"] += [replica.name] * len(mine)
        columns["task"] += [replica.task] * len(mine)
        columns["video_id"] += [video_ids[v] for v in replica.valid]
        columns["predicted"] += target.decode(mine).tolist()
        columns["annotated"] += replica.scores_V[replica.valid].tolist()
    pq.write_table(pa.table(columns), path)
