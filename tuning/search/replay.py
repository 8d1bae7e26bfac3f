"""A journal gone through again: a fresh search is told the same things in the same order, and must say the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tuning.search.core import StudySearch
from tuning.search.journal import Event, Journal
from tuning.search.region import Region
from tuning.search.settings import SearchSettings

_DECIDED = ("suggested", "promoted", "spent")


@dataclass(frozen=True)
class Difference:
    """The first event of a journal that came out differently.

    Args:
        line: Its line in the journal.
        then: The event as it is there.
        now: The event as it is now; None if there was none.
    """

    line: int
    then: Event
    now: Event | None


@dataclass(frozen=True)
class Replay:
    """What came of going through a journal again.

    Args:
        decisions: Suggestions and decisions that were compared.
        difference: The first that is not reproduced; None if all are.
    """

    decisions: int
    difference: Difference | None


def replay(region: Region, settings: SearchSettings, events: Sequence[Event]) -> Replay:
    """Feeds what a journal observed to a fresh search, and compares what that decides.

    Observed are the results of trials, their failures and the end of a budget, and that something could be run at that
    moment: the limit on trials at once is left out of account, and so are the launches.
    """
    fresh = StudySearch(region, replace(settings, concurrent=len(events) + 1), Journal())
    told = [(line, event) for line, event in enumerate(events, start=1) if event["event"] != "launched"]
    for count, (line, event) in enumerate(told):
        with suppress(KeyError, TypeError, ValueError, AttributeError):  # an event that lacks a value leads nowhere
            if len(fresh.journal.events) == count:
                _tell(fresh, event)
        now = fresh.journal.events[count] if len(fresh.journal.events) > count else None
        if now is None or _timeless(now) != _timeless(event):
            return Replay(count, Difference(line, event, now))
    return Replay(len(told), None)


def _tell(fresh: StudySearch, event: Event) -> None:
    """Brings a fresh search to the moment of an event."""
    if event["event"] in _DECIDED:
        fresh.next()
    elif event["event"] == "reported" and event["trial"] in fresh.trials:
        fresh.report(event["trial"], event["result"])
    elif event["event"] == "ended" and event["trial"] in fresh.trials:
        fresh.end(event["trial"], event["reason"])


def _timeless(event: Event) -> str:
    """Returns an event as text without its time; one NaN is as good as another."""
    return json.dumps({name: value for name, value in event.items() if name != "time"}, sort_keys=True)
