"""Counter-based randomness inside a step: a pure function of (replica seed, step, site, element index).

A generator would hand out different numbers to a replica when its neighbours change. Here every number is hashed from
where it is used, so a replica sees the same dropout and Gumbel noise alone and in any company, on any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.replicas.axis import MOST_NETS
from pamfn.seeding import derive

STREAM = "*"  # in a site's name, stands for the stream that a replica reads


class Sites:
    """The places of a network where random numbers are drawn, numbered as they are met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, site: str) -> int:
        """Returns a site's number."""
        return self._numbers.setdefault(site, len(self._numbers))

    def keys(self, seeds: Sequence[int], steps: Sequence[int], streams: Sequence[str] = ()) -> NDArray[np.int32]:
        """Returns the keys of all sites met so far, (sites, 2, R): all that the numbers of a step depend on.

        Args:
            seeds: Seed of each replica.
            steps: Step of each replica.
            streams: Which stream each replica reads, where every one reads its own; its site is named by that.
        """
        return _keys(_state(seeds, steps), tuple(self._numbers), tuple(streams))


class Noise:
    """The random numbers of one training step of R replicas.

    Args:
        seeds: Seed of each replica.
        steps: Step of each replica (replicas may be at different steps).
        device: Where the numbers are made.
        streams: Which stream each replica reads, where every one reads its own.
        sites: The sites that were met before, whose keys are made and moved to the device at once.
        keys: What ``sites.keys`` returned for these seeds and steps, on the device, where it is there already.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        steps: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        streams: Sequence[str] = (),
        sites: Sites | None = None,
        keys: Tensor | None = None,
    ) -> None:
        self._seeds, self._steps, self._streams, self._device = seeds, steps, tuple(streams), torch.device(device)
        self._sites = Sites() if sites is None else sites
        if keys is None:
            keys = torch.from_numpy(self._sites.keys(seeds, steps, streams)).to(self._device, non_blocking=True)
        self._known = keys

    def seed_of(self, replica: int) -> int:
        """Returns a seed for what draws a replica's numbers of this step in another way."""
        return derive(self._seeds[replica], "generator", self._steps[replica]) % 2**63

    def dropout(self, x_RD: Tensor, probability: float, site: str) -> Tensor:
        """Returns (R, ...) with elements zeroed with ``probability`` and the rest scaled to the same mean.

        Two decisions come from one 32-bit hash, so the probability is exact to 1/65536.
        """
        threshold = round(probability * 65536)
        if threshold == 0:
            return x_RD
        size = x_RD[0].numel()
        bits_RW = self._bits(_counter((size + 1) // 2, self._device), site)
        keep_RD = (bits_RW.view(torch.int16)[:, :size] >= threshold - 32768).view(x_RD.shape)
        return x_RD * (keep_RD.to(x_RD.dtype) * (65536 / (65536 - threshold)))

    def token_dropout(self, weights_RHJBT: Tensor, probability: float, site: str) -> Tensor:
        """Returns dropout of attention weights (R, H, J, B, T); a token's does not depend on the number of tokens."""
        if probability == 0:
            return weights_RHJBT
        _, heads, tokens, videos, steps = weights_RHJBT.shape
        bits_RHJBT = self._bits(_token_counter(heads, tokens, videos, steps, self._device), site)
        keep = _unit(bits_RHJBT, _exact(weights_RHJBT.dtype)) >= probability
        return weights_RHJBT * (keep.to(weights_RHJBT.dtype) / (1 - probability))

    def gumbel(self, like_RBTK: Tensor, site: str) -> Tensor:
        """Returns samples of Gumbel(0, 1), G = -log(-log U) (Eq. 9), of shape (R, B, T, K)."""
        _, videos, steps, nets = like_RBTK.shape
        bits_RBTK = self._bits(_net_counter(videos, steps, nets, self._device), site)
        return -torch.log(-torch.log(_unit(bits_RBTK, _exact(like_RBTK.dtype))))

    def _bits(self, counter: Tensor, site: str) -> Tensor:
        """Returns 32 random bits for every replica and counter, int32 of shape (R, *counter.shape)."""
        number = self._sites.number(site)
        if number < len(self._known):
            keys = self._known[number]
        else:
            made = _keys(_state(self._seeds, self._steps), (site,), self._streams)
            keys = torch.from_numpy(made[0]).to(self._device)
        shape = (-1, *(1,) * counter.ndim)
        x = counter[None] * keys[0].view(shape)
        x += keys[1].view(shape)
        return _mix(x)


def _state(seeds: Sequence[int], steps: Sequence[int]) -> NDArray[np.uint64]:
    return _scramble(np.asarray(seeds, np.uint64) ^ _scramble(np.asarray(steps, np.uint64)))


def _keys(state_R: NDArray[np.uint64], sites: tuple[str, ...], streams: tuple[str, ...]) -> NDArray[np.int32]:
    """Returns what the hashes of sites are multiplied by, and what is added to them, (sites, 2, R)."""
    own = streams or ("",)
    names = [[_site_key(site.replace(STREAM, stream, 1)) for stream in own] for site in sites]
    site_SR = np.array(names, dtype=np.uint64).reshape(len(sites), len(own))
    keys_SR = _scramble(state_R ^ site_SR)
    multiply = ((keys_SR >> np.uint64(32)) | np.uint64(1)).astype(np.uint32).view(np.int32)
    return np.stack([multiply, keys_SR.astype(np.uint32).view(np.int32)], axis=1)


@lru_cache(maxsize=256)
def _site_key(site: str) -> int:
    return derive(0, site)


def _scramble(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns splitmix64's output function of 64-bit words."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix(x: Tensor) -> Tensor:
    """Scrambles int32 words in place: two rounds of multiply and xor-shift; products wrap."""
    x ^= (x >> 16) & 0xFFFF
    x *= 0x21F0AAAD
    x ^= (x >> 15) & 0x1FFFF
    x *= 0xD35A2D97 - (1 << 32)
    x ^= (x >> 15) & 0x1FFFF
    return x


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Returns a precision in which numbers of 23 bits are not rounded to 0 or 1."""
    return torch.promote_types(dtype, torch.float32)


def _unit(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns 32-bit words as numbers strictly between 0 and 1, by their upper 23 bits."""
    return (((bits >> 9) & 0x7FFFFF).to(dtype) + 0.5) * 2.0**-23


@cache  # a recorded step goes on reading them
def _counter(size: int, device: torch.device) -> Tensor:
    return torch.arange(size, dtype=torch.int32, device=device)


@cache
def _token_counter(heads: int, tokens: int, videos: int, steps: int, device: torch.device) -> Tensor:
    """Counts (H, J, B, T) so that a place's number depends on neither the tokens nor the videos beside it."""
    h, j, b, t = (_counter(n, device) for n in (heads, tokens, videos, steps))
    return ((b[:, None] * MOST_NETS + j[:, None, None]) * heads + h[:, None, None, None]) * steps + t


@cache
def _net_counter(videos: int, steps: int, nets: int, device: torch.device) -> Tensor:
    """Counts (B, T, K) so that a place's number does not depend on K."""
    b, t, k = (_counter(n, device) for n in (videos, steps, nets))
    return (b[:, None, None] * steps + t[:, None]) * MOST_NETS + k
