"""What is printed while a study runs and when it ends."""

from __future__ import annotations

import io
import json
import math
import os

import pytest
from rich.console import Console as Terminal
from tracked_study import config, result, run_trials, tracked

from tuning.console import Console, StudyProgress
from tuning.console.live import LiveView, header
from tuning.tracking import read_study

SEARCHED = ("fusion_nets", "lr", "stages", "tau_init")


def tell(console):
    """Three trials: one finishes, one is stopped after a retry, one fails with a NaN."""
    for number in range(3):
        console.trial_started(f"t{number}", config(number))
    console.trial_reported("t0", result(0) | {"rung": -1, "epoch": 1})
    for rung in range(3):
        console.trial_reported("t0", result(rung))
    console.trial_ended("t0", "finished")
    console.trial_retried("t1", "OSError: disk full")
    console.trial_started("t1", config(1))
    console.trial_reported("t1", result(0, peak=0.1))
    console.trial_ended("t1", "stopped at rung 0")
    console.trial_reported("t2", result(0, val_spearman=math.nan, best_val_spearman=None))
    console.trial_ended("t2", "failed: diverged: total/fold0/seed0")


def told(log_format):
    out = io.StringIO()
    with Console("small", SEARCHED, 12, log_format=log_format, out=out) as console:
        tell(console)
    return out.getvalue().splitlines()


def test_without_a_terminal_every_event_is_one_line():
    lines = [line.split("  ", 1)[1] for line in told("text")]
    assert lines == [
        "trial t0  started    K=10 tau=10 lr=5e-4 N=3",
        "trial t1  started    K=3 tau=1.5 lr=1.12e-4 N=3",
        "trial t2  started    K=4 tau=1.5 lr=2.12e-4 N=4",
        "trial t0  rung 0     val_spearman 0.236 at epoch 2",
        "trial t0  rung 1     val_spearman 0.466 at epoch 6",
        "trial t0  rung 2     val_spearman 0.593 at epoch 18",
        "trial t0  finished; 1 of 12 trials ended, best 0.593 (trial t0)",
        "trial t1  tried again after: OSError: disk full",
        "trial t1  started    K=3 tau=1.5 lr=1.12e-4 N=3",
        "trial t1  rung 0     val_spearman 0.039 at epoch 2",
        "trial t1  stopped at rung 0; 2 of 12 trials ended, best 0.593 (trial t0)",
        "trial t2  rung 0     val_spearman - at epoch 2",
        "trial t2  failed: diverged: total/fold0/seed0; 3 of 12 trials ended, best 0.593 (trial t0)",
    ]


def test_json_is_one_strict_object_a_line():
    def refuse(constant):
        raise AssertionError(constant)

    events = [json.loads(line, parse_constant=refuse) for line in told("json")]
    assert [event["event"] for event in events].count("trial_reported") == 6
    assert events[0]["config"] == config(0)
    nan = next(event for event in events if event["event"] == "trial_reported" and event["trial_id"] == "t2")
    assert nan["val_spearman"] is None
    assert events[-1]["reason"] == "failed: diverged: total/fold0/seed0"
    assert all(event["time"][10] == "T" for event in events)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_study_goes_on_when_nobody_reads_its_output(log_format, tmp_path):
    tracker = tracked(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        with Console("small", SEARCHED, 12, log_format=log_format, out=out) as console:
            tell(console)
        tracker.settle()
        console.study_ended(read_study(tracker.uri, "small"), [])
    assert console.progress.trials["t0"].state == "finished"


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="log_format: 'xml' is not text or json"):
        Console("small", SEARCHED, 12, log_format="xml")


def test_the_end_of_a_trial_told_twice_is_printed_once():
    out = io.StringIO()
    console = Console("small", SEARCHED, 12, out=out)
    console.trial_started("t0", config(0))
    console.trial_ended("t0", "finished")
    console.trial_ended("t0", "finished")
    assert out.getvalue().count("finished") == 1


