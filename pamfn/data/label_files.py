"""Label files of the known layouts, read row by row: every bad row is a fault, none stops the reading."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pamfn.data.rules import counted, repeated, score_fault, split_fault


@dataclass(frozen=True)
class Label:
    """What an annotator says of one video.

    Args:
        video_id: Name of the video.
        split: ``train`` or ``test``.
        scores: Annotated scores by name.
        where: File and line, for messages.
        action: Action class, where the file has a column for it.
        group: Athlete, speaker or the like; None where there is none.
    """

    video_id: str
    split: str
    scores: dict[str, float]
    where: str
    action: str = ""
    group: str | None = None


def read_text(path: Path, root: Path, faults: list[str]) -> str:
    """Returns the text of a label file; an unreadable one is a fault, and empty."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        faults.append(f"{path.relative_to(root)}: cannot be read ({error.strerror})")
    except UnicodeDecodeError as error:
        faults.append(f"{path.relative_to(root)}: is not UTF-8 text (byte {error.start})")
    return ""


def headless_labels(
    text: str, file: str, split: str, largest: dict[str, float], wanted: Sequence[str], faults: list[str]
) -> list[Label]:
    """Reads ``id TES PCS [deductions]``, separated by blanks, without a header (Fis-V).

    Args:
        text: Content of the file.
        file: Its name, for messages.
        split: The split that the file lists.
        largest: Names of the score columns in order, and C of each.
        wanted: The scores to keep.
        faults: Takes one line for every row that breaks a rule.
    """
    labels, names = [], list(largest)
    for number, line in _lines(text):
        cells, where = line.split(), f"{file}:{number}"
        if not len(names) < len(cells) <= len(names) + 2:
            faults.append(f"{where}: {counted(len(cells), 'cell')}; a row is: id {' '.join(names)} [deductions]")
            continue
        read = dict(zip(names, cells[1:], strict=False))
        scores = _scores({name: read[name] for name in wanted}, largest, cells[0], where, faults)
        labels.append(Label(cells[0], split, scores, where))
    return labels


def tabbed_labels(text: str, file: str, split: str, score: str, largest: float, faults: list[str]) -> list[Label]:
    """Reads tab-separated rows under a header with ``name`` and the score's column (Rhythmic Gymnastics)."""
    rows = list(_lines(text))
    if not rows:
        return []
    header = [cell.strip().lower() for cell in rows[0][1].split("\t")]
    missing = [column_fault(file, name, header) for name in ("name", score.lower()) if name not in header]
    faults += missing
    labels: list[Label] = []
    for number, line in [] if missing else rows[1:]:
        cells, where = [cell.strip() for cell in line.rstrip().split("\t")], f"{file}:{number}"
        row = {**dict.fromkeys(header, ""), **dict(zip(header, cells, strict=False))}
        if len(cells) > len(header) or not row["name"]:
            faults.append(f"{where}: {counted(len(cells), 'cell')}, name {row['name']!r}; the header has {len(header)}")
            continue
        scores = _scores({score: row[score.lower()]}, {score: largest}, row["name"], where, faults)
        labels.append(Label(row["name"], split, scores, where))
    return labels


def csv_labels(
    text: str,
    file: str,
    score: str | None,
    largest: float,
    faults: list[str],
    *,
    action_column: str | None = None,
    group_column: str | None = None,
) -> list[Label]:
    """Reads comma-separated rows under a header with ``id``, ``split`` and the columns named here, if they are."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        faults.append(f"{file}: is not comma-separated text ({error})")
        return []
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    named = [c for c in ("id", "split", score, action_column, group_column) if c is not None]
    missing = _header_faults(file, named, header)
    faults += missing
    labels = []
    for number, cells in [] if missing else rows[1:]:
        if not cells:
            continue
        where, row = f"{file}:{number}", dict(zip(header, (c.strip() for c in cells), strict=False))
        if len(cells) != len(header):
            faults.append(
                f"{where}: {counted(len(cells), 'cell')}, id {row.get('id', '')!r}; the header has {len(header)}"
            )
            continue
        if not row["id"]:
            faults.append(f"{where}: column 'id' is empty; every video has an id")
            continue
        if rule := split_fault(row["split"]):
            faults.append(f"{where}: video {row['id']!r}: {rule}")
        action = "all" if action_column is None else row[action_column]
        if not action:
            faults.append(f"{where}: video {row['id']!r}: column {action_column!r} is empty; every video has an action")
        scores = _scores({score: row[score]}, {score: largest}, row["id"], where, faults) if score else {}
        group = row[group_column] or None if group_column else None
        labels.append(Label(row["id"], row["split"], scores, where, action, group))
    return labels


def _header_faults(file: str, named: Sequence[str], header: Sequence[str]) -> list[str]:
    separators = [s for s in (";", "\t", "|") if s in header[0]] if len(header) == 1 else []
    if separators:
        return [f"{file}:1: columns are separated by {separators[0]!r}; this file's are by ','"]
    twice = [f"{file}:1: column {name!r} occurs {n} times; keep one" for name, n in repeated(header).items() if name]
    return [column_fault(file, name, header) for name in named if name not in header] + twice


def column_fault(file: str, name: str, header: Sequence[str]) -> str:
    """Returns the message for a column that a header lacks."""
    near = difflib.get_close_matches(name, header, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{file}: no column {name!r}; there are {', '.join(header) or 'none'}{hint}"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip())


def _scores(
    cells: dict[str, str], largest: dict[str, float], video: str, where: str, faults: list[str]
) -> dict[str, float]:
    scores = {}
    for name, cell in cells.items():
        scores[name], rule = _number(name, cell)
        rule = rule or score_fault(name, scores[name], largest[name])
        if rule:
            faults.append(f"{where}: video {video!r}: {rule}")
    return scores


def _number(name: str, cell: str) -> tuple[float, str | None]:
    try:
        if "_" in cell:  # Python reads 1_0 as 10
            raise ValueError(cell)
        return float(cell) if cell.strip() else math.nan, None
    except ValueError:
        return math.nan, f"score {name!r} is {cell!r}, not a number"
