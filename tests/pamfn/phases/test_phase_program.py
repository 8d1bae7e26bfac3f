"""Replicas that come and go: company, place, neighbours in trouble and refilled rows change no bit of a replica."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from phase_cases import planted, pretrained, replica, same, settings_of

from pamfn.data.bank import Bank
from pamfn.phases.branches import branch_member, branch_mould
from pamfn.phases.cache import CacheFull, Places
from pamfn.phases.fusion import clips_to_keep, fusion_members, fusion_mould, mould_settings
from pamfn.phases.mould import Member, Mould
from pamfn.phases.program import Program
from pamfn.phases.replica import Replica
from pamfn.phases.seat import Seat
from pamfn.recipe import Recipe

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [
    replica(FEATURES, 8, seed=3),
    replica(FEATURES, 9, first=5, seed=4),
    replica(FEATURES, 11, first=16, seed=5),
    replica(FEATURES, 7, first=24, seed=6),
]
# Rows of whole vectors: in rows of odd lengths the last few elements are computed one by one, with another exp().
SETTINGS = settings_of("phase2", epochs=20, width=16, clip=8)
BRANCHES = pretrained(SETTINGS, REPLICAS, BANK)
TOLERANCE = 2e-3  # over fifty steps; see test_phase_company


def mould(settings: Recipe = SETTINGS, *, kept: bool = False, bank: Bank = BANK) -> Mould:
    clips = clips_to_keep(settings, REPLICAS, bank, 1 << 30) if kept else 0
    return fusion_mould(settings, bank, clips, room=5)


def members(
    some: Sequence[int], settings: Recipe = SETTINGS, *, kept: bool = False, bank: Bank = BANK, **own: object
) -> list[Member]:
    """Returns replicas by their numbers, each with settings of its own if wanted."""
    mine: list[Replica] = [REPLICAS[i] for i in some]
    branches = {name: [of[i] for i in some] for name, of in BRANCHES.items()}
    return fusion_members(dataclasses.replace(settings, **own), mine, bank, branches, kept=kept)


def trained(program: Program, seats: Sequence[Seat], steps: int) -> None:
    for seat in seats:
        seat.goal = seat.steps + steps
    while program.busy:
        program.step()


def test_a_replica_is_the_same_to_the_bit_whoever_its_neighbours_are_and_wherever_its_row_is() -> None:
    states = []
    for place, others in ((0, (1, 2, 3)), (2, (3, 1, 2)), (3, (2, 3, 1))):
        program, order = Program(mould()), list(others)
        order.insert(place, 0)
        wild = [members([i], lr=0.5 * i + 1e-3, tau_init=3.0 + i) if i else members([0]) for i in order]
        seats = program.admit([m for of in wild for m in of])
        trained(program, seats, 50)
        states.append(program.state(seats[place]))
    assert same(states[0], states[1])
    assert same(states[0], states[2])


def test_a_neighbour_that_diverges_changes_no_bit() -> None:
    sound, broken = Program(mould()), Program(mould())
    (kept, _), (mine, sick) = sound.admit(members([0, 1])), broken.admit(members([0, 1]))
    with torch.no_grad():
        broken.network.tau[1] = torch.nan  # type: ignore[index,operator]
    for program, seats in ((sound, sound.seats), (broken, broken.seats)):
        trained(program, seats, 20)
    assert broken.report([sick], 1.0).ended == ["diverged: the training loss is not finite"]
    assert same(sound.state(kept), broken.state(mine))
    assert sound.report([kept], 1.0).scores == broken.report([mine], 1.0).scores


def test_a_released_and_refilled_row_is_as_a_fresh_one() -> None:
    used, fresh = Program(mould()), Program(mould())
    first, second = used.admit(members([0, 1], lr=0.3))
    trained(used, [first, second], 12)
    used.dismiss([first])
    used.dismiss([second])
    mine = used.admit(members([2, 3]))
    theirs = fresh.admit(members([2, 3]))
    for program, seats in ((used, mine), (fresh, theirs)):
        trained(program, seats, 50)
    for one, other in zip(mine, theirs, strict=True):
        assert same(used.state(one), fresh.state(other))
        assert used.report([one], 1.0) == fresh.report([other], 1.0)


def test_those_behind_one_that_goes_move_up_and_go_on_as_if_nothing_had_been() -> None:
    leaving, staying = Program(mould()), Program(mould())
    a, b, c = leaving.admit([*members([0], fusion_nets=5), *members([1]), *members([2], fusion_nets=2)])
    d, e = staying.admit([*members([1]), *members([2], fusion_nets=2)])
    leaving.dismiss([a])
    assert [seat.row for seat in (b, c)] == [0, 1]
    for program, seats in ((leaving, (b, c)), (staying, (d, e))):
        trained(program, seats, 20)
    for one, other in ((b, d), (c, e)):
        assert same(leaving.state(one), staying.state(other))


def test_alone_and_among_changing_company_are_the_same_within_rounding_over_fifty_steps() -> None:
    alone, busy = Program(mould()), Program(mould())
    (one,) = alone.admit(members([2], epochs=17))
    (other,) = busy.admit(members([2], epochs=17))
    trained(alone, [one], 50)
    for step in range(10):
        guests = busy.admit(members([step % 2, 3], fusion_nets=1 + step % 5, lr=1e-3 * (step + 1)))
        trained(busy, [other, *guests], 5)
        busy.dismiss(guests)
    assert other.steps == 50
    np.testing.assert_allclose(busy.predict([other])[0], alone.predict([one])[0], atol=TOLERANCE)
    mine, theirs = alone.state(one), busy.state(other)
    assert max(float((mine[name] - theirs[name]).abs().max()) for name in mine) < TOLERANCE


def test_a_replica_that_moves_to_another_program_goes_on_bit_for_bit() -> None:
    here, there = Program(mould()), Program(mould())
    (whole,) = here.admit(members([1]))
    (first,) = there.admit(members([1]))
    trained(here, [whole], 9)
    trained(there, [first], 4)
    state = there.state(first)
    there.dismiss([first])
    branches = {name: [of[1]] for name, of in BRANCHES.items()}
    (again,) = there.admit(fusion_members(SETTINGS, [REPLICAS[1]], BANK, branches, [state]))
    trained(there, [again], 5)
    assert same(here.state(whole), there.state(again))


def test_scores_of_some_are_those_of_all() -> None:
    program = Program(mould())
    seats = program.admit([*members([0], fusion_nets=2), *members([1, 2], fusion_nets=4)])
    trained(program, seats, 10)
    every = program.predict(seats)
    for chosen in ([1], [2, 0]):
        for i, scores in zip(chosen, program.predict([seats[i] for i in chosen]), strict=True):
            np.testing.assert_allclose(scores, every[i], atol=1e-6)


def test_a_step_without_memory_leaves_everybody_where_he_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    program, spared = Program(mould()), Program(mould())
    seats, others = program.admit(members([0, 1])), spared.admit(members([0, 1]))
    trained(program, seats, 3)
    trained(spared, others, 3)
    forward, failed = program.network.forward, []

    def once(*given: object, **named: object) -> object:
        output = forward(*given, **named)  # batch norms have moved by now
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError
        return output

    monkeypatch.setattr(program.network, "forward", once)
    for seat in seats:
        seat.goal += 4
    with pytest.raises(torch.OutOfMemoryError):
        program.step()
    trained(program, [], 0)
    trained(spared, others, 4)
    for one, other in zip(seats, others, strict=True):
        assert same(program.state(one), spared.state(other))


def test_settings_of_one_shape_share_a_program_and_others_are_refused() -> None:
    same_shape = dataclasses.replace(SETTINGS, lr=0.1, fusion_nets=9, epochs=7, phase1_lr=0.5, reseed=4)
    assert mould_settings(same_shape) == mould_settings(SETTINGS)
    assert mould_settings(dataclasses.replace(SETTINGS, stages=3)) != mould_settings(SETTINGS)
    program = Program(mould())
    program.admit(members([0]))
    with pytest.raises(ValueError, match="one shape"):
        program.admit(members([1], batch_size=5))
    assert len(program.seats) == 1
    trained(program, program.seats, 1)


def test_a_member_that_does_not_fit_is_refused_and_the_others_go_on() -> None:
    program = Program(mould())
    (seat,) = program.admit(members([0]))
    (stranger,) = members([1])
    with pytest.raises(ValueError, match="tau: missing"):
        program.admit([dataclasses.replace(stranger, weights={})])
    trained(program, [seat], 2)
    assert program.report([seat], 1.0).ended == [""]


# --- Kept feature maps ---


@pytest.mark.parametrize("padding", ["zero", "mask"])
@pytest.mark.parametrize("shape", [{}, {"stages": 4}, {"clip": 3}, {"standardise": True}])
def test_kept_maps_train_and_score_as_computed_ones_do(padding: str, shape: dict[str, object]) -> None:
    settings = dataclasses.replace(SETTINGS, padding=padding, **shape)
    branches = pretrained(settings, REPLICAS, BANK)
    programs = [Program(mould(settings, kept=kept)) for kept in (False, True)]
    seats = [
        program.admit(fusion_members(settings, REPLICAS, BANK, branches, kept=kept))
        for program, kept in zip(programs, (False, True), strict=True)
    ]
    for program, mine in zip(programs, seats, strict=True):
        trained(program, mine, 12)
    computed, kept = (p.report(s, 1.0) for p, s in zip(programs, seats, strict=True))
    assert kept.losses == pytest.approx(computed.losses, abs=1e-5)
    for one, other in zip(*(p.predict(s) for p, s in zip(programs, seats, strict=True)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert "branches.rgb.head.score.weight" not in dict(programs[1].network.named_parameters())
    assert same_names(programs, seats)


def same_names(programs: Sequence[Program], seats: Sequence[Sequence[Seat]]) -> bool:
    """Tells whether a state of one program fits the other."""
    return programs[0].state(seats[0][0]).keys() == programs[1].state(seats[1][0]).keys()


def test_every_place_of_a_clip_is_kept_once() -> None:
    lengths = BANK.lengths_V.numpy()
    places = Places(REPLICAS[1], lengths, 6)
    found = set(zip(places.videos.tolist(), places.starts.tolist(), strict=True))
    mine = REPLICAS[1].train.tolist()
    assert found == {(v, s) for v in mine for s in range(max(int(lengths[v]) - 6, 0) + 1)}
    assert places.of(places.videos, places.starts).tolist() == list(range(places.clips))
    assert places.of(np.array([-1]), np.array([4])).tolist() == [0]


def test_maps_are_shared_by_equal_branches_make_room_when_unused_and_are_never_taken_from_a_replica() -> None:
    clips = clips_to_keep(SETTINGS, REPLICAS[:2], BANK, 1 << 30) // 2  # once, not twice
    program = Program(fusion_mould(SETTINGS, BANK, clips))
    first = program.admit(members([1, 0], kept=True))
    shared = program.admit(members([1], kept=True, fusion_nets=7))
    assert shared[0].claim is first[0].claim
    with pytest.raises(CacheFull):
        program.admit(members([3], kept=True))
    assert len(program.seats) == 3
    program.dismiss([first[0]])
    with pytest.raises(CacheFull):  # its maps are still another's
        program.admit(members([3], kept=True))
    program.dismiss(shared)
    (late,) = program.admit(members([3], kept=True))
    trained(program, [first[1], late], 6)
    plain = Program(mould())
    alike = plain.admit(members([0, 3]))
    trained(plain, alike, 6)
    for one, other in zip(program.predict([first[1], late]), plain.predict(alike), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_bank_without_room_or_fixed_branches_keeps_nothing() -> None:
    assert clips_to_keep(SETTINGS, REPLICAS, BANK, 100) == 0
    assert clips_to_keep(settings_of("one"), REPLICAS, BANK, 1 << 30) == 0
    assert clips_to_keep(dataclasses.replace(SETTINGS, fixed_branches="drifting"), REPLICAS, BANK, 1 << 30) == 0


def test_with_every_branch_fixed_there_is_still_a_length_to_read() -> None:
    settings = dataclasses.replace(SETTINGS, fine_tuned=())
    programs = [Program(mould(settings, kept=kept)) for kept in (False, True)]
    losses = []
    for program, kept in zip(programs, (False, True), strict=True):
        seats = program.admit(members([0, 1], settings, kept=kept))
        trained(program, seats, 5)
        losses.append(program.report(seats, 1.0).losses)
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def test_a_nan_in_one_replicas_maps_reaches_no_other() -> None:
    spoilt = planted()
    video = int(REPLICAS[3].train[-1])
    assert all(video not in (*r.train, *r.valid) for r in REPLICAS[:1])
    spoilt.features["rgb"][spoilt.offsets[video]] = np.nan
    sick = Bank.of(spoilt)
    sound, broken = Program(mould(kept=True)), Program(mould(kept=True, bank=sick))
    mine = sound.admit(members([0, 3], kept=True)), broken.admit(members([0, 3], kept=True, bank=sick))
    for program, seats in zip((sound, broken), mine, strict=True):
        trained(program, seats, 12)
    assert broken.report([mine[1][1]], 1.0).ended[0].startswith("diverged")
    assert same(sound.state(mine[0][0]), broken.state(mine[1][0]))


def test_branches_come_and_go_as_well() -> None:
    shape = branch_mould(SETTINGS, BANK.only("rgb"), room=5)
    states = []
    for guest in (0, 3):
        program = Program(shape)
        a, b = program.admit([branch_member(SETTINGS, "rgb", REPLICAS[i], BANK) for i in (guest, 1)])
        trained(program, [a, b], 2)
        program.dismiss([a])
        (c,) = program.admit([branch_member(SETTINGS, "rgb", REPLICAS[2], BANK)])
        trained(program, [b, c], 6)
        states.append((program.state(b), program.state(c)))
    assert same(states[0][0], states[1][0])
    assert same(states[0][1], states[1][1])


def test_branches_of_modalities_of_one_width_are_rows_of_one_program() -> None:
    widths = {"rgb": 5, "flow": 5, "audio": 3}
    features = planted(widths=widths)
    bank = Bank.of(features)
    rows = [("flow", 0), ("rgb", 1), ("rgb", 0), ("flow", 2)]
    together = Program(branch_mould(SETTINGS, bank.only("rgb", "flow")))
    seats = together.admit([branch_member(SETTINGS, name, REPLICAS[i], bank) for name, i in rows])
    trained(together, seats, 20)
    for (name, i), seat, scores in zip(rows, seats, together.predict(seats), strict=True):
        alone = Program(branch_mould(SETTINGS, bank.only(name)))
        (single,) = alone.admit([branch_member(SETTINGS, name, REPLICAS[i], bank)])
        trained(alone, [single], 20)
        np.testing.assert_allclose(scores, alone.predict([single])[0], atol=1e-5)
        assert together.state(seat).keys() == alone.state(single).keys()
    with pytest.raises(ValueError, match="different shapes"):
        branch_mould(SETTINGS, bank)


# --- bf16 ---


def test_bf16_activations_learn_nearly_what_float32_learns_and_leave_weights_in_float32() -> None:
    programs = [
        Program(mould(kept=kept), precision=precision) for kept in (False, True) for precision in ("float32", "bf16")
    ]
    reports = []
    for i, program in enumerate(programs):
        seats = program.admit(members([0, 1, 2], kept=i > 1))
        trained(program, seats, 20)
        reports.append(program.report(seats, 1.0))
        assert all(
            value.dtype == torch.float32 for value in program.state(seats[0]).values() if value.is_floating_point()
        )
    for exact, coarse in zip(reports[::2], reports[1::2], strict=True):
        assert coarse.ended == ["", "", ""]
        assert coarse.losses != exact.losses
        assert coarse.losses == pytest.approx(exact.losses, rel=0.1)


def test_bf16_branches_learn_too() -> None:
    programs = [Program(branch_mould(SETTINGS, BANK.only("rgb")), precision=p) for p in ("float32", "bf16")]
    losses = []
    for program in programs:
        seats = program.admit([branch_member(SETTINGS, "rgb", mine, BANK) for mine in REPLICAS])
        trained(program, seats, 20)
        losses.append(program.report(seats, 1.0).losses)
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_a_row_that_diverged_under_clipping_is_as_good_as_new_for_the_next() -> None:
    settings = dataclasses.replace(SETTINGS, clip_norm=2.0, width=12)  # rows with places between the parameters
    branches = pretrained(settings, REPLICAS, BANK)
    used, fresh = Program(mould(settings)), Program(mould(settings))
    kept, sick = used.admit(fusion_members(settings, REPLICAS[:2], BANK, branches))
    (stays, _) = fresh.admit(fusion_members(settings, REPLICAS[:2], BANK, branches))
    with torch.no_grad():
        used.network.tau[1] = torch.nan  # type: ignore[index,operator]
    for program in (used, fresh):
        trained(program, program.seats, 3)
        program.dismiss([program.seats[1]])
    mine = [{name: of[2:3] for name, of in branches.items()}]
    seats = [p.admit(fusion_members(settings, REPLICAS[2:3], BANK, mine[0]))[0] for p in (used, fresh)]
    for program in (used, fresh):
        trained(program, program.seats, 5)
    reports = [program.report([seat], 1.0) for program, seat in zip((used, fresh), seats, strict=True)]
    assert reports[0] == reports[1]
    assert reports[0].ended == [""]


def test_rows_that_there_is_no_memory_for_leave_the_others_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    program, spared = Program(mould(kept=True)), Program(mould(kept=True))
    (seat,), (other,) = program.admit(members([0], kept=True)), spared.admit(members([0], kept=True))
    new_zeros, calls = torch.Tensor.new_zeros, []

    def failing(tensor: torch.Tensor, *size: int) -> torch.Tensor:
        calls.append(size)
        if len(calls) == 3:
            raise torch.OutOfMemoryError
        return new_zeros(tensor, *size)

    monkeypatch.setattr(torch.Tensor, "new_zeros", failing)
    with pytest.raises(torch.OutOfMemoryError):
        program.admit(members([1, 2], kept=True))
    monkeypatch.undo()
    assert program._cache is not None
    assert sorted(program._cache._users.values()) == [0, 0, 1]
    for p, s in ((program, seat), (spared, other)):
        trained(p, [s], 5)
    assert same(program.state(seat), spared.state(other))
    (late,) = program.admit(members([1], kept=True))
    trained(program, [late], 2)
