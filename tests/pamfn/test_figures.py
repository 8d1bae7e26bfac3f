"""What stands in the paper's figures: the numbers given, in curves that can be told apart, and legible."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib import rcParams
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from pamfn.figures import attention, decision_frequencies, decisions, fusion_nets
from pamfn.figures.files import write_figure
from pamfn.figures.style import COLOURS, Look
from pamfn.figures.timeline import Clock, edges
from pamfn.model.network import PAMFN
from pamfn.recipe import recipe
from pamfn.replicas.segments import Segments

TITLE = "a checkpoint of a long name: figure_skating_video_000123 by FISV.TES/all/seed0, predicted 33.10"
MEANING = "decision c (FusionNets 1 to c are on)"
EDGES = edges([15, 7, 1], 31, 3)


def weights(seed: int = 0, heads: int = 2, modalities: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(modalities), (heads, steps)).transpose(0, 2, 1) for steps in (15, 7, 1)]


def shares(classes: int = 4, nets: int = 6) -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return {f"class {i}": [rng.dirichlet(np.ones(nets)) for _ in range(3)] for i in range(classes)}


def scores(classes: int = 4, folds: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"class {i}": rng.uniform(0.6, 0.8, (5, folds)) for i in range(classes)}


FIGURES = {
    "decision frequencies": lambda: decision_frequencies.draw(shares(), title=TITLE, meaning=MEANING),
    "fusion nets": lambda: fusion_nets.draw(np.array([4, 6, 8, 10, 12]), scores(), title=TITLE),
    "attention": lambda: attention.draw(weights(), EDGES, ["rgb", "flow", "audio"], Clock(1.07), title=TITLE),
    "decisions": lambda: decisions.draw(
        [np.array([3] * 15), np.array([1] * 7), np.array([6])], EDGES, 6, Clock(None), title=TITLE, meaning=MEANING
    ),
}


def texts(figure: Figure) -> list[Text]:
    """Returns every text that is drawn; ticks beyond an axis's end are not."""
    beyond = set()
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not (axes.axison and low <= tick.get_loc() <= high):
                    beyond |= {tick.label1, tick.label2}
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in beyond]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_tiny_or_cut_off(name: str) -> None:
    figure = FIGURES[name]()
    figure.savefig(io.BytesIO(), format="png")  # lays everything out
    page = figure.bbox
    for text in texts(figure):
        box = text.get_window_extent()
        assert text.get_fontsize() >= 10, text.get_text()
        assert page.x0 - 1 <= box.x0, text.get_text()
        assert box.x1 <= page.x1 + 1, text.get_text()
        assert page.y0 - 1 <= box.y0, text.get_text()
        assert box.y1 <= page.y1 + 1, text.get_text()


@pytest.mark.parametrize("name", FIGURES)
def test_every_panel_names_its_axes(name: str) -> None:
    figure = FIGURES[name]()
    assert all(axes.get_title() or axes.get_title(loc="left") for axes in figure.axes if axes.axison)
    said = {text.get_text() for text in texts(figure)}
    assert said & {MEANING, "time (s)", "time (segments)", "number of FusionNets K"}
    assert said & {MEANING, "attention", "share of all steps", "Spearman's ρ, held-out folds"}


def test_curves_differ_in_colour_line_and_marker_together() -> None:
    looks = [Look(i) for i in range(28)]
    assert len({(look.colour, str(look.line), look.marker) for look in looks}) == 28
    for one, other in zip(looks, looks[1:], strict=False):  # neighbours: in each of the three
        assert one.colour != other.colour
        assert one.line != other.line
        assert one.marker != other.marker


def test_the_palette_holds_for_colour_blind_eyes() -> None:
    okabe_ito = ["#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]
    assert set(COLOURS) <= set(okabe_ito)
    assert len(set(COLOURS)) == len(COLOURS)


def test_frequencies_are_shares_of_all_steps() -> None:
    found = decision_frequencies.frequencies([np.array([1, 1, 3]), np.array([4])], 5)
    np.testing.assert_allclose(found, [0.5, 0, 0.25, 0.25, 0])


def test_figure_5_shows_every_class_beside_a_uniform_choice() -> None:
    given = shares(classes=4, nets=6)
    figure = decision_frequencies.draw(given, title="t", meaning=MEANING)
    assert [axes.get_title() for axes in figure.axes] == ["stage 1", "stage 2", "stage 3"]
    for stage, axes in enumerate(figure.axes):
        *curves, uniform = axes.get_lines()
        for curve, (name, of) in zip(curves, given.items(), strict=True):
            assert curve.get_label() == name
            np.testing.assert_allclose(curve.get_ydata(), of[stage])
            assert np.array_equal(np.round(np.asarray(curve.get_xdata())), np.arange(1, 7))
        assert set(np.asarray(uniform.get_ydata())) == {1 / 6}
        places = {tuple(np.asarray(curve.get_xdata())) for curve in curves}
        assert len(places) == len(curves)  # so that no marker hides another
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*given, "uniform (1/6)"]


