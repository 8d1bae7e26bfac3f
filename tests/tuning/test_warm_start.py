"""``--warm-start``: which study is meant, and what a launch says of it."""

from __future__ import annotations

import shutil

import pytest
from planted_study import small_study, words

from tuning.faults import SpaceError
from tuning.request import parse, requested_study
from tuning.search import Journal
from tuning.study_file import write_study
from tuning.warm_start import prior_of, settled_prior


@pytest.fixture
def ball(planted_shards, tmp_path):
    """A study called ball, two of whose trials have scores."""
    study = small_study(planted_shards, tmp_path / "studies", "budget.trials=2")
    folder = tmp_path / "studies" / "ball"
    write_study(study)
    (tmp_path / "studies" / study.name).rename(folder)
    journal = Journal(folder / "decisions.jsonl")
    for number, lr in enumerate((1e-3, 2e-3)):
        config = {"fusion_nets": 3, "tau_init": 10.0, "lr": lr, "stages": 2}
        result = {"rung": 0, "progress": 1 / 9, "val_spearman": 0.1 * number}
        trial = {"trial": f"{number:04d}"}
        journal.append("suggested", **trial, number=number, config=config, by="random")
        journal.append("reported", **trial, result=result, rung=0, score=0.1 * number, verdict="goes on", reason="")
    return folder


def started(shards, tmp_path, *sets):
    return small_study(shards, tmp_path / "studies", *sets)


def refused(command):
    """Returns what is said of a request that cannot be carried out."""
    with pytest.raises(SpaceError) as caught:
        requested_study(parse(command))
    return str(caught.value)


def test_a_study_is_found_by_its_name_beside_this_one_or_by_its_folder(ball, planted_shards, tmp_path):
    by_name = started(planted_shards, tmp_path, "warm_start=ball")
    by_folder = started(planted_shards, tmp_path, f"warm_start={ball}")
    assert [seen.config["lr"] for seen in prior_of(by_name).observations] == [1e-3, 2e-3]
    assert prior_of(by_folder) == prior_of(by_name)
    assert "warm start from ball: 2 of 2 configurations fit" in by_name.notes


def test_a_study_that_starts_cold_knows_nothing(planted_shards, tmp_path):
    study = started(planted_shards, tmp_path)
    assert prior_of(study).observations == ()
    write_study(study)
    settled_prior(study)
    assert not (tmp_path / "studies" / study.name / "warm_start.json").exists()


def test_a_resumed_study_starts_from_what_it_read_first(ball, planted_shards, tmp_path):
    study = started(planted_shards, tmp_path, "warm_start=ball")
    write_study(study)
    first = settled_prior(study)
    shutil.rmtree(ball)
    assert settled_prior(study) == prior_of(study) == first
    resumed, _ = requested_study(parse([*words(planted_shards, tmp_path / "studies", "warm_start=ball"), "--resume"]))
    assert (resumed, resumed.notes) == (study, study.notes)


def test_the_option_stands_for_the_key_and_is_named_in_its_faults(ball, planted_shards, tmp_path):
    command = words(planted_shards, tmp_path / "studies")
    said = refused([*command, "--warm-start", "bal"])
    assert f"--warm-start: warm_start: 'bal' is no study under {tmp_path / 'studies'}, and no folder of one" in said
    assert "did you mean `ball`?" in said
    study, _ = requested_study(parse([*command, "--warm-start", "ball"]))
    assert study.space.warm_start == "ball"


def test_a_missing_study_in_the_file_is_named_with_its_line(planted_shards, tmp_path):
    (tmp_path / "space.yaml").write_text(
        "version: 1\nwarm_start: hoop\ndata: {action: Ball}\nfixed: {epochs: 30}\n"
        "search: {stages: {type: choice, values: [2, 3]}}\n"
    )
    command = ["--space", str(tmp_path / "space.yaml"), "--data", str(planted_shards), "--storage", str(tmp_path)]
    assert f"line 2: warm_start: 'hoop' is no study under {tmp_path}" in refused(command)


def test_a_study_with_nothing_to_give_is_a_fault_of_the_request(ball, planted_shards, tmp_path):
    (ball / "decisions.jsonl").unlink()
    said = refused(words(planted_shards, tmp_path / "studies", "warm_start=ball"))
    assert "1 fault, nothing was started" in said
    assert "--set: warm_start: 'ball' has tried nothing yet" in said


def test_a_study_does_not_start_from_itself(ball, planted_shards, tmp_path):
    command = [*words(planted_shards, tmp_path / "studies", "warm_start=ball"), "--name", "ball", "--dry-run"]
    assert "warm_start: 'ball' is this study itself; name another" in refused(command)
