"""One replica of a network: cut out as an ordinary state dict, put back in, or freshly initialised."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.layers import Conv3, Linear
from pamfn.seeding import torch_generator


def entries(network: nn.Module) -> Iterator[tuple[str, nn.Module, str, Tensor]]:
    """Yields every parameter and persistent buffer: (full name, its module, its name there, the stacked tensor)."""
    for prefix, module in network.named_modules():
        own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
        for name, tensor in own.items():
            if name not in module._non_persistent_buffers_set:
                yield (f"{prefix}.{name}" if prefix else name), module, name, tensor


def rows_of(module: nn.Module, replica: int) -> int | slice:
    """Returns where a replica lives in the leading axis of a module's tensors."""
    axis = getattr(module, "axis", None)
    return axis.rows(replica) if isinstance(axis, FusionAxis) else replica


def cut(network: nn.Module, replica: int, *, leave: Sequence[str] = ()) -> dict[str, Tensor]:
    """Returns one replica's weights and buffers as copies of plain shapes.

    A linear weight is (out, in), a convolution's (out, in, 3), a batch norm's (D,); those of FusionNets keep a leading
    axis of the replica's own K.

    Args:
        network: The stacked network.
        replica: Which one.
        leave: Prefixes of names to leave out.
    """
    return {
        name: _plain(module, own, tensor.detach()[rows_of(module, replica)]).clone(
            memory_format=torch.contiguous_format
        )
        for name, module, own, tensor in entries(network)
        if not name.startswith(tuple(leave))
    }


@torch.no_grad()
def put(network: nn.Module, replica: int, state: Mapping[str, Tensor], *, leave: Sequence[str] = ()) -> None:
    """Writes a replica's state dict into its place, in the memory that is there.

    Args:
        network: The stacked network.
        replica: Which one.
        state: What `cut` returned.
        leave: Prefixes of names that keep what they have.

    Raises:
        ValueError: If names are missing or unknown, or shapes differ; all faults at once. Nothing is written then.
    """
    places = {
        name: _plain(module, own, tensor[rows_of(module, replica)])
        for name, module, own, tensor in entries(network)
        if not name.startswith(tuple(leave))
    }
    faults = [f"{name}: missing" for name in places if name not in state]
    faults += [f"{name}: unknown" for name in state if name not in places]
    faults += [
        f"{name}: shape {tuple(state[name].shape)}, expected {tuple(place.shape)}"
        for name, place in places.items()
        if name in state and state[name].shape != place.shape
    ]
    if faults:
        raise ValueError("the state does not fit the network: " + "; ".join(faults))
    for name, place in places.items():
        place.copy_(state[name])


def _plain(module: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """Returns a view with a convolution's taps last."""
    return tensor.movedim(-2, -1) if isinstance(module, Conv3) and name == "weight" else tensor


@torch.no_grad()
def initialise(network: nn.Module, seeds: Sequence[int]) -> None:
    """Draws every replica's linear and convolution weights from its own seed: U(+-1/sqrt(fan in)), as torch does.

    A FusionNet's weights depend on its rank and not on K; other tensors keep what their constructor gave them.
    """
    for name, module, _, tensor in entries(network):
        if not isinstance(module, (Linear, Conv3)) or tensor.is_meta:
            continue
        bound = 1 / math.sqrt(module.fan_in)
        for replica, seed in enumerate(seeds):
            rows = rows_of(module, replica)
            shape = tensor[rows].shape
            draws = torch_generator(seed, "weights", name)
            tensor[rows].copy_(torch.empty(shape).uniform_(-bound, bound, generator=draws))
