"""Space files that are sound: what they become."""

import contextlib
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pamfn.presets import PRESETS
from pamfn.recipe import Recipe
from tuning.domains import ChoiceDomain, FloatDomain, IntDomain
from tuning.space import Draft, Space, SpaceError, load_space, read_space

TABLES = [f"table{number}.yaml" for number in range(1, 10)]
PACKAGED = [
    *("ablations.yaml", "equal.yaml", "figure6.yaml", "fisv.yaml", "highlights.yaml", "planted.yaml"),
    *("quickstart.yaml", "rg.yaml", "speech-ablations.yaml", "speech.yaml", *TABLES),
]

IN_DESIGN = """\
# python -m tuning.launch --space rg.yaml --data shards/rg
version: 1
model: pamfn                      # or a baseline's name
data: {action: [Ball, Clubs, Hoop, Ribbon], score: total, modalities: [rgb, flow, audio]}
search:                           # what is searched; the paper's own configuration is always the first trial
  fusion_nets: {type: int, low: 4, high: 12}          # K
  tau_init: {type: float, low: 1.0, high: 20.0, log: true}
  lr: {type: float, low: 1.0e-4, high: 2.0e-3, log: true}
  stages: {type: choice, values: [2, 3, 4]}           # N
fixed: {width: 256, epochs: {Ball: 400, Clubs: 500, Hoop: 300, Ribbon: 500}, batch_size: 32, fine_tuned: [audio]}
evaluation: {folds: 5, seeds: 1, group: null}
scheduler: {type: asha, grace_epochs: 20, reduction: 3}   # of a budget of 400; the same fraction for other budgets
searcher: {type: hyperopt, warmup: 16}
budget: {trials: 100, time: null, concurrent: auto}
resources: {gpu: auto}
tracking: {checkpoints: finished}
final: {top: 3, seeds: 5}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(text)
    return path


def launchable(path: str | Path, sets: Sequence[str] = ()) -> bool:
    draft = read(path, sets)
    if draft is None or draft.faults:
        return False
    space = draft.space
    points = [space.first_point(), *space.fixed_points(), space.region.draw(np.random.default_rng(0))]
    return all(not space.region.faults(point) and bool(space.recipe(point)) for point in points)


def refused(path: str | Path, sets: Sequence[str] = ()) -> bool:
    draft = read(path, sets)
    return draft is None or all(fault.rule for fault in draft.faults) and len(draft.faults) > 0


def read(path: str | Path, sets: Sequence[str]) -> Draft | None:
    with contextlib.suppress(SpaceError):
        return read_space(path, sets)
    return None


def test_the_published_example_is_read_as_it_stands(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, IN_DESIGN))
    assert space.search == {
        "fusion_nets": IntDomain(type="int", low=4, high=12),
        "tau_init": FloatDomain(type="float", low=1.0, high=20.0, log=True),
        "lr": FloatDomain(type="float", low=1e-4, high=2e-3, log=True),
        "stages": ChoiceDomain(type="choice", values=(2, 3, 4)),
    }
    assert space.data.action == ("Ball", "Clubs", "Hoop", "Ribbon")
    assert space.data.score == ("total",)
    assert space.fixed["fine_tuned"] == ("audio",)
    assert space.budget.time is None
    assert (space.seed, space.preset, space.first) == (0, "paper", "paper")


@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_space_is_sound_and_headed_by_its_command(name: str) -> None:
    space = load_space(name)
    recipe = space.recipe(space.first_point())
    epochs = max(recipe.epochs.values()) if isinstance(recipe.epochs, Mapping) else recipe.epochs
    assert space.scheduler.type == "none" or epochs >= space.scheduler.grace_epochs
    head = (Path(__file__).parents[2] / "search_spaces" / name).read_text().splitlines()[0]
    assert head.startswith(f"# python -m tuning.launch --space {name}")


def test_the_packaged_spaces_are_those_that_are_tested() -> None:
    assert sorted(path.name for path in (Path(__file__).parents[2] / "search_spaces").glob("*.yaml")) == PACKAGED


def test_rg_starts_from_the_papers_configuration() -> None:
    space = load_space("rg.yaml")
    recipe = space.recipe(space.first_point())
    assert [recipe.epochs_of(task) for task in ("Ball", "Clubs", "Hoop", "Ribbon")] == [400, 500, 300, 500]
    assert recipe == Recipe(epochs=recipe.epochs)


def test_the_keys_that_rg_lists_beside_its_own_are_keys(tmp_path: Path) -> None:
    listed = (Path(__file__).parents[2] / "search_spaces" / "rg.yaml").read_text().split("--set KEY=VALUE:\n")[1]
    pairs = [line.removeprefix("#   ").partition(": ") for line in listed.splitlines()]
    space = load_space("rg.yaml", [f"{key}={value.split('  #')[0].strip()}" for key, _, value in pairs])
    assert space.search["head_reduction"].when == {"head_layers": 2}
    assert (len(space.constraints), len(space.points), space.warm_start) == (2, 2, "ball")
    assert (space.scheduler.mode, space.budget.device_time, space.budget.stop_at_noise) == ("promote", 144000, True)


def test_fisv_starts_from_the_papers_configuration() -> None:
    space = load_space("fisv.yaml")
    recipe = space.recipe(space.first_point())
    assert (recipe.fusion_nets, recipe.lr, recipe.clip) == (6, 8e-4, 130)
    assert (recipe.tau_init, recipe.stages, recipe.width, recipe.batch_size) == (10.0, 3, 256, 32)
    assert [recipe.epochs_of(task) for task in ("TES", "PCS")] == [500, 500]
    assert space.data.score == ("TES", "PCS")


def test_a_file_beside_the_user_goes_before_a_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rg.yaml").write_text("version: 1\nseed: 77\nbudget: {trials: 1}\n")
    assert load_space("rg.yaml").seed == 77
    assert load_space("fisv.yaml").seed == 0


def test_what_the_file_leaves_out_has_the_presets_value(tmp_path: Path) -> None:
    text = "version: 1\npreset: released\nbudget: {trials: 1}\n"
    recipe = load_space(written(tmp_path, text)).recipe({})
    assert {name: getattr(recipe, name) for name in PRESETS["released"]} == PRESETS["released"]


def test_the_first_point_is_the_presets_where_first_does_not_say_otherwise(tmp_path: Path) -> None:
    text = (
        "version: 1\npreset: released\nfirst: {lr: 1e-3}\nsearch:\n  lr: {type: float, low: 1e-4, high: 2e-3}\n"
        "  clip_norm: {type: choice, values: [null, 2.0]}\n"
        "  fine_tuned: {type: choice, values: [[audio], [rgb, audio]]}\n"
    )
    assert load_space(written(tmp_path, text)).first_point() == {"lr": 1e-3, "clip_norm": 2.0, "fine_tuned": ("audio",)}


def test_ints_stay_ints_and_numbers_are_what_they_look_like(tmp_path: Path) -> None:
    text = "version: 1\nfixed: {width: 64, lr: 5e-4, weight_decay: 0, clip_norm: null}\nbudget: {trials: 1, time: 90}\n"
    space = load_space(written(tmp_path, text))
    assert {name: (type(value), value) for name, value in space.fixed.items()} == {
        "width": (int, 64),
        "lr": (float, 5e-4),
        "weight_decay": (int, 0),
        "clip_norm": (type(None), None),
    }
    assert space.budget.time == 90.0


@pytest.mark.parametrize(
    ("written_as", "seconds"), [("2h", 7200), ("30m", 1800), ("1h30m", 5400), ("1.5h", 5400), ("45", 45), ('"45"', 45)]
)
def test_a_time_budget_is_read_in_seconds(written_as: str, seconds: float, tmp_path: Path) -> None:
    text = f"version: 1\nbudget: {{trials: 1, time: {written_as}}}\n"
    assert load_space(written(tmp_path, text)).budget.time == seconds


def test_settings_under_data_are_kept_with_the_fixed_ones(tmp_path: Path) -> None:
    text = "version: 1\ndata: {clip: 30, padding: mask, standardise: true, target: quantile}\nbudget: {trials: 1}\n"
    space = load_space(written(tmp_path, text))
    assert space.fixed == {"clip": 30, "padding": "mask", "standardise": True, "target": "quantile"}


def test_a_null_section_is_an_empty_one(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, "version: 1\ndata:\nsearch:\nfixed:\nbudget: {trials: 1}\n"))
    assert (space.search, space.fixed) == ({}, {})


def test_a_config_that_lacks_a_searched_setting_makes_no_recipe() -> None:
    with pytest.raises(ValueError, match="config: no value for stages, tau_init"):
        load_space("rg.yaml").recipe({"lr": 1e-3, "fusion_nets": 4})


@pytest.mark.parametrize("name", PACKAGED)
def test_a_space_written_out_is_read_back_the_same(name: str, tmp_path: Path) -> None:
    space = load_space(name)
    again = load_space(written(tmp_path, space.to_yaml()))
    assert again.model_dump() == space.model_dump()
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.parametrize("name", PACKAGED)
def test_a_settled_space_trains_the_winner_and_nothing_else(name: str, tmp_path: Path) -> None:
    space = load_space(name)
    winner = {**space.first_point(), "lr": 7e-4, "stages": 2}
    settled = load_space(written(tmp_path, space.settled(winner).to_yaml()))
    assert settled.recipe(settled.first_point()) == space.recipe(winner)
    assert (settled.search, settled.budget.trials) == ({}, 1)


CONDITIONAL = """\
version: 1
search:
  head_layers: {type: choice, values: [1, 2]}
  head_reduction: {type: choice, values: [2, 3, 4], when: {head_layers: 2}}
  width: {type: choice, values: [30, 32, 256]}
  lr: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
