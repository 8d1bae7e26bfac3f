"""The jobs of a study: each of its launches has a number, so that two can never run at once under one name."""

from __future__ import annotations

import re
from collections.abc import Iterable

MARK = "~"  # in no study's name, harmless in a URL, a file's name and a shell
_JOB = re.compile(rf"(.+){re.escape(MARK)}([1-9][0-9]*)")


def job_id(study: str, number: int) -> str:
    """Returns the submission id of a study's launch; the job server gives each id away only once."""
    return f"{study}{MARK}{number}"


def study_of(job: str) -> str | None:
    """Returns the study whose launch a job is; None for what no study submitted."""
    found = _JOB.fullmatch(job)
    return found[1] if found else None


def latest(study: str, jobs: Iterable[str]) -> int:
    """Returns the number of a study's last launch among jobs; 0 where there is none."""
    numbers = [int(found[2]) for job in jobs if (found := _JOB.fullmatch(job)) and found[1] == study]
    return max(numbers, default=0)
