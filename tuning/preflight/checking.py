"""All questions to a cluster, and the one list of what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pamfn.data.features import Contents
from tuning.cluster import Room
from tuning.preflight.answering import Question
from tuning.preflight.asking import alive, ask, faults_of, notes_of, shared_file, unseen
from tuning.preflight.disk import disk_faults
from tuning.preflight.growing import room_in
from tuning.storage import StorageError, is_remote
from tuning.study import Study
from tuning.tracking.location import SQLITE


@dataclass(frozen=True)
class Findings:
    """What a cluster is like.

    Args:
        room: What an engine takes, or a trial, and how many fit.
        faults: Why the study cannot start, each with the node's name and the way out.
        notes: What is worth a line.
    """

    room: Room
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def preflight(ray: Any, study: Study, contents: Contents, *, resume: bool) -> Findings:
    """Asks a cluster whether a study can run on it; what is written for that is taken away again.

    Args:
        ray: Ray, connected to the cluster.
        study: The study.
        contents: What is known of its videos.
        resume: Whether it goes on with what is in the storage.
    """
    nodes = alive(ray)
    try:
        with shared_file(study.root, len(nodes)) as (asked, token):
            question = Question(study.root, asked, asked, token, _data(study), _tracking(study))
            told = ask(ray, question, nodes)
            faults = [*faults_of(told, study.digest), *unseen(told, question)]
    except (OSError, StorageError) as error:
        told, faults = [], [f"the driver cannot write to {study.root}: {getattr(error, 'strerror', None) or error}"]
    answers = [each.answer for each in told if each.answer is not None]
    types = next((said.types for said in answers if said.types is not None), None)
    held = [node["Resources"] for node in nodes]
    room, small, notes = room_in(held, types, study.space.resources, grows=any(said.grows for said in answers))
    full, tight = disk_faults(study, contents, room, resume=resume) if not small else ([], [])
    return Findings(room, (*small, *faults, *full), (*notes, *notes_of(told), *tight))


def _data(study: Study) -> str:
    """Returns where the shards are; nothing for planted data that are yet to be made, in the storage."""
    if is_remote(study.data):
        return study.data if study.space.data.synthetic is None else ""
    return study.data if Path(study.data).exists() else ""


def _tracking(study: Study) -> str:
    """Returns where MLflow is; nothing for a file, which the driver alone writes."""
    return "" if study.tracking_uri.partition(":")[0] in SQLITE else study.tracking_uri
