"""The models that can be trained and compared, by the name that a space file gives them: one line each.

Every row of the paper's Tables I, II and IV to VIII is one of them. After a colon stand the streams that it reads,
where it is not to read all: ``branch:rgb``, ``weighted-one-stage:rgb+audio``, ``pamfn:rgb+flow``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

PAMFN, LATE = "pamfn.model.network:PAMFN", "pamfn.baselines.late_fusion:LateFusion"
ONE_STAGE = {"phases": "one"}
SGD = {**ONE_STAGE, "optimizer": "sgd", "lr": 0.01, "head_lr_scale": 1.0}
ADAM = {**ONE_STAGE, "optimizer": "adamw", "head_lr_scale": 1.0}


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model.

    Args:
        name: What space files call it.
        summary: What it is, and where the paper has it.
        builder: Its class, as ``module:name``.
        kind: How it is trained: ``rows`` of one batched program; ``alone``, one network after the other, as a plain
            module of torch; or ``closed``, by a formula.
        streams: How many streams it reads, at least and at most. Where the data have more and its name has no colon, it
            reads the first if one is enough, and else the first and the last.
        settings: What of the recipe is otherwise than in the preset, unless a space file says something.
        given: Arguments of its class that make this model of it.
        parameters: Published count of its parameters, in millions.
        counted: Why ours at the published widths is another, or how it becomes the same.
    """

    name: str
    summary: str
    builder: str = PAMFN
    kind: str = "rows"
    streams: tuple[int, int] = (2, 3)
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    parameters: float | None = None
    counted: str = ""

    @property
    def build(self) -> Callable[..., Any]:
        """Its class, imported now."""
        module, name = self.builder.split(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found

    def read(self, there: Sequence[str]) -> tuple[str, ...]:
        """Returns which of the data's streams it reads where its name says nothing.

        Raises:
            ValueError: If there are too few, or too many to read all.
        """
        least, most = self.streams
        if most < len(there) and most <= 2:
            return tuple(there[:1]) if least == 1 else (there[0], there[-1])
        if not least <= len(there) <= most:
            asked = f"{least}" if least == most else f"{least} to {most}"
            raise ValueError(f"model: {self.name} reads {asked} streams, and the data have {', '.join(there)}")
        return tuple(there)


def _pamfn(name: str, summary: str, **settings: Any) -> Model:
    return Model(name=name, summary=summary, settings=settings)


def _late(name: str, what: str) -> list[Model]:
    made: dict[str, Any] = {"builder": LATE, "given": {"fusion": name}}
    return [
        Model(name=name, summary=f"{what}, on pretrained branches (Table V)", **made),
        Model(name=f"{name}-one-stage", summary=f"{what}, in one stage (Tables IV, V)", settings=ONE_STAGE, **made),
    ]


def _peer(name: str, where: str, summary: str, **more: Any) -> Model:
    return Model(name=name, summary=summary, builder=f"pamfn.baselines.{where}", kind="alone", **more)


MODELS: tuple[Model, ...] = (
    Model(
        name="pamfn",
        summary="Progressive Adaptive Multimodal Fusion Network, the full model",
        parameters=18.06,
        counted="18,058,573 is --preset released with --fusion-nets 6",
    ),
    _pamfn("pamfn-one-stage", "PAMFN with its branches, trained in one stage (Table V)", **ONE_STAGE),
    _pamfn("pamfn-without-cmfd", "PAMFN without CMFD, and so without FusionNets (Table VI)", cmfd="none"),
    _pamfn("pamfn-without-msfd", "PAMFN without MSFD (Table VI)", msfd="none"),
    _pamfn("pamfn-weighted-cmfd", "PAMFN with Weighted Fusion in CMFD's place (Table VI)", cmfd="weighted"),
    _pamfn("pamfn-weighted-msfd", "PAMFN with Weighted Fusion in MSFD's place (Table VI)", msfd="weighted"),
    _pamfn(
        "pamfn-weighted-both",
        "PAMFN with Weighted Fusion for both decoders (Table VI)",
        msfd="weighted",
        cmfd="weighted",
    ),
    _pamfn("pamfn-unranked", "PAMFN whose decision enables one FusionNet (Table VII)", policy="unranked"),
    _pamfn("pamfn-free", "PAMFN with all FusionNets on and no PolicyNet (Table VII)", policy="free"),
    _pamfn("pamfn-first-stage", "PAMFN that fuses in the first stage alone (Table VIII)", fusing_stages=1),
    _pamfn("pamfn-first-two-stages", "PAMFN that fuses in the first two stages (Table VIII)", fusing_stages=2),
    Model(
        name="branch",
        summary="one modality's branch alone (Table IV)",
        builder="pamfn.baselines.unimodal:Unimodal",
        streams=(1, 1),
        settings=SGD,
        parameters=1.84,
    ),
    *_late("avg", "late fusion by the mean"),
    *_late("cat", "late fusion by concatenation and a linear map"),
    *_late("weighted", "late fusion by learnable weights"),
    *_late("attention", "late fusion by weights made of the features"),
    Model(
        name="svr",
        summary="support vector regression on features averaged over time (C3D+SVR, Table I)",
        builder="pamfn.baselines.svr:SupportVectors",
        kind="closed",
        streams=(1, 3),
        settings={**ONE_STAGE, "epochs": 1},
    ),
    _peer(
        "ms-lstm",
        "ms_lstm:MultiScaleLSTM",
        "MS-LSTM (Table I)",
        streams=(1, 1),
        settings={**ADAM, "weight_decay": 0.0, "schedule": "constant", "batch_size": 128},
        parameters=1.08,
        counted="1,081,729 without the LSTM cells, which were the authors' own and no counter knew",
    ),
    _peer(
        "action-net",
        "action_net:ActionNet",
        "ACTION-NET (Table I)",
        streams=(1, 2),
        settings={**SGD, "head_lr_scale": 5.0},
        parameters=3.54,
        counted="3,542,787 of streams of two modalities, 1024 and 2048 wide",
    ),
    _peer(
        "gdlt",
        "gdlt:GradeDecoupling",
        "GDLT, Likert scoring with grades decoupled (Table I)",
        streams=(1, 1),
        settings={**SGD, "lr_floor": 1e-4},
        parameters=1.84,
        counted="1,841,412 in a counter that skips multi-head attention, layer norms and queries",
    ),
    _peer(
        "joint-va",
        "joint_va:JointVA",
        "Joint-VA, bimodal attention with a sentinel (Table II)",
        streams=(2, 2),
        settings=ADAM,
        parameters=1.97,
        counted="its code is not public, and sizes that are open were chosen to come near",
    ),
    _peer(
        "msaf",
        "msaf:SplitAttention",
        "MSAF, multimodal split attention (Table II)",
        streams=(2, 3),
        settings=SGD,
        parameters=5.56,
        counted="5,395,459 of both are three branches; the size of the blocks is not published",
    ),
    _peer(
        "umt",
        "umt:UnifiedTransformer",
        "UMT, unified multimodal transformer (Table II)",
        streams=(2, 2),
        settings={**ADAM, "lr": 1e-3},
        parameters=3.78,
        counted="its AQA version is not public; feed-forwards are twice as wide as the features here",
    ),
)
"""Every model, in the order of the paper's tables."""


@cache
def _by_name() -> dict[str, Model]:
    return {model.name: model for model in MODELS}


def model_of(name: str) -> Model:
    """Returns a model by its name, with or without streams.

    Raises:
        ValueError: If there is none; the message names a near one.
    """
    base = name.partition(":")[0]
    if base not in _by_name():
        near = difflib.get_close_matches(base, _by_name(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "python -m pamfn.describe --list names all"
        raise ValueError(f"model: {name!r} is no model; {hint}")
    return _by_name()[base]


def streams_named(name: str) -> tuple[str, ...]:
    """Returns the streams that a model's name asks for; empty if it says nothing."""
    asked = name.partition(":")[2]
    return tuple(asked.split("+")) if asked else ()


def name_faults(name: str) -> list[str]:
    """Returns what is wrong with the name of a model, as ``model: value rule``."""
    try:
        model = model_of(name)
    except ValueError as error:
        return [str(error)]
    asked, (least, most) = streams_named(name), model.streams
    if name.endswith(":") or (asked and ("" in asked or len(set(asked)) < len(asked))):
        return [f"model: {name!r} must name different streams after the colon, such as {model.name}:rgb+audio"]
    if asked and not least <= len(asked) <= most:
        many = f"{least}" if least == most else f"{least} to {most}"
        return [f"model: {name!r} names {len(asked)} streams, and {model.name} reads {many}"]
    return []


def streams_read(name: str, there: Sequence[str]) -> tuple[str, ...]:
    """Returns the streams that a model reads of those that the data have, in the data's order.

    Raises:
        ValueError: If one is not there, or there are too few or too many.
    """
    asked = streams_named(name)
    if absent := [stream for stream in asked if stream not in there]:
        raise ValueError(f"model: {name!r} reads {', '.join(absent)}, and the data have {', '.join(there)}")
    return tuple(s for s in there if s in asked) if asked else model_of(name).read(there)
