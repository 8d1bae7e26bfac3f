"""What was asked of a study: its question in words, what was searched, and by which protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pamfn.data.rules import counted
from tuning.report.comparing import labels_of
from tuning.report.tables import paragraph, section, table
from tuning.report.ticks import WORDS
from tuning.study import rung_epochs
from tuning.tracking import StudyResults
from tuning.tracking.names import SHORT, short
from tuning.tracking.record import in_words

SEARCHERS = {
    "hyperopt+gp": "a tree of Parzen estimators and a Gaussian process in turn",
    "hyperopt": "a tree of Parzen estimators (HyperOpt)",
    "gp": "a Gaussian process",
    "random": "chance",
    "grid": "a grid",
}


def asked_section(results: StudyResults) -> str:
    """Returns the question, the searched settings and the protocol."""
    return section(
        "asked", "What was asked", paragraph(" ".join(_question(results))), _searched(results), _protocol(results)
    )


def _question(results: StudyResults) -> Iterator[str]:
    space, evaluation = results.space, results.space.evaluation
    model = "the models compared" if "model" in space.search else str(space.value("model"))
    classes = ", ".join(space.data.action or filter(None, labels_of(results))) or "the data"
    streams = f", from {', '.join(results.modalities)}" if results.modalities else ""
    yield f"Which configuration of {model} does best on {classes}{streams}?"
    if not space.search:
        yield "One configuration was asked for, and nothing searched."
    else:
        after = f", after {space.searcher.warmup} at random" if space.searcher.type not in ("random", "grid") else ""
        yield (
            f"Up to {counted(space.budget.trials, 'configuration')} of {counted(len(space.search), 'searched setting')}"
            f" were asked for, proposed by {SEARCHERS[space.searcher.type]}{after}."
        )
    seeds = f" and {evaluation.seeds} seeds" if evaluation.seeds > 1 else ""
    yield (
        f"Each is judged by the {results.metric.mean_words} over {evaluation.folds} held-out folds{seeds} of the "
        "training split."
    )
    yield _stopping(results)


def _stopping(results: StudyResults) -> str:
    scheduler, budget = results.space.scheduler, _budget(results)
    if scheduler.type != "asha":
        return "Every trial runs its full budget."
    rest = {"stop": "the others are stopped", "promote": "the others wait until they are among them"}[scheduler.mode]
    where = "at rungs that are found out"
    if scheduler.grace_epochs != "auto" and budget is not None:
        *rungs, last = map(str, rung_epochs(scheduler, budget))
        where = f"at {counted_epochs(rungs)} of {last}" if rungs else f"at the end alone, {last} epochs"
    return f"Asynchronous halving lets the best 1/{scheduler.reduction} go on {where}; {rest}."


def counted_epochs(rungs: list[str]) -> str:
    """Returns the epochs of rungs: ``epoch 20``, ``epochs 20, 60 and 180``."""
    if len(rungs) == 1:
        return f"epoch {rungs[0]}"
    return f"epochs {', '.join(rungs[:-1])} and {rungs[-1]}"


def _budget(results: StudyResults) -> int | None:
    """Returns the epochs of the first class; None where they are searched."""
    epochs = results.space.value("epochs")
    if "epochs" in results.space.search or epochs is None:
        return None
    return int(next(iter(epochs.values())) if isinstance(epochs, Mapping) else epochs)


def _searched(results: StudyResults) -> str:
    space = results.space
    if not space.search:
        return ""
    first = space.first_point()
    rows = [
        [_called(name), WORDS.get(name, ""), in_words(domain), short(first[name]), short(space.preset_value(name))]
        for name, domain in space.search.items()
    ]
    head = ("setting", "which is", "searched", "first trial", f"preset ({space.preset})")
    note = f"Only where {', and '.join(space.constraints)}." if space.constraints else ""
    return table(head, rows, note, caption="What was searched", text=(0, 1, 2))


def _called(name: str) -> str:
    return f"{name} ({SHORT[name]})" if SHORT.get(name, name) != name else name


def _value(value: Any) -> str:
    """Returns a setting's value; that of each class, where it has one a class."""
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} {short(item)}' for name, item in value.items())})"
    return short(value)


def _protocol(results: StudyResults) -> str:
    space, tags, evaluation = results.space, results.tags, results.space.evaluation
    said: Mapping[str, Any] = {
        "folds": f"{evaluation.folds}, seeds {evaluation.seeds}, group {evaluation.group or 'none'}",
        "first folds": evaluation.first_folds or "",
        "scheduler": f"{space.scheduler.type}, {space.scheduler.mode}, grace {space.scheduler.grace_epochs}, "
        f"reduction {space.scheduler.reduction}",
        "searcher": f"{space.searcher.type}, seed {space.seed}",
        "warm start": space.warm_start or "",
        "preset": space.preset,
        "fixed": ", ".join(f"{name} {_value(value)}" for name, value in space.fixed.items()),
        "data": f"{space.data.path or 'planted'}, digest {tags.get('data_digest', 'unknown')}",
        "code": tags.get("git_commit", tags.get("code_version", "unknown")),
    }
    rows = [[name, str(value)] for name, value in said.items() if value]
    return table(("what", "value"), rows, "", caption="The protocol", text=(0, 1))
