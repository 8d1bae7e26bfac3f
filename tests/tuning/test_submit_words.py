"""A submission's command line, the job that comes of it, its number, its end."""

from __future__ import annotations

import json
import shlex

import pytest

from tuning.job import in_a_job, resume_words
from tuning.request import resume_command
from tuning.submit.access import SubmitError, authorization, refusal
from tuning.submit.connection import State
from tuning.submit.ending import ended
from tuning.submit.jobs import Jobs
from tuning.submit.names import job_id, latest, study_of
from tuning.submit.package import Package
from tuning.submit.request import LAST, launch_options, parse, without

HEAD = "http://head:8265"


def packaged(*words: str, resume: bool = False) -> Package:
    return Package.of("rg", words, "rg.yaml", resume=resume)


def test_the_launchs_words_go_on_as_they_stand_and_its_own_do_not():
    own, rest = parse(["--address", HEAD, "--space", "rg.yaml", "--resume", "--no-wait", "--set", "a.b=1", "--set=c=2"])
    assert (own.address, own.resume, own.no_wait) == (HEAD, LAST, True)
    assert rest == ["--space", "rg.yaml", "--set", "a.b=1", "--set=c=2"]
    assert parse(["--resume", "rg", "--address", HEAD])[0].resume == "rg"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "rg.yaml"], "--address is missing: give http://HOST:8265"),
        (["--address", HEAD, "--follow", "rg", "--stop", "rg"], "exclude each other"),
        (["--address", HEAD, "--follow", "rg", "--space", "rg.yaml"], "take --address and nothing else"),
    ],
)
def test_words_that_contradict_each_other_are_refused(words, said, capsys, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    with pytest.raises(SystemExit, match="2"):
        parse(words)
    assert said in capsys.readouterr().err


def test_an_option_that_a_launch_does_not_know_is_refused_by_its_name(capsys):
    with pytest.raises(SystemExit, match="2"):
        launch_options(["--space", "rg.yaml", "--sorage", "x"])
    said = capsys.readouterr().err
    assert "--sorage" in said
    assert "python -m tuning.submit" in said


def test_an_option_is_taken_out_in_both_spellings():
    assert without(["--space", "a", "--name", "n", "--space=b", "--spaces"], "--space") == ["--name", "n", "--spaces"]


def test_the_job_runs_the_launch_on_its_own_cluster_in_place_of_the_shell():
    package = packaged("--space", "rg.yaml", "--set", "name=two words; rm", "--data", "/d", resume=True)
    before, *words = shlex.split(package.command)
    assert before == "exec"
    assert words == [
        *("python", "-m", "tuning.launch", "--space", "rg.yaml", "--set", "name=two words; rm", "--data", "/d"),
        *("--address", "auto", "--resume"),
    ]


def test_a_job_tells_how_to_submit_it_once_more():
    metadata = packaged("--space", "rg.yaml", "--data", "/d").metadata(HEAD)
    assert metadata["again"] == f"python -m tuning.submit --address {HEAD} --space rg.yaml --data /d --resume"
    again = Package.read(metadata, "rg", ["--time-budget", "3h"])
    assert again.resume
    assert again.words == ("--data", "/d", "--time-budget", "3h")
    assert (again.file, again.space) == ("rg.yaml", packaged().space)
    assert "exec python -m tuning.launch --space rg.yaml --data /d --time-budget 3h" in again.command


@pytest.mark.parametrize("metadata", [{}, {"launch": "no json"}, {"launch": "{}"}, {"launch": "[]"}])
def test_a_job_that_does_not_tell_is_refused_with_the_way_out(metadata):
    with pytest.raises(SubmitError, match=r"does not tell how it was launched; give --space"):
        Package.read(metadata, "rg", [])


def test_a_space_too_long_for_the_dashboard_is_not_put_there(tmp_path):
    (tmp_path / "long.yaml").write_text("# " + "x" * 70_000)
    metadata = Package.of("long", [], str(tmp_path / "long.yaml"), resume=False).metadata(HEAD)
    assert set(metadata) == {"study", "again"}


def test_a_launch_inside_a_job_says_how_to_submit_it_again():
    config = json.dumps({"runtime_env": {"working_dir": "gcs://x.zip"}, "metadata": packaged().metadata(HEAD)})
    inside = {"RAY_JOB_CONFIG_JSON_ENV_VAR": config}
    assert in_a_job(inside)
    assert resume_words(inside)[:3] == ["python", "-m", "tuning.submit"]
    bare = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": None, "metadata": None})}
    assert not in_a_job(bare)
    assert not in_a_job({})
    assert resume_words(bare) == resume_words({}) == []
    assert resume_command(["--space", "rg.yaml"]) == ["python", "-m", "tuning.launch", "--space", "rg.yaml", "--resume"]


def test_each_launch_of_a_study_has_a_number_that_no_other_study_can_have():
    jobs = [job_id("rg", 1), job_id("rg", 2), job_id("rg", 10), job_id("rg-2", 7), "raysubmit_x", "rg~0", "rg~x"]
    assert latest("rg", jobs) == 10
    assert latest("rg-2", jobs) == 7
    assert latest("other", jobs) == 0
    assert [study_of(job) for job in jobs] == ["rg", "rg", "rg", "rg-2", None, None, None]


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        (State("SUCCEEDED", 0), 0, ""),
        (State("FAILED", 1), 1, ""),
        (State("FAILED", 2), 2, ""),
        (State("FAILED", 130), 130, ""),
        (State("STOPPED"), 130, "was stopped; resume with: AGAIN"),
        (State("FAILED", -9), 1, "was killed (SIGKILL); resume with: AGAIN"),
        (State("FAILED", 137), 1, "was killed (SIGKILL); resume with: AGAIN"),
        (State("FAILED", 127), 2, "finds no `python`"),
        (State("FAILED", None, "JOB_SUPERVISOR_ACTOR_DIED", "a\nnode died"), 1, "was lost (node died); resume with"),
        (
            State("FAILED", None, "RUNTIME_ENV_SETUP_FAILURE", "no disk"),
            2,
            "did not start, and nothing was written: no",
        ),
    ],
)
def test_a_job_ends_with_the_exit_status_of_the_study(state, status, said):
    found, line = ended(state, "rg~1", "AGAIN")
    assert found == status
    assert said in line
    assert bool(line) == bool(said)


