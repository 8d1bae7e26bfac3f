"""A warm start: what of another study's results is taken over, once and for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tuning.constraints import parse
from tuning.domains import ChoiceDomain, FloatDomain
from tuning.search import Journal, Observation, Region
from tuning.search.prior import PriorError, keep_prior, kept_prior, read_prior
from tuning.space_model import Space

LR = {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}
STAGES = {"type": "choice", "values": [2, 3, 4]}
BALL = {"lr": LR, "stages": STAGES}
REGION = Region(
    {
        "stages": ChoiceDomain(type="choice", values=(2, 3)),
        "lr": FloatDomain(type="float", low=1e-4, high=5e-3, log=True),
    }
)


def study(folder: Path, *trials: dict[str, Any], search: dict[str, Any] | None = None, **fixed: Any) -> Path:
    """Writes what a study leaves: trials with ``config``, ``scores`` by rung, and a ``reason`` if they ended."""
    folder.mkdir()
    space = Space.model_validate({"search": BALL if search is None else search, "fixed": fixed})
    (folder / "study.json").write_text(json.dumps({"version": 1, "space": json.loads(space.model_dump_json())}))
    journal = Journal(folder / "decisions.jsonl")
    journal.append("launched", seed=0, concurrent=2, space="x")
    for number, trial in enumerate(trials):
        name = f"{number:04d}"
        journal.append("suggested", trial=name, number=number, config=trial["config"], by="random")
        for rung, score in enumerate(trial.get("scores", ())):
            result = {"rung": rung, "progress": (rung + 1) / 3, "val_spearman": score}
            values = {"rung": rung, "score": score, "verdict": "goes on", "reason": "", "grounds": {}}
            journal.append("reported", trial=name, result=result, **values)
        if "reason" in trial:
            journal.append("ended", trial=name, reason=trial["reason"])
    return folder


TRIALS = (
    {"config": {"lr": 1e-3, "stages": 3}, "scores": [0.4, 0.5, 0.6], "reason": "finished"},
    {"config": {"lr": 2e-3, "stages": 2}, "scores": [0.1], "reason": "stopped at rung 0"},
    {"config": {"lr": 9e-3, "stages": 2}, "scores": [0.2], "reason": "stopped at rung 0"},
    {"config": {"lr": 2e-3, "stages": 4}, "scores": [0.3], "reason": "stopped at rung 0"},
    {"config": {"lr": 4e-3, "stages": 2}, "reason": "failed: diverged"},
    {"config": {"lr": 3e-3, "stages": 2}, "scores": [0.35, 0.45]},
    {"config": {"lr": 3e-4, "stages": 2}},
)


def test_what_fits_is_taken_over_in_order_and_the_rest_is_counted(tmp_path):
    prior = read_prior(study(tmp_path / "ball", *TRIALS), REGION)
    assert [(seen.config, seen.scores, seen.state) for seen in prior.observations] == [
        ({"stages": 3, "lr": 1e-3}, {0: 0.4, 1: 0.5, 2: 0.6}, "ended"),
        ({"stages": 2, "lr": 2e-3}, {0: 0.1}, "ended"),
        ({"stages": 2, "lr": 4e-3}, {}, "failed"),
        ({"stages": 2, "lr": 3e-3}, {0: 0.35, 1: 0.45}, "ended"),
    ]
    assert prior.observations[0].curve == ((1 / 3, 0.4), (2 / 3, 0.5), (1.0, 0.6))
    assert prior.notes == ("warm start from ball: 4 of 6 configurations fit",)


def test_a_setting_that_was_not_searched_there_has_the_value_that_was_trained_with(tmp_path):
    other = study(tmp_path / "ball", TRIALS[0], search={"lr": LR}, stages=2)
    other_trial = json.loads(json.dumps(read_prior(other, REGION).observations[0].config))
    assert other_trial == {"stages": 2, "lr": 1e-3}
    assert read_prior(other, REGION).notes[1] == "warm start: stages was not searched there and is taken as 2"


def test_a_value_that_was_fixed_outside_the_range_gives_way_to_the_default(tmp_path):
    other = study(tmp_path / "ball", TRIALS[0], search={"lr": LR}, stages=5)
    region = Region(REGION.domains, {"stages": 3, "lr": 5e-4})
    assert read_prior(other, region).observations[0].config == {"stages": 3, "lr": 1e-3}


def test_a_setting_that_is_searched_only_there_is_left_out_and_said(tmp_path):
    prior = read_prior(study(tmp_path / "ball", TRIALS[0]), Region({"lr": REGION.domains["lr"]}))
    assert prior.observations[0].config == {"lr": 1e-3}
    assert prior.notes[1] == "warm start: stages was searched there and is not here"


def test_a_configuration_that_breaks_a_constraint_is_dropped(tmp_path):
    region = Region(REGION.domains, {}, [parse("stages == 2")])
    prior = read_prior(study(tmp_path / "ball", *TRIALS), region)
    assert {seen.config["stages"] for seen in prior.observations} == {2}
    assert prior.notes == ("warm start from ball: 3 of 6 configurations fit",)


def test_values_are_those_of_a_recipe_after_the_journal(tmp_path):
    domains = {"fine_tuned": ChoiceDomain(type="choice", values=(("audio",), ("audio", "rgb")))}
    search = {"fine_tuned": {"type": "choice", "values": [["audio"], ["audio", "rgb"]]}}
    other = study(tmp_path / "ball", {"config": {"fine_tuned": ("audio", "rgb")}, "scores": [0.1]}, search=search)
    assert read_prior(other, Region(domains)).observations[0].config == {"fine_tuned": ("audio", "rgb")}


def test_what_was_read_is_kept_although_the_other_study_goes_on(tmp_path):
    other = study(tmp_path / "ball", *TRIALS[:2])
    prior = read_prior(other, REGION)
    keep_prior(prior, tmp_path)
    Journal(other / "decisions.jsonl").append("ended", trial="0000", reason="failed: nan")
    assert kept_prior(tmp_path) == prior
    assert read_prior(other, REGION) != prior
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["warm_start.json"]


def test_nothing_is_kept_where_nothing_was_read(tmp_path):
    assert kept_prior(tmp_path) is None


def test_a_record_that_was_tampered_with_is_refused(tmp_path):
    (tmp_path / "warm_start.json").write_text('{"version": 1, "observations": [{"config": 3}], "notes": []}')
    with pytest.raises(PriorError, match="warm_start.json: not what a warm start has read"):
        kept_prior(tmp_path)


def test_a_kept_prior_keeps_every_digit_and_kind_of_value(tmp_path):
    config = {"lr": 0.1 + 0.2, "fine_tuned": ("audio", "rgb"), "clip_norm": None, "standardise": True}
    seen = Observation(config, {0: 1 / 3, 2: -0.5}, "failed", ((1 / 7, 1 / 3),))
    keep_prior(type(read_prior(study(tmp_path / "ball", *TRIALS), REGION))((seen,), ("a note",)), tmp_path)
    kept = kept_prior(tmp_path)
    assert kept is not None
    assert (kept.observations, kept.notes) == ((seen,), ("a note",))


def broken(folder: Path, name: str, text: str) -> Path:
    study(folder, *TRIALS)
    (folder / name).write_text(text)
    return folder


REFUSED = {
    "no study": (lambda folder: folder, "is no study: .*study.json is not there"),
    "a record of something else": (lambda f: broken(f, "study.json", "[]"), "cannot be read: .*not the record"),
    "a record that is not JSON": (lambda f: broken(f, "study.json", "{"), "cannot be read: .*not the record"),
    "a journal of something else": (
        lambda f: broken(f, "decisions.jsonl", "[]\n"),
        "cannot be read: .*line 1 is no event of a search",
    ),
    "a journal out of order": (
        lambda f: broken(f, "decisions.jsonl", '{"event": "ended", "trial": "0", "reason": ""}\n'),
        "cannot be read: .*decisions.jsonl is not the journal of a study",
    ),
    "nothing tried": (lambda f: study(f), "has tried 0 configurations, and none of them fits"),
    "nothing in common": (
        lambda f: study(f, search={"tau_init": LR | {"low": 1.0, "high": 9.0}}),
        "searches tau_init, and this study stages, lr: nothing in common",
    ),
    "nothing that fits": (lambda f: study(f, TRIALS[2], TRIALS[3]), "has tried 2 configurations, and none of them fit"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_study_that_is_no_start_is_refused_with_the_reason(tmp_path, case):
    made, message = REFUSED[case]
    with pytest.raises(PriorError, match=message):
        read_prior(made(tmp_path / "ball"), REGION)
