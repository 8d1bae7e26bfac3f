"""Reseeding: another luck for phase 2, and nothing else."""

from __future__ import annotations

from phase_cases import planted, pretrained, replica, same, small

from pamfn.data.bank import Bank
from pamfn.phases.branches import branch_settings
from pamfn.phases.fusion import fusion_training
from pamfn.replicas.cut import cut

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9)]


def weights(reseed: int) -> dict:
    training = fusion_training(small(reseed=reseed), REPLICAS, BANK, pretrained(small(), REPLICAS, BANK))
    list(training.run([1.0], score=False))
    return cut(training.network, 0)


def test_without_a_reseed_nothing_changes_and_with_one_the_luck_does() -> None:
    assert same(weights(0), weights(0))
    assert same(weights(3), weights(3))
    assert not same(weights(0), weights(3))
    assert not same(weights(3), weights(4))


def test_the_fixed_branches_are_those_of_every_other_reseed() -> None:
    one, other = weights(0), weights(3)
    fixed = [name for name in one if name.startswith(("branches.rgb.", "branches.flow."))]
    assert fixed
    assert same({name: one[name] for name in fixed}, {name: other[name] for name in fixed})
    assert branch_settings(small(reseed=3)) == branch_settings(small())
