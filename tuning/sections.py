"""The sections of a space file as typed, frozen values: what each key means, its default and its rule."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")

Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]


def seconds(value: Any) -> float | None:
    """Returns a time in seconds: ``90``, ``"90"``, ``"30m"``, ``"2h"`` and ``"1h30m"`` are times; None is no limit.

    Raises:
        ValueError: If the value is none of these, or not above zero.
    """
    if isinstance(value, str) and re.fullmatch(r"\d+(?:\.\d+)?", value):  # as the command line has it
        value = float(value)
    if isinstance(value, str) and _DURATION.fullmatch(value):
        value = sum(float(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"[\d.]+[smhd]", value))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError("must be a time such as 2h, 30m or a number of seconds above 0")
    return float(value)


def _names(value: Any) -> tuple[str, ...] | None:
    items = [value] if isinstance(value, str) else value
    if items is None:
        return None
    if not isinstance(items, (list, tuple)) or not items or not all(isinstance(item, str) and item for item in items):
        raise ValueError("must be a name or a list of names (quote a name that looks like a number)")
    for item in items:
        if list(items).count(item) > 1:
            raise ValueError(f"names {item!r} twice; keep one")
    return tuple(items)


def _count_or_auto(value: Any) -> Any:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError("must be auto or a whole number of at least 1")
    return value


def _share_or_auto(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
    if value != "auto" and not number:
        raise ValueError("must be auto or a number of at least 0")
    return value


Names = Annotated[tuple[str, ...] | None, BeforeValidator(_names)]
CountOrAuto = Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)]
ShareOrAuto = Annotated[int | float | Literal["auto"], BeforeValidator(_share_or_auto)]
Seconds = Annotated[float | None, BeforeValidator(seconds)]


class Synthetic(BaseModel):
    """Planted data made on the spot, by size and seed; ``control`` takes out the structure that rewards fusion."""

    model_config = _STRICT
    size: Literal["tiny", "small", "rg", "fisv", "highlights-tiny", "highlights"] = "tiny"
    seed: Index = 0
    control: bool = False


class Data(BaseModel):
    """Which shards, and what of them; None stands for all of it (``score``: for the only one there is)."""

    model_config = _STRICT
    path: str | None = None
    synthetic: Synthetic | None = None
    action: Names = None
    score: Names = None
    modalities: Names = None


class Evaluation(BaseModel):
    """Folds inside the training split and seeds a fold; ``every`` is the epochs between two points of a curve.

    With ``first_folds`` a trial trains that many folds first, and the rest only if these are not hopeless.
    """

    model_config = _STRICT
    folds: Annotated[int, Field(ge=2)] = 5
    first_folds: Annotated[int, Field(ge=1)] | None = None
    seeds: Count = 1
    group: str | None = None
    every: CountOrAuto = "auto"


class Scheduler(BaseModel):
    """When a trial is judged: first after ``grace_epochs`` of the first class, then at ``reduction`` times as many.

    ``mode`` says what happens to a trial that is not among the best of its rung: it ends (``stop``), or waits there,
    checkpointed, until it is (``promote``). ``grace_epochs: auto`` finds out which rungs say anything.
    """

    model_config = _STRICT
    type: Literal["asha", "none"] = "asha"
    mode: Literal["stop", "promote"] = "stop"
    grace_epochs: CountOrAuto = 20
    reduction: Annotated[int, Field(ge=2)] = 3


class Searcher(BaseModel):
    """Who proposes configurations: models (after ``warmup`` random ones), chance, or a grid; see ``proposing``."""

    model_config = _STRICT
    type: Literal["hyperopt+gp", "hyperopt", "gp", "random", "grid"] = "hyperopt+gp"
    warmup: Count = 8


class Budget(BaseModel):
    """How much a study may spend: trials, seconds of wall-clock time, seconds of devices' time, trials at once.

    With ``stop_at_noise`` it also ends when another trial would gain less than the noise of the score.
    """

    model_config = _STRICT
    trials: Count = 20
    time: Seconds = None
    device_time: Seconds = None
    stop_at_noise: bool = False
    concurrent: CountOrAuto = "auto"


class Resources(BaseModel):
    """Where trials train: on engines, one a device, or with ``engine: off`` each in a process of its own.

    ``gpu`` and ``cpu`` are what one engine, or one such process, asks Ray for; ``devices`` is the number of engines,
    ``auto`` what the cluster holds. ``precision`` is that of matrix products on GPUs; ``bf16`` takes an engine.
    ``deterministic`` leaves out algorithms that sum in another order every time.
    """

    model_config = _STRICT
    engine: Literal["auto", "off"] = "auto"
    devices: CountOrAuto = "auto"
    precision: Literal["tf32", "float32", "bf16"] = "tf32"
    deterministic: bool = False
    gpu: ShareOrAuto = "auto"
    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Tracking(BaseModel):
    """Whose trained weights MLflow keeps: of the best few, of every trial that ran its full budget, or of all."""

    model_config = _STRICT
    checkpoints: Literal["top", "finished", "all"] = "finished"


class Final(BaseModel):
    """How many of the best configurations are trained on the whole training split, and over how many seeds.

    Up to ``ties`` more are kept that the noise of the folds cannot tell from the last of them.
    """

    model_config = _STRICT
    top: Index = 3
    ties: Index = 2
    seeds: Count = 5
