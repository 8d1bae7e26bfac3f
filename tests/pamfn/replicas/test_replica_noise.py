"""Noise is a pure function of (seed, step, site, place), and looks random.

Every statistical bound is 5 standard deviations of the estimate, or more where many are compared; the seeds are fixed,
so a test that passes goes on passing.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from pamfn.replicas.noise import Noise
from pamfn.seeding import derive

EULER = 0.5772156649015329


def kept(probability=0.5, shape=(1, 32, 50, 200), *, seeds=(1,), steps=(0,), site="here"):
    """Returns where dropout keeps, as 0 and 1."""
    return (Noise(seeds, steps).dropout(torch.ones(shape), probability, site) > 0).double()


def z_of_correlation(a, b):
    """Returns the correlation of two samples of the same size in standard deviations of chance."""
    a, b = a.flatten() - a.mean(), b.flatten() - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()) * math.sqrt(a.numel()))


# --- Dropout ---


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.3, 0.5, 0.95])
def test_dropout_drops_its_share_and_keeps_the_mean(probability):
    x = Noise([1], [0]).dropout(torch.ones(1, 32, 50, 200), probability, "here")
    deviation = math.sqrt(probability * (1 - probability) / x.numel())
    assert abs(float((x == 0).double().mean()) - probability) < 5 * deviation
    assert abs(float(x.mean()) - 1) < 5 * deviation / (1 - probability)


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.95])
def test_dropouts_threshold_is_exact_to_one_of_65536(monkeypatch, probability):
    words = torch.arange(65536, dtype=torch.int32)
    every = (words | (words << 16))[None]  # each 16-bit value in both halves of a word
    monkeypatch.setattr(Noise, "_bits", lambda self, counter, site: every)
    x = Noise([1], [0]).dropout(torch.ones(1, 2 * 65536), probability, "here")
    dropped = round(probability * 65536)
    assert int((x == 0).sum()) == 2 * dropped
    assert x.max().item() == pytest.approx(65536 / (65536 - dropped), rel=1e-7)


def test_dropout_of_nothing_returns_its_input():
    x = torch.ones(1, 4)
    assert Noise([1], [0]).dropout(x, 0.0, "here") is x
    assert Noise([1], [0]).token_dropout(x.view(1, 1, 1, 2, 2), 0.0, "here").data_ptr() == x.data_ptr()


def test_dropout_decides_alike_in_every_precision():
    shape = (2, 3, 5, 7)
    single, double = (
        Noise([1, 2], [3, 4]).dropout(torch.ones(shape, dtype=dtype), 0.3, "here")
        for dtype in (torch.float32, torch.float64)
    )
    assert torch.equal(single > 0, double > 0)


@pytest.mark.parametrize("lag", [(0, 0, 1), (0, 0, 2), (0, 1, 0), (1, 0, 0), (0, 1, 1), (0, 0, 64)])
def test_neighbouring_places_are_dropped_independently(lag):
    keep = kept()[0]
    ahead = keep[tuple(slice(n, None) for n in lag)]
    behind = keep[tuple(slice(None, -n if n else None) for n in lag)]
    assert abs(z_of_correlation(ahead, behind)) < 5


def test_neighbouring_places_are_independent_whatever_the_key():
    # many keys, few places each: a key whose multiplier left a pattern would stand out in the mean square
    keep = kept(0.5, (800, 4, 500), seeds=range(800), steps=[0] * 800).flatten(1) - 0.5
    for lag in (1, 2, 3, 500):
        z_R = (keep[:, lag:] * keep[:, :-lag]).sum(1) * 4 / math.sqrt(keep.shape[1] - lag)
        assert abs(float(z_R.square().mean()) - 1) < 5 * math.sqrt(2 / 800)


def test_seeds_steps_sites_and_replicas_are_independent_of_each_other():
    shape = (2, 8, 50, 100)
    streams = [
        half
        for seed, step, site in itertools.product((1, 2), (0, 1, 2), ("a", "b"))
        for half in kept(0.5, shape, seeds=(seed, seed + 10), steps=(step, step), site=site)
    ]
    worst = max(abs(z_of_correlation(a, b)) for a, b in itertools.combinations(streams, 2))
    assert worst < 6  # the largest of 276 pairs


def test_every_bit_is_fair():
    words = torch.ones(1, 100_000)
    bits = Noise([1], [0])._bits(torch.arange(words.numel(), dtype=torch.int32), "here")[0]
    for place in range(32):
        share = float(((bits >> place) & 1).double().mean())
        assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(words.numel())


def test_bytes_are_uniform():
    bits = Noise([3], [5])._bits(torch.arange(100_000, dtype=torch.int32), "here")[0]
    for shift in (0, 8, 16, 24):
        counts = torch.bincount((bits >> shift) & 0xFF, minlength=256).double()
        chi = float(((counts - 100_000 / 256).square() / (100_000 / 256)).sum())
        assert abs(chi - 255) < 5 * math.sqrt(2 * 255)


# --- Gumbel ---


def gumbel(shape=(1, 40, 100, 50), *, seeds=(1,), steps=(0,), site="here", dtype=torch.float64):
    return Noise(seeds, steps).gumbel(torch.empty(shape, dtype=dtype), site)


def test_gumbel_samples_have_their_mean_variance_and_distribution():
    g = gumbel().flatten()
    variance = math.pi**2 / 6
    assert abs(float(g.mean()) - EULER) < 5 * math.sqrt(variance / g.numel())
    assert abs(float(g.var()) - variance) < 5 * math.sqrt(4.4 * variance**2 / g.numel())  # kurtosis 5.4
    ranks = torch.arange(1, g.numel() + 1) / g.numel()
    distance = float((torch.exp(-torch.exp(-g.sort().values)) - ranks).abs().max())
    assert distance < 2 / math.sqrt(g.numel())  # Kolmogorov-Smirnov, p about 0.0007


def test_the_largest_of_log_probability_plus_gumbel_samples_that_probability():
    probability = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    chosen = (probability.log() + gumbel((1, 500, 100, 4))).argmax(-1).flatten()
    shares = torch.bincount(chosen, minlength=4) / chosen.numel()
    deviation = (probability * (1 - probability) / chosen.numel()).sqrt()
    assert ((shares - probability).abs() < 5 * deviation).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gumbel_samples_are_finite_for_every_word(monkeypatch, dtype):
    extremes = torch.tensor([0, -1, 1, 511, -512, 2**31 - 1, -(2**31)], dtype=torch.int32).view(1, 1, 1, 7)
    monkeypatch.setattr(Noise, "_bits", lambda self, counter, site: extremes)
    assert gumbel((1, 1, 1, 7), dtype=dtype).isfinite().all()


@pytest.mark.parametrize("lag", [(0, 0, 1), (0, 1, 0), (1, 0, 0)])
def test_neighbouring_gumbel_samples_are_independent(lag):
    g = gumbel()[0]
    ahead, behind = g[tuple(slice(n, None) for n in lag)], g[tuple(slice(None, -n if n else None) for n in lag)]
    assert abs(z_of_correlation(ahead, behind)) < 5


# --- What a place's number depends on ---


def test_the_same_seed_step_and_site_give_the_same_numbers():
    assert torch.equal(gumbel(), gumbel())
    assert torch.equal(kept(), kept())


@pytest.mark.parametrize("other", [{"seeds": (2,)}, {"steps": (1,)}, {"site": "there"}])
def test_another_seed_step_or_site_gives_other_numbers(other):
    assert not torch.equal(gumbel(**other), gumbel())
    assert not torch.equal(kept(**other), kept())


def test_gumbel_samples_depend_on_neither_k_nor_the_number_of_videos():
    many = gumbel((1, 9, 6, 12))
    assert torch.equal(gumbel((1, 9, 6, 5)), many[..., :5])
    assert torch.equal(gumbel((1, 4, 6, 12)), many[:, :4])


def test_attention_dropout_depends_on_neither_the_tokens_nor_the_videos_beside_it():
    many = Noise([1], [0]).token_dropout(torch.ones(1, 2, 12, 9, 6), 0.4, "here")
    few = Noise([1], [0]).token_dropout(torch.ones(1, 2, 5, 4, 6), 0.4, "here")
    assert torch.equal(few, many[:, :, :5, :4])


def test_attention_dropout_drops_its_share_of_every_head_and_token_independently():
    x = Noise([1], [0]).token_dropout(torch.ones(1, 4, 10, 40, 50), 0.1, "here")[0]
    deviation = math.sqrt(0.1 * 0.9 / 2000)
    shares_HJ = (x == 0).double().mean(dim=(2, 3))
    assert (shares_HJ - 0.1).abs().max() < 5 * deviation
    assert abs(float(x.mean()) - 1) < 5 * math.sqrt(0.1 / 0.9 / x.numel())
    assert abs(z_of_correlation(x[1:], x[:-1])) < 5
    assert abs(z_of_correlation(x[:, 1:], x[:, :-1])) < 5


@pytest.mark.parametrize("size", [(6, 5), (7, 3)])
def test_dropout_does_not_depend_on_the_number_of_videos(size):
    many = kept(0.5, (1, 9, *size))
    for videos in (1, 2, 4):
        assert torch.equal(kept(0.5, (1, videos, *size)), many[:, :videos])


def test_a_replica_gets_the_same_numbers_alone_in_any_company_and_any_place():
    alone = gumbel((1, 3, 4, 5), seeds=(7,), steps=(2,)), kept(0.3, (1, 3, 4, 5), seeds=(7,), steps=(2,))
    for seeds, steps in (((7, 8, 9), (2, 0, 5)), ((8, 7), (2, 2)), ((1, 2, 3, 7), (9, 8, 7, 2))):
        at = seeds.index(7)
        company = (len(seeds), 3, 4, 5)
        assert torch.equal(gumbel(company, seeds=seeds, steps=steps)[at], alone[0][0])
        assert torch.equal(kept(0.3, company, seeds=seeds, steps=steps)[at], alone[1][0])


def test_the_largest_seed_that_is_ever_derived_is_a_seed():
    assert gumbel((1, 2, 3, 4), seeds=(2**63 - 1,)).isfinite().all()


def splitmix(x):
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def word(seed, step, site, counter):
    """Returns a place's 32 bits, in whole numbers of Python."""
    key = splitmix(splitmix(seed ^ splitmix(step)) ^ derive(0, site))
    x = (counter * ((key >> 32) | 1) + key) % 2**32
    x = (x ^ (x >> 16)) * 0x21F0AAAD % 2**32
    x = (x ^ (x >> 15)) * 0xD35A2D97 % 2**32
    return x ^ (x >> 15)


