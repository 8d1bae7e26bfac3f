"""What a study took, and what it was spared: by stopping trials early, and by sharing pretrained branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pamfn.data.rules import counted
from tuning.report.history import History
from tuning.report.moments import in_time
from tuning.report.tables import paragraph, table
from tuning.tracking import StudyResults

Results = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Cost:
    """Seconds of devices, each trial counted with its share of one.

    Args:
        trained: What the trials have trained.
        branches: Of that, for pretraining branches; None where no trial said so.
        stopped: Trials that were stopped.
        spared_by_stopping: What the stopped ones would have trained besides, to the end of their budgets.
        made: Branches that the trials have trained.
        shared: Branches that they found, trained by somebody else.
        spared_by_sharing: What training those once more would have taken; None where no branch was trained here.
    """

    trained: float
    branches: float | None
    stopped: int
    spared_by_stopping: float
    made: int
    shared: int
    spared_by_sharing: float | None


def cost(results: StudyResults, told: Mapping[str, Results]) -> Cost:
    """Returns what a study took.

    Args:
        results: The study.
        told: By trial, everything it has reported.
    """
    stopped = [t for t in results.trials if t.reason.startswith(("stopped", "paused")) and t.trial_id in told]
    paces = {trial: pace for trial, reports in told.items() if (pace := _pace(reports)) is not None}
    typical = median(paces.values()) if paces else 0.0
    spared = sum((1 - _last(told[t.trial_id], "progress")) * paces.get(t.trial_id, typical) for t in stopped)
    made = round(sum(_most(reports, "branches_trained") for reports in told.values()))
    shared = round(sum(_shared(reports) for reports in told.values()))
    said = any("branch_seconds" in result for reports in told.values() for result in reports)
    branches = sum(_most(reports, "branch_seconds") for reports in told.values()) if said else None
    each = branches / made if branches is not None and made else None
    trained = sum(trial.seconds for trial in results.trials)
    return Cost(trained, branches, len(stopped), spared, made, shared, None if each is None else each * shared)


def cost_section(results: StudyResults, past: History | str) -> str:
    """Returns what a study took, as a table."""
    if isinstance(past, str):
        spent = in_time(sum(trial.seconds for trial in results.trials))
        return paragraph(f"The trials trained for {spent} of a device. What else it took is not known here: {past}.")
    found, places = cost(results, past.results), len(past.places)
    rows = [["trained by all trials", in_time(found.trained), "each trial's share of its device, added up"]]
    if found.branches is not None:
        rows.append(["of that, branches (phase 1)", in_time(found.branches), f"{found.made} trained here"])
    launches = "1 launch" if len(past.launches) == 1 else f"{len(past.launches)} launches"
    rows.append(["from the first trial to the last event", in_time(past.seconds), f"wall clock, {launches}"])
    held = f"{counted(places, 'place')}, all of the time ({', '.join(past.places)})"
    rows.append(["devices held", in_time(places * past.seconds), held])
    stopped = f"{counted(found.stopped, 'trial')} stopped before the end of the budget; an estimate by their own pace"
    rows.append(["spared by stopping", in_time(found.spared_by_stopping), stopped])
    rows.append(["spared by sharing branches", *_sharing(found)])
    head = ("device time", "took", "which is")
    return table(head, rows, "", caption="What the search took, and what it was spared", text=(0, 2))


def _sharing(found: Cost) -> tuple[str, str]:
    loaded = f"{found.shared} branches were found in the store instead of trained once more"
    if found.spared_by_sharing is None:
        return "-", f"{loaded}; what one takes is not known, as none was timed in this study"
    return in_time(found.spared_by_sharing), f"{loaded}; an estimate by those that were trained here"


def _pace(reports: Results) -> float | None:
    """Returns the seconds of phase 2 that a trial's full budget takes; None where that is not known.

    From the first report on, so that branches do not count; from its start where it reported once, and none was made.
    """
    done = [(float(r.get("progress") or 0.0), float(r.get("train_seconds") or 0.0)) for r in reports]
    begin = done[0] if len(done) > 1 else (0.0, _most(reports, "branch_seconds"))
    more, seconds = done[-1][0] - begin[0], done[-1][1] - begin[1]
    known = len(done) > 1 or "branch_seconds" in reports[0] or not _most(reports, "branches_trained")
    return seconds / more if known and more > 0 else None


def _shared(reports: Results) -> float:
    """Returns the branches that a trial found; one that goes on elsewhere reads its own again, which spares nothing."""
    first: Mapping[str, Any] = next((r for r in reports if r.get("branches_loaded") is not None), {})
    return float(first.get("branches_loaded") or 0)


def _last(reports: Results, name: str) -> float:
    return float(reports[-1].get(name) or 0.0)


def _most(reports: Results, name: str) -> float:
    return max((float(result.get(name) or 0.0) for result in reports), default=0.0)