constraints: [width % head_reduction == 0, lr < 5e-3 or head_layers == 2]
first: {lr: 1.0e-3}
points:
  - {width: 32}
  - {head_layers: 2, head_reduction: 3, width: 30}
"""


def test_what_is_inactive_in_the_first_trial_need_not_be_searched_there(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, CONDITIONAL))
    assert space.first_point() == {"head_layers": 1, "head_reduction": 1, "width": 256, "lr": 1e-3}
    assert space.region.active(space.first_point()) == {"head_layers", "width", "lr"}
    assert space.recipe(space.first_point()).head_reduction == 1


def test_a_constraint_may_exclude_what_the_model_cannot_be_built_with(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, CONDITIONAL))
    for seed in range(60):
        config = space.region.draw(np.random.default_rng(seed))
        recipe = space.recipe(config)
        assert recipe.head_layers == 1 or recipe.width % recipe.head_reduction == 0


def test_points_have_the_first_trials_values_where_they_are_silent(tmp_path: Path) -> None:
    assert load_space(written(tmp_path, CONDITIONAL)).fixed_points() == [
        {"head_layers": 1, "head_reduction": 1, "width": 32, "lr": 1e-3},
        {"head_layers": 2, "head_reduction": 3, "width": 30, "lr": 1e-3},
    ]


def test_a_point_may_be_a_whole_configuration_with_the_default_of_what_is_inactive(tmp_path: Path) -> None:
    text = CONDITIONAL.replace("{width: 32}", "{head_layers: 1, head_reduction: 1, width: 32, lr: 2e-3}")
    assert load_space(written(tmp_path, text)).fixed_points()[0]["lr"] == 2e-3


def test_a_space_with_conditions_is_read_back_the_same(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, CONDITIONAL + "warm_start: ball\n"))
    again = load_space(written(tmp_path, space.to_yaml()))
    assert again.model_dump() == space.model_dump()
    assert again.search["head_reduction"].when == {"head_layers": 2}
    assert "when" not in again.search["lr"].model_dump()
    assert pickle.loads(pickle.dumps(again)) == again


@pytest.mark.parametrize("head", [{"head_layers": 1, "head_reduction": 1}, {"head_layers": 2, "head_reduction": 4}])
def test_the_winner_of_a_search_with_conditions_can_be_launched_as_it_is(head: dict[str, int], tmp_path: Path) -> None:
    space = load_space(written(tmp_path, CONDITIONAL + "warm_start: ball\n"))
    winner = {**head, "width": 32, "lr": 4e-3}
    settled = load_space(written(tmp_path, space.settled(winner).to_yaml()))
    assert settled.recipe(settled.first_point()) == space.recipe(winner)
    assert (settled.search, settled.constraints, settled.points, settled.warm_start) == ({}, (), (), None)


@st.composite
def conditional_files(draw: st.DrawFn) -> str:
    """Returns the text of a sound space with drawn conditions, constraints and points."""
    layers = draw(st.lists(st.sampled_from([1, 2]), min_size=2, max_size=2, unique=True))
    when = draw(st.sampled_from(["{head_layers: 2}", "{head_layers: [2]}", "{head_layers: 2, optimizer: adamw}"]))
    reductions = draw(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=3, unique=True))
    low, high = sorted(draw(st.lists(st.floats(1e-6, 1e-1), min_size=2, max_size=2, unique=True)))
    constraints = draw(st.lists(st.sampled_from(CONSTRAINTS), unique=True, max_size=3))
    return (
        f"version: 1\nsearch:\n  head_layers: {{type: choice, values: {layers}}}\n"
        f"  head_reduction: {{type: choice, values: {reductions}, when: {when}}}\n"
        "  optimizer: {type: choice, values: [sgd, adamw]}\n"
        f"  weight_decay: {{type: float, low: {low!r}, high: {high!r}, log: true, when: {{optimizer: adamw}}}}\n"
        f"constraints: {json.dumps(constraints)}\nfirst: {{weight_decay: {high!r}}}\n"
        f"points: [{{optimizer: sgd}}]\n"
    )


CONSTRAINTS = ["head_layers == 1 or optimizer != 'none'", "head_reduction <= 8", "not (weight_decay > 1)"]


@settings(max_examples=40, deadline=None)
@given(text=conditional_files(), seed=st.integers(0, 999))
def test_every_drawn_configuration_of_any_space_trains_and_survives_its_yaml(
    text: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    space = load_space(written(folder, text))
    config = space.region.draw(np.random.default_rng(seed))
    again = load_space(written(folder, space.to_yaml()))
    assert again.model_dump() == space.model_dump()
    assert again.region.faults(config) == []
    assert again.region.draw(np.random.default_rng(seed)) == config
    settled = load_space(written(folder, space.settled(config).to_yaml()))
    assert settled.recipe(settled.first_point()) == space.recipe(config)


KEYS = [
    *Space.model_fields,
    "search.lr.when",
    "search.stages.when",
    "search.lr.when.stages",
    "search.stages.when.lr",
    "constraints",
    "points",
    *(
        f"{name}.{key}"
        for name in ("data", "evaluation", "scheduler", "budget")
        for key in ("path", "folds", "type", "every")
    ),
    *(
        f"{section}.{name}"
        for section in ("search", "fixed", "first")
        for name in ("lr", "width", "epochs", "fine_tuned")
    ),
    *(
        f"search.{name}.{key}"
        for name in ("lr", "stages", "msfd_heads")
        for key in ("type", "low", "high", "log", "values")
    ),
]
VALUES = [
    "0",
    "-1",
    "1e9",
    "x",
    "[]",
    "[2, 2]",
    "[a, b]",
    "{}",
    "{Ball: 3}",
    "null",
    "true",
    ".nan",
    "int",
    "choice",
    "-",
    "grid",
    "promote",
    "['lr < 1e-3 or stages == 2', 'tau_init > 3']",
    "['lr < 0', 'lr <']",
    "[{lr: 1e-3}, {stages: 2, lr: 1e-3}]",
    "[{lr: 3.0}, 3]",
    "{stages: 2}",
    "{stages: 2, lr: [1, 2]}",
]
LINES = [
    *IN_DESIGN.splitlines(),
    "version: 1",
    "fixed: {lr: 3}",
    "  - 3",
    "\t",
    "{",
    "search: [",
    "constraints: [stages < 3, lr <, tau_init > 100]",
    "points: [{lr: 1e-3}, {lr: 1.0}, {}]",
    "  head_layers: {type: choice, values: [1, 2], when: {stages: 3}}",
    "first: {lr: x}",
    "é: ☃",
]


@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=20).map("\n".join))
def test_any_text_is_a_space_or_a_list_of_faults(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "space.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert launchable(path) or refused(path)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=4))
def test_any_change_leaves_a_launchable_space_or_a_list_of_faults(changes: list[str]) -> None:
    assert launchable("rg.yaml", changes) or refused("rg.yaml", changes)
