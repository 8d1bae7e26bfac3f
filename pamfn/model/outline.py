"""One network as an outline, shapes without memory: its parameters by part, its shapes by stage, and its FLOPs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pamfn.model.network import PAMFN
from pamfn.model.stage import FusionStage
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

META = torch.device("meta")


@dataclass(frozen=True)
class StageShapes:
    """Shapes of one video at one stage.

    Attributes:
        branch: Features of each modality's branch, (T, D).
        fused: Features of the FusionNets, (K, T, D); empty where there are none.
        mask: Decisions and their mask, (T, K); empty where nothing is decided.
        state: The mixed state: convolved, MSFD's and CMFD's features side by side, (T, 3 D), or those that there are.
    """

    branch: tuple[int, ...]
    fused: tuple[int, ...]
    mask: tuple[int, ...]
    state: tuple[int, ...]


def parameters_by_part(network: nn.Module) -> dict[str, int]:
    """Returns the parameters of each branch, each module of each stage, the head and the temperature."""
    depth = {"branches": 2, "stages": 3, "networks": 2}
    parts: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        own = name.split(".")
        part = ".".join(own[: depth.get(own[0], 1)])
        parts[part] = parts.get(part, 0) + parameter.numel()
    return parts


def shapes_by_stage(network: PAMFN, widths: Mapping[str, int], steps: int) -> tuple[tuple[int, ...], list[StageShapes]]:
    """Returns the embedding's shape (T, D), and the shapes of every stage, for one video of ``steps`` segments."""
    stages = list(cast("Iterable[FusionStage]", network.stages))
    read: list[tuple[list[Tensor], list[Tensor]]] = []
    states: list[Tensor] = []
    fused: dict[nn.Module | None, tuple[tuple[int, ...], tuple[int, ...]]] = {None: ((), ())}
    handles = [
        *(stage.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[1:3])) for stage in stages),
        *(stage.register_forward_hook(lambda _module, _inputs, output: states.append(output[0])) for stage in stages),
        *(
            stage.afm.register_forward_hook(lambda module, _inputs, output: fused.update({module: _fused(*output)}))
            for stage in stages
            if stage.afm is not None
        ),
    ]
    _score(network, widths, steps)
    for handle in handles:
        handle.remove()
    shapes = [
        StageShapes(_of_one(after[0]), *fused[stage.afm], _of_one(state))
        for stage, (_, after), state in zip(stages, read, states, strict=True)
    ]
    return _of_one(read[0][0][0]), shapes


def _fused(
    cross_RKBTD: Tensor, mask_RKBT: Tensor, decision_RBT: Tensor | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    nets = cross_RKBTD.shape[1]
    return (nets, *_of_one(cross_RKBTD[:, 0])), (mask_RKBT.shape[3], nets) if decision_RBT is not None else ()


def forward_flops(network: nn.Module, widths: Mapping[str, int], steps: int) -> int:
    """Returns the FLOPs of the matrix products that score one video of ``steps`` segments, two a multiply-add."""
    with FlopCounterMode(display=False) as counter:
        _score(network, widths, steps)
    return int(counter.get_total_flops())


def training_flops(network: nn.Module, widths: Mapping[str, int], steps: int, *, videos: int, fixed: list[str]) -> int:
    """Returns the FLOPs of the matrix products of one training step, forward and backward.

    Args:
        network: An outline.
        widths: Width of each stream that it reads.
        steps: Segments of a clip.
        videos: Videos a batch.
        fixed: Branches that take no gradient.
    """
    network.requires_grad_(requires_grad=True).train()
    cast("PAMFN", network).fix(fixed)
    with FlopCounterMode(display=False) as counter:
        output = network(_clips(widths, videos, steps), Segments(steps), Noise([0], [0], META))
        torch.autograd.backward(output.score_RB.sum())
    return int(counter.get_total_flops())


def _score(network: nn.Module, widths: Mapping[str, int], steps: int) -> None:
    network.requires_grad_(requires_grad=False).eval()
    network(_clips(widths, 1, steps), Segments(steps), None)


def _clips(widths: Mapping[str, int], videos: int, steps: int) -> dict[str, Tensor]:
    return {name: torch.empty(1, videos, steps, width, device=META) for name, width in widths.items()}


def _of_one(x_RBTD: Tensor) -> tuple[int, ...]:
    return tuple(x_RBTD.shape[2:])
