"""An estimate of the least memory traffic of a training step.

The maps counted are what a step of the plain network cannot keep in a cache: the output of every convolution and linear
layer, of every residual block and of every decoder. Batch norm, activation, dropout, pools and sums are taken as fused
into what writes or reads those maps; the decoders' keys and values are left out: one query a step needs neither. A map
of a trained part passes the memory five times: written and read going forward, read again going backward, and its
gradient written and read. One of a fixed branch is written and read. A trained weight passes ten times: read forward
and backward, its gradient written, and AdamW's reading of weight, gradient and two moments and writing of all but the
gradient. It is an estimate, not a bound: caches may keep small maps, and cleverer fusion may leave some out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from plain_layers import Block, Decoder
from plain_pamfn import PlainPAMFN
from torch import Tensor, nn

from pamfn.recipe import Recipe

FLOAT = 4  # bytes of a float32
TRAINED_MAP, FIXED_MAP = 5, 2  # passes through the memory
TRAINED_WEIGHT, FIXED_WEIGHT = 10, 1


@dataclass(frozen=True)
class Traffic:
    """Bytes that a training step of one network moves, at least about.

    Attributes:
        inputs: The batch's features: gathered (read and written), read forward, and by trained branches backward.
        maps: What lies between the layers.
        fixed: The part of ``maps`` and ``weights`` that is the fixed branches'.
        weights: Weights, gradients and moments.
    """

    inputs: int
    maps: int
    fixed: int
    weights: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.inputs + self.maps + self.weights


def step_traffic(settings: Recipe, widths: Mapping[str, int]) -> Traffic:
    """Returns the traffic of one step of one network, float32 throughout."""
    with torch.device("meta"):
        network = PlainPAMFN(settings, widths).train()
        x = {name: torch.empty(settings.batch_size, settings.clip, width) for name, width in widths.items()}
    trained = fixed = 0
    for name, elements in map_sizes(network, x).items():
        if _is_fixed(name, settings):
            fixed += elements
        else:
            trained += elements
    weights = {is_fixed: 0 for is_fixed in (False, True)}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad or _is_fixed(name, settings):  # heads of branches are not used
            weights[not parameter.requires_grad] += 0 if ".head." in name else parameter.numel()
    inputs = sum(of.numel() * (4 if name in settings.fine_tuned else 3) for name, of in x.items())
    of_fixed = FLOAT * (FIXED_MAP * fixed + FIXED_WEIGHT * weights[True])
    return Traffic(
        inputs=FLOAT * inputs,
        maps=FLOAT * (TRAINED_MAP * trained + FIXED_MAP * fixed),
        fixed=of_fixed,
        weights=FLOAT * (TRAINED_WEIGHT * weights[False] + FIXED_WEIGHT * weights[True]),
    )


def map_sizes(network: PlainPAMFN, x: Mapping[str, Tensor]) -> dict[str, int]:
    """Returns the elements of every counted map, by the name of the module that writes it."""
    sizes: dict[str, int] = {}
    left_out = {
        f"{name}.{of}"
        for name, module in network.named_modules()
        if isinstance(module, Decoder)
        for of in ("key", "value")
    }

    def counting(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            sizes[name] = output.numel()

        return module.register_forward_hook(count)

    handles = [
        counting(name, module)
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv1d, nn.Linear, Block, Decoder)) and name not in left_out
    ]
    network(x)
    for handle in handles:
        handle.remove()
    return sizes


def _is_fixed(name: str, settings: Recipe) -> bool:
    words = name.split(".")
    return words[0] == "branches" and words[1] not in settings.fine_tuned
