"""A training that is interrupted, written to disk and resumed gives the same numbers, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from phase_cases import planted, pretrained, replica, same, settings_of, training_of
from safetensors.torch import load_file, save_file

from pamfn.data.bank import Bank
from pamfn.phases.fusion import fusion_training
from pamfn.phases.report import Report
from pamfn.phases.training import Training

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9, task="Ball"), replica(FEATURES, 10, first=9, seed=2, task="Hoop")]
MILESTONES = (0.25, 0.7, 1.0)
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "phase 1": ("phase1", "paper", {"phase1_epochs": 4}),
    "phase 1, standardised": ("phase1", "paper", {"phase1_epochs": 4, "standardise": True, "phase1_clip_norm": 0.1}),
    "phase 2": ("phase2", "paper", {"epochs": {"Ball": 4, "Hoop": 3}}),
    "phase 2, quantiles": ("phase2", "paper", {"target": "quantile", "optimizer": "sgd", "padding": "mask"}),
    "phase 2, released": ("phase2", "released", {}),
    "one stage": ("one", "paper", {"standardise": True}),
}


def through_disk(training: Training, folder: Path) -> list[dict[str, torch.Tensor]]:
    states = []
    for i in range(len(training.replicas)):
        save_file(training.state(i), folder / f"{i}.safetensors")
        states.append(load_file(folder / f"{i}.safetensors"))
    return states


def rows(reports: Sequence[Report]) -> list[list[Any]]:
    return [
        [r.progress, r.epochs, np.nan_to_num(r.losses, nan=-1).tolist(), r.scores, r.constant, r.ended] for r in reports
    ]


@pytest.mark.parametrize("case", CASES)
def test_interrupted_at_any_milestone_and_resumed_is_the_same_bit_for_bit(case: str, tmp_path: Path) -> None:
    phase, preset, changes = CASES[case]
    settings = settings_of(phase, preset, **changes)
    whole = training_of(phase, settings, REPLICAS, BANK)
    reports = list(whole.run(MILESTONES))
    for done in range(1, len(MILESTONES)):
        first = training_of(phase, settings, REPLICAS, BANK)
        before = list(first.run(MILESTONES[:done]))
        states = through_disk(first, tmp_path)
        resumed = training_of(phase, settings, REPLICAS, BANK)
        for i, state in enumerate(states):
            resumed.restore(i, state)
        after = list(resumed.run(MILESTONES[done:]))
        assert rows(before + after) == rows(reports)
        for i in range(len(REPLICAS)):
            assert same(resumed.state(i), whole.state(i))
        assert all(np.array_equal(a, b) for a, b in zip(resumed.predict(), whole.predict(), strict=True))


def test_a_resumed_training_reports_where_it_stands_and_passes_what_lies_behind() -> None:
    settings = settings_of("one")
    first = training_of("one", settings, REPLICAS, BANK)
    list(first.run([0.25, 0.5]))
    resumed = training_of("one", settings, REPLICAS, BANK)
    for i in range(len(REPLICAS)):
        resumed.restore(i, first.state(i))
    reports = list(resumed.run([0.25, 0.5, 1.0]))
    assert [report.progress for report in reports] == [0.5, 1.0]
    assert np.isnan(reports[0].losses).all()


def test_replicas_may_change_places_when_they_are_resumed() -> None:
    # Rows of a multiple of 16 floats: matrix kernels sum otherwise where a row begins off a cache line.
    bank = Bank.of(planted(widths=dict.fromkeys(BANK.widths, 16)))
    settings = settings_of("one", width=16)
    first, resumed = (training_of("one", settings, some, bank) for some in (REPLICAS, REPLICAS[::-1]))
    list(first.run([0.5]))
    for i in (0, 1):
        resumed.restore(1 - i, first.state(i))
    for training in (first, resumed):
        list(training.run([1.0]))
    assert all(same(first.state(i), resumed.state(1 - i)) for i in (0, 1))


def test_what_no_training_changes_is_left_out_of_the_state() -> None:
    settings = settings_of("phase2")
    branches = pretrained(settings, REPLICAS, BANK)
    state = fusion_training(settings, REPLICAS, BANK, branches).state(0)
    assert not [name for name in state if name.startswith(("weights/branches.rgb", "weights/branches.flow"))]
    assert [name for name in state if name.startswith("weights/branches.audio")]
    drifting = fusion_training(settings_of("phase2", "released"), REPLICAS, BANK, branches).state(0)
    assert [name for name in drifting if name.startswith("weights/branches.rgb")]


def test_a_state_that_does_not_fit_is_refused_with_every_fault() -> None:
    training = training_of("one", settings_of("one"), REPLICAS, BANK)
    wider = training_of("one", settings_of("one", width=8), REPLICAS, BANK)
    with pytest.raises(ValueError, match=r"tau.*|head\.score\.weight: shape \(1, 24\), expected \(1, 12\)"):
        training.restore(0, wider.state(0))
