"""Launches that cannot be: one message, exit status 2, and nothing is there afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from launching import REPOSITORY, Launch, quick
from planted_study import small_study, words

from tuning import launch
from tuning.launch import main
from tuning.study_file import write_study


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = {
    "unknown key": (["--space", "quickstart.yaml", "--set", "budget.trails=3"], "did you mean `trials`?"),
    "no such space": (["--space", "quikstart.yaml"], "did you mean `quickstart.yaml`?"),
    "a value of the wrong kind": (["--space", "quickstart.yaml", "--set", "fixed.width=wide"], "fixed.width: 'wide'"),
    "no data": (["--space", "rg.yaml"], "--data"),
    "data that are not there": (["--space", "rg.yaml", "--data", "shards/rg"], "shards/rg"),
    "a class that the data lack": (quick("--set", "data.action=Bal"), "did you mean `Ball`?"),
    "too many folds": (quick("--set", "evaluation.folds=31"), "evaluation.folds: 31"),
    "no trials": (quick("--num-samples", "0"), "budget.trials"),
    "no time": (quick("--time-budget", "soon"), "budget.time: 'soon'"),
    "a name with a slash": (quick("--name", "a/b"), "--name: 'a/b'"),
    "nothing to resume": (quick("--resume"), "--resume: there is no study at"),
    "nothing to resume in a dry run": (quick("--resume", "--dry-run"), "--resume: there is no study at"),
    "a tracking URI of no kind": (quick("--tracking-uri", "mlruns"), "tracking URI 'mlruns'"),
    "a server that is not there": (quick("--tracking-uri", "http://127.0.0.1:9"), "no answer"),
    "a storage that is no bucket": (quick("--storage", "gs://lab/studies"), "is neither a folder nor a bucket"),
    "a storage with a secret": (
        quick("--storage", "s3://k:s@lab/x"),
        "a URI with credentials would be written into records",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_refused_in_its_own_words_and_leaves_nothing(folder, capsys, case):
    given, message = REFUSED[case]
    assert main(given) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    assert list(folder.iterdir()) == []


def test_all_faults_of_a_request_come_at_once(folder, capsys):
    assert main(quick("--set", "fixed.width=0", "--tracking-uri", "mlruns", "--storage", "gs://bucket")) == 2
    said = capsys.readouterr().err
    assert "3 faults, nothing was started" in said
    assert all(part in said for part in ("fixed.width", "mlruns", "gs://bucket"))


def test_a_storage_that_is_a_file_is_refused(folder, capsys):
    Path("studies").write_text("mine")
    assert main(quick()) == 2
    assert "--storage: 'studies' cannot be written" in capsys.readouterr().err
    assert Path("studies").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_storage_that_may_not_be_written_is_refused(folder, capsys):
    Path("studies").mkdir(mode=0o500)
    assert main(quick()) == 2
    assert "--storage: 'studies' cannot be written" in capsys.readouterr().err


def test_a_study_that_exists_is_not_overwritten(planted_shards, folder, capsys):
    write_study(small_study(planted_shards, folder / "studies"))
    before = sorted(folder.rglob("*"))
    assert main(words(planted_shards, folder / "studies")) == 2
    assert "give another --name, or --resume to continue it" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_a_study_is_not_resumed_as_another(planted_shards, folder, capsys):
    write_study(small_study(planted_shards, folder / "studies"))
    assert main([*words(planted_shards, folder / "studies", "fixed.batch_size=8"), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "space.fixed.batch_size: 16 when it was launched, 8 now" in said


@pytest.mark.parametrize("word", ["--spaces", "--res"])
def test_options_are_not_guessed(folder, capsys, word):
    with pytest.raises(SystemExit) as left:
        main(["--space", "quickstart.yaml", word])
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_interruption_before_anything_is_started_says_so(folder, capsys, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "requested_study", interrupted)
    assert main(quick()) == 130
    assert capsys.readouterr().err == "interrupted; nothing was started\n"


def test_a_dry_run_prints_the_study_and_writes_nothing(folder, capsys):
    assert main(quick("--dry-run", "--num-samples", "7", "--seed", "5", "--name", "mine", "--time-budget", "90m")) == 0
    said = capsys.readouterr().out
    assert "study mine: 7 trials of 4 networks each" in said
    assert "rungs at 25%, 50%, 100% of each class's budget" in said
    assert "on disk while it runs" in " ".join(said.split())
    assert "seed: 5" in said
    assert "time: 5400.0" in said
    assert f"data       {folder}/studies/data/planted-tiny-seed0" in said
    assert list(folder.iterdir()) == []


def test_a_dry_run_starts_neither_ray_nor_mlflow(tmp_path, launch_home):
    (tmp_path / "dry.py").write_text(
        "import sys\n"
        "from tuning.launch import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert not {'ray', 'mlflow', 'hyperopt'} & set(sys.modules)\n"
    )
    ended = Launch(tmp_path, launch_home, *quick("--dry-run"), module="dry").ended()
    assert (ended.status, ended.err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} <= {"dry.py", "__pycache__", "0.out", "0.err"}


def test_the_packaged_spaces_that_need_no_data_can_be_launched_from_anywhere(folder):
    assert (REPOSITORY / "search_spaces" / "quickstart.yaml").exists()
    assert main(["--space", "quickstart.yaml", "--dry-run"]) == 0


@pytest.mark.cluster
@pytest.mark.slow
def test_an_address_where_nothing_answers_is_one_line(tmp_path, launch_home):
    ended = Launch(tmp_path, launch_home, *quick("--address", "127.0.0.1:9")).ended(60)
    assert ended.status == 2
    assert ended.err.startswith("--address: no Ray cluster answers at '127.0.0.1:9'")
    assert ended.err.count("\n") == 1
    assert ended.out == ""
    assert {path.suffix for path in tmp_path.iterdir()} == {".out", ".err"}