def drawn(height=40, trials=3, width=110):
    """The live table as text."""
    progress = StudyProgress("small", SEARCHED, 12, clock=lambda: 0.0)
    terminal = Terminal(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
    view = LiveView(terminal, progress)
    for number in range(trials):
        progress.started(f"t{number}", config(number % 8))
        progress.reported(f"t{number}", result(0, peak=0.1 + 0.02 * number))
        if number % 2:
            progress.ended(f"t{number}", "stopped at rung 0")
    terminal.print(view.render())
    return terminal.file.getvalue().splitlines()


def test_the_table_shows_running_trials_first_and_the_study_above():
    lines = drawn()
    assert lines[0].startswith("small   3 of 12 trials begun   2 running, 1 stopped   0:00:00   best 0.055")
    assert lines[1].split() == ["trial", "K", "lr", "N", "tau", "rung", "epoch", "val_spearman", "best", "state"]
    assert [line.split()[0] for line in lines[2:]] == ["t0", "t2", "t1"]
    assert lines[2].split()[-1] == "11%"
    assert lines[4].endswith("stopped at rung 0")


def test_a_study_of_hundreds_of_trials_fits_the_terminal():
    lines = drawn(height=24, trials=100)
    assert len(lines) < 24
    assert lines[-1].strip() == "and 84 more"


def test_on_a_terminal_the_table_is_drawn_and_left_standing():
    class Tty(io.StringIO):
        def isatty(self):
            return True

    out = Tty()
    with Console("small", SEARCHED, 12, out=out) as console:
        tell(console)
    assert "failed: diverged" in out.getvalue()
    assert "\x1b[?25h" in out.getvalue()  # the cursor is shown again


def summary_of(tmp_path, log_format="text", **options):
    tracker = tracked(tmp_path)
    run_trials(tracker, 8)
    tracker.end_study("finished")
    out = io.StringIO()
    console = Console("small", SEARCHED, 8, log_format=log_format, out=out)
    console.study_ended(read_study(tracker.uri, "small"), [f"{tmp_path}/studies/small/best.yaml"], **options)
    return tracker, out.getvalue()


def test_the_end_names_the_best_configurations_the_files_and_what_to_type(tmp_path):
    resume = ["python", "-m", "tuning.launch", "--space", "my space.yaml", "--resume"]
    tracker, text = summary_of(tmp_path, resume=resume)
    lines = [line.rstrip() for line in text.splitlines()]
    assert "Study small: 8 trials (1 failed, 3 finished, 4 stopped). Best configurations:" in lines
    assert next(line for line in lines if line.startswith("  1")).split()[1:6] == ["0.574", "8", "6.12e-4", "2", "1.5"]
    assert any(line.endswith("finished (the first trial)") for line in lines)
    assert f"  {tmp_path}/studies/small/best.yaml" in lines
    assert f"MLflow:   mlflow ui --backend-store-uri {tracker.uri}" in lines
    assert f"/#/experiments/{tracker.experiment_id}/runs?compareRunsMode=CHART" in text
    assert "Resume:   python -m tuning.launch --space 'my space.yaml' --resume" in lines


def test_the_end_in_json_is_one_object(tmp_path):
    _, text = summary_of(tmp_path, "json")
    event = json.loads(text)
    assert (event["event"], event["trials"], event["resume"]) == ("study_ended", 8, None)
    assert event["best"][0]["config"] == config(6)


def timed(ended, running, asked=12, before=0):
    """A study in which a trial takes ten seconds, one after the other, after those that an earlier launch has ended."""
    now = [0.0]
    progress = StudyProgress("small", SEARCHED, asked, clock=lambda: now[0])
    for number in range(before + ended + running):
        progress.started(f"t{number}", config(number))
        now[0] += 10.0 * (number >= before)
        if number < before + ended:
            progress.ended(f"t{number}", "finished")
    return progress


def test_the_time_left_is_told_at_the_pace_of_the_trials_that_ended():
    assert timed(0, 2).left is None
    assert timed(4, 0).left == pytest.approx(80.0)
    assert timed(12, 0).left == 0
    assert timed(4, 0, before=4).left == pytest.approx(40.0)  # those of an earlier launch took no time of this one
    assert timed(3, 2).left == pytest.approx(50 * 8 / 4)
    assert "0:00:40, about 0:01:20 left" in header(timed(4, 0))


def test_the_best_score_is_told_with_the_standard_error_of_its_folds():
    progress = StudyProgress("small", SEARCHED, 12, clock=lambda: 0.0)
    progress.started("t0", config(0))
    scores = {"total/fold0/seed0": 0.5, "total/fold1/seed0": 0.7}
    last = {"epoch": 2, "scores": scores, "val_spearman": 0.61}
    progress.reported("t0", result(0, val_spearman=0.61, curve=[last]))
    error = abs(math.atanh(0.7) - math.atanh(0.5)) / 2 * (1 - 0.61**2)
    assert f"best 0.610 ± {error:.3f}: K=10" in header(progress)
    progress.reported("t0", result(1, val_spearman=0.61, curve=[last | {"scores": {"total/fold0/seed0": 0.61}}]))
    assert "best 0.610: K=10" in header(progress)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_row_of_the_table_takes_two_lines_however_narrow_the_terminal(width):
    lines = drawn(width=width)
    rows = [line for line in lines if line.split()[:1] in (["t0"], ["t1"], ["t2"])]
    assert len(rows) == 3
    assert max(map(len, lines)) <= width
    (titles,) = [line.split() for line in lines if line.startswith("trial")]
    assert ("tau" in titles) == (width > 60)
    assert "val_spearman" in titles
    assert all(len(row.split()) >= 6 for row in rows)
