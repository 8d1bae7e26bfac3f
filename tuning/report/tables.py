"""Tables of a report, and how it writes numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    note: str,
    *,
    strong: Sequence[int] = (),
    text: Sequence[int] | None = None,
) -> str:
    """Returns a table with a paragraph above it.

    Args:
        head: Titles of the columns; all empty for no head.
        rows: The cells.
        note: The paragraph; may be empty.
        strong: Numbers of the rows to set off.
        text: Numbers of the columns that hold words; the first and the last by default.
    """
    left = set(text if text is not None else (0, len(head) - 1))
    kinds = [' class="text"' if column in left else "" for column in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{escape(cell)}</th>' for kind, cell in zip(kinds, head, strict=True))
    body = "".join(_row(row, kinds, strong=number in strong) for number, row in enumerate(rows))
    thead = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'{paragraph(note)}<div class="wide"><table>{thead}<tbody>{body}</tbody></table></div>'


def paragraph(words: str) -> str:
    """Returns a paragraph of plain words; nothing for none."""
    return f"<p>{escape(words)}</p>" if words else ""


def score(value: float | None) -> str:
    """Returns a correlation for reading."""
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _row(cells: Sequence[str], kinds: Sequence[str], *, strong: bool) -> str:
    inner = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, cells, strict=True))
    return f'<tr class="best">{inner}</tr>' if strong else f"<tr>{inner}</tr>"
