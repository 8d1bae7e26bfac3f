"""What is refused on the submitter's machine, before a cluster is asked anything."""

from __future__ import annotations

import pytest

from tuning.faults import SpaceError
from tuning.submit.checking import checked
from tuning.submit.request import launch_options
from tuning.submit.secrecy import holds_a_password

SOUND = (
    "--space",
    "rg.yaml",
    "--data",
    "/cluster/rg",
    "--storage",
    "/cluster/s",
    "--tracking-uri",
    "http://mlflow:5000",
)


def faults_of(*words: str, instead: tuple[str, ...] = SOUND) -> list[str]:
    """Returns the faults of a launch's words, beside those of a sound request."""
    words = (*instead, *words)
    try:
        checked(launch_options(words), words)
    except SpaceError as error:
        return [str(fault) for fault in error.faults]
    return []


def test_a_sound_request_needs_neither_the_data_nor_mlflow_here():
    assert checked(launch_options(SOUND), SOUND) == "rg"
    assert checked(launch_options([*SOUND, "--name", "mine"]), SOUND) == "mine"


def test_faults_of_the_space_are_found_here_all_at_once():
    faults = faults_of("--set", "search.lr.high=-1", "--num-samples", "0", "--name", "no/name")
    assert len(faults) == 3
    assert any("search.lr" in fault for fault in faults)
    assert any(fault.startswith("--num-samples: budget.trials: 0 ") for fault in faults)
    assert any(fault.startswith("--name: 'no/name' is no name for a study") for fault in faults)


def test_planted_data_are_checked_without_being_made():
    words = ("--space", "quickstart.yaml", "--storage", "/cluster/s", "--tracking-uri", "http://mlflow:5000")
    assert faults_of(instead=words) == []
    (fault,) = faults_of("--set", "data.action=[Ball, Clubs]", instead=words)
    assert "Clubs" in fault


def test_data_that_are_here_under_the_same_path_are_read(planted_shards):
    words = ("--space", "rg.yaml", "--data", str(planted_shards), *SOUND[4:])
    assert any("Clubs" in fault for fault in faults_of(instead=words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--storage", "studies"), "--storage: 'studies' is relative, and a job has no folder of yours"),
        (("--data", "shards/rg"), "--data: 'shards/rg' is relative, and a job has no folder of yours"),
        (("--warm-start", "../other"), "--warm-start: '../other' is relative"),
        (("--tracking-uri", "sqlite:///mlflow.db"), "--tracking-uri: 'sqlite:///mlflow.db' names a relative file"),
        (("--tracking-uri", "ftp://x"), "--tracking-uri: 'ftp://x' is not a database or a server"),
    ],
)
def test_a_place_that_would_mean_another_there_is_refused_with_the_way_out(words, said):
    (fault,) = faults_of(*words)
    assert fault.startswith(said)
    assert "; give" in fault


@pytest.mark.parametrize("uri", ["sqlite:////cluster/mlflow.db", "postgresql://db/mlflow", "https://mlflow.example"])
def test_a_tracking_uri_that_means_the_same_everywhere_is_taken(uri):
    assert faults_of("--tracking-uri", uri) == []


@pytest.mark.parametrize(
    ("words", "option", "way_out"),
    [
        (("--tracking-uri", "http://ann:hunter2@mlflow:5000"), "--tracking-uri", "MLFLOW_TRACKING_PASSWORD"),
        (("--tracking-uri", "postgresql://ann:hunter2@db/mlflow"), "--tracking-uri", "PGPASSWORD"),
        (("--tracking-uri=postgresql://db/mlflow?user=ann&password=hunter2",), "--tracking-uri", "PGPASSWORD"),
        (("--data", "s3://key:hunter2@bucket/rg"), "--data", "AWS_SECRET_ACCESS_KEY"),
        (("--storage", "s3://bucket/s?secret_key=hunter2"), "--storage", "AWS_SECRET_ACCESS_KEY"),
        (("--set", "data.path=s3://key:hunter2@bucket/rg"), "--set", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_password_is_never_shipped_and_never_repeated(words, option, way_out):
    (fault,) = faults_of(*words)
    assert fault.startswith(f"{option}: holds a password, and what a job is given stands on the cluster's dashboard")
    assert way_out in fault
    assert "hunter2" not in fault


def test_a_password_in_the_space_file_is_named_by_its_line(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "version: 1\nmodel: pamfn\ndata: {path: 's3://AKIAABCDEFGHIJKLMNOP:x@b/rg', action: [Ball], score: total,"
        " modalities: [rgb, flow, audio]}\nsearch:\n  lr: {type: float, low: 1.0e-4, high: 1.0e-3}\n"
    )
    words = ("--space", str(tmp_path / "mine.yaml"), *SOUND[4:])
    faults = faults_of(instead=words)
    assert any(fault.startswith("line 3: holds a password") for fault in faults)


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/a?endpoint_override=host:9000", "http://mlflow:5000", "search.lr.high=0.01", "C:\\data", "a@b:c"],
)
def test_what_only_looks_like_one_is_none(text):
    assert not holds_a_password(text)
