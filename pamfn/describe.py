"""What a network is made of: modules and parameters, shapes by stage, and FLOPs; nothing is trained or read.

python -m pamfn.describe --preset released --fusion-nets 6

Modalities are the published ones: RGB and flow of 1024 features a segment, audio of 768. FLOPs are those of the matrix
products, two a multiply-add. Exit 0: described; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from pamfn.model.outline import forward_flops, outline, parameters_by_part, shapes_by_stage, training_flops
from pamfn.recipe import PRESETS, Recipe, recipe

WIDTHS = {"rgb": 1024, "flow": 1024, "audio": 768}
OPTIONS = {
    "fusion_nets": ("K", "FusionNets"),
    "head_reduction": ("r", "the hidden layer of the released head has width / r; the paper's has none"),
    "stages": ("N", "stages"),
    "width": ("D", "feature width"),
}
MODELS = {
    "pamfn --preset paper": "Progressive Adaptive Multimodal Fusion Network, as the paper has it",
    "pamfn --preset released": "the same, as the authors' implementation has it",
}


class _OneLine(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.list:
        _say(f"{name:<24} {what}" for name, what in MODELS.items())
        return 0
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    try:
        settings = recipe(arguments.preset, **given)
    except ValueError as error:
        parser.error(str(error))
    description = describe(arguments.preset, settings)
    _say([json.dumps(description, indent=1)] if arguments.json else _lines(description))
    return 0


def describe(preset: str, settings: Recipe) -> dict[str, Any]:
    """Returns all that the command prints, as plain values."""
    network = outline(settings, WIDTHS)
    modules, unused = parameters_by_part(network), _unused(settings) if preset == "released" else {}
    embedding, stages = shapes_by_stage(network, settings.clip)
    fixed = [name for name in WIDTHS if name not in settings.fine_tuned]
    flops = training_flops(network, settings.clip, videos=settings.batch_size, fixed=fixed)
    return {
        "model": "pamfn",
        "preset": preset,
        "settings": {name: getattr(settings, name) for name in (*OPTIONS, "clip", "batch_size")},
        "modalities": WIDTHS,
        "modules": modules,
        "unused": unused,
        "parameters": sum(modules.values()) + sum(unused.values()),
        "unused_parameters": sum(unused.values()),
        "fixed_parameters": sum(modules[f"branches.{name}"] for name in fixed),
        "shapes": {"embedding": embedding, "stages": [dataclasses.asdict(stage) for stage in stages]},
        "flops": {"forward": forward_flops(network, settings.clip), "training_step": flops},
    }


def _unused(settings: Recipe) -> dict[str, int]:
    """Returns the release's parameters that do nothing: a LayerNorm in each attention, and the start of the state."""
    attentions = [
        f"stage{i + 1}.{of}" for i in range(settings.stages) for of in ("s_fusion.fusion_s", "f_fusion.fusion_f")
    ]
    return {**{f"{name}.norm": 2 * settings.width for name in attentions}, "c": 3 * settings.width}


def _lines(of: dict[str, Any]) -> list[str]:
    settings, flops = of["settings"], of["flops"]
    head = ", ".join(f"{name} {value}" for name, value in settings.items())
    return [
        f"pamfn, preset {of['preset']}: {head}",
        "modalities: " + ", ".join(f"{name} {width}" for name, width in of["modalities"].items()),
        "",
        *_table([("module", "parameters"), *((n, f"{v:,}") for n, v in of["modules"].items())]),
        *_unused_lines(of["unused"]),
        "",
        f"total {of['parameters']:,} parameters",
        f"  of these fixed in phase 2: {of['fixed_parameters']:,}",
        *([f"  of these unused: {of['unused_parameters']:,}"] if of["unused"] else []),
        "",
        f"shapes of one clip of {settings['clip']} segments",
        *_table(_shape_rows(of["shapes"])),
        "",
        f"forward, one video: {flops['forward'] / 1e9:.2f} GFLOP",
        f"training step of phase 2, {settings['batch_size']} videos: {flops['training_step'] / 1e9:.1f} GFLOP",
    ]


def _unused_lines(unused: dict[str, int]) -> list[str]:
    rows = [("unused in the release, and left out", "parameters"), *((n, f"{v:,}") for n, v in unused.items())]
    return ["", *_table(rows)] if unused else []


def _shape_rows(shapes: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("stage", "each branch", "FusionNets", "mask", "mixed state")]
    rows.append(("0", _by(shapes["embedding"]), "", "", ""))
    for number, stage in enumerate(shapes["stages"], start=1):
        rows.append((str(number), *(_by(stage[part]) for part in ("branch", "fused", "mask", "state"))))
    return rows


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]


def _parser() -> argparse.ArgumentParser:
    parser = _OneLine(
        prog="python -m pamfn.describe", description="Modules, parameters, shapes and FLOPs of a network."
    )
    parser.add_argument("--list", action="store_true", help="name the models and presets there are")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="paper")
    for name, (letter, what) in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, type=_whole, metavar=letter, help=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error


def _say(lines: Iterable[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
