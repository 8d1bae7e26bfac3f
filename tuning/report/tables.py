"""Tables of a report, and how it writes numbers and paragraphs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    note: str,
    *,
    caption: str,
    strong: Sequence[int] = (),
    text: Sequence[int] | None = None,
) -> str:
    """Returns a table with a paragraph above it; the first cell of a row heads the row.

    Args:
        head: Titles of the columns.
        rows: The cells.
        note: The paragraph; may be empty.
        caption: What the table holds.
        strong: Numbers of the rows to set off.
        text: Numbers of the columns that hold words; the first and the last by default.
    """
    left = set(text if text is not None else (0, len(head) - 1))
    kinds = [' class="text"' if column in left else "" for column in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{escape(cell)}</th>' for kind, cell in zip(kinds, head, strict=True))
    body = "".join(_row(row, kinds, strong=number in strong) for number, row in enumerate(rows))
    inner = f"<caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f"{paragraph(note)}{scrolling(f'<table>{inner}</table>', caption)}"


def scrolling(inner: str, label: str) -> str:
    """Returns something wide in a box that scrolls by itself, with the keyboard too."""
    return f'<div class="wide" role="group" tabindex="0" aria-label="{escape(label)}">{inner}</div>'


def paragraph(words: str) -> str:
    """Returns a paragraph of plain words; nothing for none."""
    return f"<p>{escape(words)}</p>" if words else ""


def section(key: str, title: str, *parts: str) -> str:
    """Returns a section with its heading; nothing where nothing is in it."""
    inner = "\n".join(part for part in parts if part)
    return f'<section id="{key}">\n<h2>{escape(title)}</h2>\n{inner}\n</section>' if inner else ""


def score(value: float | None) -> str:
    """Returns a score for reading."""
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _row(cells: Sequence[str], kinds: Sequence[str], *, strong: bool) -> str:
    (kind, name), *rest = zip(kinds, cells, strict=True)
    inner = f'<th scope="row"{kind}>{escape(name)}</th>' if name else f"<td{kind}></td>"
    inner += "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in rest)
    return f'<tr class="best">{inner}</tr>' if strong else f"<tr>{inner}</tr>"
