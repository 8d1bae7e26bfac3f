"""Whether the disks have room for what a study may write."""

from __future__ import annotations

from pamfn.data.features import Contents
from tuning.cluster import Room
from tuning.engine.sizing import trials_at_once
from tuning.forecast.disk import Disk
from tuning.forecast.machine import Machine
from tuning.forecast.outlook import Outlook
from tuning.forecast.wording import in_units
from tuning.study import Study

WAY_OUT = "free some, give another --storage, or ask for less (tracking.checkpoints: top, budget.trials)"


def disk_faults(study: Study, contents: Contents, room: Room, *, resume: bool) -> tuple[list[str], list[str]]:
    """Returns the places that are too small as faults; as notes for a study that has written part of it already.

    Args:
        study: The study.
        contents: What is known of its videos.
        room: What its trials run on.
        resume: Whether it goes on.
    """
    lines = [
        f"{place.folder}: the study may write {in_units(place.needed)}, {in_units(place.free or 0)} are free; {WAY_OUT}"
        for place in forecast(study, contents, room).places
        if not place.fits
    ]
    return ([], lines) if resume else (lines, [])


def forecast(study: Study, contents: Contents, room: Room) -> Disk:
    """Returns the bytes that a study writes on a cluster of this size."""
    cpus, gpus = int(room.trials * room.cpu), int(room.trials * room.gpu)
    outlook = Outlook(study, contents, Machine(max(1, cpus), 0, ("a GPU",) * gpus))
    outlook.concurrent = trials_at_once(study, room)
    return outlook.disk(outlook.courses(None))
