"""One branch artefact as bytes: a safetensors file that says which branch it is and can tell whether it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]
_LABEL = "branch"


class DamagedArtefact(ValueError):  # noqa: N818  # reads as what it is
    """A file that is not the artefact it should be; the message says how."""


def pack(key: str, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """Returns an artefact as bytes: its weights, and in the header its key, its meta data and a digest.

    Args:
        key: Its key.
        state: Weights and statistics by name.
        meta: Plain data that says what it is, for people.
    """
    from safetensors.torch import save

    tensors = stored_form(state)
    label = json.dumps({"key": key, "meta": dict(meta), "digest": _digest(tensors)}, sort_keys=True)
    return bytes(save(tensors, metadata={_LABEL: label}))  # one entry: safetensors writes several in any order


def unpack(key: str, content: bytes) -> State:
    """Returns the weights of an artefact.

    Raises:
        DamagedArtefact: If the bytes are incomplete, not as they were written, or the artefact of another key.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state: State = load(content)
    except SafetensorError as error:
        raise DamagedArtefact(f"not a complete safetensors file ({error}; {len(content)} bytes)") from error
    label = _label(content)
    if label.get("key") != key:
        raise DamagedArtefact("not the artefact of this key")
    if label.get("digest") != _digest(state):
        raise DamagedArtefact("its content is not what was written")
    return state


def stored_form(state: Mapping[str, Tensor]) -> State:
    """Returns tensors as they are stored: on the CPU, contiguous, sharing no memory."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


def _label(content: bytes) -> dict[str, Any]:
    """Returns what ``pack`` wrote into the JSON at the head of the file, whose length is its first 8 bytes."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(json.loads(header.get("__metadata__", {}).get(_LABEL, "{}")))


def _digest(state: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
