"""A figure as a PNG and an SVG file."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

DOTS_PER_INCH = 200
LONGEST = 80  # characters of a file's name


def write_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes ``name.png`` and ``name.svg``; the same figure gives the same bytes.

    Args:
        figure: The figure.
        folder: Where; it is made if need be.
        name: Name of the files; characters that a file system may refuse are replaced, and a digest of the name added,
            so that no two figures fall on one file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = _stem(name)
    paths = []
    for kind in ("png", "svg"):
        content = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "pamfn"}):  # text stays text
            figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
        path = folder / f"{stem}.{kind}"
        path.write_bytes(content.getvalue())
        paths.append(path)
    return paths


def _stem(name: str) -> str:
    spaced = name.replace(" ", "_")
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", spaced)[:LONGEST]
    return stem if stem == spaced else f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
