"""The replicas of a trial: folds inside the training split, and whole splits."""

from __future__ import annotations

import numpy as np
import pytest

from pamfn.data.synthetic import generate
from pamfn.phases.replica import Task, cross_validation, whole_split

FEATURES, _ = generate("tiny", 0)
TASKS = [Task(action, action, "total") for action in ("Ball", "Hoop")]


def test_a_trial_has_a_replica_for_each_class_fold_and_seed() -> None:
    replicas = cross_validation(FEATURES, TASKS, folds=3, seeds=2, seed=0, grouped=False)
    assert [r.name for r in replicas][:3] == ["Ball/fold0/seed0", "Ball/fold0/seed1", "Ball/fold1/seed0"]
    assert len({r.name for r in replicas}) == len({r.seed for r in replicas}) == 12


def test_every_training_video_is_held_out_once_and_no_test_video_ever_seen() -> None:
    replicas = cross_validation(FEATURES, TASKS, folds=5, seeds=1, seed=0, grouped=False)
    for task in TASKS:
        mine = [r for r in replicas if r.task == task.name]
        train = FEATURES.where(action=task.action, split="train")
        assert sorted(np.concatenate([r.valid for r in mine])) == train.tolist()
        for r in mine:
            assert sorted(np.concatenate([r.train, r.valid])) == train.tolist()
            assert np.isfinite(r.scores_V[r.train]).all()
            assert np.isnan(r.scores_V[FEATURES.where(action="Ball" if task.name == "Hoop" else "Hoop")]).all()


def test_folds_depend_on_data_and_seed_and_not_on_seeds_or_company() -> None:
    def folds(**changes: object) -> list[list[int]]:
        given = {"folds": 3, "seeds": 1, "seed": 0, "grouped": False, "tasks": TASKS, **changes}
        replicas = cross_validation(FEATURES, given.pop("tasks"), **given)
        return [r.valid.tolist() for r in replicas if r.task == "Ball" and r.name.endswith("seed0")]

    assert folds() == folds(seeds=3) == folds(tasks=TASKS[:1])
    assert folds() != folds(seed=1)


def test_groups_stay_whole() -> None:
    for r in cross_validation(FEATURES, TASKS, folds=3, seeds=1, seed=0, grouped=True):
        assert not {FEATURES.groups[v] for v in r.train} & {FEATURES.groups[v] for v in r.valid}


def test_the_whole_training_split_is_trained_on_and_the_test_split_scored() -> None:
    trained = whole_split(FEATURES, TASKS, seeds=2, seed=0, trained_on="train", scored_on=None)
    scored = whole_split(FEATURES, TASKS, seeds=2, seed=0, trained_on=None, scored_on="test")
    assert [r.name for r in trained] == ["Ball/all/seed0", "Ball/all/seed1", "Hoop/all/seed0", "Hoop/all/seed1"]
    for one, other in zip(trained, scored, strict=True):
        assert (one.name, one.seed) == (other.name, other.seed)
        assert (len(one.train), len(one.valid), len(other.train), len(other.valid)) == (60, 0, 0, 30)


def test_a_class_without_videos_is_named() -> None:
    ribbon = [Task("Ribbon", "Ribbon", "total")]
    with pytest.raises(ValueError, match="Ribbon: 0 videos of action 'Ribbon' in split 'train'; 2 are needed"):
        cross_validation(FEATURES, ribbon, folds=3, seeds=1, seed=0, grouped=False)
