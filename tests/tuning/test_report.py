"""The report of a study: the table, the winner as a space file, the page."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from read_page import read
from tracked_study import config, result, run_trials, told_by, tracked

from tuning.report import main, write_report
from tuning.report.artefact import PAGE
from tuning.report.interval import fold_interval
from tuning.space import load_space
from tuning.tracking.location import client_of


@pytest.fixture
def told(tmp_path):
    """A finished study of eight trials, and the folder that its database lies in."""
    tracker = tracked(tmp_path)
    run_trials(tracker, 8)
    tracker.end_study("finished")
    return tracker


def test_the_command_rebuilds_the_report_from_mlflow(told, tmp_path, capsys):
    options = ["--tracking-uri", told.uri, "--storage", str(tmp_path / "out")]
    assert main(["small", *options]) == 0
    names = ["best.yaml", "report.html", "results.parquet"]
    assert capsys.readouterr().out.splitlines() == [f"{tmp_path}/out/small/{name}" for name in names]
    assert sorted(path.name for path in (tmp_path / "out/small").iterdir()) == names


def test_results_hold_a_row_a_trial_with_typed_values(told, tmp_path):
    write_report(told_by(told), str(tmp_path))
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.num_rows == 8
    assert [table.schema.field(name).type for name in ("fusion_nets", "lr")] == ["int64", "double"]
    rows = table.to_pylist()
    assert {key: rows[4][key] for key in config(4)} == config(4)
    assert (rows[0]["status_reason"], rows[1]["rung"], rows[2]["epochs"]) == ("finished", 0, 2)


def test_the_best_configuration_is_a_space_file_that_loads(told, tmp_path):
    results = told_by(told)
    write_report(results, str(tmp_path))
    best = load_space(tmp_path / "best.yaml")
    assert best.search == {}
    assert {name: best.fixed[name] for name in config(6)} == config(6)
    assert best.fixed["width"] == 16
    assert (tmp_path / "best.yaml").read_text().splitlines()[0] == "# python -m tuning.launch --space best.yaml"


def test_a_stopped_trial_is_never_best_however_high_its_score(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    tracker.trial_reported("t0", result(2, peak=0.3))
    tracker.trial_ended("t0", "finished")
    tracker.trial_started("t1", config(1))
    tracker.trial_reported("t1", result(0, peak=0.99))
    tracker.trial_ended("t1", "stopped at rung 0")
    assert [trial.trial_id for trial in told_by(tracker).ranked()] == ["t0", "t1"]


def test_a_study_without_a_score_gets_a_page_and_no_best_configuration(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    files = write_report(told_by(tracker), str(tmp_path / "out"))
    assert [path.rsplit("/", 1)[1] for path in files] == ["report.html", "results.parquet"]
    assert "No trial has a score" in (tmp_path / "out/report.html").read_text()


def test_the_page_is_whole_and_needs_nothing_from_outside(told, tmp_path):
    write_report(told_by(told), str(tmp_path))
    text = (tmp_path / "report.html").read_text()
    page = read(text)
    assert (page.open, page.fetched) == ([], [])
    for said in (
        "K=8 tau=1.5 lr=6.12e-4 N=2",
        "95% interval",
        "The paper's configuration, K=10 tau=10 lr=5e-4 N=3",
        "t1",
    ):
        assert said in page.text


def test_the_branches_of_the_best_trial_stand_beside_it(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    tracker.trial_reported("t0", {**result(2, peak=0.3), "branch_val_spearman": {"rgb": 0.211, "flow": 0.187}})
    tracker.trial_ended("t0", "finished")
    results = told_by(tracker)
    assert results.trials[0].scalars["branch_spearman.rgb"] == pytest.approx(0.211)
    write_report(results, str(tmp_path / "out"))
    page = (tmp_path / "out/report.html").read_text()
    assert "Its branches alone, on the same folds: flow 0.187, rgb 0.211." in page


def test_names_in_the_page_are_escaped(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    tracker.trial_ended("t0", "failed: <script>alert(1)</script>")
    write_report(told_by(tracker), str(tmp_path))
    assert "<script>" not in (tmp_path / "report.html").read_text()


def test_a_study_that_runs_is_reported_on_as_of_now(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 4)
    write_report(told_by(tracker), str(tmp_path / "out"))
    said = read((tmp_path / "out/report.html").read_text()).text
    assert "This study is running: what stands here is as of 20" in said
    tracker.end_study("finished")
    write_report(told_by(tracker), str(tmp_path / "out"))
    assert "is running" not in read((tmp_path / "out/report.html").read_text()).text


def test_the_page_is_kept_as_an_artefact_of_the_study_s_run(told, tmp_path):
    options = ["--tracking-uri", told.uri, "--storage", str(tmp_path / "out"), "--keep"]
    assert main(["small", *options]) == 0
    folder = client_of(told.uri).download_artifacts(told.study_run_id, PAGE, str(tmp_path))
    assert Path(folder).read_bytes() == (tmp_path / "out/small/report.html").read_bytes()


def test_an_unknown_study_and_a_wrong_address_are_refused_in_one_line(told, tmp_path, capsys):
    assert main(["smal", "--tracking-uri", told.uri]) == 2
    assert capsys.readouterr().err == f"study 'smal': not in {told.uri}; it has made, small\n"
    assert main(["small", "--tracking-uri", "mlruns"]) == 2
    assert capsys.readouterr().err.startswith("tracking URI 'mlruns': not a database or a server")


def test_the_interval_of_one_task_is_the_t_interval_of_its_folds_on_fishers_scale():
    folds = {f"val_spearman.fold{i}": value for i, value in enumerate((0.5, 0.6, 0.7))}
    low, high = fold_interval(folds)
    z = [math.atanh(value) for value in folds.values()]
    mean = sum(z) / 3
    error = math.sqrt(sum((value - mean) ** 2 for value in z) / 2 / 3)
    assert (low, high) == pytest.approx(
        (math.tanh(mean - 4.302653 * error), math.tanh(mean + 4.302653 * error)), abs=1e-6
    )


def test_tasks_that_differ_do_not_widen_the_interval():
    alike = {f"val_spearman.{task}.fold{i}": 0.5 + 0.1 * i for task in "AB" for i in range(3)}
    apart = alike | {f"val_spearman.B.fold{i}": math.tanh(math.atanh(0.5 + 0.1 * i) - 0.5) for i in range(3)}
    spans = [math.atanh(high) - math.atanh(low) for low, high in map(fold_interval, (alike, apart))]
    assert spans[0] == pytest.approx(spans[1])


@pytest.mark.parametrize(
    "folds", [{}, {"val_spearman.fold0": 0.5}, {"val_spearman.fold0": math.nan, "val_spearman.fold1": 1.0}]
)
def test_there_is_no_interval_without_two_folds_that_are_numbers(folds):
    assert fold_interval(folds) is None
