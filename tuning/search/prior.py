"""What another study has observed, as far as it lies in this study's region: where a warm start begins.

The other study is read once, and what was read is kept: it may go on, or be gone, when this one is resumed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tuning.domains import contains, frozen_value
from tuning.search.journal import FILE as JOURNAL
from tuning.search.journal import Journal, JournalError
from tuning.search.proposing import Observation
from tuning.search.reading import read
from tuning.search.region import Region
from tuning.search.trials import SearchedTrial
from tuning.space_model import Space

FILE = "warm_start.json"
RECORD = "study.json"


class PriorError(ValueError):
    """Another study cannot be the start of this one; the message says why."""


@dataclass(frozen=True)
class Prior:
    """What a study knows before its first trial.

    Args:
        observations: Configurations of this study's region that another has tried, in its order.
        notes: Lines that say what was taken over, and what was not.
    """

    observations: tuple[Observation, ...] = ()
    notes: tuple[str, ...] = ()


def read_prior(folder: Path, region: Region) -> Prior:
    """Returns what a study has observed, in terms of another's region.

    A setting that only the other study searches is left out. One that only this study searches has the value that the
    other trained with, or else its default here. Configurations with values outside this study's ranges, or that break
    one of its constraints, are dropped, and so are those of which nothing is known yet.

    Args:
        folder: The other study's folder.
        region: What this study searches.

    Raises:
        PriorError: If there is no study, it cannot be read, or nothing of it fits.
    """
    other = _space_of(folder)
    if not set(region.names) & set(other.search):
        theirs, ours = (", ".join(names) or "nothing" for names in (other.search, region.names))
        raise PriorError(f"searches {theirs}, and this study {ours}: nothing in common")
    known = [seen for seen in _observations(folder) if seen.scores or seen.state == "failed"]
    filled = {name: _held(other, region, name) for name in region.names if name not in other.search}
    fitting = tuple(moved for seen in known if (moved := _moved(seen, region, filled)) is not None)
    if not fitting:
        raise PriorError(f"has tried {len(known)} configurations, and none of them fits what this study searches")
    notes = [f"warm start from {folder.name}: {len(fitting)} of {len(known)} configurations fit"]
    notes += [f"warm start: {name} was not searched there and is taken as {value}" for name, value in filled.items()]
    notes += [
        f"warm start: {name} was searched there and is not here" for name in other.search if name not in region.names
    ]
    return Prior(fitting, tuple(notes))


def keep_prior(prior: Prior, storage: Path) -> None:
    """Writes what was read into a study's folder; a reader sees the whole file or none."""
    record = {"version": 1, "observations": [asdict(seen) for seen in prior.observations], "notes": prior.notes}
    unfinished = storage / f".{FILE}.{uuid.uuid4().hex}"
    unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(storage / FILE)


def kept_prior(storage: Path) -> Prior | None:
    """Returns what ``keep_prior`` wrote; None if it wrote nothing.

    Raises:
        PriorError: If the file is not one that ``keep_prior`` wrote.
    """
    path = storage / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Prior(tuple(map(_observation, record["observations"])), tuple(record["notes"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PriorError(f"{path}: not what a warm start has read ({error}); restore it from a copy") from error


def _space_of(folder: Path) -> Space:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return Space.model_validate_json(json.dumps(record["space"]))
    except FileNotFoundError as error:
        raise PriorError(f"is no study: {folder / RECORD} is not there") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PriorError(f"cannot be read: {folder / RECORD} is not the record of a study") from error


def _observations(folder: Path) -> list[Observation]:
    """Returns what a study has observed, in the order of its suggestions."""
    path = folder / JOURNAL
    if not path.exists():
        raise PriorError(f"has tried nothing yet: {path} is not there")
    trials: dict[str, SearchedTrial] = {}
    try:
        for event in Journal(path).events:
            if event["event"] == "suggested":
                trials[event["trial"]] = SearchedTrial.of(event)
            elif event["event"] == "reported":
                result = event["result"]
                trials[event["trial"]].reported(read(result), result, event["verdict"], event["reason"])
            elif event["event"] == "ended":
                trials[event["trial"]].end(event["reason"])
    except JournalError as error:
        raise PriorError(f"cannot be read: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PriorError(f"cannot be read: {path} is not the journal of a study ({error!r})") from error
    return [trial.observation() for trial in trials.values()]


def _held(other: Space, region: Region, name: str) -> Any:
    """Returns the value of a setting that the other study did not search, as it is taken here."""
    value = frozen_value(other.value(name))
    return value if contains(region.domains[name], value) else region.defaults.get(name, value)


def _moved(seen: Observation, region: Region, filled: Mapping[str, Any]) -> Observation | None:
    """Returns an observation in terms of a region; None for one that lies outside it."""
    point = {name: filled[name] if name in filled else frozen_value(seen.config[name]) for name in region.names}
    config = region.canonical(point)
    if region.faults(config):
        return None
    return replace(seen, config=config, state="failed" if seen.state == "failed" else "ended")


def _observation(record: Mapping[str, Any]) -> Observation:
    config = {name: frozen_value(value) for name, value in record["config"].items()}
    scores = {int(rung): float(score) for rung, score in record["scores"].items()}
    return Observation(config, scores, record["state"], tuple((float(x), float(y)) for x, y in record["curve"]))
