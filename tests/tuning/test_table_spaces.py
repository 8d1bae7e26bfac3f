"""The space files of the paper's tables: each is a grid over exactly the rows of its table, the full model first."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files

import pytest
from compared_study import folds_of, results_of, trial

from pamfn.published import STREAMS, TABLES
from tuning.report.layout import role
from tuning.report.models import sections
from tuning.space import load_space

SPACES = {f"table{number}": table for number, table in enumerate(TABLES, start=1)}
ALL = [*SPACES, "figure6"]
TOGETHER = {"ablations": STREAMS, "speech-ablations": ("spec", "dspec", "pros")}
"""The studies that hold the rows of Tables IV to VIII, with the streams of their data."""


def commands(name: str) -> list[list[str]]:
    """The words of the commands in a file's head."""
    text = (files("search_spaces") / f"{name}.yaml").read_text(encoding="utf-8")
    head = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    found = re.findall(r"^python -m tuning\.launch .*(?:(?<=\\)\n.*)*", head, re.MULTILINE)
    return [shlex.split(command.replace("\\\n", " ")) for command in found]


def sets_of(command: list[str]) -> list[str]:
    return [after for word, after in zip(command, command[1:], strict=False) if word == "--set"]


@pytest.mark.parametrize("name", ALL)
def test_the_grid_is_tried_whole_and_begins_with_the_full_model(name) -> None:
    space = load_space(f"{name}.yaml")
    grid = space.region.grid()
    assert len(grid) == space.budget.trials
    assert space.searcher.type == "grid"
    assert space.scheduler.type == "none"
    first = space.first_point()
    assert first.get("model", space.value("model")) == "pamfn"
    assert (first["lr_scale"], space.recipe(first).fusion_nets) == (1.0, 10)
    assert space.final.top == 0
    assert all(space.recipe(config) for config in grid)


@pytest.mark.parametrize("name", SPACES)
def test_the_models_are_the_rows_of_the_table(name) -> None:
    space = load_space(f"{name}.yaml")
    models = [role(value, STREAMS) for value in space.search["model"].values]
    assert sorted(models) == sorted(row.value for row in SPACES[name].rows)


@pytest.mark.parametrize("name", ALL)
def test_every_row_is_tried_as_often(name) -> None:
    space = load_space(f"{name}.yaml")
    row = "model" if "model" in space.search else "fusion_nets"
    tries = [config[row] for config in space.region.grid()]
    assert {tries.count(value) for value in tries} == {3}


@pytest.mark.parametrize("name", ALL)
def test_its_report_is_laid_out_as_its_table(name) -> None:
    space = load_space(f"{name}.yaml")
    classes, modalities = space.data.action, space.data.modalities
    trials = [trial(i, config, folds_of(0.8, classes)) for i, config in enumerate(space.region.grid())]
    (section,) = sections(results_of(space, trials, modalities))
    number = "Figure 6" if name == "figure6" else SPACES[name].name
    assert section.title.startswith(f"{number}: ")


@pytest.mark.parametrize("name", ALL)
def test_the_commands_of_its_head_are_of_this_file_and_sound(name) -> None:
    whole, small = commands(name)
    assert whole[3:] == ["--space", f"{name}.yaml", "--data", "shards/rg" if name != "table3" else "shards/rg2"]
    assert small[3:5] == ["--space", f"{name}.yaml"]
    space = load_space(f"{name}.yaml", sets_of(small))
    assert space.data.synthetic is not None
    assert (space.value("width"), space.evaluation.group) == (32, "athlete")
    assert max(space.value("epochs"), space.value("phase1_epochs")) <= 60
    assert all(space.recipe(config) for config in space.region.grid())


@pytest.mark.parametrize(("name", "streams"), TOGETHER.items())
def test_the_rows_of_five_tables_together_are_each_tried_once_at_three_rates(name, streams) -> None:
    space = load_space(f"{name}.yaml")
    rows = {row.value for number in range(4, 9) for row in SPACES[f"table{number}"].rows}
    tried = [role(config["model"], streams) for config in space.region.grid()]
    assert set(tried) == rows
    assert {tried.count(row) for row in rows} == {3}
    assert (len(tried), space.budget.trials) == (84, 84)
    assert role(space.first_point()["model"], streams) == "pamfn"


@pytest.mark.parametrize(("name", "streams"), TOGETHER.items())
def test_the_report_of_five_tables_together_has_all_five(name, streams) -> None:
    space = load_space(f"{name}.yaml")
    trials = [trial(i, config, folds_of(0.8, space.data.action)) for i, config in enumerate(space.region.grid())]
    titles = [section.title for section in sections(results_of(space, trials, streams))]
    numbers = ["Table IV", "Table V", "Table VI", "Table VII", "Table VIII"]
    assert [title.partition(":")[0] for title in titles[:5]] == numbers
