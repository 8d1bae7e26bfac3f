"""What a study found: its best configuration, how sure that is, and how far it is from where the study began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Any

from pamfn.data.rules import counted
from tuning.report.comparing import labels_of, scores_by_fold
from tuning.report.interval import fold_interval
from tuning.report.paired import back, corrected
from tuning.report.tables import paragraph, score, section
from tuning.selection.luck import flattery
from tuning.selection.words import luck_words, signed
from tuning.tracking import StudyResults, TrialResult

CAVEAT = (
    "The score is the {mean} over the held-out folds of the training split; the test split had no part in it. The "
    "interval comes from the scatter of the folds, which share training videos: it is a little too narrow. The best of "
    "{trials} trials looks better than it is, since it was chosen for its score"
)
DIFFERENCE = (
    "Held against it fold by fold, the best is {mean} [{low}, {high}] from it, by a t interval with Nadeau and "
    "Bengio's correction for folds that share training videos. The best was chosen on these same folds, which flatters "
    "it; the test split alone can tell."
)
NO_DIFFERENCE = (
    "It did not run its full budget, so the two scores are of different epochs and say nothing about each other; on "
    "the test split it is trained in full."
)


def found_section(results: StudyResults) -> str:
    """Returns the best configuration with its interval, beside the first trial, which is the paper's by default."""
    best = best_of(results)
    if best is None:
        return section("found", "What was found", "<p>No trial has a score.</p>")
    metric = results.metric
    luck = luck_words(luck_in(results))
    caveat = CAVEAT.format(mean=metric.mean_words, trials=len(results.trials))
    return section(
        "found",
        "What was found",
        f'<p class="lead">{escape(best.name)}: {escape(with_interval(best, results))}</p>',
        _branches(best, metric.branch),
        paragraph(_first(best, results)),
        paragraph(f"{caveat}{f': {luck}' if luck else ''}."),
    )


def best_of(results: StudyResults) -> TrialResult | None:
    """Returns the best trial; None while none has a score."""
    return next(iter(results.ranked()), None)


def luck_in(results: StudyResults) -> Mapping[str, Any] | None:
    """Returns how much of the best trial's score is luck: as the final stage found, or from the folds."""
    if results.final is not None:
        found: Mapping[str, Any] | None = results.final["selection"]["luck"]
        return found
    finished = [trial.folds for trial in results.ranked() if trial.finished]
    estimate = flattery(finished, results.space.seed, results.metric)
    return None if estimate is None else asdict(estimate)


def with_interval(trial: TrialResult, results: StudyResults) -> str:
    """Returns a trial's score with its interval, and how far it came if that is not to the end."""
    ended = trial.reason.startswith(("finished", "stopped", "paused"))
    interval = fold_interval(trial.folds, metric=results.metric) if ended else None
    reach = f" (95% interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    end = "" if trial.finished else f", {trial.reason or 'running'} after {counted(trial.epochs, 'epoch')}"
    return f"{score(trial.score)}{reach}{end}"


def first_words(results: StudyResults) -> str:
    """Returns what the first trial is: the paper's, unless the space file says otherwise."""
    return "The paper's configuration" if results.space.first == "paper" else "The first trial's configuration"


def difference(one: TrialResult, other: TrialResult, results: StudyResults) -> tuple[float, float, float] | None:
    """Returns how far one trial's score is from another's, paired by fold, with its 95% interval.

    None where one of them did not run its full budget, or lacks a fold.
    """
    labels, metric = labels_of(results), results.metric
    mine_CJ, theirs_CJ = (scores_by_fold(trial, labels, metric) for trial in (one, other))
    if not (one.finished and other.finished) or mine_CJ is None or theirs_CJ is None:
        return None
    if mine_CJ.shape != theirs_CJ.shape:
        return None
    theirs_J = theirs_CJ.mean(0)
    gap = corrected(mine_CJ.mean(0) - theirs_J)
    return None if gap is None else back(gap, float(theirs_J.mean()), fisher=metric.fisher)


def _first(best: TrialResult, results: StudyResults) -> str:
    first = next((trial for trial in results.trials if trial.first), None)
    if first is None:
        return ""
    who = first_words(results)
    if first is best:
        return f"{who} is the best itself."
    had = f"{who}, {first.name}, had {with_interval(first, results)}."
    gap = difference(best, first, results)
    if gap is None:
        return had if first.finished or not first.epochs else f"{had} {NO_DIFFERENCE}"
    mean, low, high = map(signed, gap)
    return f"{had} {DIFFERENCE.format(mean=mean, low=low, high=high)}"


def _branches(best: TrialResult, prefix: str) -> str:
    alone = [f"{k.removeprefix(prefix)} {score(v)}" for k, v in sorted(best.scalars.items()) if k.startswith(prefix)]
    return paragraph(f"Its branches alone, on the same folds: {', '.join(alone)}." if alone else "")
