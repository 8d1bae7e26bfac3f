"""The exit status of a study that ran as a job, and what to say of its end."""

from __future__ import annotations

import signal

from tuning.submit.connection import State

DONE, SOME_FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
NEVER_STARTED = (
    "RUNTIME_ENV_SETUP_FAILURE",
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
    "JOB_ENTRYPOINT_COMMAND_START_ERROR",
)
NO_COMMAND = (126, 127)  # a shell's words for a program that is not there


def ended(state: State, job: str, again: str) -> tuple[int, str]:
    """Returns the exit status for a job that has ended, and a line where its log does not say it all.

    Args:
        state: How it ended.
        job: Its id.
        again: The command that goes on with the study.
    """
    if state.status == "SUCCEEDED":
        return DONE, ""
    if state.status == "STOPPED":
        return INTERRUPTED, f"job {job} was stopped; resume with: {again}"
    if state.error in NEVER_STARTED:
        return WRONG, f"job {job} did not start, and nothing was written: {_reason(state.message)}"
    if state.exit_code is None:
        return SOME_FAILED, f"job {job} was lost ({_reason(state.message)}); resume with: {again}"
    if state.exit_code in NO_COMMAND:
        way_out = "start Ray there with the environment activated (PATH)"
        return WRONG, f"job {job} did not start: the head node finds no `python`; {way_out}"
    if state.exit_code < 0:
        return SOME_FAILED, f"job {job} was killed ({_signal(-state.exit_code)}); resume with: {again}"
    if state.exit_code > INTERRUPTED:
        return SOME_FAILED, f"job {job} was killed ({_signal(state.exit_code - 128)}); resume with: {again}"
    return state.exit_code, ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {128 + number}"


def _reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return (lines[-1] if lines else "no reason given")[:300]
