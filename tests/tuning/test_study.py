"""A space and its data become a study, or one list of everything that is wrong with them."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pamfn.data.features import FeatureSet
from pamfn.data.shards import write_shards
from pamfn.data.synthetic import generate
from tuning.faults import SpaceError
from tuning.space import read_space
from tuning.study import Study, data_location, epoch_at, resolve_study

TINY, _ = generate("tiny", 0)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(TINY, tmp_path_factory.mktemp("shards"))


def written(features: FeatureSet, folder: Path) -> str:
    write_shards(features.sealed(), folder / "set")
    return str(folder / "set")


def space_file(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"version: 1\nsearch:\n  lr: {{type: float, low: 1.0e-4, high: 2.0e-3}}\n{text}")
    return path


def study_of(path: str | Path, location: str, *sets: str, name: str = "mine") -> Study:
    draft = read_space(path, sets)
    return resolve_study(draft, location, storage="/tmp/studies", name=name)


def faults(path: str | Path, location: str, *sets: str, name: str = "mine") -> list[str]:
    with pytest.raises(SpaceError) as caught:
        study_of(path, location, *sets, name=name)
    return [str(fault) for fault in caught.value.faults]


def test_what_the_file_leaves_open_is_taken_from_the_data(shards: str, tmp_path: Path) -> None:
    study = study_of(space_file(tmp_path, "evaluation: {folds: 2, seeds: 2}\n"), shards)
    assert [(task.action, task.score, task.name) for task in study.tasks] == [
        ("Ball", "total", "Ball"),
        ("Hoop", "total", "Hoop"),
    ]
    assert study.modalities == ("rgb", "flow", "audio")
    assert study.digest == TINY.sealed().schema.digest
    assert (study.storage, study.branch_store) == ("/tmp/studies/mine", "/tmp/studies/branches")
    assert study.replica_names() == (
        "Ball/fold0/seed0",
        "Ball/fold0/seed1",
        "Ball/fold1/seed0",
        "Ball/fold1/seed1",
        "Hoop/fold0/seed0",
        "Hoop/fold0/seed1",
        "Hoop/fold1/seed0",
        "Hoop/fold1/seed1",
    )


def test_a_study_travels_to_other_processes_unchanged(shards: str) -> None:
    study = study_of("quickstart.yaml", shards)
    assert pickle.loads(pickle.dumps(study)) == study


def test_two_scores_of_one_class_are_two_tasks(tmp_path: Path) -> None:
    only_ball = TINY.subset(TINY.where(action="Ball"))
    scores = {"TES": only_ball.scores["total"], "PCS": only_ball.scores["total"] / 2}
    both = replace(only_ball, scores=scores, schema=replace(TINY.schema, scores={"TES": 45.0, "PCS": 45.0}))
    study = study_of("fisv.yaml", written(both, tmp_path))
    assert [(task.action, task.score, task.name) for task in study.tasks] == [
        ("Ball", "TES", "TES"),
        ("Ball", "PCS", "PCS"),
    ]


def test_rungs_are_shares_of_the_reference_class_that_end_at_the_full_budget(shards: str, tmp_path: Path) -> None:
    text = "fixed: {epochs: {Ball: 400, Hoop: 300}}\nscheduler: {grace_epochs: 20, reduction: 3}\n"
    study = study_of(space_file(tmp_path, text), shards)
    recipe = study.space.recipe(study.space.first_point())
    assert study.rungs(recipe) == (20 / 400, 60 / 400, 180 / 400, 1.0)
    assert [epoch_at(rung, 300) for rung in study.rungs(recipe)] == [15, 45, 135, 300]


def test_a_rung_that_falls_on_the_full_budget_is_not_counted_twice(shards: str, tmp_path: Path) -> None:
    path = space_file(tmp_path, "fixed: {epochs: 18}\nscheduler: {grace_epochs: 2, reduction: 3}\n")
    study = study_of(path, shards)
    assert study.rungs(study.space.recipe({"lr": 1e-3})) == (2 / 18, 6 / 18, 1.0)


def test_without_asha_the_full_budget_is_the_only_rung(shards: str, tmp_path: Path) -> None:
    study = study_of(space_file(tmp_path, "scheduler: {type: none}\n"), shards)
    assert study.rungs(study.space.recipe({"lr": 1e-3})) == (1.0,)


def test_milestones_are_the_rungs_and_the_points_between(shards: str, tmp_path: Path) -> None:
    path = space_file(tmp_path, "fixed: {epochs: 10}\nscheduler: {grace_epochs: 3}\nevaluation: {every: 4}\n")
    study = study_of(path, shards)
    recipe = study.space.recipe({"lr": 1e-3})
    assert study.milestones(recipe) == (0.3, 0.4, 0.8, 0.9, 1.0)
    long = study_of(path, shards, "fixed.epochs=400", "evaluation.every=auto")
    assert len(long.milestones(long.space.recipe({"lr": 1e-3}))) == 45  # 40 points, and 3, 9, 27, 81, 243 between


@pytest.mark.parametrize("budget", [1, 2, 7, 41, 300])
def test_every_milestone_of_the_reference_class_is_an_epoch_of_its_own(
    budget: int, shards: str, tmp_path: Path
) -> None:
    study = study_of(space_file(tmp_path, "scheduler: {grace_epochs: 1}\n"), shards, f"fixed.epochs={budget}")
    recipe = study.space.recipe({"lr": 1e-3})
    epochs = [epoch_at(progress, budget) for progress in study.milestones(recipe)]
    assert epochs == sorted(set(epochs))
    assert epochs[-1] == budget
    assert set(study.rungs(recipe)) <= set(study.milestones(recipe))


def test_cutting_through_groups_is_allowed_and_noted(shards: str, tmp_path: Path) -> None:
    loose = study_of(space_file(tmp_path, "evaluation: {group: null}\n"), shards)
    assert loose.notes == (
        "the data names a group for its videos and the folds cut through groups: see evaluation.group",
    )
    assert study_of(space_file(tmp_path, "evaluation: {group: athlete}\n"), shards).notes == ()


def test_names_that_the_data_does_not_hold_are_refused_with_near_misses(shards: str, tmp_path: Path) -> None:
    text = "data: {action: [Bal, Hoop], score: totl, modalities: [rgb, flow, audoi]}\nfixed: {fine_tuned: [rgb]}\n"
    assert faults(space_file(tmp_path, text), shards) == [
        "line 4: data.action: 'Bal' is no action class of the data; did you mean `Ball`?",
        "line 4: data.modalities: 'audoi' is no modality of the data; did you mean `audio`?",
        "line 4: data.score: 'totl' is no score of the data; did you mean `total`?",
    ]


def test_the_default_fine_tuned_stream_must_be_among_those_of_the_data(tmp_path: Path) -> None:
    names = {"rgb": "spec", "flow": "dspec", "audio": "pros"}
    schema = replace(TINY.schema, modalities={names[k]: v for k, v in TINY.schema.modalities.items()}, extractors={})
    speech = replace(TINY, schema=schema, features={names[k]: v for k, v in TINY.features.items()})
    assert faults(space_file(tmp_path, "fixed: {width: 32}\n"), written(speech, tmp_path)) == [
        "line 4: fixed.fine_tuned: 'audio' is fine-tuned but is not among the modalities spec, dspec, pros; "
        "set fixed.fine_tuned"
    ]


def test_grouping_by_groups_that_the_data_does_not_name_is_refused(tmp_path: Path) -> None:
    ungrouped = written(replace(TINY, groups=(None,) * len(TINY)), tmp_path)
    assert faults(space_file(tmp_path, "evaluation: {group: speaker}\n"), ungrouped) == [
        "line 4: evaluation.group: 'speaker' is asked for, and the data names no groups; "
        "ingest with --group-column, or set null"
    ]


def test_too_few_videos_or_groups_for_the_folds_are_refused(shards: str, tmp_path: Path) -> None:
    assert faults(space_file(tmp_path, "evaluation: {folds: 31}\n"), shards) == [
        "line 4: evaluation.folds: 31 folds of two videos or more cannot be cut "
        f"from the 60 training videos of {action}; use 30 or fewer"
        for action in ("Ball", "Hoop")
    ]
    assert faults(space_file(tmp_path, "evaluation: {folds: 20, group: athlete}\n"), shards) == [
        f"line 4: evaluation.folds: 20 folds cannot be cut for {action}: "
        "12 groups cannot make 20 folds; use fewer folds"
        for action in ("Ball", "Hoop")
    ]


def test_scores_that_rank_nothing_are_refused(tmp_path: Path) -> None:
    constant = replace(TINY, scores={"total": np.full(len(TINY), 9.0)})
    found = faults(space_file(tmp_path, "data: {action: Ball}\nevaluation: {folds: 2}\n"), written(constant, tmp_path))
    assert found == [
        "line 5: evaluation.folds: 2 folds cannot be cut for Ball: "
        "the 30 videos of fold 0 all score 9, which ranks nothing; use fewer folds than 2"
    ]


def test_a_class_without_training_or_test_videos_is_refused(tmp_path: Path) -> None:
    splits = tuple(
        {"Ball": "train", "Hoop": "test"}[action] if action == "Hoop" or split == "test" else split
        for action, split in zip(TINY.actions, TINY.splits, strict=True)
    )
    lopsided = written(replace(TINY, splits=splits), tmp_path)
    assert faults(space_file(tmp_path, "evaluation: {folds: 2}\n"), lopsided) == [
        "line 1: data.action: 'Hoop' has no training videos",
        "line 1: final.top: 3 configurations are to be scored on the test split, which has no videos of Ball; set 0",
    ]


def test_several_scores_must_be_chosen_from(tmp_path: Path) -> None:
    scores = {"TES": TINY.scores["total"], "PCS": TINY.scores["total"] / 2}
    both = replace(TINY, scores=scores, schema=replace(TINY.schema, scores={"TES": 45.0, "PCS": 45.0}))
    assert faults(space_file(tmp_path, "data: {action: [Ball]}\n"), written(both, tmp_path)) == [
        "line 4: data.score: is not given, and the data has several; set data.score to one or more of TES, PCS"
    ]


def test_a_map_of_epochs_is_held_against_the_classes_of_the_data(shards: str, tmp_path: Path) -> None:
    assert faults(space_file(tmp_path, "fixed: {epochs: {Balls: 400, Hoop: 300}}\n"), shards) == [
        "line 4: fixed.epochs: has no entry for Ball; give every class its epochs",
        "line 4: fixed.epochs.Balls: is not a class of this study; did you mean `Ball`?",
    ]
    path = space_file(tmp_path, "fixed: {epochs: {Ball: 10, Hoop: 300}}\nscheduler: {grace_epochs: 11}\n")
    assert faults(path, shards) == [
        "line 5: scheduler.grace_epochs: 11 is more than the 10 epochs of a whole training; "
        "judge earlier, or set scheduler.type to none"
    ]


def test_faults_of_the_space_the_data_and_the_name_come_in_one_list(shards: str, tmp_path: Path) -> None:
    path = space_file(tmp_path, "data: {score: totl}\nfixed: {widht: 3, fine_tuned: 7}\nbudget: {trials: 0}\n")
    assert faults(path, shards, name="a/b") == [
        "line 4: data.score: 'totl' is no score of the data; did you mean `total`?",
        "line 5: fixed.fine_tuned: 7 is not a list of modality names",
        "line 5: fixed.widht: is not a setting of the training; did you mean `width`?",
        "line 6: budget.trials: 0 must be at least 1",
        "--name: 'a/b' is no name for a study: letters, digits, '.', '_' and '-', and neither branches nor data",
    ]


def test_a_faulty_section_is_not_blamed_for_its_defaults(shards: str, tmp_path: Path) -> None:
    path = space_file(
        tmp_path, "evaluation: {folds: 2, every: often}\nfixed: {epochs: 10}\nscheduler: {grace_epochs: x}\n"
    )
    assert faults(path, shards) == [
        "line 4: evaluation.every: 'often' must be auto or a whole number of at least 1",
        "line 6: scheduler.grace_epochs: 'x' must be auto or a whole number of at least 1",
    ]


def test_data_that_cannot_be_read_is_a_fault_beside_those_of_the_space(tmp_path: Path) -> None:
    found = faults(space_file(tmp_path, "seed: -1\n"), str(tmp_path / "nowhere"))
    assert found[0] == "line 4: seed: -1 must be at least 0"
    assert found[1].startswith("--data: ")
    assert "nowhere" in found[1]


def test_unreadable_data_is_blamed_on_the_line_that_names_it(tmp_path: Path) -> None:
    path = space_file(tmp_path, f"data:\n  path: {tmp_path}/nowhere\n")
    assert faults(path, f"{tmp_path}/nowhere")[0].startswith("line 5: ")
    assert faults(path, f"{tmp_path}/elsewhere")[0].startswith("--data: ")


def test_a_name_like_none_of_the_data_is_answered_with_all_there_are(shards: str, tmp_path: Path) -> None:
    assert faults(space_file(tmp_path, "data: {score: xyz, action: [qqqq]}\n"), shards) == [
        "line 4: data.action: 'qqqq' is no action class of the data; known: Ball, Hoop",
        "line 4: data.score: 'xyz' is no score of the data; known: total",
    ]


def test_the_option_goes_before_the_files_data_and_planted_data_lies_under_the_storage(tmp_path: Path) -> None:
    planted = read_space("quickstart.yaml")
    assert data_location(planted, data=str(tmp_path)) == str(tmp_path)
    assert data_location(planted, storage=str(tmp_path)) == f"{tmp_path}/data/planted-tiny-seed0"
    named = read_space(space_file(tmp_path, "data: {path: shards/rg}\n"))
    assert data_location(named) == str(Path.cwd() / "shards/rg")
    assert data_location(named, data="s3://bucket/rg/") == "s3://bucket/rg"


def test_no_data_at_all_is_a_fault_beside_those_of_the_space(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as caught:
        data_location(read_space(space_file(tmp_path, "seed: -1\n")))
    assert [str(fault) for fault in caught.value.faults] == [
        "line 4: seed: -1 must be at least 0",
        "--data: no data is named; give --data DIR, data.path or data.synthetic",
    ]


def test_the_studys_space_names_its_data_so_that_it_can_be_launched_again(shards: str, tmp_path: Path) -> None:
    assert study_of("quickstart.yaml", shards).space.data.path == shards
    assert study_of("quickstart.yaml", shards).space.data.synthetic is None
    draft = read_space("quickstart.yaml")
    location = data_location(draft, storage=str(tmp_path))
    write_shards(TINY.sealed(), Path(location))
    planted = resolve_study(draft, location, storage=str(tmp_path))
    assert (planted.name, planted.space.data.path) == ("quickstart", None)
