"""The page of a report: what was asked, what was found, and how sure it is; one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from html import escape
from typing import Any

from pamfn.data.rules import counted
from tuning.report.curves import curves_svg
from tuning.report.final import final_section, openings_words
from tuning.report.interval import fold_interval
from tuning.report.models import STYLE as MODELS_STYLE
from tuning.report.models import models_html
from tuning.report.tables import paragraph, score, table
from tuning.selection.luck import flattery
from tuning.selection.words import luck_words
from tuning.tracking import StudyResults, TrialResult
from tuning.tracking.names import SHORT, short
from tuning.tracking.record import in_words

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; max-width: 76rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.figure { font-size: 1.25rem; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: right; border-bottom: 1px solid #dde2e8; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th.text, td.text { text-align: left; } tr.best td { font-weight: 600; }
svg { width: 100%; min-width: 40rem; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #3a4552; }
svg .grid { stroke: #e4e8ed; } svg .tick { stroke: #6b7683; }
@media print { svg { min-width: 0; } body { max-width: none; margin: 0; } }
"""

CAVEAT = """\
The score is the Fisher-z mean of Spearman's correlation over the held-out folds of the training split; the test split
had no part in it. The interval comes from the scatter of the folds, which share training videos: it is a little too
narrow. The best of {trials} trials looks better than it is, since it was chosen for its score"""


def page(results: StudyResults, openings: Sequence[Mapping[str, Any]] | None = None) -> str:
    """Returns the report of a study, which may be running still.

    Args:
        results: The study.
        openings: The openings of its data's test split; None where they are not known.
    """
    ranked = results.ranked()
    best = ranked[0] if ranked else None
    sections = [
        f"<h1>Study {escape(results.name)}</h1>",
        f"<p>{escape(_state(results))}</p>",
        "<h2>What was found</h2>",
        _found(results, best),
        models_html(results),
        _final(results),
        paragraph(openings_words(openings)),
        "<h2>Learning curves</h2>",
        _curves(results, best),
        "<h2>Trials</h2>",
        _trials(results, ranked, best),
        "<h2>What was asked</h2>",
        _asked(results),
    ]
    title = escape(f"Study {results.name}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    head += f"<style>{STYLE}{MODELS_STYLE}</style>"
    body = "\n".join(section for section in sections if section)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _state(results: StudyResults) -> str:
    words = [trial.reason.replace(":", " ").split(" ")[0] or "running" for trial in results.trials]
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    seconds = sum(trial.seconds for trial in results.trials)
    status = results.tags.get("status_reason", "running")
    spent = timedelta(seconds=round(seconds))
    return f"{status}; {counted(len(words), 'trial')} ({counts or 'none'}), {spent} of training in all"


def _found(results: StudyResults, best: TrialResult | None) -> str:
    if best is None:
        return "<p>No trial has a score.</p>"
    lines = [f'<p class="figure">{escape(best.name)}: {escape(_with_interval(best))}</p>']
    prefix = "branch_spearman."
    alone = [
        f"{key.removeprefix(prefix)} {score(v)}" for key, v in sorted(best.scalars.items()) if key.startswith(prefix)
    ]
    if alone:
        lines.append(f"<p>Its branches alone, on the same folds: {escape(', '.join(alone))}.</p>")
    first = next((trial for trial in results.trials if trial.first), None)
    if first is not None and first is not best:
        lines.append(f"<p>The first trial, {escape(first.name)}, had {escape(_with_interval(first))}.</p>")
    luck = luck_words(luck_in(results))
    lines.append(paragraph(f"{CAVEAT.format(trials=len(results.trials))}{f': {luck}' if luck else ''}."))
    return "\n".join(lines)


def luck_in(results: StudyResults) -> Mapping[str, Any] | None:
    """Returns how much of the best trial's score is luck: as the final stage found, or from the folds."""
    if results.final is not None:
        found: Mapping[str, Any] | None = results.final["selection"]["luck"]
        return found
    estimate = flattery([trial.folds for trial in results.ranked() if trial.finished], results.space.seed)
    return None if estimate is None else asdict(estimate)


def _final(results: StudyResults) -> str:
    if results.final is None:
        return ""
    names = {trial.trial_id: trial.name for trial in results.trials}
    return final_section(results.final, names, planted=results.space.data.synthetic is not None)


def _with_interval(trial: TrialResult) -> str:
    interval = fold_interval(trial.folds) if trial.reason.startswith(("finished", "stopped", "paused")) else None
    reach = f" (95% interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    end = "" if trial.finished else f", {trial.reason or 'running'} after {counted(trial.epochs, 'epoch')}"
    return f"{score(trial.score)}{reach}{end}"


def _curves(results: StudyResults, best: TrialResult | None) -> str:
    drawing = curves_svg(results.trials, best)
    if not drawing:
        return "<p>No trial has reported a score.</p>"
    legend = "A line ends where its trial ended; dark blue is the best trial, red are trials that failed."
    return f'<div class="wide">{drawing}</div>\n<p>{legend}</p>'


def _trials(results: StudyResults, ranked: Sequence[TrialResult], best: TrialResult | None) -> str:
    names = list(results.space.search)
    head = ("trial", *(SHORT.get(name, name) for name in names), "score", "best", "epochs", "seconds", "ended")
    scored = {trial.trial_id for trial in ranked}
    rest = [trial for trial in results.trials if trial.trial_id not in scored]
    rows = [
        [
            trial.trial_id + (" (first)" if trial.first else ""),
            *(short(trial.values.get(name, "")) for name in names),
            *(
                score(trial.score),
                score(trial.best),
                str(trial.epochs),
                f"{trial.seconds:.0f}",
                trial.reason or "running",
            ),
        ]
        for trial in [*ranked, *rest]
    ]
    note = "Best first: trials that came further go before those that were stopped. best: the highest of any epoch"
    return table(head, rows, note, strong=(0,) if best else ())


def _asked(results: StudyResults) -> str:
    space, scheduler, tags = results.space, results.space.scheduler, results.tags
    asked: Mapping[str, Any] = {
        "constraints": ", ".join(space.constraints),
        "warm start": space.warm_start or "",
        "first folds": space.evaluation.first_folds or "",
    }
    search = {name: in_words(domain) for name, domain in space.search.items()} or {"nothing": "one configuration"}
    protocol: Mapping[str, Any] = {
        "folds": f"{space.evaluation.folds}, seeds {space.evaluation.seeds}, group {space.evaluation.group or 'none'}",
        "scheduler": f"{scheduler.type}, {scheduler.mode}, grace {scheduler.grace_epochs}, "
        f"reduction {scheduler.reduction}",
        "searcher": f"{space.searcher.type}, seed {space.seed}",
        "preset": space.preset,
        "data": f"{space.data.path or 'planted'}, digest {tags.get('data_digest', 'unknown')}",
        "code": tags.get("git_commit", tags.get("code_version", "unknown")),
    }
    rows = [[f"search: {name}", words] for name, words in search.items()]
    rows += [[name, str(value)] for name, value in asked.items() if value]
    return table(("", ""), [*rows, *([name, str(value)] for name, value in protocol.items())], "", text=(0, 1))
