"""What the truly fixed branches say of every clip, computed once instead of at every step.

A fixed branch is in evaluation mode, so its feature maps depend on the video and on where the clip begins, and on
nothing else; there are few places where a clip can begin. Replicas that stand on the same pretrained branches, such as
those of one fold in all trials of a study, share their maps. Slicing the maps of the whole video instead would not be
exact: convolutions see over a clip's borders, and pools begin at its first segment.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.data.bank import ABSENT, Bank
from pamfn.model.branches import Branch
from pamfn.phases.replica import Replica
from pamfn.recipe import Recipe
from pamfn.replicas.segments import Segments

AT_ONCE = 4096  # segments that a branch reads in one batch while the maps are filled in
BYTES = 4  # of a float32


def map_steps(recipe: Recipe, steps: int) -> list[int]:
    """Returns the time steps of a branch's N + 1 feature maps of so many segments."""
    if not recipe.pools:
        return [steps] * (recipe.stages + 1)
    longest = max(steps, 2 ** (recipe.stages - 1))
    return [1 if stage == recipe.stages else longest >> stage for stage in range(recipe.stages + 1)]


class Places:
    """Where the clips of a replica's videos lie among the clips of its branches.

    Args:
        replica: Its training videos may begin anywhere where a clip fits, its held-out videos are read whole.
        lengths_V: Segments of every video.
        clip: Segments of a clip.
    """

    def __init__(self, replica: Replica, lengths_V: NDArray[np.int64], clip: int) -> None:
        counts = np.maximum(lengths_V[replica.train] - clip, 0) + 1
        self.clips = int(counts.sum())
        self.first_V = np.full(len(lengths_V), -1, dtype=np.int64)
        self.first_V[replica.train] = np.cumsum(counts) - counts
        self.videos = np.repeat(replica.train, counts)
        self.starts = np.arange(self.clips) - np.repeat(np.cumsum(counts) - counts, counts)

    def of(self, videos_B: NDArray[np.int64], starts_B: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the places of clips; absent videos have the first."""
        return np.where(videos_B == ABSENT, 0, self.first_V[videos_B] + starts_B)


@dataclass(frozen=True, eq=False)
class Standing:
    """The fixed branches that a replica stands on.

    Args:
        key: What they are; replicas with equal keys stand on equal branches and train on the same videos.
        replica: Its videos.
        branches: Makes each branch by modality, in evaluation mode, of one replica.
    """

    key: str
    replica: Replica
    branches: Mapping[str, Callable[[], Branch]]


@dataclass(frozen=True, eq=False)
class Claim:
    """Where the maps of one standing are.

    Args:
        first: First row of the table of clips.
        places: The clips, from there on.
        whole: By modality, the maps of the held-out videos read whole, (videos, T_i, D) each.
        row_V: Row of each held-out video in them.
    """

    first: int
    places: Places
    whole: Mapping[str, list[Tensor]]
    row_V: NDArray[np.int64]

    @property
    def end(self) -> int:
        """The row behind its last."""
        return self.first + self.places.clips


class CacheFull(RuntimeError):  # noqa: N818  # reads as what it is
    """All maps that there is room for are in use; there will be room when a replica has gone."""


class FeatureCache:
    """The maps of the fixed branches of all replicas of a program.

    Args:
        recipe: The shape of the branches.
        bank: The features.
        modalities: The fixed ones.
        clips: Clips that there is room for, over all replicas that stand on different branches.
    """

    def __init__(self, recipe: Recipe, bank: Bank, modalities: Sequence[str], clips: int) -> None:
        self._recipe, self._bank, self.modalities = recipe, bank, tuple(modalities)
        self._lengths_V = bank.lengths_of_videos
        steps = map_steps(recipe, recipe.clip)
        self._maps = {
            name: [torch.empty(clips, t, recipe.width, device=bank.device) for t in steps] for name in modalities
        }
        self._clips = clips
        self._claims: OrderedDict[str, Claim] = OrderedDict()
        self._users: dict[str, int] = {}

    def claim(self, standing: Standing) -> Claim:
        """Returns where the maps of a replica's branches are, filled in if they were not there.

        Raises:
            CacheFull: If there is no room for them now.
        """
        key = standing.key
        if key not in self._claims:
            self._claims[key] = self._filled(standing)
        self._claims.move_to_end(key)
        self._users[key] = self._users.get(key, 0) + 1
        return self._claims[key]

    def release(self, key: str) -> None:
        """Says that a replica has gone; its maps stay for others until the room is needed."""
        self._users[key] -= 1

    def clips(self, rows_RB: Tensor) -> dict[str, list[Tensor]]:
        """Returns the maps of clips by modality, (R, B, T_i, D) each, given their rows in the table."""
        flat = rows_RB.flatten()
        return {
            name: [of.index_select(0, flat).view(*rows_RB.shape, *of.shape[1:]) for of in maps]
            for name, maps in self._maps.items()
        }

    def whole(self, claims: Sequence[Claim], videos_RB: NDArray[np.int64], steps: int) -> dict[str, list[Tensor]]:
        """Returns the maps of whole held-out videos by modality, (R, B, T_i, D) each.

        Args:
            claims: Where each replica's are.
            videos_RB: Indices of the videos; absent ones have the maps of another.
            steps: Segments T that the videos are padded to.

        Raises:
            ValueError: If a video is not a held-out one of its replica.
        """
        kept = map_steps(self._recipe, steps)
        rows = [np.where(mine == ABSENT, 0, c.row_V[mine]) for c, mine in zip(claims, videos_RB, strict=True)]
        if min(of.min() for of in rows) < 0:
            raise ValueError("videos: with cached branches, a replica scores no others than its held-out videos")
        index = [torch.from_numpy(of).to(self._bank.device) for of in rows]
        return {
            name: [
                torch.stack(
                    [c.whole[name][i].index_select(0, of)[:, :t]
                     for c, of in zip(claims, index, strict=True)]
                )
                for i, t in enumerate(kept)
            ]
            for name in self.modalities
        }  # fmt: skip

    def _filled(self, standing: Standing) -> Claim:
        places = Places(standing.replica, self._lengths_V, self._recipe.clip)
        first, whole = self._room_for(places.clips), {}
        for name in self.modalities:
            branch = standing.branches[name]().to(self._bank.device)
            self._fill(name, first, places, branch)
            whole[name] = self._read_whole(name, standing.replica.valid, branch)
        row_V = np.full(len(self._lengths_V), -1, dtype=np.int64)
        row_V[standing.replica.valid] = np.arange(len(standing.replica.valid))
        return Claim(first, places, whole, row_V)

    def _room_for(self, clips: int) -> int:
        """Returns the first of so many free rows; maps that nobody uses make room, the longest unused ones first."""
        while True:
            first = 0
            for claim in sorted(self._claims.values(), key=lambda claim: claim.first):
                if claim.first - first >= clips:
                    return first
                first = claim.end
            if self._clips - first >= clips:
                return first
            unused = next((key for key in self._claims if not self._users.get(key)), None)
            if unused is None:
                held = sum(claim.places.clips for claim in self._claims.values())
                raise CacheFull(f"no room for {clips} clips beside {held} of {self._clips}")
            del self._claims[unused]

    @torch.no_grad()
    def _fill(self, name: str, first: int, places: Places, branch: Branch) -> None:
        """Computes the maps of all clips of a replica, in batches."""
        at_once = max(1, AT_ONCE // self._recipe.clip)
        for begin in range(0, places.clips, at_once):
            some = slice(begin, begin + at_once)
            videos_RB, starts_RB = (torch.from_numpy(of[some])[None] for of in (places.videos, places.starts))
            maps = self._read(name, branch, videos_RB, starts_RB, self._recipe.clip, ragged=False)
            for table, (filled,) in zip(self._maps[name], maps, strict=True):
                table[first + begin : first + begin + len(filled)] = filled

    @torch.no_grad()
    def _read_whole(self, name: str, videos: NDArray[np.int64], branch: Branch) -> list[Tensor]:
        """Returns the maps of whole videos, padded to the longest that any replica has."""
        if not len(videos):
            return []
        longest = int(self._lengths_V.max())
        at_once, parts = max(1, AT_ONCE // longest), []
        for begin in range(0, len(videos), at_once):
            videos_RB = torch.from_numpy(videos[begin : begin + at_once])[None]
            parts.append(self._read(name, branch, videos_RB, torch.zeros_like(videos_RB), longest, ragged=True))
        return [torch.cat([of[0] for of in by_part]) for by_part in zip(*parts, strict=True)]

    def _read(
        self, name: str, branch: Branch, videos_RB: Tensor, starts_RB: Tensor, steps: int, *, ragged: bool
    ) -> list[Tensor]:
        x, real_RB = self._bank.only(name).clips(videos_RB, starts_RB, steps)
        if ragged or self._recipe.padding == "mask":
            segments = Segments(steps, real_RB)
        else:
            segments = Segments(steps, None, ragged=False, real_RB=real_RB)
        return branch.features(x[name], segments, None)


def cache_clips(recipe: Recipe, modalities: Sequence[str], places: Sequence[Places], room: int) -> int:
    """Returns the clips of a cache that holds all of these replicas' maps twice, or once, in so many bytes; else 0.

    Args:
        recipe: The shape of the branches.
        modalities: The fixed ones.
        places: The clips of each replica of a trial.
        room: Bytes.
    """
    clips = sum(mine.clips for mine in places)
    size = len(modalities) * sum(map_steps(recipe, recipe.clip)) * recipe.width * BYTES
    return clips * min(2, room // max(1, clips * size))
