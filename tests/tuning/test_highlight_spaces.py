"""The space files of highlight detection: the paper's settings first, one detector a topic, sound commands on top."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files

import pytest

from pamfn.data.planted_sizes import SIZES
from tuning.space import load_space
from tuning.tasks import task_names

SPACES = ["highlights.yaml", "table9.yaml"]


def commands(name: str) -> list[list[str]]:
    """The words of the commands in a file's head."""
    text = (files("search_spaces") / name).read_text(encoding="utf-8")
    head = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    found = re.findall(r"^python -m tuning\.launch .*(?:(?<=\\)\n.*)*", head, re.MULTILINE)
    return [shlex.split(command.replace("\\\n", " ")) for command in found]


@pytest.mark.parametrize("name", SPACES)
def test_the_first_trial_is_the_papers(name) -> None:
    space = load_space(name)
    recipe = space.recipe(space.first_point())
    assert (recipe.task, recipe.model, recipe.batch_size, recipe.padding) == ("highlights", "pamfn", 1, "mask")
    assert (recipe.fusion_nets, recipe.width, recipe.stages, recipe.lr, recipe.phase1_lr) == (10, 256, 3, 5e-4, 5e-4)
    assert (recipe.optimizer, recipe.phase1_optimizer, recipe.epochs, recipe.phase1_epochs) == (
        "adamw",
        "adamw",
        300,
        300,
    )
    assert task_names(space.data.action, space.data.score) == SIZES["highlights"].actions


def test_table_9_trains_its_own_rows_with_adamw_at_the_papers_rate() -> None:
    space = load_space("table9.yaml")
    recipes = [space.recipe(config) for config in space.region.grid()]
    assert len(recipes) == space.budget.trials
    assert {recipe.model for recipe in recipes} == {"pamfn", "branch:rgb", "branch:flow", "branch:audio"}
    assert {(recipe.task, recipe.optimizer, recipe.lr) for recipe in recipes} == {("highlights", "adamw", 5e-4)}


@pytest.mark.parametrize("name", SPACES)
def test_the_commands_of_its_head_are_of_this_file_and_sound(name) -> None:
    whole, small = commands(name)
    assert whole[3:] == ["--space", name, "--data", "shards/highlights"]
    space = load_space(name, [after for word, after in zip(small, small[1:], strict=False) if word == "--set"])
    assert space.data.synthetic is not None
    size = SIZES[space.data.synthetic.size]
    assert space.data.action == size.actions
    assert space.recipe(space.first_point()).clip >= size.segments[1]


def test_a_search_of_detectors_ends_with_a_verdict_and_a_table_is_of_held_out_folds() -> None:
    tops = {name: load_space(name).final.top for name in SPACES}
    assert tops == {"highlights.yaml": 3, "table9.yaml": 0}
