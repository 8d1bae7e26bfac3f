"""The search of a study without Ray: what to run next, and which trials go on, wait or end.

    search = StudySearch(region, settings, Journal(path))
    work = search.next()
    verdict = search.report(work.trial, result)

Everything it is told and everything it decides is in its journal before anyone acts on it, and a search that is given
the journal of another goes on exactly where that one was. No decision depends on a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pamfn.metrics import AVERAGES
from tuning.search.folds import FirstFolds, waits_for_folds
from tuning.search.informative import Informative
from tuning.search.journal import Event, Journal
from tuning.search.proposing import Observation, propose
from tuning.search.reading import Reading, read
from tuning.search.region import Region
from tuning.search.rungs import Decision, Rungs
from tuning.search.settings import SearchSettings
from tuning.search.settled import settled
from tuning.search.trials import SearchedTrial, Trials, take_in

Action = Literal["goes on", "ends", "waits"]


@dataclass(frozen=True)
class Work:
    """A trial to run: a new one, or one that goes on from its newest checkpoint.

    Args:
        trial: Its id.
        config: Its values of the searched settings.
        resumed: Whether it has run before.
    """

    trial: str
    config: dict[str, Any]
    resumed: bool


@dataclass(frozen=True)
class Verdict:
    """What becomes of a trial that has reported.

    Args:
        action: Whether it goes on, waits, checkpointed, to be continued by ``StudySearch.next``, or ends.
        reason: Why it ends, such as ``stopped at rung 2``; empty if it does not.
    """

    action: Action
    reason: str = ""


class StudySearch:
    """Guarded, asynchronous successive halving over configurations that are proposed one after the other.

    A result counts only if its ``rung`` is 0 or more, and for exactly that rung; the one that completes the budget
    (``progress`` 1) ends the trial as finished. A score that is NaN, None, missing or infinite, or a result with a
    ``status_reason``, ends the trial with that reason.

    Args:
        region: What is searched.
        settings: How.
        journal: What has happened so far, and where to write what happens from now on; None begins anew, in memory.

    Attributes:
        journal: The journal.
        rungs: The scores by rung.
        trials: Every trial by id, in the order of suggestion.
        spent: Why no new trial comes though fewer were suggested than asked for; empty otherwise.
        trained_seconds: How long all trials together have trained according to their results.

    Raises:
        ValueError: If a point does not lie in the region, or a setting breaks its rule; all faults at once.
        JournalError: If the journal tells of what cannot have happened.
    """

    def __init__(self, region: Region, settings: SearchSettings, journal: Journal | None = None) -> None:
        if faults := settings.faults(region):
            raise ValueError("; ".join(faults))
        self.region, self.settings = region, settings
        self.journal = Journal() if journal is None else journal
        auto = Informative(settings.rungs) if settings.auto else None
        self.rungs = Rungs(settings.reduction, settings.mode, auto=auto)
        self.trials: Trials = {}
        self._folds = FirstFolds(average=AVERAGES[settings.metric])
        self.spent = ""
        self.trained_seconds = 0.0
        self._out: set[str] = set()
        self._running: set[str] = set()
        self._open: set[str] = set()
        for line, event in enumerate(self.journal.events, start=1):
            try:
                self._check(event)
                self._take_in(event)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise self.journal.damage(line, f"does not follow from those above it ({error!r})") from error

    def next(self) -> Work | None:
        """Returns the next thing to run; None if nothing is to be run now.

        What an earlier process left running comes first, then a trial that waited and has earned to go on, then a new
        one. Once nothing runs and no more will come, the trials that still wait are ended.
        """
        if len(self._out) >= self.settings.concurrent:
            return None
        work = self._unfinished() or self._promoted() or self._suggested() or self._promoted()
        if work is not None:
            self._out.add(work.trial)
        elif self.exhausted and self._open and not self._running:
            self.stop()
        return work

    def report(self, trial: str, result: Mapping[str, Any]) -> Verdict:
        """Takes in a trial's result and returns what becomes of the trial."""
        held, reading = self.trials[trial], read(result)
        if held.over:
            return Verdict("ends", held.reason)
        if not reading.fault and held.knows(reading, result):
            return Verdict("waits" if held.state == "waiting" and reading.rung == held.rung else "goes on")
        verdict, grounds = self._judged(trial, reading, result)
        self._happen(
            "reported",
            trial=trial,
            result=result,
            rung=reading.rung,
            score=reading.scores.get(reading.rung),
            verdict=verdict.action,
            reason=verdict.reason,
            grounds=grounds,
        )
        return verdict

    def fail(self, trial: str, reason: str) -> None:
        """Takes in that a trial has failed for good."""
        self.end(trial, f"failed: {reason}")

    def end(self, trial: str, reason: str) -> None:
        """Ends a trial for a reason that no report brought; does nothing if it has ended."""
        if not self.trials[trial].over:
            self._happen("ended", trial=trial, reason=reason)

    def stop(self) -> None:
        """Ends every trial that runs or waits: the budget is spent."""
        for held in list(self.trials.values()):
            self.end(held.trial, held.early_end)

    def reason(self, trial: str) -> str:
        """Returns why a trial ended: ``finished``, ``stopped at rung 2``, ``failed: ...``; empty if it has not."""
        return self.trials[trial].reason

    def observations(self) -> list[Observation]:
        """Returns what a proposal may learn from, in the order of suggestion."""
        return [held.observation() for held in self.trials.values()]

    @property
    def exhausted(self) -> bool:
        """Whether no new suggestion will ever come: trials spent, region used up, or settled."""
        return bool(self.spent) or len(self.trials) >= self.settings.trials

    @property
    def done(self) -> bool:
        """Whether nothing runs, nothing waits and nothing more will come."""
        return self.exhausted and not self._open

    def _unfinished(self) -> Work | None:
        left = [self.trials[trial] for trial in self._running - self._out]
        if not left:
            return None
        first = min(left, key=lambda held: held.number)
        return Work(first.trial, dict(first.config), resumed=True)

    def _promoted(self) -> Work | None:
        found = self.rungs.promotable(self.exhausted)
        if found is None:
            return None
        trial, rung = found
        self._happen("promoted", trial=trial, rung=rung)
        return Work(trial, dict(self.trials[trial].config), resumed=True)

    def _suggested(self) -> Work | None:
        if self.exhausted:
            return None
        number, observations = len(self.trials), self.observations()
        if self.settings.stop_at_noise and (reason := settled(self.region, observations)):
            self._happen("spent", reason=reason)
            return None
        settings = self.settings
        proposal = propose(self.region, observations, number=number, seed=settings.seed, settings=settings)
        if proposal is None:
            self._happen("spent", reason="every configuration of the space has been tried")
            return None
        trial = f"{number:04d}"
        self._happen("suggested", trial=trial, number=number, config=proposal.config, by=proposal.by)
        return Work(trial, dict(proposal.config), resumed=False)

    def _judged(self, trial: str, reading: Reading, result: Mapping[str, Any]) -> tuple[Verdict, dict[str, Any]]:
        """Files what a result brings, and returns the verdict with its grounds."""
        self._file(trial, reading, result)
        if reading.fault:
            return Verdict("ends", f"failed: {reading.fault}"), {}
        if waits_for_folds(result) and self.rungs.may_decide(0):
            ahead = self._folds.decide(trial, result)
            if not ahead.goes_on:
                self.rungs.fall_short(trial, 0)
            return Verdict("goes on" if ahead.goes_on else "ends", ahead.reason), ahead.grounds
        if reading.rung < 0:
            early = f"ended early, at {reading.progress:.0%} of its budget"
            return Verdict("ends", early) if reading.done else Verdict("goes on"), {}
        decision = self.rungs.decide(trial, reading.rung)
        if reading.finished:
            return Verdict("ends", "finished"), _grounds(decision)
        if decision.goes_on:
            return Verdict("goes on"), _grounds(decision)
        waits = self.settings.mode == "promote"
        return Verdict("waits") if waits else Verdict("ends", f"stopped at rung {reading.rung}"), _grounds(decision)

    def _file(self, trial: str, reading: Reading, result: Mapping[str, Any]) -> None:
        for rung, score in reading.scores.items():
            self.rungs.record(trial, rung, score)
        if reading.rung == 0 and not reading.fault:
            self._folds.record(trial, reading.scores[0], result)

    def _check(self, event: Event) -> None:
        """Checks that an event of an earlier process can be one of this study.

        Raises:
            ValueError: If a launch had another seed, or a suggestion comes out of turn or lies outside the region.
        """
        if event["event"] == "launched" and event.get("seed", self.settings.seed) != self.settings.seed:
            raise ValueError(f"its seed is {event['seed']}, that of the study {self.settings.seed}")
        if event["event"] != "suggested":
            return
        if event["number"] != len(self.trials):
            raise ValueError(f"its number is {event['number']}, after {len(self.trials)} suggestions")
        if faults := self.region.faults(SearchedTrial.of(event).config):
            raise ValueError("; ".join(faults))

    def _happen(self, event: str, **values: Any) -> None:
        self._take_in(self.journal.append(event, **values))

    def _take_in(self, event: Event) -> None:
        """Brings everything up to date with an event of the journal, of this process or an earlier one."""
        kind, trial = event["event"], event.get("trial", "")
        if kind == "reported":
            self._judged(trial, read(event["result"]), event["result"])
        before = self.trials[trial].seconds if trial in self.trials else 0.0
        take_in(self.trials, event)
        if trial in self.trials:
            self._place(self.trials[trial])
            self.trained_seconds += self.trials[trial].seconds - before
        if kind == "promoted" or (kind == "reported" and event["verdict"] == "goes on" and event["rung"] >= 0):
            self.rungs.promote(trial, event["rung"])
        if kind in ("reported", "ended") and self.trials[trial].state != "running":
            self._gone(trial)
        if kind == "spent":
            self.spent = event["reason"]

    def _place(self, held: SearchedTrial) -> None:
        """Keeps count of who runs and who has not ended: to go through all trials takes longer the more there are."""
        for members, belongs in ((self._running, held.state == "running"), (self._open, not held.over)):
            (members.add if belongs else members.discard)(held.trial)

    def _gone(self, trial: str) -> None:
        self._out.discard(trial)
        if self.trials[trial].over:
            self.rungs.leave(trial)


def _grounds(decision: Decision) -> dict[str, Any]:
    """Returns what a decision rests on, beside what the event says anyway."""
    said = ("trial", "rung", "score", "goes_on")
    return {name: value for name, value in asdict(decision).items() if name not in said}
