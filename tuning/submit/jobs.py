"""The job server of a cluster: asked in our words, its refusals in one line each."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tuning.submit.access import SubmitError, authorization, refusal
from tuning.submit.names import job_id, latest

KNOCK = 10.0  # seconds for the job server to accept a connection
PATIENCE = (10.0, 120.0)  # seconds to connect, and to answer
GENTLE = 900  # seconds that a study has for its end before Ray kills it; three is Ray's default
OVERRULING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # Ray would take these before the address it is given

TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)


class Unreachable(SubmitError):  # noqa: N818  # reads as what it is
    """The job server does not answer; it may do so later."""


class UnknownJob(SubmitError):  # noqa: N818  # reads as what it is
    """The job server answers, and has no such job."""


class Jobs:
    """The jobs of a cluster.

    Args:
        address: ``http(s)://HOST:PORT`` of the job server, which is that of the dashboard.

    Raises:
        SubmitError: If the address is none, nothing answers there, or it does not let us in.
    """

    def __init__(self, address: str) -> None:
        self.address = _checked(address)
        self.headers = authorization()
        from ray.job_submission import JobSubmissionClient

        for name in OVERRULING:
            os.environ.pop(name, None)
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        with _answers(self.address):
            _knock(self.address)
            self._client: Any = JobSubmissionClient(self.address, headers=dict(self.headers))
        self._client._do_request = partial(self._client._do_request, timeout=PATIENCE)  # it would wait for ever

    def of_study(self, study: str) -> tuple[int, Any]:
        """Returns the number of a study's last launch and what is known of it; 0 and None if it has none here.

        Raises:
            SubmitError: If the server refuses.
        """
        with _answers(self.address):
            known = {job.submission_id: job for job in self._client.list_jobs() if job.submission_id}
        number = latest(study, known)
        return number, known.get(job_id(study, number))

    def info(self, job: str) -> Any:
        """Returns what is known of a job.

        Raises:
            UnknownJob: If there is no such job.
            SubmitError: If the server refuses.
        """
        with _answers(self.address, job):
            return self._client.get_job_info(job)

    def stop(self, job: str) -> bool:
        """Asks a job to end, and returns whether it ran.

        Raises:
            UnknownJob: If there is no such job.
            SubmitError: If the server refuses.
        """
        with _answers(self.address, job):
            return bool(self._client.stop_job(job))

    def submit(self, job: str, command: str, folder: Path, metadata: Mapping[str, str]) -> None:
        """Ships a folder and starts a command in it; nothing of this process's environment goes along.

        Raises:
            SubmitError: If the server refuses; also if another has taken the id meanwhile.
        """
        environment = {"working_dir": str(folder), "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(GENTLE)}}
        with _answers(self.address, job):
            self._client.submit_job(
                entrypoint=command, submission_id=job, runtime_env=environment, metadata=dict(metadata)
            )


@contextmanager
def _answers(address: str, job: str = "") -> Iterator[None]:
    """Turns what the job server, Ray's client and the network raise into one line."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        raise SubmitError(refusal(401 if "required" in str(error) else 403, address)) from error
    except (requests.RequestException, OSError) as error:
        raise Unreachable(unreachable(address, error)) from error
    except RuntimeError as error:
        raise _refused(address, job, str(error)) from error


def _refused(address: str, job: str, said: str) -> SubmitError:
    """Returns what the job server's own words mean: Ray passes on its status in a sentence."""
    if "status code 404" in said:
        return UnknownJob(f"there is no job {job} at {address}")
    if "already exists" in said:
        return SubmitError(f"job {job} was submitted by another at this moment; follow it with --follow {job}")
    lines = [line for line in said.strip().splitlines() if line.strip()] or ["no reason given"]
    first, last = lines[0][:200], lines[-1][:200]
    reason = first if first == last else f"{first} ... {last}"
    kind = Unreachable if "status code 5" in said else SubmitError
    return kind(f"--address: the job server at {address} refuses: {reason}; see its log, dashboard.log")


def unreachable(address: str, error: BaseException) -> str:
    """Returns the line for a server that does not answer."""
    reason = str(getattr(error, "strerror", None) or error or type(error).__name__).strip().splitlines()[0][:200]
    way_out = "is the head node running, and its port open from here (an SSH tunnel, `ssh -L`)?"
    return f"--address: no job server answers at {address} ({reason}); {way_out}"


def _checked(address: str) -> str:
    way_out = "give http://HOST:8265, the address of the cluster's dashboard"
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port
    except ValueError as error:
        raise SubmitError(f"--address: {address!r} is no address ({error}); {way_out}") from error
    if parts.username or parts.password:
        raise SubmitError(f"--address: a user or a password in it would be shown; {way_out}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SubmitError(f"--address: {address!r} is not the address of a job server; {way_out}")
    if port in (6379, 10001):
        raise SubmitError(f"--address: port {port} of {parts.hostname} is Ray's own, not its job server's; {way_out}")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _knock(address: str) -> None:
    """Raises at once where nothing listens; Ray's client has no limit of its own."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((str(parts.hostname), port), timeout=KNOCK).close()
