"""The recipe: every setting of a training, checked."""

import re

import pytest

from pamfn.presets import PRESETS
from pamfn.recipe import BRANCH_SETTINGS, Recipe, check, is_whole, recipe, settings


def test_the_defaults_are_the_papers_configuration_for_rhythmic_gymnastics() -> None:
    paper = Recipe()
    assert (paper.stages, paper.width, paper.fusion_nets, paper.tau_init) == (3, 256, 10, 10.0)
    assert (paper.optimizer, paper.lr, paper.head_lr_scale, paper.batch_size) == ("adamw", 5e-4, 0.1, 32)
    assert (paper.phase1_optimizer, paper.phase1_lr, paper.phase1_momentum) == ("sgd", 0.01, 0.9)
    assert (paper.phase1_epochs, paper.phase1_weight_decay, paper.clip) == (250, 1e-4, 70)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_sound(preset: str) -> None:
    made = recipe(preset)
    assert {name: getattr(made, name) for name in PRESETS[preset]} == PRESETS[preset]


@pytest.mark.parametrize("name", [name for name in settings() if name != "options"])
def test_every_default_keeps_its_own_rule(name: str) -> None:
    assert check(name, settings()[name].default) == []


FAULTS = [
    ("tau_int", 1.0, "tau_int: no such setting; did you mean 'tau_init'?"),
    ("stages", 6, "stages: 6 is outside 2 to 5"),
    ("stages", 3.0, "stages: 3.0 is not a whole number"),
    ("stages", True, "stages: True is not a whole number"),
    ("lr", float("nan"), "lr: nan is outside 1e-07 to 10"),
    ("lr", "0.1", "lr: '0.1' is not a number"),
    ("optimizer", "adam", "optimizer: 'adam' is not one of adamw, sgd; did you mean 'adamw'?"),
    ("standardise", 1, "standardise: 1 is not true or false"),
    ("standardise", "yes", "standardise: 'yes' is not true or false"),
    ("fine_tuned", "audio", "fine_tuned: 'audio' is not a list of modality names"),
    ("fine_tuned", ("audio", "audio"), "fine_tuned: ('audio', 'audio') names a modality twice"),
    ("epochs", {}, "epochs: the map is empty; name each class's epochs"),
    ("epochs", {"Ball": 0}, "epochs.Ball: 0 is outside 1 to 100000"),
]


@pytest.mark.parametrize(("name", "value", "message"), FAULTS)
def test_a_value_that_breaks_its_rule_is_named_with_it(name: str, value: object, message: str) -> None:
    assert check(name, value) == [message]


def test_clipping_may_be_off() -> None:
    assert check("clip_norm", None) == []
    assert check("lr", None) == ["lr: None is not a number"]


def test_all_faults_of_a_recipe_come_at_once() -> None:
    with pytest.raises(ValueError, match=re.escape("stages: 9 is outside 2 to 5; lr: 0 is outside 1e-07 to 10")):
        Recipe(stages=9, lr=0)


@pytest.mark.parametrize("name", ["msfd_heads", "cmfd_heads"])
def test_heads_must_divide_the_width(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: 3 does not divide width 256"):
        recipe(**{name: 3})


def test_a_reduction_must_divide_the_width_only_where_there_is_a_hidden_layer() -> None:
    assert recipe(head_reduction=3).head_reduction == 3
    with pytest.raises(ValueError, match="head_reduction: 3 does not divide width 256"):
        recipe(head_reduction=3, head_layers=2)


def test_an_unknown_preset_and_an_unknown_setting_are_refused() -> None:
    with pytest.raises(ValueError, match="preset: 'papr' is not one of paper, released"):
        recipe("papr")
    with pytest.raises(ValueError, match="widht: no such setting; did you mean 'width'\\?"):
        recipe(widht=3)


def test_epochs_are_one_number_or_one_for_each_class() -> None:
    assert recipe(epochs=7).epochs_of("anything") == 7
    assert recipe(epochs={"Ball": 3}).epochs_of("Ball") == 3
    with pytest.raises(ValueError, match="epochs: no entry for 'Hoop'; the map has \\['Ball'\\]"):
        recipe(epochs={"Ball": 3}).epochs_of("Hoop")


def test_branches_depend_on_phase_1_and_on_what_it_sees_and_on_nothing_of_phase_2() -> None:
    assert set(BRANCH_SETTINGS) <= set(settings())
    assert {name for name in settings() if name.startswith("phase1_")} < set(BRANCH_SETTINGS)
    assert not {"fusion_nets", "tau_init", "lr", "epochs", "fine_tuned"} & set(BRANCH_SETTINGS)


def test_whole_numbers_are_known_by_their_setting() -> None:
    assert [name for name in ("fusion_nets", "epochs", "lr", "clip_norm", "schedule") if is_whole(name)] == [
        "fusion_nets",
        "epochs",
    ]
