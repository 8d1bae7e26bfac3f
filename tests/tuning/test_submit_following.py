"""A log over connections that break: every line once, whatever happens to the line to the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import WSCloseCode, web

from tuning.submit.access import SubmitError
from tuning.submit.connection import State
from tuning.submit.following import follow
from tuning.submit.jobs import UnknownJob


@dataclass
class Played:
    """A job server that plays one script for each connection to the log of ``rg~1``.

    Args:
        scripts: What it does with the first connection, the second, and so on; the last one again for all later ones.
        states: What it says of the job, in turn; the last one again.
    """

    scripts: list[Callable]
    states: list[dict]
    address: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer t"})
    shown: list[str] = field(default_factory=list)

    async def log(self, request: web.Request) -> web.StreamResponse:
        self.shown.append(request.headers.get("Authorization", ""))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        return await script(request)

    async def state(self, request: web.Request) -> web.Response:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return web.Response(status=state.get("code", 200), text=json.dumps(state))


def texts(*pieces: str, then: str = "close") -> Callable:
    """Returns a script that sends texts and then closes, or breaks the connection."""

    async def script(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for piece in pieces:
            await socket.send_str(piece)
        if then == "break":
            request.transport.abort()
        elif then == "away":
            await socket.close(code=WSCloseCode.GOING_AWAY)
        return socket

    return script


def answer(code: int) -> Callable:
    async def script(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code)

    return script


@asynccontextmanager
async def running(played: Played) -> AsyncIterator[Played]:
    app = web.Application()
    app.router.add_get("/api/jobs/rg~1/logs/tail", played.log)
    app.router.add_get("/api/jobs/rg~1", played.state)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    played.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield played
    finally:
        await runner.cleanup()


def followed(played: Played, **options) -> tuple[str, list[str], State]:
    """Returns what was written, what was noted, and how the job ended."""
    written, notes = list[str](), list[str]()

    async def play() -> State:
        async with running(played):
            return await follow(played, "rg~1", written.append, notes.append, first=0.01, **options)

    state = asyncio.run(play())
    return "".join(written), notes, state


RUNS, DONE = {"status": "RUNNING"}, {"status": "SUCCEEDED", "driver_exit_code": 0}


def test_a_log_is_written_as_it_comes_and_the_end_is_told():
    played = Played([texts("one\n", "two\n")], [DONE])
    assert followed(played) == ("one\ntwo\n", [], State("SUCCEEDED", 0))
    assert played.shown == ["Bearer t"]


def test_no_line_is_written_twice_or_lost_when_connections_break_anywhere():
    whole = ["one\n", "two\n", "three\n"]
    played = Played(
        [texts("one\ntw", then="break"), texts(then="break"), answer(500), texts("one\n", then="break"), texts(*whole)],
        [RUNS, RUNS, RUNS, RUNS, DONE],
    )
    written, notes, state = followed(played)
    assert written == "one\ntwo\nthree\n"
    assert state == State("SUCCEEDED", 0)
    assert sum(note.startswith("connection lost: ") for note in notes) == 4
    assert notes[-1] == "connected again"
    assert all("the study goes on without it; trying again in " in note for note in notes if "lost" in note)


def test_a_log_whose_server_goes_away_in_good_order_is_taken_up_again():
    played = Played([texts("one\n", then="away"), texts("one\n", "two\n")], [RUNS, RUNS, DONE])
    assert followed(played)[0] == "one\ntwo\n"


def test_a_job_that_has_ended_is_not_waited_for_though_its_log_is_gone():
    written, notes, state = followed(Played([answer(500)], [{"status": "FAILED", "driver_exit_code": 1}]))
    assert (written, state.exit_code) == ("", 1)
    assert notes[-1].startswith("the end of its log cannot be read: ")


def test_a_job_that_a_new_head_node_does_not_know_is_told_as_that():
    played = Played([texts("one\n", then="break")], [{"code": 404}])
    with pytest.raises(UnknownJob, match=r"there is no job rg~1 at .* any more: the head node has been started anew"):
        followed(played)


def test_an_unknown_job_is_refused_at_once():
    with pytest.raises(UnknownJob, match="there is no job rg~1 at"):
        followed(Played([answer(404)], [{"code": 404}]))


@pytest.mark.parametrize(("code", "said"), [(401, "asks for a token"), (403, "does not take this token")])
def test_a_token_that_is_refused_ends_the_following(code, said):
    with pytest.raises(SubmitError, match=said):
        followed(Played([answer(code)], [RUNS]))


def test_a_server_that_stays_away_is_given_up_in_the_end():
    with pytest.raises(SubmitError, match=r"answers 500; given up after 0 s"):
        followed(Played([answer(500)], [RUNS]), patience=0.05)
