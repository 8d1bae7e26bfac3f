"""The rows of a request, read: each a clip by its features, or by where they are.

- ``rgb``, ``flow``, ``audio`` or whatever streams the model reads: a list of segments, each a list of numbers; clips
  may differ in length, the streams of a clip may not;
- or ``data``, a folder or URI of shards, and ``video_id``, a video in it;
- ``action``: its class; may be left out where the model knows one class only, or the shards say it;
- ``video_id``: with features, any label, which the answer repeats.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.serving.clips import Clip, read_clip
from pamfn.serving.faults import shown
from pamfn.serving.places import Places

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Asked:
    """A row that can be answered.

    Args:
        at: Its place in the request.
        action: Its class; empty if the shards are to say it.
        video_id: What it is called, if anything.
        clip: Its features; None if they are in shards.
        data: Where the shards are; empty if it has features.
    """

    at: int
    action: str
    video_id: str | None
    clip: Clip | None = None
    data: str = ""


@dataclass(frozen=True)
class Reader:
    """Reads the rows of requests to a model.

    Args:
        widths: Numbers in a segment of each stream that it reads.
        actions: The classes that it scores.
        places: Which shards a request may name.
    """

    widths: Mapping[str, int]
    actions: Sequence[str]
    places: Places

    def read(self, rows: Sequence[Row]) -> tuple[list[Asked], list[str]]:
        """Returns the rows that can be answered, and what is wrong with the others."""
        asked, faults = list[Asked](), list[str]()
        if not rows:
            faults.append("given no clips; wanted one row a clip")
        for at, row in enumerate(rows):
            wrong = [
                f"{name}: given {shown(row[name])}; wanted a string"
                for name in ("action", "video_id", "data")
                if name in row and name not in self.widths and not isinstance(row[name], str)
            ]
            if not wrong:
                named = "data" in row and "data" not in self.widths  # a stream may be called so
                found, wrong = self._named(at, row) if named else self._featured(at, row)
                asked.append(found)
            faults += [f"{_place(at, row)}: {fault}" for fault in wrong]
        return asked, faults

    def action_faults(self, action: str | None) -> list[str]:
        """Returns why clips of a class, or of none, cannot be scored."""
        wanted = f"wanted one of {', '.join(map(repr, self.actions))}"
        if action is None:
            return [f"action: missing; {wanted}"]
        if action in self.actions:
            return []
        near = difflib.get_close_matches(action, self.actions, n=1)
        return [f"action: given {shown(action)}; {wanted}" + (f"; did you mean {near[0]!r}?" if near else "")]

    def _featured(self, at: int, row: Row) -> tuple[Asked, list[str]]:
        """Reads a row with features."""
        clip, faults = read_clip(row, self.widths)
        action = row.get("action", self.actions[0] if len(self.actions) == 1 else None)
        return Asked(at, str(action), row.get("video_id"), clip), faults + self.action_faults(action)

    def _named(self, at: int, row: Row) -> tuple[Asked, list[str]]:
        """Reads a row that names shards."""
        data, faults = "", list[str]()
        if both := [name for name in self.widths if name in row]:
            faults.append(f"given data and {', '.join(both)}; wanted shards and a video_id, or features")
        if "video_id" not in row:
            faults.append("video_id: missing; wanted with data: the id of a video in its shards")
        try:
            data = self.places.find(row["data"])
        except ValueError as error:
            faults.append(f"data: {error}")
        return Asked(at, row.get("action", ""), row.get("video_id"), data=data), faults


def _place(at: int, row: Row) -> str:
    return f"clip {at}" if row.get("video_id") is None else f"clip {at} ({shown(row['video_id'])})"
