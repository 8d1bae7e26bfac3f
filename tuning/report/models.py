"""The tables of compared models, or of values of another setting, laid out as the paper's: as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from pamfn.published import AVERAGE
from tuning.report.comparing import MODEL, RATE, Comparison, Entry, chosen, comparison
from tuning.report.layout import Block, Line, Told, blocks, reads
from tuning.report.model_notes import notes
from tuning.report.paired import SURE
from tuning.report.tables import scrolling, section
from tuning.selection.words import with_interval
from tuning.tracking import StudyResults
from tuning.tracking.names import short

FULL = "pamfn"
LEAST = 0.001  # of a probability that is written out

STYLE = """
.models td, .models th { vertical-align: top; } .models th:first-child { text-align: left; }
.models th[scope=row] { font-weight: inherit; white-space: nowrap; }
.models .below { display: block; font-size: .8rem; } .models .paper { display: block; font-size: .8rem; color: #5d6875;
       font-style: italic; } .models .group th { padding-top: .9rem; }
ul.notes { font-size: .9rem; max-width: 60rem; }
"""


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Args:
        text: What was measured.
        below: What belongs to it, such as its interval.
        paper: What the paper has there.
    """

    text: str
    below: str = ""
    paper: str = ""


@dataclass(frozen=True)
class Section:
    """One table with its rows, a group's name before the first row of each group, and what is to be said of it."""

    title: str
    head: tuple[str, ...]
    rows: list[str | tuple[Cell, ...]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def models_html(results: StudyResults) -> str:
    """Returns the tables for the page of a report; nothing for a study that compares nothing."""
    return section("compared", "What was compared", *map(_html, sections(results)))


def models_text(results: StudyResults) -> str:
    """Returns the tables as Markdown; nothing for a study that compares nothing."""
    return "\n".join(map(_markdown, sections(results)))


def sections(results: StudyResults) -> list[Section]:
    """Returns the tables of what a study compares."""
    found = comparison(results)
    return [] if found is None else [_section(block, found, results) for block in blocks(found, results.modalities)]


def _section(block: Block, found: Comparison, results: StudyResults) -> Section:
    several = len(found.classes) > 1
    columns = [*found.classes, *([AVERAGE] if several else [])]
    about = ["reads"] * _reads_differ(block, results) + ["weights"] * (found.setting == MODEL)
    head = [found.setting, *about, "chosen", *columns, f"less {_called(found.reference, block)}", "from zero"]
    made = Section(block.title, tuple(head), notes=tuple(notes(block, found, results)))
    group = ""
    for line in block.lines:
        if line.group != group:
            made.rows.append(group := line.group)
        made.rows.append(tuple(_cells(line, block, found, results)))
    return made


def _called(reference: Entry, block: Block) -> str:
    """Returns what the reference is called in a table."""
    if reference.value == FULL:
        return "the full model"
    return next((line.label for line in block.lines if line.entry is reference), str(reference.value))


def _reads_differ(block: Block, results: StudyResults) -> bool:
    """Returns whether a column of what models read says more than their labels do."""
    read = [", ".join(reads(str(line.entry.value), results.modalities)) for line in block.lines]
    return len(set(read)) > 1 and read != [line.label.lower() for line in block.lines]


def _cells(line: Line, block: Block, found: Comparison, results: StudyResults) -> Iterator[Cell]:
    entry = line.entry
    name = str(entry.value)
    yield Cell(line.label, "" if name in (line.label, line.label.rpartition(" = ")[2]) else name)
    if _reads_differ(block, results):
        yield Cell(", ".join(reads(name, results.modalities)))
    if found.setting == MODEL:
        yield _weights(line, block)
    yield _chosen(entry, found, results)
    classes = found.classes if len(found.classes) > 1 else ()
    paper = line.row.beside(found.classes) if line.row else {}
    for task, told in zip((*classes, AVERAGE), line.cells[-1 - len(classes) :], strict=True):
        figure = paper.get(found.classes[0] if not classes else task)
        yield _told(told, f"paper {figure:.3f}" if figure is not None else "")
    yield from _difference(line, block, found)


def _weights(line: Line, block: Block) -> Cell:
    best = line.entry.best
    mine = best.scalars.get("weight_count") if best else None
    theirs = line.parameters if block.table is not None and block.table.counts else None
    return Cell(f"{mine / 1e6:.2f}M" if mine else "-", "", f"paper {theirs:.2f}M" if theirs else "")


def _chosen(entry: Entry, found: Comparison, results: StudyResults) -> Cell:
    """Returns the settings of the best trial, or why there is none."""
    if entry.best is None:
        return Cell("no trial has finished", "; ".join(sorted(set(entry.waiting))) or "none has begun")
    settings, recipe = chosen(results.space, found.setting, entry.best), results.space.recipe(entry.best.values)
    rate = settings.pop(RATE, None)
    words = [f"{name} {short(value)}" for name, value in settings.items()]
    if rate is not None and recipe.of.kind != "closed":
        words.insert(0, f"lr {short(recipe.lr * recipe.lr_scale)} ({short(rate)}x)")
    return Cell(", ".join(words) or "as it is", f"best of {entry.tried}" if entry.tried > 1 else "the only one")


def _told(told: Told | None, paper: str) -> Cell:
    return Cell(f"{told[0]:.3f}", f"[{told[1]:.3f}, {told[2]:.3f}]", paper) if told else Cell("-", "", paper)


def _difference(line: Line, block: Block, found: Comparison) -> Iterator[Cell]:
    drops = block.table.drops(line.row) if block.table and line.row else {}
    there = [data for data in drops if line.row and set(found.classes) & set(line.row.figures[data])]
    paper = f"paper {', '.join(f'{drops[data]:+.3f}' for data in there or drops)}" if drops else ""
    if line.difference is None:
        yield Cell("reference" if line.entry is found.reference else "-", "", paper)
        yield Cell("")
        return
    told = with_interval(dict(zip(("spearman", "low", "high"), line.difference.told, strict=True)))
    mean, _, reach = told.partition(" ")
    yield Cell(mean, reach, paper)
    p = f"p = {line.difference.p:.3f}" if line.difference.p >= LEAST else f"p < {LEAST}"
    yield Cell("separates" if line.difference.p <= SURE else "does not separate", f"Holm's {p}")


def _html(made: Section) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in made.head)
    body = "".join(
        f'<tr class="group"><th scope="rowgroup" colspan="{len(made.head)}">{escape(row)}</th></tr>'
        if isinstance(row, str)
        else f"<tr>{''.join(_cell(cell, 'td' if place else 'th') for place, cell in enumerate(row))}</tr>"
        for row in made.rows
    )
    title, said = escape(made.title), "".join(f"<li>{escape(note)}</li>" for note in made.notes)
    whole = (
        f'<table class="models"><caption class="unseen">{title}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
    return f'<h3>{title}</h3>\n{scrolling(whole, made.title)}\n<ul class="notes">{said}</ul>'


def _cell(cell: Cell, tag: str) -> str:
    scope = ' scope="row"' if tag == "th" else ""
    parts = (("below", cell.below), ("paper", cell.paper))
    spans = "".join(f'<span class="{kind}">{escape(words)}</span>' for kind, words in parts if words)
    return f"<{tag}{scope}>{escape(cell.text)}{spans}</{tag}>"


def _markdown(made: Section) -> str:
    lines = [f"## {made.title}", "", _row(made.head), _row(["---"] * len(made.head))]
    for row in made.rows:
        lines.append(_row([f"**{row}**", *[""] * (len(made.head) - 1)] if isinstance(row, str) else map(_words, row)))
    return "\n".join([*lines, "", *(f"- {note}" for note in made.notes), ""])


def _row(cells: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _words(cell: Cell) -> str:
    below = f" {cell.below}" if cell.below.startswith("[") else f" ({cell.below})" if cell.below else ""
    return f"{cell.text}{below}{f'; {cell.paper}' if cell.paper else ''}"
