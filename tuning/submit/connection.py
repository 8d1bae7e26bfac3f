"""A job's log and state, read over HTTP without a thread that Ctrl-C would have to wait for."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from tuning.submit.access import SubmitError, refusal
from tuning.submit.jobs import UnknownJob, Unreachable, unreachable

SIGNS_OF_LIFE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # seconds of quiet, between probes; probes
ANSWER = 30.0  # seconds for an answer to a question
ORDERLY = (aiohttp.WSCloseCode.OK, aiohttp.WSCloseCode.GOING_AWAY)


class Server(Protocol):
    """Where a job is asked for; `tuning.submit.jobs.Jobs` in earnest."""

    address: str
    headers: dict[str, str]


@dataclass(frozen=True)
class State:
    """How a job stands.

    Args:
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        exit_code: That of its driver, if it came to its end by itself.
        error: Ray's name for what went wrong; may be empty.
        message: Ray's words for it; may be empty.
    """

    status: str
    exit_code: int | None = None
    error: str = ""
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")


async def log_of(server: Server, job: str) -> AsyncIterator[str]:
    """Yields a job's log from its beginning; first an empty text, once there is a connection.

    Ray's own client does without signs of life: a connection that a router has forgotten would stay silent for ever.
    They are TCP's, since the job server does not answer a WebSocket's pings.

    Raises:
        Unreachable: If the connection is not made, or breaks.
        SubmitError: If the server refuses.
    """
    try:
        async with (
            aiohttp.ClientSession(headers=server.headers) as session,
            session.ws_connect(_url(server, job) + "/logs/tail", max_msg_size=0) as connection,
        ):
            _keep_alive(connection)
            yield ""
            async for message in connection:
                if message.type == aiohttp.WSMsgType.TEXT:
                    yield message.data
            if connection.close_code not in ORDERLY:
                raise Unreachable(f"the connection to {server.address} broke")
    except aiohttp.WSServerHandshakeError as error:
        raise _refused(server, job, error.status) from error
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise Unreachable(unreachable(server.address, error)) from error


async def state_of(server: Server, job: str) -> State:
    """Returns how a job stands.

    Raises:
        Unreachable: If there is no answer.
        SubmitError: If the server refuses.
    """
    try:
        async with (
            aiohttp.ClientSession(headers=server.headers, timeout=aiohttp.ClientTimeout(ANSWER)) as session,
            session.get(_url(server, job)) as answer,
        ):
            if answer.status != 200:
                raise _refused(server, job, answer.status)
            said = await answer.json(content_type=None)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise Unreachable(unreachable(server.address, error)) from error
    return State(said["status"], said.get("driver_exit_code"), said.get("error_type") or "", said.get("message") or "")


def _keep_alive(connection: aiohttp.ClientWebSocketResponse) -> None:
    line = connection.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SIGNS_OF_LIFE.items():
        if hasattr(socket, name):  # not everywhere
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _url(server: Server, job: str) -> str:
    return f"{server.address}/api/jobs/{job}"


def _refused(server: Server, job: str, status: int) -> SubmitError:
    if status == 404:
        return UnknownJob(f"there is no job {job} at {server.address}")
    if status in (401, 403):
        return SubmitError(refusal(status, server.address))
    return Unreachable(f"the job server at {server.address} answers {status}")
