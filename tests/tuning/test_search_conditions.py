"""A search over a space with conditions, constraints and points, from its file to its last trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuning.search import SearchSettings, StudySearch
from tuning.search.proposing import TYPES
from tuning.search.region import spelled
from tuning.space import load_space
from tuning.space_model import Space

FILE = """\
version: 1
search:
  head_layers: {type: choice, values: [1, 2]}
  head_reduction: {type: choice, values: [2, 3, 4], when: {head_layers: 2}}
  width: {type: choice, values: [30, 32, 256]}
constraints: [width % head_reduction == 0]
points: [{head_layers: 2, head_reduction: 3, width: 30}, {width: 32}]
"""
CONFIGURATIONS = 3 + 3 + 1 + 2  # one layer at any width; two with a reduction of 2, of 3 and of 4


def tried(space: Space, searcher: str, trials: int) -> StudySearch:
    """Returns a search after all of its trials, one after the other; a wide head scores best."""
    settings = SearchSettings(
        seed=0,
        concurrent=1,
        trials=trials,
        first=space.first_point(),
        points=space.fixed_points(),
        searcher=searcher,
        warmup=4,
        reduction=None,
    )
    search = StudySearch(space.region, settings)
    while work := search.next():
        score = 0.01 * work.config["head_layers"] + 1e-4 * work.config["width"]
        search.report(work.trial, {"rung": 0, "progress": 1.0, "val_spearman": score, "done": True})
    return search


@pytest.fixture
def space(tmp_path: Path) -> Space:
    (tmp_path / "space.yaml").write_text(FILE)
    return load_space(tmp_path / "space.yaml")


@pytest.mark.parametrize("searcher", TYPES)
def test_every_trial_lies_in_the_region_and_none_comes_twice(space, searcher):
    search = tried(space, searcher, trials=7)
    configs = [trial.config for trial in search.trials.values()]
    assert len(configs) == 7
    assert all(space.region.faults(config) == [] and space.recipe(config) for config in configs)
    assert len({spelled(config) for config in configs}) == 7
    assert configs[:3] == [space.first_point(), *space.fixed_points()]
    assert [trial.by for trial in search.trials.values()][:3] == ["first", "point", "point"]


def test_a_grid_with_trials_to_spare_tries_everything_once_and_ends(space):
    search = tried(space, "grid", trials=500)
    configs = [trial.config for trial in search.trials.values()]
    assert sorted(map(spelled, configs)) == sorted(map(spelled, space.region.grid() or ()))
    assert len(configs) == CONFIGURATIONS
    assert search.exhausted
    assert search.done
