"""Two studies held against each other: whether they can be, what to know before, and how far their best are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuning.report.comparing import labels_of
from tuning.report.found import best_of, difference
from tuning.tracking import StudyResults, TrialResult
from tuning.tracking.names import text

NOTHING = "-"  # of a setting that a space does not name


class NotComparable(ValueError):  # noqa: N818  # reads as what it says
    """Two studies have no score in common; the message is one line."""


@dataclass(frozen=True)
class Pair:
    """Two studies with a score in common.

    Args:
        studies: The studies.
        best: The best trial of each.
    """

    studies: tuple[StudyResults, StudyResults]
    best: tuple[TrialResult, TrialResult]

    @property
    def gap(self) -> tuple[float, float, float] | None:
        """How far the second's best is from the first's, paired by fold, with its 95% interval; None if it is not."""
        one, other = self.best
        return None if any(_unlike(*self.studies)) else difference(other, one, self.studies[0])


def pair(one: StudyResults, other: StudyResults) -> Pair:
    """Returns two studies as a pair.

    Raises:
        NotComparable: If they are one and the same, judged by different scores, of other classes, or without a score.
    """
    names = f"studies {one.name!r} and {other.name!r}"
    if one.study_run_id == other.study_run_id:
        raise NotComparable(f"study {one.name!r}: cannot be compared with itself; name two studies")
    if one.metric != other.metric:
        raise NotComparable(
            f"{names}: cannot be compared, one is judged by {one.metric.words}, the other by {other.metric.words}"
        )
    best = best_of(one), best_of(other)
    for study, found in zip((one, other), best, strict=True):
        if found is None:
            raise NotComparable(f"study {study.name!r}: cannot be compared, no trial of it has a score")
    mine, theirs = classes(one), classes(other)
    if set(mine) != set(theirs):
        told = f"{', '.join(mine)} and {', '.join(theirs)}"
        raise NotComparable(f"{names}: cannot be compared, their scores are averages over other classes: {told}")
    assert best[0] is not None  # checked above
    assert best[1] is not None
    return Pair((one, other), (best[0], best[1]))


def classes(results: StudyResults) -> tuple[str, ...]:
    """Returns the classes that a study's score is an average over."""
    found = labels_of(results)
    asked = results.space.data.action or results.space.data.score or ("the data",)
    return found if any(found) else tuple(asked)


def caveats(both: Pair) -> list[str]:
    """Returns what to know before the scores of two studies are compared."""
    one, other = both.studies
    said = list(_unlike(one, other))
    for name, study, best in zip("AB", both.studies, both.best, strict=True):
        if not best.finished:
            said.append(f"The best trial of {name}, {study.name}, has not run its full budget.")
    budgets = [text(study.space.value("epochs")) for study in both.studies]
    if budgets[0] != budgets[1]:
        said.append(f"Their budgets differ: {budgets[0]} and {budgets[1]} epochs.")
    return said


def differences(one: StudyResults, other: StudyResults) -> list[tuple[str, str, str]]:
    """Returns what differs in the spaces of two studies: the place in the file, and the value in each."""
    mine, theirs = (dict(_flat(study.space.model_dump(mode="json"))) for study in (one, other))
    return [
        (name, mine.get(name, NOTHING), theirs.get(name, NOTHING))
        for name in dict.fromkeys([*mine, *theirs])
        if mine.get(name) != theirs.get(name)
    ]


def _unlike(one: StudyResults, other: StudyResults) -> Iterator[str]:
    """Yields why two studies' folds are not the same videos."""
    digests = [study.tags.get("data_digest", "unknown") for study in (one, other)]
    if digests[0] != digests[1] or "unknown" in digests:
        yield f"Their data differ: digests {digests[0][:12]} and {digests[1][:12]}."
    for what, mine, theirs in (
        ("numbers of folds", one.space.evaluation.folds, other.space.evaluation.folds),
        ("groups that folds do not cut through", one.space.evaluation.group, other.space.evaluation.group),
        ("seeds, by which folds are cut", one.space.seed, other.space.seed),
    ):
        if mine != theirs:
            yield f"Their folds are not the same videos: {what} are {text(mine)} and {text(theirs)}."


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields a space as plain settings; what is searched of one stays in one piece."""
    if isinstance(value, Mapping) and not path.startswith("search."):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Mapping):
        yield path, ", ".join(f"{key} {text(item)}" for key, item in value.items() if item not in (None, False))
    else:
        yield path, text(value)
