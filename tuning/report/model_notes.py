"""What is to be said below a table of compared models: how sure it is, how rows were chosen, what the paper's mean."""

from __future__ import annotations

from collections.abc import Iterator

from pamfn.data.rules import counted
from tuning.domains import ChoiceDomain
from tuning.report.comparing import MODEL, RATE, Comparison
from tuning.report.layout import Block
from tuning.report.paired import SURE
from tuning.tracking import StudyResults

SCORE, PRECISION = ("Spearman's correlation", "by Fisher's z "), ("mean average precision", "")
MEASURED = (
    "Each cell: {score} on {folds} held-out folds of the training split at the last epoch, averaged {how}over folds "
    "and {seeds}; in brackets its 95% t interval over folds, the seeds of a fold averaged first, with Nadeau and "
    "Bengio's correction for training sets that overlap ({freedom}). It is wider than the interval beside the best "
    "trial, which takes the folds of all classes for independent."
)
DIFFERENCES = (
    "Differences are paired by fold and seed, with the same correction, on the average over classes; each interval is "
    "for itself. A difference separates from zero where p is at most {sure} after Holm's correction for the {count} of "
    "this table: {separate}. One that does not separate is not shown to be nothing."
)
NOT_COMPARABLE = (
    "In grey italics the paper's figure for the same row, not comparable with the one above it: it is of networks "
    "trained on the whole training split and scored on the test split at the epoch that does best there, on {features}."
    " What may be compared is the order of the rows, and how far they lie from the full model under one protocol."
)
CONTEXT = (
    "The paper has no figures for these classes. In grey italics below a difference, as context, how far the same row "
    "lies from the full model there, on {data} in this order: other data, and the epoch that does best on the test "
    "split. Its scores would say nothing beside these."
)
PLANTED = "These data are planted: they share the paper's names, and no more."
FIGURE_6 = "Figure 6 is drawn, not printed: of its points only the best average of each data set is known as a number."


def notes(block: Block, found: Comparison, results: StudyResults) -> Iterator[str]:
    """Yields the sentences for below a table.

    Args:
        block: The table.
        found: What was compared.
        results: The study.
    """
    evaluation = results.space.evaluation
    freedom = counted(evaluation.folds - 1, "degree") + " of freedom"
    score, how = SCORE if found.fisher else PRECISION
    seeds = counted(evaluation.seeds, "seed")
    yield MEASURED.format(score=score, how=how, folds=evaluation.folds, seeds=seeds, freedom=freedom)
    yield from _choice(block)
    yield from _edges(block, results)
    if block.differences:
        sure = sum(difference.p <= SURE for difference in block.differences)
        count = len(block.differences)
        yield DIFFERENCES.format(sure=SURE, count=count, separate=f"{sure} of {count} {'does' if sure == 1 else 'do'}")
    yield from _paper(block, found, planted=results.space.data.synthetic is not None)


def _choice(block: Block) -> Iterator[str]:
    tried = sorted({line.entry.tried for line in block.lines if line.entry.best})
    if tried and tried[-1] > 1:
        words = f"{tried[0]} to {tried[-1]}" if len(tried) > 1 else str(tried[0])
        yield (
            f"Each row is the best of the settings tried for it ({words}), chosen by the mean over these same folds: "
            "all cells are slightly optimistic, those of rows with more tries a little more."
        )


def _edges(block: Block, results: StudyResults) -> Iterator[str]:
    """Yields how many rows may be better than shown, as their best rate is the last that was tried on its side."""
    domain = results.space.search.get(RATE)
    if not isinstance(domain, ChoiceDomain) or len(domain.values) < 3:
        return
    taken = [line.entry.best.values.get(RATE) for line in block.lines if line.entry.best and line.entry.tried > 1]
    for rate, word in ((min(domain.values), "lowest"), (max(domain.values), "highest")):
        if number := taken.count(rate):
            yield f"{counted(number, 'row')} took the {word} learning rate there was: a wider search may find a better."


def _paper(block: Block, found: Comparison, *, planted: bool) -> Iterator[str]:
    rows = [line.row for line in block.lines if line.row is not None]
    if not rows:
        return
    if any(row.beside(found.classes) for row in rows):
        features = block.table.features if block.table else "VST, I3D and AST features, or those of its table"
        yield NOT_COMPARABLE.format(features=features)
        if planted:
            yield PLANTED
    elif block.table is not None and found.setting == MODEL:
        yield CONTEXT.format(data=" and ".join(block.table.rows[-1].figures))
    if found.setting != MODEL:
        yield FIGURE_6
