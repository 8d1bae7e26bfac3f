"""Figure 6 of a study's table, and what to know when reading it."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from pamfn.data.rules import counted
from pamfn.figures.fusion_nets import draw
from pamfn.figures.study_table import read_study

TABLE = "results.parquet"


def figure_of_study(path: Path, title: str | None) -> tuple[tuple[str, Figure], list[str]]:
    """Returns Figure 6 with the name of its files, and notes.

    Args:
        path: A study's ``results.parquet``, or its folder.
        title: What the title begins with; the study's name if None.

    Raises:
        ValueError: As `read_study`.
    """
    table = path / TABLE if path.is_dir() else path
    study = read_study(table)
    folds = next(iter(study.scores.values())).shape[1]
    band = "band: ± 1 standard error over folds" if folds > 1 else "one fold, so no band"
    counts = sorted(set(study.tried.values()))
    tries = counted(counts[0], "trial") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} trials"
    heading = f"{title or table.resolve().parent.name}: each K at the best of {tries} ({band})"
    notes = []
    if len(counts) > 1:
        told = ", ".join(f"K {nets}: {times}" for nets, times in study.tried.items())
        notes.append(f"the best of more trials looks better by luck alone; trials of each K: {told}")
    if study.unfinished:
        trials = counted(study.unfinished, "trial")
        notes.append(f"left out: {trials} that did not run the full budget, or have no score of some fold")
    return ("figure6-fusion-nets", draw(study.nets_K, study.scores, title=heading)), notes
