"""The table of all trials of a study, best first."""

from __future__ import annotations

from tuning.report.tables import score, section, table
from tuning.tracking import StudyResults
from tuning.tracking.names import SHORT, short

NOTE = "Best first: trials that came further go before those that were stopped. best: the highest of any epoch."


def trials_section(results: StudyResults) -> str:
    """Returns the table."""
    names, ranked = list(results.space.search), results.ranked()
    scored = {trial.trial_id for trial in ranked}
    rest = [trial for trial in results.trials if trial.trial_id not in scored]
    head = ("trial", *(SHORT.get(name, name) for name in names), "score", "best", "epochs", "seconds", "ended")
    rows = [
        [
            trial.trial_id + (" (first)" if trial.first else ""),
            *(short(trial.values.get(name, "")) for name in names),
            *(score(trial.score), score(trial.best), str(trial.epochs), f"{trial.seconds:.0f}"),
            trial.reason or "running",
        ]
        for trial in [*ranked, *rest]
    ]
    caption = f"All trials; scores are {results.metric.words} on the held-out folds"
    return section("trials", "Trials", table(head, rows, NOTE, caption=caption, strong=(0,) if ranked else ()))
