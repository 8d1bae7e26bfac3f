"""Seeds derived by name: the same everywhere, different for different purposes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pamfn.seeding import derive, generator, torch_generator

SEEDS = st.integers(0, 2**63 - 1)
NAMES = st.lists(st.one_of(st.integers(0, 1000), st.text("abcz/", min_size=1, max_size=6)), max_size=4)


@given(SEEDS, NAMES)
def test_a_derived_seed_has_63_bits_and_is_always_the_same(seed: int, names: list[str | int]) -> None:
    assert 0 <= derive(seed, *names) < 2**63
    assert derive(seed, *names) == derive(seed, *names)


@given(SEEDS, NAMES, SEEDS, NAMES)
def test_other_seeds_and_names_derive_others(
    seed: int, names: list[str | int], other: int, others: list[str | int]
) -> None:
    assert (derive(seed, *names) == derive(other, *others)) == ((seed, names) == (other, others))


def test_known_values_hold_on_every_machine() -> None:
    assert derive(0) == 4246866556266386882
    assert derive(0, "order", 3) == 708617171839187094
    assert derive(2**62, "weights", "head.score.weight") == 2268929616324529302


def test_numbers_and_texts_are_different_names_and_numpys_numbers_are_numbers() -> None:
    assert derive(0, 1) != derive(0, "1")
    assert derive(0, np.int64(1)) == derive(np.int64(0), 1) == derive(0, 1)
    assert derive(0, "a", "b") != derive(0, "ab")


def test_generators_follow_the_derived_seed() -> None:
    assert generator(5, "crops", 1).random() == generator(5, "crops", 1).random()
    assert generator(5, "crops", 1).random() != generator(5, "crops", 2).random()
    draws = [torch.rand(2, generator=torch_generator(5, "weights", name)) for name in ("a", "a", "b")]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_global_state_is_neither_read_nor_changed() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = torch.rand(1, generator=torch_generator(1, "x"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(torch.rand(1, generator=torch_generator(1, "x")), first)
