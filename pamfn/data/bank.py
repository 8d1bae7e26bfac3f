"""The bank: all features of a study as tensors on one device, from which batches of clips are gathered."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.data.features import FeatureSet

ABSENT = -1


class Bank:
    """Features of V videos on one device, with one row of zeros that stands for every segment that is not there.

    Args:
        rows_SD: By modality, the segments of all videos, then one row of zeros: shape (S + 1, D).
        offsets_V: First row of each video.
        lengths_V: Segments of each video.
        matches_S: For highlight detection, the annotation of every segment, then a 0: shape (S + 1,).

    Attributes:
        widths: Feature width D of each modality.
        lengths_V: Segments of each video, on the bank's device.
    """

    def __init__(
        self, rows_SD: dict[str, Tensor], offsets_V: Tensor, lengths_V: Tensor, matches_S: Tensor | None = None
    ) -> None:
        self.widths = {name: rows.shape[1] for name, rows in rows_SD.items()}
        self.lengths_V = lengths_V
        self._rows_SD = rows_SD
        self._offsets_V = offsets_V
        self._matches_S = matches_S
        self._zeros = next(iter(rows_SD.values())).shape[0] - 1
        self._host_lengths_V: NDArray[np.int64] | None = None
        self._host_matches: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None

    @classmethod
    def of(cls, features: FeatureSet, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Bank:
        """Returns a bank of all videos of a reading.

        Raises:
            ValueError: If there are no videos or no features.
        """
        if not len(features) or not features.features:
            raise ValueError(f"a bank needs videos and features; given {len(features)} and {list(features.features)}")
        rows = {name: _with_zero_row(values, device, dtype) for name, values in features.features.items()}
        labels, matches = features.segment_labels, None
        if labels is not None:
            matches = torch.from_numpy(np.append(labels, 0).astype(np.float32)).to(device)
        offsets, lengths = torch.as_tensor(features.offsets).to(device), torch.as_tensor(features.lengths).to(device)
        return cls(rows, offsets, lengths, matches)

    @classmethod
    def over(cls, arrays: Mapping[str, Mapping[str, NDArray[Any]]], device: torch.device | str = "cpu") -> Bank:
        """Returns a bank of what ``arrays`` gave; on the CPU over the same memory, which may be read-only."""
        with warnings.catch_warnings():  # torch warns of read-only memory; a bank is never written to
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            rows = {name: torch.from_numpy(values).to(device) for name, values in arrays["rows"].items()}
            videos = {name: torch.from_numpy(values).to(device) for name, values in arrays["videos"].items()}
        return cls(rows, videos["offsets"], videos["lengths"], videos.get("matches"))

    def arrays(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Returns all of it as NumPy arrays, for another process to make a bank of; the CPU's are not copied."""
        videos = {"offsets": self._offsets_V, "lengths": self.lengths_V}
        if self._matches_S is not None:
            videos["matches"] = self._matches_S
        return {
            "rows": {name: rows.cpu().numpy() for name, rows in self._rows_SD.items()},
            "videos": {name: values.cpu().numpy() for name, values in videos.items()},
        }

    def __len__(self) -> int:
        return len(self.lengths_V)

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return self.lengths_V.device

    @property
    def lengths_of_videos(self) -> NDArray[np.int64]:
        """Segments of each video, on the host."""
        if self._host_lengths_V is None:
            self._host_lengths_V = self.lengths_V.cpu().numpy()
        return self._host_lengths_V

    def only(self, *modalities: str) -> Bank:
        """Returns a bank of these modalities in this order, over the same memory.

        Raises:
            ValueError: If a modality is not there.
        """
        unknown = [name for name in modalities if name not in self._rows_SD]
        if unknown:
            raise ValueError(f"modalities: no {', '.join(unknown)}; the bank holds {', '.join(self._rows_SD)}")
        rows = {name: self._rows_SD[name] for name in modalities}
        bank = Bank(rows, self._offsets_V, self.lengths_V, self._matches_S)
        bank._host_lengths_V = self._host_lengths_V
        return bank

    def clips(self, videos_RB: Tensor, starts_RB: Tensor, length: int) -> tuple[dict[str, Tensor], Tensor]:
        """Gathers clips of ``length`` segments; what lies beyond a video's end is exactly zero.

        Args:
            videos_RB: Index of each video; -1 is an absent one, all zeros.
            starts_RB: First segment of each clip; the same for all modalities.
            length: Segments T of a clip.

        Returns:
            Features (R, B, T, D) by modality, and the number of real segments of each clip (R, B).
        """
        rows_RBT, segments_RB = self._clip_rows(videos_RB, starts_RB, length)
        flat = rows_RBT.reshape(-1)
        x_RBTD = {n: rows.index_select(0, flat).view(*rows_RBT.shape, -1) for n, rows in self._rows_SD.items()}
        return x_RBTD, segments_RB

    def _clip_rows(self, videos_RB: Tensor, starts_RB: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Returns the row of every segment of clips, that of zeros beyond a video's end, and how many are real."""
        videos_RB, starts_RB = videos_RB.to(self.device), starts_RB.to(self.device)
        known_RB = videos_RB.clamp(min=0)
        left_RB = (self.lengths_V[known_RB] - starts_RB).clamp(min=0, max=length)
        segments_RB = torch.where(videos_RB == ABSENT, 0, left_RB)
        steps_T = torch.arange(length, device=self.device)
        rows_RBT = (self._offsets_V[known_RB] + starts_RB)[..., None] + steps_T
        rows_RBT = torch.where(steps_T < segments_RB[..., None], rows_RBT, self._zeros)
        return rows_RBT, segments_RB

    def matches(self, videos_RB: Tensor, starts_RB: Tensor, length: int) -> Tensor:
        """Gathers the annotations of the segments of clips, (R, B, T); 0 beyond a video's end.

        Raises:
            ValueError: If the segments are not labelled.
        """
        rows_RBT, _ = self._clip_rows(videos_RB, starts_RB, length)
        return self._labelled().index_select(0, rows_RBT.reshape(-1)).view(rows_RBT.shape)

    def matches_of(self, videos: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Returns the annotation of every segment of some videos, on the host.

        Raises:
            ValueError: If the segments are not labelled.
        """
        if self._host_matches is None:
            self._host_matches = self._labelled().cpu().numpy(), self._offsets_V.cpu().numpy()
        matches_S, offsets_V = self._host_matches
        lengths_V = self.lengths_of_videos
        return [matches_S[offsets_V[v] : offsets_V[v] + lengths_V[v]] for v in videos]

    def _labelled(self) -> Tensor:
        if self._matches_S is None:
            raise ValueError("segment_labels: the shards have none; highlights are learned from labelled segments")
        return self._matches_S

    def whole(self, videos_RB: Tensor, at_least: int = 1) -> tuple[dict[str, Tensor], Tensor]:
        """Gathers whole videos, zero-padded to the longest of them, and to ``at_least`` segments.

        Returns:
            As ``clips``, with T = max(longest video asked for, at_least).
        """
        videos_RB = videos_RB.to(self.device)
        lengths_RB = torch.where(videos_RB == ABSENT, 0, self.lengths_V[videos_RB.clamp(min=0)])
        longest = int(lengths_RB.max()) if lengths_RB.numel() else 0
        return self.clips(videos_RB, torch.zeros_like(videos_RB), max(longest, at_least))


class StreamBank:
    """A bank of which every replica reads one modality, all of one width.

    Args:
        bank: The features.
        streams_R: Modality of each replica.
        name: What the features are called that it gives.
    """

    def __init__(self, bank: Bank, streams_R: Sequence[str], name: str) -> None:
        self.lengths_V, self.device, self.lengths_of_videos = bank.lengths_V, bank.device, bank.lengths_of_videos
        self._banks = {stream: bank.only(stream) for stream in dict.fromkeys(streams_R)}
        self._rows = {s: [r for r, mine in enumerate(streams_R) if mine == s] for s in self._banks}
        self._name = name

    def clips(self, videos_RB: Tensor, starts_RB: Tensor, length: int) -> tuple[dict[str, Tensor], Tensor]:
        """Gathers clips; see `Bank.clips`."""
        if len(self._banks) == 1:
            ((stream, bank),) = self._banks.items()
            x, segments_RB = bank.clips(videos_RB, starts_RB, length)
            return {self._name: x[stream]}, segments_RB
        parts: dict[int, tuple[Tensor, Tensor]] = {}
        for stream, bank in self._banks.items():
            for row in self._rows[stream]:
                x, segments_RB = bank.clips(videos_RB[row : row + 1], starts_RB[row : row + 1], length)
                parts[row] = x[stream], segments_RB
        in_order = [parts[row] for row in range(len(videos_RB))]
        return {self._name: torch.cat([x for x, _ in in_order])}, torch.cat([real for _, real in in_order])


def _with_zero_row(values_SD: NDArray[Any], device: torch.device | str, dtype: torch.dtype) -> Tensor:
    rows_SD = torch.empty((len(values_SD) + 1, values_SD.shape[1]), device=device, dtype=dtype)
    rows_SD[:-1].copy_(torch.from_numpy(np.ascontiguousarray(values_SD)))
    rows_SD[-1].zero_()
    return rows_SD
