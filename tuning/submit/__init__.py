"""A study as a job of a Ray cluster: the code is shipped, the data are not; its log is followed to its end.

python -m tuning.submit --address http://HEAD:8265 --space rg.yaml --data /shared/shards/rg --storage /shared/studies
    --tracking-uri http://mlflow:5000

Exit status: that of the study, see `tuning.launch`; 1 also if the study was lost or killed, 2 if nothing was submitted,
130 also if Ctrl-C ended the following. A study that is submitted is not hurt by what happens to this process.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Sequence

from tuning.console import LastingOutput
from tuning.faults import SpaceError
from tuning.shipping import ShippingError, listing, shipped_code, staged
from tuning.shipping.chosen import checked as small_enough
from tuning.submit.access import SubmitError
from tuning.submit.checking import checked
from tuning.submit.ending import DONE, INTERRUPTED, SOME_FAILED, WRONG, ended
from tuning.submit.following import follow
from tuning.submit.jobs import Jobs, UnknownJob
from tuning.submit.names import job_id, study_of
from tuning.submit.package import Package
from tuning.submit.request import COMMAND, LAST, launch_options, parse
from tuning.submit.secrecy import password_faults

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    own, words = parse(list(sys.argv[1:] if argv is None else argv))
    try:
        if own.list_shipped:
            LastingOutput(sys.stdout).write(listing(shipped_code()))
            return DONE
        if own.follow or own.stop:
            jobs = Jobs(own.address)
            return _stop(jobs, own.stop) if own.stop else _follow(jobs, *_job_of(jobs, own.follow))
        return _submit(own.address, words, resume=own.resume, wait=not own.no_wait)
    except (SpaceError, SubmitError, ShippingError) as error:
        return _say(str(error), WRONG)
    except KeyboardInterrupt:
        return _say("interrupted; nothing was submitted", INTERRUPTED)


def _submit(address: str, words: list[str], *, resume: str | None, wait: bool) -> int:
    """Ships a study and starts it, after everything that can be checked here has been."""
    files = small_enough(shipped_code())
    if resume in (None, LAST):
        arguments = launch_options(words)
        name = checked(arguments, words)
        package = Package.of(name, words, arguments.space, resume=resume is not None)
    jobs = Jobs(address)
    if resume not in (None, LAST):
        package = _package_of(jobs, str(resume), words)
    number, last = jobs.of_study(package.study)
    if last is not None and not last.status.is_terminal():
        raise SubmitError(_running(jobs, package.study, job_id(package.study, number)))
    job = job_id(package.study, number + 1)
    with staged(files, {package.file: package.space}) as folder:
        jobs.submit(job, package.command, folder, package.metadata(jobs.address))
    if wait:
        _say(f"study {package.study} is job {job} at {jobs.address}", DONE)
        return _follow(jobs, job, package.again(jobs.address))
    return _say(f"study {package.study} is job {job} at {jobs.address}\n{_ways_on(jobs, job)}", DONE)


def _package_of(jobs: Jobs, study: str, more: list[str]) -> Package:
    """Returns the last launch of a study, to be gone on with; what is new in it is checked here, the rest was then.

    Raises:
        SpaceError: If a word holds a password.
        SubmitError: If the cluster knows of no launch, or not how it was.
    """
    if faults := list(password_faults(more, "")):
        raise SpaceError("--resume", faults)
    _, last = jobs.of_study(study)
    if last is None:
        raise SubmitError(
            f"--resume: {jobs.address} knows no job of a study {study!r}; give --space and its other options again, "
            "and --resume without a name"
        )
    package = Package.read(last.metadata or {}, study, more)
    launch_options(["--space", package.file, *package.words])
    return package


def _follow(jobs: Jobs, job: str, again: str) -> int:
    """Writes a job's log until it ends, and returns the study's exit status."""
    out = LastingOutput(sys.stdout)

    def write(text: str) -> None:
        out.write(text)
        out.flush()

    try:
        state = asyncio.run(follow(jobs, job, write, _note))
    except KeyboardInterrupt:
        return _say(f"no longer followed; the study goes on as job {job}\n{_ways_on(jobs, job)}", INTERRUPTED)
    except SubmitError as error:
        way_out = f"resume with: {again}" if isinstance(error, UnknownJob) else _ways_on(jobs, job)
        return _say(f"{error}\n{way_out}", SOME_FAILED)
    status, line = ended(state, job, again)
    return _say(line, status) if line else status


def _stop(jobs: Jobs, name: str) -> int:
    """Ends a study gently, and waits for that."""
    job, again = _job_of(jobs, name)
    if not jobs.stop(job):
        raise SubmitError(f"--stop: job {job} has ended already; there is nothing to stop")
    _note(f"job {job} writes down where its trials stand, and ends")
    try:
        asyncio.run(follow(jobs, job, lambda _: None, _note))
    except KeyboardInterrupt:
        return _say(f"job {job} goes on ending\n{_ways_on(jobs, job)}", INTERRUPTED)
    return _say(f"job {job} was stopped; resume with: {again}", DONE)


def _job_of(jobs: Jobs, name: str) -> tuple[str, str]:
    """Returns the job of an id, or the last one of a study, and the command that goes on with the study."""
    if study_of(name) is not None:
        return name, (jobs.info(name).metadata or {}).get("again", "")
    number, last = jobs.of_study(name)
    if last is None:
        raise SubmitError(f"{jobs.address} knows neither a job nor a study {name!r}; `ray job list` lists its jobs")
    return job_id(name, number), (last.metadata or {}).get("again", "")


def _running(jobs: Jobs, study: str, job: str) -> str:
    return f"study {study} runs already, as job {job}\n{_ways_on(jobs, job)}"


def _ways_on(jobs: Jobs, job: str) -> str:
    base = [*COMMAND, "--address", jobs.address]
    stopped = study_of(job) or job
    return f"follow it: {shlex.join([*base, '--follow', job])}\nstop it:   {shlex.join([*base, '--stop', stopped])}"


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _say(text: str, status: int) -> int:
    _note(text)
    return status
