"""Names and numbers as they are written into MLflow."""

from __future__ import annotations

import math
import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pamfn.metrics import fisher_mean
from pamfn.recipe import settings
from tuning.tracking.names import parameters, run_name, score_metrics, short, text
from tuning.tracking.points import point_metrics


def test_a_run_is_named_as_the_paper_writes_its_settings():
    config = {"lr": 5e-4, "tau_init": 10.0, "fusion_nets": 8, "stages": 3, "batch_size": 32}
    assert run_name(config) == "K=8 tau=10 lr=5e-4 N=3 batch_size=32"


def test_a_run_of_a_searched_model_begins_with_its_name():
    assert run_name({"lr": 5e-4, "model": "late_fusion"}) == "late_fusion lr=5e-4"
    assert run_name({"model": "pamfn"}) == "pamfn"


@pytest.mark.parametrize(
    ("value", "read"),
    [(0.0005, "5e-4"), (0.000999999, "1e-3"), (0.05, "0.05"), (12.3456, "12.3"), (250000.0, "2.5e5"), (0.0, "0.0")]
    + [
        (7, "7"),
        (-0.00123, "-1.23e-3"),
        (True, "true"),
        (None, "none"),
        (("audio", "rgb"), "audio+rgb"),
        ("adamw",) * 2,
    ],
)
def test_values_are_short_enough_to_read(value, read):
    assert short(value) == read


def test_the_searched_settings_come_first_by_alphabet():
    """MLflow's compare page preselects the first three."""
    for name in settings():
        written = parameters({name: 3}, [name], {other: 1 for other in settings()})
        assert (sorted(written)[0], f"with.{name}_log10" in written) == (name, True)
        assert f"with.{name}" not in written


def test_a_log_scaled_setting_is_written_on_a_linear_axis_too():
    written = parameters({"lr": 1e-3, "stages": 3}, ["lr"], {})
    assert written == {"lr": "0.001", "with.lr_log10": "-3.0", "stages": "3"}


def test_a_map_of_epochs_becomes_one_parameter_a_class():
    written = parameters({}, [], {"epochs": {"Ball": 400, "Cl&bs": 500}})
    assert written == {"with.epochs.Ball": "400", "with.epochs.Cl_bs": "500"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_reads_back_as_the_same_number(value):
    assert float(text(value)) == value


def test_one_task_has_a_curve_a_fold_and_several_have_one_a_task_as_well():
    assert score_metrics(["total/fold0/seed0"]) == {"total/fold0/seed0": ("val_spearman/fold0",)}
    several = score_metrics(["Ball/fold0/seed0", "Hoop/fold0/seed0"])
    assert several["Hoop/fold0/seed0"] == ("val_spearman/Hoop", "val_spearman/Hoop/fold0")


def test_tasks_that_differ_only_in_refused_characters_keep_curves_of_their_own():
    metrics = score_metrics(["a&b/fold0/seed0", "a|b/fold0/seed0", "a_b/fold0/seed0"])
    assert [names[0] for names in metrics.values()] == [
        "val_spearman/a_b",
        "val_spearman/a_b-2",
        "val_spearman/a_b-3",
    ]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_every_task_name_makes_metric_names_that_mlflow_takes(tasks):
    metrics = score_metrics([f"{task}/fold{fold}/seed0" for task in tasks for fold in range(2)])
    folds = [names[-1] for names in metrics.values()]
    assert len(set(folds)) == 2 * len(tasks)
    for name in folds:
        assert re.fullmatch(r"[/\w.\- :]+", name)
        assert posixpath.normpath(name) == name


def test_the_average_of_all_stands_before_its_parts_on_the_page_and_beside_the_studys_own_metric():
    scores = {"Ball/fold0/seed0": 0.2, "Ball/fold1/seed0": 0.3, "Clubs/fold0/seed0": 0.4, "Clubs/fold1/seed0": 0.5}
    metrics = point_metrics({"val_spearman": fisher_mean(list(scores.values())), "scores": scores})
    assert metrics["val_spearman/All"] == metrics["val_spearman"]
    parts = sorted((name for name in metrics if "/" in name), key=lambda name: (name.count("/"), name))
    assert parts[:3] == ["val_spearman/All", "val_spearman/Ball", "val_spearman/Clubs"]


def test_seeds_are_averaged_by_fishers_z_and_a_nan_makes_its_fold_nan():
    scores = {"t/fold0/seed0": 0.0, "t/fold0/seed1": 0.8, "t/fold1/seed0": math.nan, "t/fold1/seed1": 0.5}
    metrics = point_metrics({"val_spearman": math.nan, "loss": math.inf, "constant": 0, "scores": scores})
    assert metrics["val_spearman/fold0"] == pytest.approx(math.tanh(math.atanh(0.8) / 2))
    assert all(math.isnan(metrics[name]) for name in ("val_spearman", "train_loss", "val_spearman/fold1"))


def test_constant_predictions_are_counted_only_where_there_are_any():
    assert "constant_replicas" not in point_metrics({"val_spearman": 0.1, "constant": 0})
    assert point_metrics({"val_spearman": 0.1, "constant": 2})["constant_replicas"] == 2
