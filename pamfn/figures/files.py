"""A figure as a PNG and an SVG file."""

from __future__ import annotations

import io
import re
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

DOTS_PER_INCH = 200


def write_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes ``name.png`` and ``name.svg``; the same figure gives the same bytes.

    Args:
        figure: The figure.
        folder: Where; it is made if need be.
        name: Name of the files; characters that a file system may refuse are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "_", name)
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
