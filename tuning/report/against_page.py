"""The page of two studies side by side."""

from __future__ import annotations

from html import escape

from pamfn.data.rules import counted
from tuning.conditions import matters
from tuning.report.against import NOTHING, Pair, caveats, differences
from tuning.report.against_figures import both_curves, by_class
from tuning.report.drawing import html
from tuning.report.final import sentence
from tuning.report.found import with_interval
from tuning.report.moments import at, in_time
from tuning.report.page import document
from tuning.report.tables import paragraph, section, table
from tuning.selection.words import configurations, shown, signed, verdict
from tuning.tracking import StudyResults, TrialResult
from tuning.tracking.names import short

PAIRED = (
    "On the same held-out folds, the best of B is {mean} [{low}, {high}] from the best of A: a 95% t interval over "
    "folds, with Nadeau and Bengio's correction for training sets that overlap. Each was chosen on these folds as the "
    "best of its study, so both are flattered, and the one with more trials more."
)
UNPAIRED = "Their folds are not the same videos, or one lacks some, so no difference is told: only each by itself."


def against_page(both: Pair, now: float) -> str:
    """Returns two studies side by side.

    Args:
        both: The studies, the first of which is called A.
        now: When the page is made, in seconds since the epoch.
    """
    one, other = both.studies
    said = "".join(f"<p>{escape(caveat)}</p>" for caveat in caveats(both))
    head = paragraph(f"A is {one.name}, B is {other.name}.") + (f'<div class="notice">{said}</div>' if said else "")
    figure = by_class(both)
    parts = [
        section("found", "The best of each", paragraph(_gap(both)), _best(both), html(figure) if figure else ""),
        section("curves", "Learning curves", html(both_curves(both))),
        _spaces(both),
        section(
            "test", "Test split", *(paragraph(_tested(name, s)) for name, s in zip("AB", both.studies, strict=True))
        ),
    ]
    foot = paragraph(f"Made {at(now)}; a study that is running still is shown as it was then.")
    return document(f"{one.name} against {other.name}", head, parts, foot)


def _gap(both: Pair) -> str:
    if both.gap is None:
        return UNPAIRED
    mean, low, high = map(signed, both.gap)
    return PAIRED.format(mean=mean, low=low, high=high)


def _best(both: Pair) -> str:
    """Returns the best configurations setting by setting; those that differ are set off."""
    told = [(s, t) for s, t in zip(both.studies, both.best, strict=True)]
    rows = [
        ["score", *(with_interval(trial, study) for study, trial in told)],
        ["chosen from", *(_chosen_from(study) for study, _ in told)],
        ["took, in all", *(in_time(sum(trial.seconds for trial in study.trials)) for study, _ in told)],
    ]
    names = list(dict.fromkeys(name for study, _ in told for name in study.space.search))
    strong = []
    for name in names:
        values = [_value(name, study, trial) for study, trial in told]
        if values[0] != values[1]:
            strong.append(len(rows))
        rows.append([name, *values])
    head = ("", *(f"{letter}: {study.name}" for letter, (study, _) in zip("AB", told, strict=True)))
    note = "Searched settings below the scores; those in bold differ. Numbers in brackets were not searched there."
    caption = "The best configuration of each study"
    return table(("what", *head[1:]), rows, note, caption=caption, strong=strong, text=(0, 1, 2))


def _chosen_from(study: StudyResults) -> str:
    finished = sum(trial.finished for trial in study.trials)
    return f"{counted(len(study.trials), 'trial')}, {finished} of them finished"


def _value(name: str, study: StudyResults, trial: TrialResult) -> str:
    """Returns a setting's value in a study's best trial, in brackets where it was not searched."""
    space = study.space
    if name in space.search:
        return short(trial.values.get(name)) if matters(name, space.search, trial.values) else "did not matter"
    try:
        return f"[{short(space.value(name))}]"
    except (KeyError, ValueError):  # an option of a model that this study does not have
        return NOTHING


def _spaces(both: Pair) -> str:
    rows = [list(row) for row in differences(*both.studies)]
    if not rows:
        return section("spaces", "What differed in their spaces", paragraph("Nothing: they asked the same."))
    note = f"{counted(len(rows), 'setting')} of the space files; all others were the same."
    head = ("setting", "A", "B")
    whole = table(head, rows, note, caption="What differed in their spaces", text=(0, 1, 2))
    return section("spaces", "What differed in their spaces", whole)


def _tested(letter: str, study: StudyResults) -> str:
    if study.final is None:
        return f"{letter}, {study.name}: the test split has not been opened by this study."
    best = next(iter(configurations(study.final)), None)
    scored = f" Its best had {shown(best['models']['fusion']['average'])} there." if best else ""
    return f"{letter}, {study.name}: {sentence(verdict(study.final))}{scored}"
