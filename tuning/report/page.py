"""The page of a report, put together: one HTML file that needs nothing else, to be read, heard or printed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pamfn.data.rules import counted
from tuning.report.asked import asked_section
from tuning.report.by_nets import by_nets
from tuning.report.by_setting import by_setting
from tuning.report.cost import cost_section
from tuning.report.curves import curves
from tuning.report.devices import StudyRun
from tuning.report.drawing import Drawing, html
from tuning.report.final import final_section
from tuning.report.found import best_of, found_section
from tuning.report.history import History
from tuning.report.importance import importances
from tuning.report.importance_figure import importance_figure, too_few
from tuning.report.models import models_html
from tuning.report.moments import at, in_time
from tuning.report.parallel import parallel
from tuning.report.style import STYLE
from tuning.report.tables import paragraph, section
from tuning.report.timeline import timeline
from tuning.report.trials import trials_section
from tuning.tracking import StudyResults, without_password

_HEADING = re.compile(r'<section id="(?P<key>[a-z]+)">\n<h2>(?P<title>.*?)</h2>')


@dataclass(frozen=True)
class Told:
    """What is known of a study beside its runs.

    Args:
        run: Its own run.
        past: Its journal, or why that cannot be told.
        openings: The openings of its data's test split; None where they are not known.
        now: When the report is made, in seconds since the epoch.
    """

    run: StudyRun
    past: History | str
    openings: Sequence[Mapping[str, Any]] | None
    now: float


def page(results: StudyResults, told: Told) -> str:
    """Returns the report of a study, which may be running still."""
    best, ranked, metric = best_of(results), results.ranked(), results.metric
    space, trials = results.space, results.trials
    names = {trial.trial_id: trial.name for trial in trials}
    importance = importance_figure(importances(space, ranked))
    parts = [
        found_section(results),
        models_html(results),
        final_section(results.final, told.openings, names, metric, planted=space.data.synthetic is not None),
        asked_section(results),
        _drawn("curves", curves(trials, best, metric), "No trial has reported a score."),
        _drawn("nets", by_nets(results)),
        _drawn("settings", by_setting(space, trials, best, metric)),
        _drawn("importance", importance, too_few(len(ranked), len(space.search)) if space.search else ""),
        _drawn("parallel", parallel(space, trials, best, metric)),
        _timeline(results, told),
        section("cost", "Cost", cost_section(results, told.past)),
        trials_section(results),
    ]
    return document(f"Study {results.name}", _state(results, told), parts, _made(results, told))


def document(title: str, head: str, parts: Sequence[str], foot: str) -> str:
    """Returns a whole page: its title, what stands below it, its sections with a list of them, and its foot."""
    body = "\n".join(part for part in parts if part)
    links = "".join(f'<li><a href="#{m["key"]}">{m["title"]}</a></li>' for m in _HEADING.finditer(body))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{meta}<title>{escape(title)}</title><style>{STYLE}</style></head>\n'
        f"<body>\n<header>\n<h1>{escape(title)}</h1>\n{head}\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>\n<main>\n{body}\n</main>\n'
        f"<footer>{foot}</footer>\n</body></html>\n"
    )


TITLES = {
    "curves": "Learning curves",
    "nets": "Score by the number of FusionNets",
    "settings": "Score by each searched setting",
    "importance": "Which settings matter",
    "parallel": "All settings side by side",
    "timeline": "Who was busy when",
}


def _drawn(key: str, drawing: Drawing | None, otherwise: str = "") -> str:
    return section(key, TITLES[key], html(drawing) if drawing else paragraph(otherwise))


def _timeline(results: StudyResults, told: Told) -> str:
    if isinstance(told.past, str):
        return section("timeline", TITLES["timeline"], paragraph(f"Not known here: {told.past}."))
    return _drawn("timeline", timeline(told.past, results.trials, told.run.rows), "Nothing has run yet.")


def _state(results: StudyResults, told: Told) -> str:
    """Returns where the study stands, and as of when, where it may go on."""
    words = [trial.reason.replace(":", " ").split(" ")[0] or "running" for trial in results.trials]
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    spent = in_time(sum(trial.seconds for trial in results.trials))
    status = "running" if told.run.running else results.tags.get("status_reason", "ended")
    said = paragraph(f"{status}; {counted(len(words), 'trial')} ({counts or 'none'}), {spent} of training in all")
    if not told.run.running:
        return said
    alive = ""
    if not isinstance(told.past, str):
        alive = f" Its journal was written {in_time(max(0.0, told.now - told.past.last))} before, for the last time."
    words_of_it = f"This study is running: what stands here is as of {at(told.now)}.{alive}"
    if told.run.running and results.tags.get("status_reason"):
        words_of_it += f" An earlier launch of it ended as {results.tags['status_reason']}."
    return f'{said}\n<p class="notice">{escape(words_of_it)}</p>'


def _made(results: StudyResults, told: Told) -> str:
    code = results.tags.get("git_commit", results.tags.get("code_version", "unknown"))
    made = f"Made {at(told.now)} from {without_password(results.uri)}; the study ran on code {code}."
    return paragraph(made)
