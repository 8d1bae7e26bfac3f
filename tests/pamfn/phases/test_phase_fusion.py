"""Phase 2 and one-stage training: what is trained, what is fixed, and at which rate."""

from __future__ import annotations

import pytest
import torch
from phase_cases import planted, pretrained, replica, same, settings_of, small, training_of

from pamfn.data.bank import Bank
from pamfn.phases.fusion import fusion_training
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from pamfn.replicas.cut import cut

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9), replica(FEATURES, 10, first=9, seed=2)]


def branch(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    prefix = f"branches.{name}."
    return {own.removeprefix(prefix): value for own, value in state.items() if own.startswith(prefix)}


def trained(settings: Recipe, milestones: tuple[float, ...] = (1.0,)) -> Training:
    training = training_of(settings.phases, settings, REPLICAS, BANK)
    list(training.run(milestones))
    return training


@pytest.mark.parametrize("standardise", [False, True])
def test_fixed_branches_keep_every_bit_while_the_fine_tuned_one_changes(standardise: bool) -> None:
    settings = small(standardise=standardise)
    branches = pretrained(settings, REPLICAS, BANK)
    training = fusion_training(settings, REPLICAS, BANK, branches)
    list(training.run([0.5, 1.0]))
    for i in range(len(REPLICAS)):
        after = cut(training.network, i)
        assert same(branch(after, "rgb"), dict(branches["rgb"][i]))
        assert same(branch(after, "flow"), dict(branches["flow"][i]))
        changed = {n for n, v in branch(after, "audio").items() if not torch.equal(v, branches["audio"][i][n])}
        kept = {n for n in branches["audio"][i] if n.startswith(("head.", "standardise."))}
        assert changed == branches["audio"][i].keys() - kept


def test_drifting_branches_keep_their_weights_and_move_their_statistics() -> None:
    settings = small(fixed_branches="drifting")
    branches = pretrained(settings, REPLICAS, BANK)
    training = fusion_training(settings, REPLICAS, BANK, branches)
    list(training.run([0.5]))
    for i in range(len(REPLICAS)):
        for name in ("rgb", "flow"):
            after = branch(cut(training.network, i), name)
            moved = {own for own, value in after.items() if not torch.equal(value, branches[name][i][own])}
            assert moved == {own for own in after if "running_" in own}


def test_another_modality_may_be_fine_tuned_or_none() -> None:
    for fine_tuned in (("rgb", "flow"), ()):
        settings = small(fine_tuned=fine_tuned)
        branches = pretrained(settings, REPLICAS, BANK)
        training = fusion_training(settings, REPLICAS, BANK, branches)
        list(training.run([0.25], score=False))
        after = cut(training.network, 0)
        assert {name for name in BANK.widths if not same(branch(after, name), dict(branches[name][0]))} == {*fine_tuned}


def test_one_stage_training_trains_every_branch_from_fresh_weights() -> None:
    settings = settings_of("one")
    fresh = fusion_training(settings, REPLICAS, BANK, None)
    training = trained(settings)
    for name in BANK.widths:
        before, after = (branch(cut(t.network, 0), name) for t in (fresh, training))
        assert {n for n in after if torch.equal(before[n], after[n])} == {"head.score.weight", "head.score.bias"}


def test_the_head_learns_at_a_tenth_of_the_rate() -> None:
    changes = {"optimizer": "sgd", "weight_decay": 0.0, "batch_size": 16, "lr": 0.1}
    before = cut(fusion_training(settings_of("one", **changes), REPLICAS, BANK, None).network, 0)
    tenth, whole = (
        cut(trained(settings_of("one", head_lr_scale=scale, **changes), (0.25,)).network, 0) for scale in (0.1, 1.0)
    )
    for name in before:
        if name.startswith("head."):
            torch.testing.assert_close(tenth[name] - before[name], 0.1 * (whole[name] - before[name]))
        else:
            assert torch.equal(tenth[name], whole[name])


def test_the_schedule_follows_the_full_budget_and_not_the_milestone() -> None:
    at_once, by_rungs = trained(small()), trained(small(), (0.25, 0.5, 0.75, 1.0))
    stopped, small_budget = trained(small(epochs=8), (0.5,)), trained(small(epochs=4))
    for i in range(len(REPLICAS)):
        assert same(at_once.state(i), by_rungs.state(i))
        assert stopped.epochs[i] == small_budget.epochs[i] == 4
        assert not same(stopped.state(i), small_budget.state(i))


def test_a_constant_schedule_makes_a_budget_a_matter_of_stopping() -> None:
    stopped = trained(small(epochs=8, schedule="constant"), (0.5,))
    assert same(stopped.state(0), trained(small(epochs=4, schedule="constant")).state(0))


def test_a_plain_temperature_that_is_not_above_zero_ends_its_replica_alone() -> None:
    training = training_of("two", small("released"), REPLICAS, BANK)
    with torch.no_grad():
        training.network.tau[1] = -0.5
    (report,) = training.run([0.25])
    assert report.ended[0] == ""
    assert report.ended[1].startswith("diverged: temperature -0.")
    assert report.ended[1].endswith("is not above 0")
    assert [score == score for score in report.scores] == [True, False]


def test_short_clips_count_their_padding_or_mask_it() -> None:
    zero, mask = (trained(small(padding=padding)).predict()[0] for padding in ("zero", "mask"))
    assert (zero != mask).any()
    long = Bank.of(FEATURES.subset([i for i, n in enumerate(FEATURES.lengths) if n >= 6]))
    mine = [replica(FEATURES.subset([i for i, n in enumerate(FEATURES.lengths) if n >= 6]), 8)]
    scores = []
    for padding in ("zero", "mask"):
        training = training_of("two", small(padding=padding), mine, long)
        list(training.run([1.0]))
        scores.append(training.predict()[0])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)  # no clip is short: masks change sums by rounding only


@pytest.mark.parametrize(("phases", "given"), [("two", False), ("one", True)])
def test_pretrained_branches_and_the_phases_setting_must_agree(phases: str, given: bool) -> None:
    branches = pretrained(small(), REPLICAS, BANK) if given else None
    with pytest.raises(ValueError, match=f"phases: '{phases}' with {'given' if given else 'no'} pretrained branches"):
        fusion_training(small(phases=phases), REPLICAS, BANK, branches)


def test_a_missing_branch_and_an_unknown_fine_tuned_stream_are_named() -> None:
    branches = pretrained(small(), REPLICAS, BANK)
    with pytest.raises(ValueError, match="branches: no pretrained branch for flow"):
        fusion_training(small(), REPLICAS, BANK, {name: branches[name] for name in ("rgb", "audio")})
    with pytest.raises(ValueError, match="fine_tuned: odor"):
        fusion_training(small(fine_tuned=("odor",)), REPLICAS, BANK, branches)
    with pytest.raises(ValueError, match=r"shape \(8, 5\), expected \(8, 4\)"):
        fusion_training(small(), REPLICAS, BANK, {**branches, "flow": branches["rgb"]})
