"""Clips of a request: each stream a list of segments, each segment a list of numbers, all of one length in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.data.rules import counted, rows_not_finite
from pamfn.serving.faults import shown

Clip = Mapping[str, NDArray[np.float32]]


def read_clip(row: Mapping[str, Any], widths: Mapping[str, int]) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Returns the streams of a clip, and what is wrong with them.

    Args:
        row: What was given for it.
        widths: Numbers in a segment of each stream that is wanted.
    """
    streams, faults = dict[str, NDArray[np.float32]](), list[str]()
    for name, width in widths.items():
        wanted = f"wanted a list of segments, each a list of {counted(width, 'number')}"
        if name not in row:
            faults.append(f"{name}: missing; {wanted}")
            continue
        values_TD, fault = _stream(row[name], width)
        if fault:
            faults.append(f"{name}: given {fault}; {wanted}")
        else:
            streams[name] = values_TD
    lengths = {name: len(values_TD) for name, values_TD in streams.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {counted(length, 'segment')}" for name, length in lengths.items())
        faults.append(f"given {given}; wanted as many of every stream of a clip: they are of the same moments")
    return streams, faults


def bank_of(clips: Sequence[Clip], device: torch.device | str) -> Bank:
    """Returns a bank of clips that have the same streams."""
    lengths_V = np.array([len(next(iter(clip.values()))) for clip in clips], dtype=np.int64)
    rows: dict[str, torch.Tensor] = {}
    for name in clips[0]:
        absent_1D = np.zeros((1, clips[0][name].shape[1]), dtype=np.float32)
        rows[name] = torch.from_numpy(np.concatenate([*(clip[name] for clip in clips), absent_1D])).to(device)
    offsets_V = torch.from_numpy(np.cumsum(lengths_V) - lengths_V).to(device)
    return Bank(rows, offsets_V, torch.from_numpy(lengths_V).to(device))


def _stream(value: Any, width: int) -> tuple[NDArray[np.float32], str]:
    """Returns a stream as an array, (T, width), and what was given instead if it is none."""
    nothing = np.zeros((0, width), dtype=np.float32)
    given = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(given, (list, tuple)):
        return nothing, f"{shown(given)}, a {type(given).__name__}"
    if not given:
        return nothing, "no segments"
    for at, segment in enumerate(given):
        segment = segment.tolist() if isinstance(segment, np.ndarray) else segment
        if not isinstance(segment, (list, tuple)):
            return nothing, f"{shown(segment)} for segment {at}"
        if len(segment) != width:
            return nothing, f"{counted(len(segment), 'number')} in segment {at}"
    values = np.asarray(given)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        return nothing, f"what is no number, such as {shown(_odd_one(given))}"
    with np.errstate(over="ignore"):
        values_TD = values.astype(np.float32)
    bad = rows_not_finite(values_TD)
    return (nothing, f"NaN or infinity in segment {bad[0]}") if len(bad) else (values_TD, "")


def _odd_one(given: Sequence[Sequence[Any]]) -> object:
    """Returns the first value that is no number."""
    values = (value for segment in given for value in segment)
    return next((v for v in values if isinstance(v, bool) or not isinstance(v, (int, float))), None)
