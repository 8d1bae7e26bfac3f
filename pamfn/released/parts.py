"""What the release's state dicts hold: each layer under its name there, beside its name in the released preset.

The names follow from the authors' tree of modules. Sequences number their layers, those without weights included, so
a block of (convolution, batch norm, ReLU) twice has weights at 0, 1, 3 and 4. What the names leave open is the
1x1 convolution before a decoder's query: its name is unknown here, so it is known by its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MODALITIES = {"rgb": "model_r.", "flow": "model_f.", "audio": "model_a."}
BLOCK = ("0", "1", "3", "4")
TAU, START = "tau", "c"
"""The temperature, and the mixed branch's start, which stands for zeros."""


@dataclass(frozen=True)
class Leaf:
    """One layer with weights.

    Args:
        mine: Its name in the preset's state dict.
        shape: Shape of the release's weight.
        theirs: Its name in its part of the release; empty where that is unknown.
        what: What to call it where its name is unknown.
        norm: Whether it is a batch norm, and so has running statistics.
        net: Which FusionNet it belongs to, where the preset stacks them.
    """

    mine: str
    shape: tuple[int, ...]
    theirs: str = ""
    what: str = ""
    norm: bool = False
    net: int | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its tensors."""
        return ("weight", "bias", "running_mean", "running_var") if self.norm else ("weight", "bias")


@dataclass(frozen=True)
class Part:
    """Layers that belong together.

    Args:
        prefix: What their names begin with in the release.
        leaves: The layers, in order.
        unused: Names of layers that the release never calls; they may be there.
    """

    prefix: str
    leaves: tuple[Leaf, ...]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sizes:
    """What the shapes of a final state dict say.

    Args:
        stages: N.
        width: D.
        nets: K.
        hidden: Width of the final head's hidden layer.
    """

    stages: int
    width: int
    nets: int
    hidden: int


def branch_parts(mine: str, inputs: int, width: int, stages: int) -> Iterator[Part]:
    """Yields the parts of one modality's branch.

    Args:
        mine: What its names begin with here.
        inputs: Width of its features.
        width: D.
        stages: N.
    """
    embedding = (
        Leaf(f"{mine}embedding.linear1", (2 * width, inputs, 1), BLOCK[0]),
        Leaf(f"{mine}embedding.norm1", (2 * width,), BLOCK[1], norm=True),
        Leaf(f"{mine}embedding.linear2", (width, 2 * width, 1), BLOCK[2]),
        Leaf(f"{mine}embedding.norm2", (width,), BLOCK[3], norm=True),
    )
    yield Part("embedding.", embedding)
    for i in range(stages):
        names = ("conv1.0", "conv1.1", "conv2.0", "conv2.1")
        yield Part(f"stage{i + 1}.", _block(f"{mine}blocks.{i}.", width, width, names))
    yield Part("fc.", (Leaf(f"{mine}head.score", (1, width, 1), "1"),))


def fusion_parts(sizes: Sizes) -> Iterator[Part]:
    """Yields the parts of the mixed branch and of the final head; ``tau`` and the start ``c`` belong to none."""
    for i in range(sizes.stages):
        yield from _stage_parts(f"stage{i + 1}.", f"stages.{i}.", sizes.width, sizes.nets)
    head = (
        Leaf("head.hidden", (sizes.hidden, 3 * sizes.width, 1), "1"),
        Leaf("head.norm", (sizes.hidden,), "2", norm=True),
        Leaf("head.score", (1, sizes.hidden, 1), "5"),
    )
    yield Part("fc.", head)


def _stage_parts(prefix: str, mine: str, width: int, nets: int) -> Iterator[Part]:
    yield Part(f"{prefix}conv.", _block(f"{mine}mixed.", 3 * width, width, BLOCK))
    shortcut = (
        Leaf(f"{mine}mixed.shortcut", (width, 3 * width, 1), "0"),
        Leaf(f"{mine}mixed.shortcut_norm", (width,), "1", norm=True),
    )
    yield Part(f"{prefix}short_cut.", shortcut)
    yield _decoder(f"{prefix}s_fusion.", f"{mine}msfd.", "fusion_s", width, width)
    yield _decoder(f"{prefix}f_fusion.", f"{mine}cmfd.", "fusion_f", 2 * width, width)
    for m in range(len(MODALITIES)):
        trunk = (
            Leaf(f"{mine}afm.mix.trunks.{m}", (width, width, 1), "0.0"),
            Leaf(f"{mine}afm.mix.norms.{m}", (width,), "0.1", norm=True),
            Leaf(f"{mine}afm.mix.channels.{m}", (nets, width, 1), "1"),
        )
        yield Part(f"{prefix}f_fusion.proj{m + 1}.", trunk)
    for k in range(nets):
        yield Part(f"{prefix}f_fusion.ffn.{k}.", _block(f"{mine}afm.refine.", width, width, BLOCK, net=k))
    policy = (Leaf(f"{mine}afm.policy.logits", (nets, len(MODALITIES) * width, 1), "0"),)
    yield Part(f"{prefix}f_fusion.policy.", policy)


def _decoder(prefix: str, mine: str, attention: str, inputs: int, width: int) -> Part:
    maps = tuple(
        Leaf(f"{mine}attention.{name}", (width, width), f"{attention}.linear_layers.{i}")
        for i, name in enumerate(("query", "key", "value"))
    )
    before = Leaf(f"{mine}attention.project", (width, inputs, 1), what="the 1x1 convolution before the query")
    return Part(prefix, (*maps, before), unused=(f"{attention}.norm",))


def _block(mine: str, inputs: int, width: int, names: tuple[str, ...], net: int | None = None) -> tuple[Leaf, ...]:
    return (
        Leaf(f"{mine}conv1", (width, inputs, 3), names[0], net=net),
        Leaf(f"{mine}norm1", (width,), names[1], norm=True, net=net),
        Leaf(f"{mine}conv2", (width, width, 3), names[2], net=net),
        Leaf(f"{mine}norm2", (width,), names[3], norm=True, net=net),
    )