def test_noise_is_its_definition_in_whole_numbers():
    seeds, steps = (2**63 - 1, 123), (0, 45)
    bits = Noise(seeds, steps)._bits(torch.arange(500, dtype=torch.int32), "stage0.afm")
    expected = [[word(s, t, "stage0.afm", c) for c in range(500)] for s, t in zip(seeds, steps, strict=True)]
    assert torch.equal(bits.long() % 2**32, torch.tensor(expected))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_noise():
    seeds, steps = (1, 2, 3), (4, 5, 6)
    here, there = Noise(seeds, steps), Noise(seeds, steps, "cuda")
    x_cpu, x_gpu = torch.ones(3, 4, 7, 9), torch.ones(3, 4, 7, 9, device="cuda")
    assert torch.equal(there.dropout(x_gpu, 0.3, "a").cpu(), here.dropout(x_cpu, 0.3, "a"))
    # the words are equal; two logarithms differ by the device's rounding
    torch.testing.assert_close(there.gumbel(x_gpu, "b").cpu(), here.gumbel(x_cpu, "b"), rtol=1e-5, atol=1e-6)
    tokens = torch.ones(3, 2, 5, 4, 7)
    dropped = there.token_dropout(tokens.cuda(), 0.1, "c").cpu()
    assert torch.equal(dropped, here.token_dropout(tokens, 0.1, "c"))
