"""A launch whose MLflow goes away after the study has begun."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tuning import launch
from tuning.study_file import FILE
from tuning.tracking import TrackingError

AGAIN = ["python", "-m", "tuning.launch", "--space", "a b.yaml", "--resume"]
LISTENING = SimpleNamespace(seen=False)


def gone(*_):
    raise TrackingError("http://mlflow:5000 does not answer")


def test_a_study_that_has_begun_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(launch, "_run", gone)
    Path(tmp_path, FILE).write_text("{}")
    status = launch._launch(
        SimpleNamespace(storage=str(tmp_path)), None, SimpleNamespace(resume=False), AGAIN, LISTENING
    )
    assert status == launch.SOME_FAILED
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "http://mlflow:5000 does not answer",
        "resume with: python -m tuning.launch --space 'a b.yaml' --resume",
    ]


def test_one_that_has_not_is_a_wrong_request(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "_run", gone)
    with pytest.raises(TrackingError, match="does not answer"):
        launch._launch(SimpleNamespace(storage=str(tmp_path)), None, SimpleNamespace(resume=False), AGAIN, LISTENING)
