"""Which rows of which table of the paper the compared values of a study are, and what stands in each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.catalogue import model_of, streams_read
from pamfn.published import FIGURE_6, STREAMS, TABLE_9, TABLES, Row, Table
from tuning.report.comparing import MODEL, Comparison, Entry
from tuning.report.paired import Estimate, back, corrected, holm

Told = tuple[float, float, float]
"""A correlation, or a difference of two, with the ends of its 95% interval."""


@dataclass(frozen=True)
class Difference:
    """How far a row is from the reference, paired by fold.

    Args:
        told: The difference of the average correlations with its 95% interval, which is for itself.
        p: Holm's, of all differences of the table.
    """

    told: Told
    p: float


@dataclass(frozen=True, eq=False)
class Line:
    """One row.

    Args:
        entry: What was measured.
        label: What it is called.
        group: The group of rows that it stands in; empty if there are none.
        row: The paper's row; None where it has none.
        cells: By class, and last on average, the correlation with its 95% interval; None where there is none.
        difference: To the reference; None for the reference itself, and where it cannot be told.
    """

    entry: Entry
    label: str
    group: str
    row: Row | None
    cells: tuple[Told | None, ...]
    difference: Difference | None

    @property
    def parameters(self) -> float | None:
        """Published count of the model's parameters, in millions."""
        return model_of(str(self.entry.value)).parameters


@dataclass(frozen=True, eq=False)
class Block:
    """One table.

    Args:
        title: What stands above it.
        table: The paper's table that it is laid out as; None for what stands in none.
        lines: Its rows.
    """

    title: str
    table: Table | None
    lines: tuple[Line, ...]

    @property
    def differences(self) -> list[Difference]:
        """The differences that Holm's correction is for."""
        return [line.difference for line in self.lines if line.difference is not None]


def blocks(comparison: Comparison, modalities: Sequence[str]) -> list[Block]:
    """Returns the tables that a comparison makes: the paper's that are there whole, and one of what stands in none.

    Args:
        comparison: What was compared.
        modalities: The streams of the study's data. Three of other names stand in the place of RGB, flow and audio.
    """
    if comparison.setting != MODEL:
        return [_values(comparison)]
    there = tuple(modalities) or STREAMS
    by_role = {role(str(entry.value), there): entry for entry in comparison.entries}
    tables = TABLES if comparison.fisher else (TABLE_9,)
    whole = _whole(tables, set(by_role))
    made = [
        _block(
            comparison,
            f"{table.name}: {table.title}",
            table,
            [(by_role[row.value], _own(row.label, there), row.group, row) for row in table.rows],
        )
        for table in whole
    ]
    shown = {row.value for table in whole for row in table.rows}
    known = {row.value: row for table in reversed(tables) for row in table.rows}  # Table I's features before III's
    left = [(entry, str(entry.value), "", known.get(name)) for name, entry in by_role.items() if name not in shown]
    return made + ([_block(comparison, "Other models" if made else "Models", None, left)] if left else [])


def role(name: str, there: Sequence[str]) -> str:
    """Returns what the paper's tables call a model: with the streams that it reads, unless it reads all three.

    Args:
        name: The model, as a space file names it.
        there: The streams of the data.
    """
    streams = [_in_place_of(there).get(stream, stream) for stream in reads(name, there)]
    if not streams:  # what the study could not train stands last, as it is called
        return name
    if set(streams) == set(STREAMS):
        return model_of(name).name
    in_order = sorted(streams, key=lambda stream: STREAMS.index(stream) if stream in STREAMS else len(STREAMS))
    return f"{model_of(name).name}:{'+'.join(in_order)}"


def reads(name: str, there: Sequence[str]) -> tuple[str, ...]:
    """Returns the streams of the data that a model reads; none where it cannot."""
    try:
        return streams_read(name, tuple(there) or STREAMS)
    except ValueError:
        return ()


def _in_place_of(there: Sequence[str]) -> Mapping[str, str]:
    """Returns the paper's streams by those of the data: three of other names stand in their places, in their order."""
    strange = len(there) == len(STREAMS) and not set(there) & set(STREAMS)
    return dict(zip(there, STREAMS, strict=True)) if strange else {}


def _whole(tables: Sequence[Table], there: set[str]) -> list[Table]:
    """Returns those of the paper's tables whose rows are all there, without those that the others hold already.

    Table III, of the models of I and II on other features, is looked at first: it stands only where they do not.
    """
    kept = [table for table in tables if {row.value for row in table.rows} <= there]
    for table in sorted(kept, key=lambda table: table.name != "Table III"):
        others = {row.value for other in kept if other is not table for row in other.rows}
        if {row.value for row in table.rows} <= others:
            kept.remove(table)
    return kept


def _own(label: str, there: Sequence[str]) -> str:
    """Returns a label made of streams with the data's own names for them, where those are others."""
    own = {paper: stream for stream, paper in _in_place_of(there).items()}
    streams = [word.lower() for word in label.split(", ")]
    return ", ".join(own[stream] for stream in streams) if set(streams) <= set(own) else label


def _values(comparison: Comparison) -> Block:
    """Returns the one table of a comparison that is not of models."""
    figure = FIGURE_6 if comparison.setting == FIGURE_6.setting else None
    rows: Mapping[Any, Row] = {row.value: row for row in figure.rows} if figure else {}
    title = f"{figure.name}: {figure.title}" if figure else f"Values of {comparison.setting}"
    sign = "K" if figure else comparison.setting
    lines = [(entry, f"{sign} = {entry.value}", "", rows.get(entry.value)) for entry in comparison.entries]
    return _block(comparison, title, figure, lines)


def _block(
    comparison: Comparison, title: str, table: Table | None, rows: Sequence[tuple[Entry, str, str, Row | None]]
) -> Block:
    gaps = [_gap(entry, comparison.reference) for entry, *_ in rows]
    adjusted = iter(holm([gap.p for gap in gaps if gap is not None]))
    lines = []
    for (entry, label, group, row), gap in zip(rows, gaps, strict=True):
        difference = None if gap is None else _difference(gap, comparison, next(adjusted))
        lines.append(Line(entry, label, group, row, tuple(_cells(entry, comparison)), difference))
    return Block(title, table, tuple(lines))


def _gap(entry: Entry, reference: Entry) -> Estimate | None:
    """Returns the difference of two averages, fold by fold; seeds are the same in both and averaged in each fold."""
    mine_J, other_J = entry.z_J, reference.z_J
    if entry is reference or mine_J is None or other_J is None or mine_J.shape != other_J.shape:
        return None
    return corrected(mine_J - other_J)


def _difference(gap: Estimate, comparison: Comparison, p: float) -> Difference:
    other_J = comparison.reference.z_J
    level = 0.0 if other_J is None else float(other_J.mean())
    return Difference(back(gap, level, fisher=comparison.fisher), p)


def _cells(entry: Entry, comparison: Comparison) -> Iterator[Told | None]:
    if entry.z_CJ is None or entry.z_J is None:
        yield from [None] * (len(comparison.classes) + 1)
        return
    for z_J in (*entry.z_CJ, entry.z_J):
        found = corrected(z_J)
        yield None if found is None else back(found, fisher=comparison.fisher)
