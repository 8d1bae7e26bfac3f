"""A step as a GPU would get it, on tensors that have shapes and a device but no values: nothing asks for a value.

A step that looked at a number on the host would stall a GPU, and could not be recorded; one that made a tensor on the
host and used it with others would fail there. Both fail here, without a GPU.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from phase_cases import planted, pretrained, replica, settings_of

from pamfn.data.bank import Bank
from pamfn.phases.batch import moved, next_batch
from pamfn.phases.branches import branch_member, branch_mould
from pamfn.phases.cache import map_steps
from pamfn.phases.fusion import clips_to_keep, fusion_members, fusion_mould
from pamfn.phases.mould import Member, Mould
from pamfn.phases.program import Program

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 8, seed=3), replica(FEATURES, 9, first=5, seed=4), replica(FEATURES, 7, seed=8)]
ELSEWHERE = torch.device("meta")


def bank_elsewhere() -> Bank:
    """Returns the features without their values, on another device than the host."""
    rows = {name: torch.empty(int(FEATURES.lengths.sum()) + 1, w, device=ELSEWHERE) for name, w in BANK.widths.items()}
    lengths = torch.from_numpy(FEATURES.lengths)
    bank = Bank(rows, torch.from_numpy(FEATURES.offsets).to(ELSEWHERE), lengths.to(ELSEWHERE))
    bank._host_lengths_V = lengths.numpy()
    return bank


def differentiated(mould: Mould, members: list[Member], known: Program) -> torch.Tensor:
    """Takes a step's forward and backward pass elsewhere; ``known`` has met the sites of its noise."""
    program = Program(mould)
    for seat in program.admit(members):
        seat.goal = 9
    program._sites = known._sites
    arrays, _ = next_batch(program.seats, np.ones(len(members), dtype=bool), 6, program._sites)
    return program._differentiate(moved(arrays, ELSEWHERE))


def stepped(mould: Mould, members: list[Member]) -> Program:
    """Returns a program that has taken a step on the host."""
    program = Program(mould)
    for seat in program.admit(members):
        seat.goal = 1
    program.step()
    return program


@pytest.mark.parametrize("preset", ["paper", "released"])
@pytest.mark.parametrize("padding", ["zero", "mask"])
def test_a_step_of_phase_2_asks_for_no_value(preset: str, padding: str) -> None:
    settings = settings_of("phase2", preset, padding=padding, width=16, stages=3)
    branches = pretrained(settings, REPLICAS, BANK)
    members = fusion_members(settings, REPLICAS, BANK, branches)
    members[1] = fusion_members(dataclasses.replace(settings, fusion_nets=5), REPLICAS, BANK, branches)[1]
    known = stepped(fusion_mould(settings, BANK), members)
    loss_R = differentiated(fusion_mould(settings, bank_elsewhere()), members, known)
    assert (loss_R.device, loss_R.shape) == (ELSEWHERE, (3,))


def test_a_step_on_kept_maps_asks_for_no_value() -> None:
    settings = settings_of("phase2", width=16)
    branches = pretrained(settings, REPLICAS, BANK)
    members = fusion_members(settings, REPLICAS, BANK, branches, kept=True)
    clips = clips_to_keep(settings, REPLICAS, BANK, 1 << 30)
    known = stepped(fusion_mould(settings, BANK, clips), members)
    assert differentiated(fusion_mould(settings, bank_elsewhere(), clips), members, known).device == ELSEWHERE


def test_a_step_of_phase_1_asks_for_no_value() -> None:
    settings = settings_of("phase1", width=16)
    members = [branch_member(settings, "rgb", mine, BANK) for mine in REPLICAS]
    known = stepped(branch_mould(settings, BANK.only("rgb")), members)
    assert differentiated(branch_mould(settings, bank_elsewhere().only("rgb")), members, known).device == ELSEWHERE


@pytest.mark.parametrize("kept", [False, True])
def test_an_evaluation_asks_for_no_value(kept: bool) -> None:
    settings = settings_of("phase2", width=16, stages=3)
    branches = pretrained(settings, REPLICAS, BANK)
    clips = clips_to_keep(settings, REPLICAS, BANK, 1 << 30) if kept else 0
    program = Program(fusion_mould(settings, bank_elsewhere(), clips))
    program.admit(fusion_members(settings, REPLICAS, BANK, branches, kept=kept))
    videos = torch.tensor([[0, 1], [2, -1], [3, 4]])
    x, lengths_RB = program.bank.clips(videos.to(ELSEWHERE), torch.zeros_like(videos).to(ELSEWHERE), 9)
    steps = map_steps(settings, 9)
    fixed = [name for name in BANK.widths if name not in settings.fine_tuned] if kept else []
    maps = {name: [torch.empty(3, 2, t, 16, device=ELSEWHERE) for t in steps] for name in fixed}
    program.network.eval()
    with torch.no_grad():
        score_RB = program._scorer._whole(x, lengths_RB, maps)
    assert (score_RB.device, score_RB.shape) == (ELSEWHERE, (3, 2))


def test_the_check_finds_a_value_that_is_asked_for_and_a_tensor_that_is_on_the_host() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        torch.empty(3, device=ELSEWHERE).sum().item()
    with pytest.raises(RuntimeError, match="device"):
        torch.empty(3, device=ELSEWHERE) + torch.empty(3)


def test_a_batch_is_chosen_without_the_device() -> None:
    program = Program(branch_mould(settings_of("phase1"), BANK.only("rgb")))
    seats = program.admit([branch_member(settings_of("phase1"), "rgb", mine, BANK) for mine in REPLICAS])
    arrays, full = next_batch(seats, np.array([True, False, True]), 5, program._sites)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert not full
    assert (arrays["videos"][1] == -1).all()
