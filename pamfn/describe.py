"""What a network is made of: modules and parameters, shapes by stage, and FLOPs; nothing is trained or read.

python -m pamfn.describe --preset released --fusion-nets 6

Modalities are the published ones: RGB and flow of 1024 features a segment, audio of 768. FLOPs are those of the matrix
products, two a multiply-add. Exit 0: described; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from torch import nn

from pamfn.architectures import outline, step_flops
from pamfn.catalogue import MODELS, Model
from pamfn.catalogue import PAMFN as PAMFN_BUILDER
from pamfn.model.network import PAMFN
from pamfn.model.outline import forward_flops, parameters_by_part, shapes_by_stage
from pamfn.presets import PRESETS
from pamfn.recipe import Recipe, own_options, recipe

WIDTHS = {"rgb": 1024, "flow": 1024, "audio": 768}
OPTIONS = {
    "fusion_nets": ("K", "FusionNets"),
    "head_reduction": ("r", "the hidden layer of the released head has width / r; the paper's has none"),
    "stages": ("N", "stages"),
    "width": ("D", "feature width"),
}
IN_PARTS = ("pamfn", "branch", "weighted-one-stage")  # Table IV has them with some of the modalities


class _OneLine(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.list:
        listed = {name: what for model in MODELS for name, what in _names(model)}
        _say([json.dumps(listed, indent=1)] if arguments.json else (f"{n:<32} {what}" for n, what in listed.items()))
        return 0
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    try:
        settings = recipe(arguments.preset, model=arguments.model, **given)
        settings.streams(tuple(WIDTHS))
    except ValueError as error:
        parser.error(str(error))
    description = describe(arguments.preset, settings)
    _say([json.dumps(description, indent=1)] if arguments.json else _lines(description))
    return 0


def describe(preset: str, settings: Recipe) -> dict[str, Any]:
    """Returns all that the command prints, as plain values."""
    network, model = outline(settings, WIDTHS), settings.of
    read = {name: WIDTHS[name] for name in settings.streams(tuple(WIDTHS))}
    modules = parameters_by_part(network)
    unused = _unused(settings) if preset == "released" and model.name == "pamfn" else {}
    fixed = [name for name in read if settings.phases == "two" and name not in settings.fine_tuned]
    total = sum(modules.values()) + sum(unused.values())
    return {
        "model": settings.model,
        "preset": preset,
        "summary": model.summary,
        "settings": {name: getattr(settings, name) for name in _shaping(settings)},
        "options": {name: dict(settings.options).get(name, default) for name, default in own_options(model.name)},
        "modalities": read,
        "modules": modules,
        "unused": unused,
        "parameters": total,
        "published_parameters": model.parameters and round(model.parameters * 1e6),
        "published_note": model.counted,
        "unused_parameters": sum(unused.values()),
        "fixed_parameters": sum(modules[f"branches.{name}"] for name in fixed),
        **_work(settings, network, read),
    }


def _shaping(settings: Recipe) -> list[str]:
    """Returns the settings that say how large a network and its batches are."""
    own = {"fusion_nets": settings.has_fusion_nets, "head_reduction": settings.of.builder == PAMFN_BUILDER}
    return [name for name in (*OPTIONS, "clip", "batch_size") if own.get(name, True)]


def _work(settings: Recipe, network: nn.Module, read: dict[str, int]) -> dict[str, Any]:
    """Returns the shapes of a clip's features, and FLOPs, where a network's layers tell them."""
    if settings.of.kind != "rows":
        return {"shapes": None, "flops": None}
    flops = {
        "forward": forward_flops(network, read, settings.clip),
        "training_step": step_flops(settings, read, videos=settings.batch_size),
    }
    if not isinstance(network, PAMFN):
        return {"shapes": None, "flops": flops}
    embedding, stages = shapes_by_stage(network, read, settings.clip)
    return {"shapes": {"embedding": embedding, "stages": [dataclasses.asdict(s) for s in stages]}, "flops": flops}


def _unused(settings: Recipe) -> dict[str, int]:
    """Returns the release's parameters that do nothing: a LayerNorm in each attention, and the start of the state."""
    attentions = [
        f"stage{i + 1}.{of}" for i in range(settings.stages) for of in ("s_fusion.fusion_s", "f_fusion.fusion_f")
    ]
    return {**{f"{name}.norm": 2 * settings.width for name in attentions}, "c": 3 * settings.width}


def _names(model: Model) -> Iterator[tuple[str, str]]:
    """Yields a model's name and what it is, and then its names with the published streams that it can do without."""
    if model.name == "pamfn":
        yield "pamfn --preset paper", "Progressive Adaptive Multimodal Fusion Network, as the paper has it"
        yield "pamfn --preset released", "the same, as the authors' implementation has it"
    if model.name != "branch":
        yield model.name, model.summary
    if model.name in IN_PARTS:
        least, most = model.streams
        for count in range(least, min(most, len(WIDTHS) - 1) + 1):
            for streams in map("+".join, itertools.combinations(WIDTHS, count)):
                what = model.summary.partition(" (")[0]
                yield f"{model.name}:{streams}", f"{what}, of {streams.replace('+', ' and ')} (Table IV)"


def _lines(of: dict[str, Any]) -> list[str]:
    settings = of["settings"]
    head = ", ".join(f"{name} {value}" for name, value in settings.items())
    return [
        f"{of['model']}, preset {of['preset']}: {head}",
        *([of["summary"]] if of["model"] != "pamfn" else []),
        *(
            ["options: " + ", ".join(f"{name} {value}" for name, value in of["options"].items())]
            if of["options"]
            else []
        ),
        "modalities: " + ", ".join(f"{name} {width}" for name, width in of["modalities"].items()),
        "",
        *(
            _table([("module", "parameters"), *((n, f"{v:,}") for n, v in of["modules"].items())])
            if of["modules"]
            else []
        ),
        *_unused_lines(of["unused"]),
        "",
        f"total {of['parameters']:,} parameters" if of["modules"] else "fitted by a formula",
        *_published(of),
        *([f"  of these fixed in phase 2: {of['fixed_parameters']:,}"] if of["modules"] else []),
        *([f"  of these unused: {of['unused_parameters']:,}"] if of["unused"] else []),
        *_shape_lines(of),
        *_flop_lines(of),
    ]


def _published(of: dict[str, Any]) -> list[str]:
    count, why = of["published_parameters"], of["published_note"]
    return [f"  published: {count / 1e6:.2f}M{why and '; '}{why}"] if count else []


def _shape_lines(of: dict[str, Any]) -> list[str]:
    if of["shapes"] is None:
        return []
    return ["", f"shapes of one clip of {of['settings']['clip']} segments", *_table(_shape_rows(of["shapes"]))]


def _flop_lines(of: dict[str, Any]) -> list[str]:
    if of["flops"] is None:
        return []
    step = "training step of phase 2" if of["fixed_parameters"] else "training step"
    return [
        "",
        f"forward, one video: {of['flops']['forward'] / 1e9:.2f} GFLOP",
        f"{step}, {of['settings']['batch_size']} videos: {of['flops']['training_step'] / 1e9:.1f} GFLOP",
    ]


def _module_lines(modules: dict[str, int]) -> list[str]:
    return _table([("module", "parameters"), *((n, f"{v:,}") for n, v in modules.items())]) if modules else []


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
    parser.add_argument("--model", default="pamfn", metavar="NAME", help="one that --list names (default: pamfn)")
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
