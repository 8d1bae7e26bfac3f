"""Random kills for as long as one likes: studies one after the other, struck again and again, resumed, and counted."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.faults import cluster
from benchmarks.faults.lab import Lab
from benchmarks.faults.network import strike
from benchmarks.faults.study import StudyRun
from benchmarks.faults.verdict import Verdict, judge

TRIALS = 16  # of each study
PAUSE = (5.0, 30.0)  # seconds between two kills
AWAY = (1.0, 15.0)  # seconds until what was killed is started again


@dataclass
class Soak:
    """What a soak has come to.

    Attributes:
        kills: By what was killed, how many times.
        studies: How many studies have ended.
        launches: How often they were launched.
        unfinished: Studies that did not end well.
        verdicts: What each of them has lost, doubled and repeated.
        why: What went wrong, for people.
    """

    kills: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    launches: int = 0
    unfinished: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Returns a count over all studies."""
        return sum(int(getattr(verdict, name)) for verdict in self.verdicts)

    def plain(self) -> dict[str, Any]:
        """Returns it as plain values."""
        counts = {name: self.total(name) for name in ("trials", "lost", "doubled", "repeated", "compared")}
        worst = max((verdict.difference for verdict in self.verdicts), default=0.0)
        return {
            **asdict(self),
            "kills": dict(self.kills),
            "verdicts": len(self.verdicts),
            **counts,
            "difference": worst,
        }

    def line(self) -> str:
        """Returns it in words."""
        kills = ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))
        plain = self.plain()
        return (
            f"{self.kills.total()} kills ({kills}); {self.studies} studies in {self.launches} launches, "
            f"{self.unfinished} of them not ended well; {plain['trials']} trials, {plain['lost']} lost, "
            f"{plain['doubled']} doubled, {plain['repeated']} repeated; {plain['compared']} scores compared, "
            f"largest difference {plain['difference']:.2g}"
        )

    @property
    def sound(self) -> bool:
        """Whether all studies ended well, and nothing was lost, doubled or done twice."""
        wrong = self.unfinished + self.total("lost") + self.total("doubled") + self.total("repeated")
        return self.kills.total() > 0 and self.total("trials") > 0 and wrong == 0


def soak(lab: Lab, seconds: float, seed: int = 0, say: Callable[[str], None] = print) -> Soak:
    """Strikes studies at random until the time is up and the last of them has ended.

    Args:
        lab: The laboratory.
        seconds: For how long.
        seed: Seed of what is struck when.
        say: Tells people a line.
    """
    result, moments, end = Soak(), random.Random(seed), time.monotonic() + seconds
    calm = lab.calm("engines", TRIALS)
    while time.monotonic() < end:
        study = lab.study("engines", "soak", TRIALS)
        study.launch()
        try:
            _strike_until(lab, study, result, moments, end)
            lab.heal()
            status = lab.finish(study)
        except (RuntimeError, TimeoutError) as error:
            status = -1
            result.why.append(str(error))
        result.studies, result.launches = result.studies + 1, result.launches + study.launches
        result.unfinished += status != 0
        result.why += [study.out[-2000:] + study.err[-2000:]] if status > 0 else []
        result.verdicts.append(judge(study.events(), study.tracking(lab.mlflow.uri), calm))
        result.why += result.verdicts[-1].why
        say(result.line())
        with suppress(ProcessLookupError):
            study.kill()
        lab.heal()
    return result


def _strike_until(lab: Lab, study: StudyRun, result: Soak, moments: random.Random, end: float) -> None:
    """Strikes a study until it ends, or the time is up."""
    while time.monotonic() < end:
        pause = time.monotonic() + moments.uniform(*PAUSE)
        while study.running and time.monotonic() < pause:
            time.sleep(0.2)
        if not study.running:
            if study.process is not None and study.process.returncode == 0:
                return
            study.launch()
            continue
        kind = moments.choice(["trial", "trial", "engine", "engine", "raylet", "driver", "mlflow", "postgres"])
        if hit := _KILLS[kind](lab, study):
            result.kills[kind] += hit if kind in ("trial", "engine") else 1
        time.sleep(moments.uniform(*AWAY))
        lab.heal()
        if kind == "driver":
            study.launch()


_KILLS: dict[str, Callable[[Lab, StudyRun], int]] = {
    "trial": lambda lab, study: strike([*cluster.trials(lab.worker), *cluster.trials(lab.head)][:1]),
    "engine": lambda lab, study: strike([*cluster.engines(lab.worker), *cluster.engines(lab.head)][:1]),
    "raylet": lambda lab, study: strike(cluster.raylets(lab.worker)),
    "driver": lambda lab, study: study.kill(),
    "mlflow": lambda lab, study: lab.mlflow.kill(),
    "postgres": lambda lab, study: lab.postgres.kill(),
}
