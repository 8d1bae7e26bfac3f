"""The final stage in a report: the test split's scores, what they are compared with, and how often it was opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pamfn.data.rules import counted
from tuning.report.tables import paragraph, score, table
from tuning.selection.words import (
    configurations,
    is_reference,
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


def final_section(final: Mapping[str, Any], names: Mapping[str, str], *, planted: bool) -> str:
    """Returns what the final stage found on the test split.

    Args:
        final: What ``final.json`` holds.
        names: Names of the trials by their ids.
        planted: Whether the data are planted.
    """
    seeds, reference = counted(final["seeds"], "seed"), reference_words(final)
    note = (
        f"The best configurations, chosen by their held-out folds, and {reference}, trained on the whole training "
        f"split over {seeds} and scored at their last epoch (opening {final['opening']['number']} of this data). 95% "
        f"intervals by bootstrap over videos; deviation over seeds. Differences to {reference} are paired over videos "
        "and count the luck of the seeds as well; each is for itself, and one in twenty would exclude zero by luck."
    )
    return "\n".join(
        [
            "<h2>Test split</h2>",
            f'<p class="figure">{sentence(verdict(final))}</p>',
            paragraph(sentence(optimistic_verdict(final))),
            paragraph(sentence(ties_words(final))),
            _scores(final, names, note),
            paragraph(OPTIMISTIC),
            paragraph(_paper(final, planted=planted)),
            _branches(final, names),
        ]
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


def _scores(final: Mapping[str, Any], names: Mapping[str, str], note: str) -> str:
    published, rows, strong = final["published"], list[list[str]](), list[int]()
    for row in configurations(final):
        strong.append(len(rows))
        rows += _rows(final, row, names)
    head = ["configuration", "class", "Spearman", "95% interval", "deviation", "best epoch (optimistic)"]
    head += ["paper (best epoch)"] if published else []
    head += ["best single branch", "fusion over it", f"over {reference_words(final)}"]
    return table(head, rows, note, strong=strong, text=(0, 1))


def _rows(final: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[list[str]]:
    models, published = row["models"], final["published"]
    alone = {name: float(model["average"]["spearman"]) for name, model in models.items() if name != "fusion"}
    branch = max(alone, key=lambda name: alone[name], default="")
    for task in [AVERAGE, *models["fusion"]["classes"]]:
        mine, gap = _of(models["fusion"], task), _of(row["difference"], task)
        beside = _of(models[branch], task) if branch else None
        gain = _of(models[branch]["fusion_gain"], task) if branch else None
        yield [
            _label(final, row, names) if task == AVERAGE else "",
            task,
            score(mine["spearman"]),
            f"{mine['low']:.3f} to {mine['high']:.3f}",
            score(mine["deviation"]),
            score(_of(row["optimistic"], task)["spearman"]),
            *([score(_of(published, task))] if published else []),
            f"{branch} {score(beside['spearman'])}" if beside else "",
            with_interval(gain) if gain else "",
            with_interval(gap) if gap else "",
        ]


def _label(final: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name = names.get(row["trial_id"], row["trial_id"])
    marks = [f"top {row['rank']}" if row["rank"] else "", "a tie" if row["tie"] else ""]
    marks += [reference_words(final)] if is_reference(final, row) else []
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
    """Returns every single branch of the same networks, on average over classes."""
    rows = [
        [
            _label(final, row, names),
            f"{name} branch alone",
            score(value["average"]["spearman"]),
            f"{value['average']['low']:.3f} to {value['average']['high']:.3f}",
            score(value["average"]["deviation"]),
            with_interval(value["fusion_gain"]["average"]),
        ]
        for row in configurations(final)
        for name, value in row["models"].items()
        if name != "fusion"
    ]
    head = ("configuration", "model", "Spearman", "95% interval", "deviation", "fusion over it")
    note = "The branches alone, as they were pretrained on the whole training split, on average over classes."
    return table(head, rows, note, text=(0, 1)) if rows else ""