def test_the_token_is_looked_for_where_ray_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("from-a-file\n")
    shown = {"Authorization": "Bearer from-a-file"}
    assert authorization({"RAY_AUTH_TOKEN": "given"}) == {"Authorization": "Bearer given"}
    assert authorization({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}) == shown
    assert authorization({}) == authorization({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "given"}) == {}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("from-a-file")
    assert authorization({"RAY_AUTH_MODE": "token"}) == shown
    assert authorization({}) == {}


@pytest.mark.parametrize("content", [None, "", b"\xff"])
def test_a_token_that_cannot_be_read_is_one_line(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SubmitError, match=r"set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN") as caught:
        authorization({"RAY_AUTH_TOKEN_PATH": str(file)})
    assert "\n" not in str(caught.value)


def test_a_refusal_names_the_way_out():
    assert "asks for a token and got none (401); set RAY_AUTH_MODE=token" in refusal(401, HEAD)
    assert "does not take this token (403); set RAY_AUTH_MODE=token" in refusal(403, HEAD)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://head:10001", "is not the address of a job server"),
        ("head:6379", "port 6379 of head is Ray's own, not its job server's"),
        ("http://ann:hunter2@head:8265", "a user or a password in it would be shown"),
        ("http://head:port", "is no address"),
        ("http://127.0.0.1:9", "no job server answers at http://127.0.0.1:9"),
    ],
)
def test_an_address_that_is_none_is_one_line_with_the_way_out(address, said):
    with pytest.raises(SubmitError, match="--address") as caught:
        Jobs(address)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
