"""Secrets of the environment and of URIs: in no message, whatever words it in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tuning.faults import Fault
from tuning.launch import main
from tuning.report import main as report
from tuning.secrets import redacted
from tuning.study_file import FILE, check_launch, completed, read_launched, read_record, write_study
from tuning.tracking.location import first_line

from test_study_file import study  # isort: skip

CANARY = "c4n4ry/pw"


def test_a_secret_of_the_environment_is_masked_in_what_others_have_worded():
    environment = {
        "MLFLOW_TRACKING_PASSWORD": CANARY,
        "PGPASSWORD": "a b&c d e",
        "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
        "DATABASE_URL": "postgresql://me:in-a-url@h/db",
        "RAY_AUTH_TOKEN_PATH": "/run/token",
        "AWS_ACCESS_KEY_ID": "AKIAKNOWN",
        "SHORT_TOKEN": "true",
    }
    text = f"login {CANARY} {CANARY.replace('/', '%2F')} 'a b&c d e' in-a-url secret-of-aws /run/token AKIAKNOWN true"
    assert redacted(text, environment) == "login *** *** '***' *** *** /run/token AKIAKNOWN true"


def test_an_exceptions_first_line_holds_no_secret_even_where_it_is_cut(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", CANARY)
    assert first_line(RuntimeError(f"{'x' * 195}{CANARY}\nand more")) == f"{'x' * 195}***"


def test_a_fault_shows_a_uri_without_its_password():
    fault = Fault("--set", "data.path", f"s3://AKIA:{CANARY}@bucket/rg", "cannot be read")
    assert str(fault) == "--set: data.path: 's3://AKIA:***@bucket/rg' cannot be read"


@pytest.mark.parametrize(
    "words",
    [
        ("--tracking-uri", f"postgresql://me:{CANARY}@127.0.0.1:1/db"),
        ("--tracking-uri", "http://c4n4ry@127.0.0.1:1"),
        ("--tracking-url", f"http://me:{CANARY}@127.0.0.1:1"),
        ("--data", f"s3://AKIA:{CANARY}@bucket/rg"),
        ("--set", f"data.path=s3://AKIA:{CANARY}@bucket/rg"),
        ("--set", f"data.pth=s3://AKIA:{CANARY}@bucket/rg"),
        ("--storage", f"s3://AKIA:{CANARY}@bucket/rg"),
        ("--warm-start", f"s3://AKIA:{CANARY}@bucket/rg/old"),
        ("--time-budget", f"http://me:{CANARY}@h"),
        ("--name", f"http://me:{CANARY}@h"),
        ("--space", f"http://me:{CANARY}@h/rg.yaml"),
    ],
    ids=lambda words: f"{words[0]} {words[1].partition(':')[0]}",
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["", "dry"])
def test_a_launch_with_a_password_anywhere_is_refused_without_repeating_it(words, dry, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--space", "quickstart.yaml"] if "--space" not in words else []
    try:
        status = main([*given, *words, *dry])
    except SystemExit as left:
        status = left.code
    told = capsys.readouterr()
    assert status == 2
    for part in CANARY.split("/"):
        assert part not in told.out + told.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_report_is_refused_in_the_same_way(capsys):
    assert report(["rg", "--tracking-uri", f"postgresql://me:{CANARY}@127.0.0.1:1/db"]) == 2
    told = capsys.readouterr().err
    assert "set PGPASSWORD" in told
    assert "c4n4ry" not in told


def test_a_record_that_an_older_version_wrote_with_a_password_is_resumed_without(tmp_path: Path):
    now = study(tmp_path)
    write_study(now)
    path = tmp_path / "mine" / FILE
    old = {**json.loads(path.read_text()), "tracking_uri": f"postgresql://me:{CANARY}@h/db"}
    path.write_text(json.dumps(old))
    launched = read_launched(str(tmp_path), "mine")
    assert launched is not None
    assert launched.tracking_uri == "postgresql://me@h/db"
    assert completed(read_record(now.storage))["tracking_uri"] == "postgresql://me@h/db"
    check_launch(launched, resume=True)
    write_study(launched)
    assert "c4n4ry" not in path.read_text()
