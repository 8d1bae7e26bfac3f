"""The final stage in a report: the test split's scores, what they are compared with, and how often it was opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from pamfn.data.rules import counted
from tuning.report.tables import paragraph, score, section, table
from tuning.score_metric import ScoreMetric
from tuning.selection.words import (
    configurations,
    is_reference,
    number,
    optimistic_verdict,
    reference_words,
    ties_words,
    verdict,
    with_interval,
)

AVERAGE = "average"

OPTIMISTIC = (
    "The column marked optimistic is the released protocol: each network at its best epoch on the test split itself. "
    "It chooses by what it reports, so it shows more than the network can do; nothing else here depends on it."
)
PLANTED = " This study's data are planted: they share the names of the classes, and no more."


def final_section(
    final: Mapping[str, Any] | None,
    openings: Sequence[Mapping[str, Any]] | None,
    names: Mapping[str, str],
    metric: ScoreMetric,
    *,
    planted: bool,
) -> str:
    """Returns what the final stage found on the test split, and how often that was opened.

    Args:
        final: What ``final.json`` holds; None while the test split is closed.
        openings: The openings of the data's test split; None where they are not known.
        names: Names of the trials by their ids.
        metric: What they are judged by.
        planted: Whether the data are planted.
    """
    opened = paragraph(openings_words(openings))
    if final is None:
        return section("test", "Test split", opened)
    seeds, reference = counted(final["seeds"], "seed"), reference_words(final)
    note = (
        f"The best configurations, chosen by their held-out folds, and {reference} for reference, trained on the whole "
        f"training split over {seeds} and scored at their last epoch (opening {final['opening']['number']} of this "
        "data). 95% intervals by bootstrap over videos; deviation over seeds. Differences to the reference are paired "
        "over videos and count the luck of the seeds as well; each is for itself, and one in twenty would exclude zero "
        "by luck."
    )
    return section(
        "test",
        "Test split",
        f'<p class="lead">{escape(sentence(verdict(final)))}</p>',
        paragraph(sentence(optimistic_verdict(final, names))),
        paragraph(sentence(ties_words(final))),
        _scores(final, names, metric, note),
        paragraph(OPTIMISTIC),
        paragraph(_paper(final, planted=planted)),
        _branches(final, names),
        opened,
    )


def openings_words(openings: Sequence[Mapping[str, Any]] | None) -> str:
    """Returns how often the test split of this data has been opened, and by which studies."""
    if openings is None:
        return "How often the test split of this data has been opened is unknown: its record is not beside this report."
    studies = ", ".join(dict.fromkeys(entry["study"] for entry in openings))
    if not openings:
        return "The test split of this data has not been opened."
    return f"The test split of this data has been opened {counted(len(openings), 'time')}, by {studies}."


def sentence(words: str) -> str:
    """Returns words as a sentence."""
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _scores(final: Mapping[str, Any], names: Mapping[str, str], metric: ScoreMetric, note: str) -> str:
    published, rows, strong = final["published"], list[list[str]](), list[int]()
    for row in configurations(final):
        strong.append(len(rows))
        rows += _rows(final, row, names)
    head = ["configuration", "class", metric.title, "95% interval", "deviation", "over the reference"]
    head += ["best epoch (optimistic)", *(["paper (best epoch)"] if published else [])]
    return table(head, rows, note, caption="Scores on the test split", strong=strong, text=(0, 1))


def _rows(final: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[list[str]]:
    fusion, published = row["models"]["fusion"], final["published"]
    for task in [AVERAGE, *fusion["classes"]]:
        mine, gap = _of(fusion, task), _of(row["difference"], task)
        yield [
            _label(final, row, names) if task == AVERAGE else "",
            task,
            score(number(mine)),
            f"{mine['low']:.3f} to {mine['high']:.3f}",
            score(mine["deviation"]),
            with_interval(gap) if gap else "",
            score(number(_of(row["optimistic"], task))),
            *([score(_of(published, task))] if published else []),
        ]


def _label(final: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name = names.get(row["trial_id"], row["trial_id"])
    marks = [f"top {row['rank']}" if row["rank"] else "", "a tie" if row["tie"] else ""]
    marks += ["reference"] if is_reference(final, row) else []
    return f"{name} ({', '.join(filter(None, marks))})"


def _of(parts: Mapping[str, Any] | None, task: str) -> Any:
    """Returns what belongs to a class, or to the average."""
    return parts and (parts["average"] if task == AVERAGE else parts["classes"][task])


def _paper(final: Mapping[str, Any], *, planted: bool) -> str:
    if not final["published"]:
        return ""
    return (
        f"The paper's figures: {final['published']['source']}, by the released protocol, the best epoch on the test "
        f"split: to be held against the optimistic column.{PLANTED if planted else ''}"
    )


def _branches(final: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Returns the single branches of the same networks, and what fusing gains over the best of them."""
    rows, strong = list[list[str]](), list[int]()
    of_each = [[name for name in row["models"] if name != "fusion"] for row in configurations(final)]
    branches = list(dict.fromkeys(name for names_of in of_each for name in names_of))  # models read different streams
    for row, mine in zip(configurations(final), of_each, strict=True):
        if mine:
            strong.append(len(rows))
            rows += _alone(_label(final, row, names), row["models"], mine, branches)
    note = "The branches alone, as they were pretrained on the whole training split; the best is the best on average."
    head = ["configuration", "class", *(f"{name} alone" for name in branches), "best", "fusion over the best"]
    caption = "The branches alone, on the test split"
    return table(head, rows, note, caption=caption, strong=strong, text=(0, 1)) if rows else ""


def _alone(label: str, models: Mapping[str, Any], mine: Sequence[str], branches: Sequence[str]) -> Iterator[list[str]]:
    """Yields a configuration's row of each class; streams that it does not read have no score."""
    best = max(mine, key=lambda name: number(models[name]["average"]))
    for task in [AVERAGE, *models["fusion"]["classes"]]:
        gain = with_interval(_of(models[best]["fusion_gain"], task))
        alone = [score(number(_of(models[name], task)) if name in mine else None) for name in branches]
        yield [label if task == AVERAGE else "", task, *alone, best, gain]
