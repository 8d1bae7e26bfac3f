"""The final stage in words: the same sentences on the console and in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pamfn.data.rules import counted
from pamfn.metrics import AVERAGES

Results = Mapping[str, Any]
"""What ``final.json`` holds."""


def number(told: Mapping[str, Any]) -> float:
    """Returns a score, or a difference of two, which stands under the name of its metric."""
    return float(next(told[name] for name in AVERAGES if name in told))


def configurations(results: Results) -> list[Mapping[str, Any]]:
    """Returns the rows of all configurations, each once: the candidates, then a reference that is none of them."""
    rows, reference = list(results["candidates"]), results["reference"]
    known = {row["trial_id"] for row in rows}
    return rows + ([reference] if reference and reference["trial_id"] not in known else [])


def is_reference(results: Results, row: Mapping[str, Any]) -> bool:
    """Tells whether a row is the configuration that the others are compared with."""
    return bool(results["reference"]) and row["trial_id"] == results["reference"]["trial_id"]


def reference_words(results: Results) -> str:
    """Returns what the reference is called."""
    return "the paper's configuration" if results["paper"] else "the first trial's configuration"


def verdict(results: Results) -> str:
    """Returns whether the best configuration beats the reference; it does only if the interval says so.

    The best is the one that was chosen before the test split was opened: of all comparisons this is the one that was
    planned, so its interval needs no correction for the others.
    """
    if not results["candidates"]:
        return "no chosen configuration could be trained"
    best, reference = results["candidates"][0], reference_words(results)
    name = f"the best of {results['selection']['trials']}"
    if is_reference(results, best):
        return f"{name} is {reference} itself"
    if best["difference"] is None:
        return f"{name} cannot be compared with {reference}, which could not be trained"
    gap = best["difference"]["average"]
    if gap["low"] is None:
        return f"{name} cannot be told from {reference} by one seed each ({signed(number(gap))})"
    shown = f"({signed(number(gap))} [{signed(gap['low'])}, {signed(gap['high'])}])"
    if gap["low"] > 0:
        return f"{name} is better than {reference} {shown}"
    if gap["high"] < 0:
        return f"{name} is worse than {reference} {shown}"
    return f"{name} is not separable from {reference} {shown}"


def optimistic_verdict(results: Results, names: Mapping[str, str] | None = None) -> str:
    """Returns what the released protocol would say of the same networks, and by how much it flatters them.

    Args:
        results: The results.
        names: What trials are called, by their ids.
    """
    rows = configurations(results)
    best = max(rows, key=lambda row: number(row["optimistic"]["average"]))
    found, reference = best["optimistic"]["average"], results["reference"]
    name = (names or {}).get(best["trial_id"], f"trial {best['trial_id']}")
    against = ""
    if reference and not is_reference(results, best):
        beaten = number(reference["optimistic"]["average"])
        against = f" against {beaten:.3f} of {reference_words(results)}"
    return (
        f"released protocol: best test epoch (of {best['optimistic']['epochs']}); it would call {name} the winner with "
        f"{number(found):.3f}{against}; optimistic by {found['by']:.3f} here"
    )


def luck_words(luck: Mapping[str, Any] | None) -> str:
    """Returns how much of the best validation score is luck; empty where that cannot be told."""
    if luck is None:
        return ""
    return (
        f"the best validation score of {luck['trials']} finished trials, {luck['best']:.3f}, likely flatters by "
        f"{luck['by']:.3f}: about {luck['corrected']:.3f} [{luck['low']:.3f}, {luck['high']:.3f}] without its luck "
        f"(were they all equal, luck would make {luck['at_most']:.3f})"
    )


def ties_words(results: Results) -> str:
    """Returns which ties were kept and how many were not; empty where there were none."""
    kept = sum(bool(row["tie"]) for row in results["candidates"])
    more = results["selection"]["ties_not_kept"]
    if not kept and not more:
        return ""
    return f"{counted(kept, 'tie')} within the noise of the folds kept, {more} more not kept"


def lines_of(results: Results) -> Iterator[str]:
    """Yields the test split's verdict for reading: every configuration, then what follows from it."""
    opening, networks = results["opening"], counted(results["seeds"], "network")
    yield f"test split opened (opening {opening['number']} of this data); {networks} a class, 95% intervals over videos"
    for row in configurations(results):
        yield from _lines(results, row)
    if results["published"]:
        figures = results["published"]
        classes = "  ".join(f"{name} {value:.3f}" for name, value in figures["classes"].items())
        yield f"the paper ({figures['source']}; best test epoch): average {figures['average']:.3f}  {classes}"
    yield from filter(None, (verdict(results), optimistic_verdict(results), luck_words(results["selection"]["luck"])))
    yield from filter(None, (ties_words(results),))


def _lines(results: Results, row: Mapping[str, Any]) -> Iterator[str]:
    fusion = row["models"]["fusion"]
    mark = f" ({reference_words(results)})" if is_reference(results, row) else ""
    name = f"top {row['rank']}, trial {row['trial_id']}" if row["rank"] else f"trial {row['trial_id']}"
    classes = "  ".join(f"{task} {shown(value)}" for task, value in fusion["classes"].items())
    yield f"{name}{mark}: average {shown(fusion['average'])}  {classes}"
    if row["difference"]:
        gap = row["difference"]["average"]
        yield f"  {with_interval(gap)} from {reference_words(results)}, over videos and seeds"
    yield f"  best test epoch, optimistic: {number(row['optimistic']['average']):.3f}"
    for model, value in row["models"].items():
        if model != "fusion":
            gain = value["fusion_gain"]["average"]
            yield f"  {model} branch alone: {shown(value['average'])}; the fusion is {with_interval(gain)} from it"


def shown(value: Mapping[str, Any]) -> str:
    """Returns a score with its interval."""
    return f"{number(value):.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def with_interval(gap: Mapping[str, Any]) -> str:
    """Returns a difference with its interval, if it has one."""
    reach = "" if gap["low"] is None else f" [{signed(gap['low'])}, {signed(gap['high'])}]"
    return f"{signed(number(gap))}{reach}"


def signed(value: float) -> str:
    """Returns a difference with its sign."""
    return f"{value:+.3f}"
