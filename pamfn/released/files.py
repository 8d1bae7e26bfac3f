"""A released checkpoint file as a state dict of float32 tensors; nothing in the file is run."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pamfn.released.faults import CheckpointError

CONVERT = (
    "python -c \"import torch; torch.save(torch.load('{source}', map_location='cpu', weights_only=False)"
    ".state_dict(), '{target}')\""
)
COUNTER, CONVERTED = "num_batches_tracked", ".state.pth"
SUFFIXES = (".pth", ".pt", ".pkl", ".ckpt", ".bin", ".tar")


def read_state(path: Path) -> dict[str, Tensor]:
    """Reads a state dict, on the CPU and in float32, without batch norms' step counters.

    A prefix ``module.`` of all keys, which data-parallel training leaves, is taken off.

    Raises:
        CheckpointError: If the file is no state dict, with the command that makes one of a pickled module; or if it
            holds something else than finite numbers.
    """
    loaded = _load(path)
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(key, str) for key in loaded):
        raise CheckpointError([f"{path}: holds {_kind(loaded)}, not a state dict (names and tensors)"])
    state = {name: value for name, value in loaded.items() if not name.endswith(f".{COUNTER}")}
    if faults := [fault for name, value in state.items() for fault in _value_faults(name, value)]:
        raise CheckpointError([f"{path}: {fault}" for fault in faults])
    wrapped = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if wrapped else name: value.float() for name, value in state.items()}


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "WeightsUnpickler" in str(error) or "Unsupported" in str(error):
            raise CheckpointError([_whole_module(path)]) from error
        raise CheckpointError([f"{path}: cannot be read as a checkpoint ({_first_line(error)})"]) from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise CheckpointError([f"{path}: cannot be read as a checkpoint ({_first_line(error)})"]) from error


def _whole_module(path: Path) -> str:
    command = CONVERT.format(source=path, target=path.with_name(path.stem + CONVERTED))
    return (
        f"{path}: holds a whole pickled module, which only its own code can read, and reading runs whatever the file "
        f"says; if you trust it, in the folder of that code: {command}"
    )


def _value_faults(name: str, value: Any) -> list[str]:
    if not isinstance(value, Tensor):
        return [f"{name}: {_kind(value)}, not a tensor"]
    if not value.is_floating_point():
        return [f"{name}: numbers of {str(value.dtype).removeprefix('torch.')}, not floating-point ones"]
    return [] if bool(torch.isfinite(value).all()) else [f"{name}: not all of its numbers are finite"]


def _kind(value: Any) -> str:
    return "nothing" if isinstance(value, Mapping) and not value else f"a {type(value).__name__}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def branch_files(folder: Path, modalities: Iterable[str]) -> dict[str, Path]:
    """Returns the file of each modality's branch in a folder, found by its name; of two, the converted one.

    Raises:
        CheckpointError: If there is no such folder, a modality has several files, or none has any.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in SUFFIXES)
    except OSError as error:
        raise CheckpointError([f"--branches: {folder} cannot be read as a folder ({error.strerror})"]) from error
    faults, found = [], {}
    for modality in modalities:
        mine = [path for path in files if modality in path.stem.lower()]
        converted = [path for path in mine if path.name.endswith(CONVERTED)]
        if len(mine) == 1 or len(converted) == 1:
            found[modality] = (converted or mine)[0]
        elif mine:
            names = ", ".join(path.name for path in mine)
            faults.append(f"--branches: {folder}: {names} are all named for {modality}; say which by --{modality}")
    if not found and not faults:
        faults.append(
            f"--branches: {folder} holds no file named for {', '.join(modalities)} that ends in {', '.join(SUFFIXES)}"
        )
    if faults:
        raise CheckpointError(faults)
    return found