def test_figure_6_shows_the_fisher_mean_of_folds_with_one_standard_error() -> None:
    nets_K, given = np.array([4, 8]), {"Ball": np.array([[0.5, 0.7], [0.6, 0.9]]), "average": np.full((2, 2), 0.4)}
    figure = fusion_nets.draw(nets_K, given, title="t")
    ball, average = (axes for axes in figure.axes if axes.axison)
    assert ball.get_title() == "Ball: best at K = 8"
    assert average.get_title() == "average: best at K = 4"  # of equal ones the smaller
    centre = np.tanh([np.arctanh([0.5, 0.7]).mean(), np.arctanh([0.6, 0.9]).mean()])
    np.testing.assert_allclose(ball.get_lines()[0].get_ydata(), centre)
    (band,) = ball.collections
    error = np.arctanh([0.5, 0.7]).std(ddof=1) / np.sqrt(2)
    at_4 = sorted({y for x, y in band.get_paths()[0].vertices if x == 4})
    np.testing.assert_allclose(at_4, np.tanh(np.arctanh([0.5, 0.7]).mean() + np.array([-error, error])))
    assert to_hex(average.get_lines()[0].get_color()) == "#000000"


def test_one_fold_has_no_band() -> None:
    centre, low, high = fusion_nets.centre_and_band(np.array([0.5]))
    assert centre == pytest.approx(0.5)
    assert np.isnan([low, high]).all()


def test_figure_7_shows_the_mean_over_heads_in_seconds() -> None:
    given = weights()
    figure = attention.draw(given, EDGES, ["rgb", "flow", "gaze"], Clock(2.0), title="t")
    assert figure.get_suptitle() == "t, mean of 2 heads"
    for axes, of_stage, times in zip(figure.axes, given, EDGES, strict=True):
        lines = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-post"]
        for line, expected in zip(lines, of_stage.mean(0), strict=True):
            np.testing.assert_allclose(line.get_xdata(), 2.0 * times)
            np.testing.assert_allclose(np.asarray(line.get_ydata())[:-1], expected)
    assert figure.axes[-1].get_xlabel() == "time (s)"
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["RGB", "optical flow", "gaze", "equal shares (1/3)"]


def test_figure_8_shows_every_decision_where_it_holds() -> None:
    given = [np.arange(15) % 6 + 1, np.array([6, 1, 2, 3, 4, 5, 6]), np.array([2])]
    figure = decisions.draw(given, EDGES, 6, Clock(None), title="t", meaning=MEANING)
    for axes, decided, times in zip(figure.axes, given, EDGES, strict=True):
        steps = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
        for patch in steps:
            assert np.array_equal(patch.get_data().values, decided)
            assert np.array_equal(patch.get_data().edges, times)
        assert len(steps) == 2
    assert figure.axes[-1].get_xlabel() == "time (segments)"


@pytest.mark.parametrize(
    ("steps", "segments", "stages", "ends"),
    [
        ([15, 7, 1], 31, 3, [30, 28, 28]),  # the last stage's mean is over seven steps of four segments
        ([3, 1], 7, 2, [6, 6]),
        ([2, 1, 1], 4, 3, [4, 4, 4]),
        ([15, 7], 31, 3, [30, 28]),  # fused in the first two stages
        ([1], 3, 2, [2]),  # fused in the first stage, which is not the last
        ([9, 9, 9], 9, 3, [9, 9, 9]),  # no pools: segments are classified
    ],
)
def test_steps_lie_where_the_pools_put_them(steps: list[int], segments: int, stages: int, ends: list[int]) -> None:
    found = edges(steps, segments, stages)
    assert [len(of) - 1 for of in found] == steps
    assert [of[-1] for of in found] == ends
    assert all(of[0] == 0 for of in found)
    assert all(np.ptp(np.diff(of)) == 0 for of in found)


@pytest.mark.parametrize(("segments", "stages"), [(31, 3), (8, 4), (70, 5), (5, 2)])
def test_a_network_has_the_steps_that_a_figure_lays_out(segments: int, stages: int) -> None:
    settings = recipe(stages=stages, width=4, fusion_nets=2, fine_tuned=())
    network = PAMFN(settings, {"rgb": 3, "audio": 2}, [0]).eval()
    x = {"rgb": torch.zeros(1, 1, segments, 3), "audio": torch.zeros(1, 1, segments, 2)}
    with torch.no_grad():
        said = network(x, Segments(segments), None)
    steps = [decision.shape[-1] for decision in said.decisions]
    found = edges(steps, segments, stages)
    assert [len(of) - 1 for of in found] == steps
    assert max(of[-1] for of in found) <= segments


def test_files_are_whole_and_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        paths = write_figure(FIGURES["attention"](), tmp_path / folder, "attention of Ball_1")
        assert [path.name for path in paths] == ["attention_of_Ball_1.png", "attention_of_Ball_1.svg"]
    for path in paths:
        assert (tmp_path / "one" / path.name).read_bytes() == path.read_bytes()
    root = ElementTree.parse(tmp_path / "one" / "attention_of_Ball_1.svg").getroot()
    said = {"".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"attention", "time (s)", "RGB", "optical flow", "audio"} <= said  # text stays text


def test_a_figure_does_not_change_the_settings_of_the_process() -> None:
    before = dict(rcParams)
    FIGURES["decisions"]()
    assert dict(rcParams) == before


def test_names_of_videos_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    names = (
        "../../x",
        ".._.._x",
        "/etc/x",
        "a/b",
        "a b",
        "a\\b",
        "x" * 99,
        "x" * 100,
        "\N{CJK UNIFIED IDEOGRAPH-6F22}" * 100,
    )
    written = [
        path for name in names for path in write_figure(FIGURES["attention"](), tmp_path / "f", f"figure7-{name}")
    ]
    assert len(set(written)) == 2 * len(names) == len(list((tmp_path / "f").iterdir()))
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert all(path.name.isascii() and len(path.name) < 120 for path in written)
