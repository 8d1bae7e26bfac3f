"""Support vector regression on averaged features: what scikit-learn says, out of tensors alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from pamfn.architectures import bound
from pamfn.baselines.closed_form import ClosedForm
from pamfn.baselines.svr import SupportVectors
from pamfn.metrics import spearman
from pamfn.recipe import default_of, recipe

INPUTS = {"rgb": 4, "audio": 3}


def planted(videos: int = 60, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns features of different means and scales, and targets that follow two of them within noise."""
    rng = np.random.default_rng(seed)
    z_VD = rng.standard_normal((videos, 7))
    target_V = 0.5 + 0.12 * z_VD[:, 0] + 0.08 * np.sin(2 * z_VD[:, 5]) + rng.normal(0, 0.01, videos)
    return z_VD * np.logspace(-2, 2, 7) + np.arange(7), np.clip(target_V, 0, 1)


@pytest.mark.parametrize("changes", [{}, {"gamma": 0.3, "c": 20.0}, {"epsilon": 0.05}, {"c": 0.01}])
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_scores_are_scikit_learns(kernel, changes):
    (x_VD, target_V), (new_VD, _) = planted(), planted(200, seed=2)
    settings: dict[str, Any] = {"c": 1.0, "epsilon": 0.01, "gamma": 1.0, **changes}
    made = SupportVectors(INPUTS, kernel=kernel, **settings)
    theirs = SVR(kernel=kernel, C=settings["c"], epsilon=settings["epsilon"], gamma=settings["gamma"] / 7)
    expected_V = make_pipeline(StandardScaler(), theirs).fit(x_VD, target_V).predict(new_VD)
    score_V = made.predict(made.fit(x_VD, target_V), new_VD)
    np.testing.assert_allclose(score_V, expected_V.clip(0, 1), rtol=0, atol=1e-6)
    assert score_V.std() > 1e-4


def test_scores_beyond_the_ends_are_clipped():
    x_VD = np.linspace(-1, 1, 20)[:, None] * np.ones(7)
    made = SupportVectors(INPUTS, kernel="linear", c=100.0)
    state = made.fit(x_VD, np.linspace(0, 1, 20))
    low, middle, high = made.predict(state, np.array([[-5.0], [0.0], [5.0]]) * np.ones(7))
    assert (low, high) == (0, 1)
    assert middle == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_it_learns_what_can_be_learned(kernel):
    (x_VD, target_V), (new_VD, truth_V) = planted(150), planted(100, seed=2)
    made = SupportVectors(INPUTS, kernel=kernel)
    assert spearman(made.predict(made.fit(x_VD, target_V), new_VD), truth_V) > 0.75


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_a_state_is_tensors_of_plain_shapes_that_outlive_their_file(kernel):
    x_VD, target_V = planted()
    state = SupportVectors(INPUTS, kernel=kernel).fit(x_VD, target_V)
    count = len(state["coefficients"])
    assert 0 < count <= 60
    shapes = {"mean": (7,), "scale": (7,), "vectors": (count, 7), "coefficients": (count,), "intercept": ()}
    assert {name: tuple(of.shape) for name, of in state.items()} == shapes | ({"gamma": ()} if kernel == "rbf" else {})
    assert {of.dtype for of in state.values()} == {torch.float64}
    again = load(save(state))
    other = SupportVectors(INPUTS, kernel="linear" if kernel == "rbf" else "rbf")  # the state says which it is
    assert np.array_equal(other.predict(again, x_VD), other.predict(state, x_VD))
    assert np.array_equal(other.predict(again, x_VD), SupportVectors(INPUTS, kernel=kernel).predict(state, x_VD))


def test_a_fit_is_the_same_every_time():
    x_VD, target_V = planted()
    one, other = (SupportVectors(INPUTS).fit(x_VD, target_V) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_targets_that_are_all_one_give_that_one(kernel):
    x_VD, _ = planted()
    made = SupportVectors(INPUTS, kernel=kernel)
    state = made.fit(x_VD, np.full(60, 0.4))
    assert state["vectors"].shape == (0, 7)
    np.testing.assert_allclose(made.predict(state, x_VD[:5]), np.full(5, 0.4), atol=1e-12)


def test_a_feature_that_never_changes_is_only_centred():
    x_VD, target_V = planted()
    x_VD[:, 2] = 8.0
    made = SupportVectors(INPUTS)
    state = made.fit(x_VD, target_V)
    assert state["mean"][2] == 8
    assert state["scale"][2] == 1
    assert np.isfinite(made.predict(state, x_VD)).all()


def test_videos_that_are_all_one_are_fitted():
    made = SupportVectors(INPUTS)
    state = made.fit(np.ones((4, 7)), np.array([0.2, 0.4, 0.6, 0.8]))
    score_V = made.predict(state, np.ones((2, 7)))
    assert np.isfinite(score_V).all()
    assert score_V[0] == score_V[1]


def test_a_machine_that_is_not_solved_is_refused(monkeypatch):
    monkeypatch.setattr("pamfn.baselines.svr.ITERATIONS", 100)
    rng = np.random.default_rng(1)
    fault = "c: 1000 is not solved on 50 videos in 100 iterations of the linear kernel; take a smaller c"
    with pytest.raises(ValueError, match=fault):
        SupportVectors({"rgb": 2}, kernel="linear", c=1000.0).fit(rng.standard_normal((50, 2)), rng.uniform(size=50))


def test_features_are_averaged_over_the_segments_that_are_there():
    rgb, audio = np.full((2, 3, 4), np.nan, np.float32), np.full((2, 3, 3), np.nan, np.float32)
    rgb[0, :2], audio[0, :2] = [[1, 2, 3, 4], [3, 4, 5, 6]], [[0, 0, 1], [0, 2, 1]]
    rgb[1, :1], audio[1, :1] = 7, 8
    x_VD = SupportVectors(INPUTS).pooled({"audio": audio, "rgb": rgb}, np.array([2, 1]))
    assert x_VD.dtype == np.float64
    np.testing.assert_array_equal(x_VD, [[2, 3, 4, 5, 0, 1, 1], [7, 7, 7, 7, 8, 8, 8]])


@pytest.mark.parametrize(
    ("shape", "lengths", "fault"),
    [
        ((2, 3, 5), [1, 1], r"rgb: shape \(2, 3, 5\), expected \(2, T, 4\)"),
        ((3, 3, 4), [1, 1], r"rgb: shape \(3, 3, 4\), expected \(2, T, 4\)"),
        ((2, 3, 4), [1, 0], "lengths: 0 is outside 1 to 3, the segments of rgb"),
        ((2, 3, 4), [4, 1], "lengths: 4 is outside 1 to 3, the segments of rgb"),
    ],
)
def test_features_that_do_not_fit_are_refused(shape, lengths, fault):
    with pytest.raises(ValueError, match=fault):
        SupportVectors({"rgb": 4}).pooled({"rgb": np.zeros(shape)}, np.array(lengths))


def test_a_recipe_makes_it_with_its_options():
    made = recipe(model="svr", **{"svr.kernel": "linear", "svr.c": 3})
    machine: ClosedForm = made.of.build(INPUTS, **bound(made))
    assert (machine.kernel, machine.c, machine.epsilon, machine.gamma) == ("linear", 3, 0.01, 1.0)
    assert default_of("svr.kernel") == "rbf"
    with pytest.raises(ValueError, match="svr.c: 0 is outside 0.0001 to 10000"):
        recipe(model="svr", **{"svr.c": 0})
