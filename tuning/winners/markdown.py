"""Words from data in Markdown: a name stays a name, whatever characters it has."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKUP = re.compile(r"[\\`*_{}\[\]()#|~$]|:(?=//)|(?<=www)\.|@", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str) -> str:
    """Returns words that Markdown shows as they are within a line: no markup, no HTML, no link, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    escaped = _MARKUP.sub(lambda found: f"\\{found[0]}", line)
    return "".join(_HTML.get(character, character) for character in escaped)


def code(text: str) -> str:
    """Returns words as code if they are harmless there, and plainly if they are not."""
    return f"`{text}`" if re.fullmatch(r"[\w .,:;=@%+/\-\[\]()]+", text, re.ASCII) else plain(text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
