"""Every setting of one training, flat, typed and validated: what a space file may fix or search.

The defaults are the paper's (Sec. III and IV-C, Rhythmic Gymnastics). ``pamfn.presets`` says what the authors'
implementation does differently, and what detects highlights (Sec. IV-G); ``pamfn.catalogue`` what each other model
does. A recipe is plain data: ``pamfn.architectures`` turns it into modules and ``pamfn.phases`` into optimisers and
schedules.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pamfn.catalogue import Model, model_of, name_faults, streams_named, streams_read
from pamfn.options import Option, options_of
from pamfn.presets import PRESETS


def _setting(
    default: Any, doc: str, *, low: float | None = None, high: float | None = None, choices: tuple[Any, ...] = ()
) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of one training; the defaults are the paper's, of PAMFN.

    ``options`` are those of a model that has some of its own, as pairs such as ``("gdlt.queries", 4)``.

    Raises:
        ValueError: If a value breaks its rule; the message lists every fault, each with name, value and rule.
    """

    model: str = _setting("pamfn", "which model is trained, as python -m pamfn.describe --list names it")
    options: tuple[tuple[str, Any], ...] = _setting((), "a model's own options, written <model>.<option>")
    task: str = _setting(
        "score",
        "videos are scored, or their segments classified as highlights, without pools (Sec. IV-G)",
        choices=("score", "highlights"),
    )
    # The network (Sec. III)
    stages: int = _setting(3, "number of stages N", low=2, high=5)
    width: int = _setting(256, "feature width D", low=4, high=4096)
    fusion_nets: int = _setting(10, "number of FusionNets K", low=1, high=64)
    tau_init: float = _setting(10.0, "initial temperature of Eq. 10", low=1e-3, high=1e3)
    msfd_heads: int = _setting(1, "attention heads of MSFD; must divide width", low=1, high=64)
    cmfd_heads: int = _setting(1, "attention heads of CMFD; must divide width", low=1, high=64)
    embedding_dropout: float = _setting(0.3, "dropout after the embedding of a trained branch", low=0.0, high=0.95)
    branch_head_dropout: float = _setting(0.5, "dropout before a branch's score", low=0.0, high=0.95)
    feature_dropout: float = _setting(0.5, "dropout on branch features entering the fusion", low=0.0, high=0.95)
    attention_dropout: float = _setting(0.1, "dropout on attention weights", low=0.0, high=0.95)
    head_dropout: float = _setting(0.0, "dropout before the fused score", low=0.0, high=0.95)
    # What the ablations leave out or replace (Sec. IV-F)
    msfd: str = _setting(
        "attention",
        "MSFD, or Weighted Fusion of the modalities in its place, or neither",
        choices=("attention", "weighted", "none"),
    )
    cmfd: str = _setting(
        "attention",
        "CMFD, or Weighted Fusion of the enabled FusionNets in its place, or neither and no FusionNets",
        choices=("attention", "weighted", "none"),
    )
    policy: str = _setting(
        "ranked",
        "a decision c enables FusionNets 1 to c, or c alone; or all are on and there is no PolicyNet",
        choices=("ranked", "unranked", "free"),
    )
    fusing_stages: int | None = _setting(None, "stages that fuse, the first ones; null: all", low=1, high=5)
    # Where the paper and the released implementation disagree
    cmfd_sign: str = _setting("negative", "sign of CMFD's scores (Eq. 11)", choices=("negative", "positive"))
    policy_layers: int = _setting(2, "fully-connected layers of PolicyNet", low=1, high=2)
    fusion_design: str = _setting(
        "attention", "FusionNets as K attention networks, or one trunk a modality", choices=("attention", "trunk")
    )
    fusion_activation: str = _setting(
        "gelu", "activation of the blocks that refine fused features", choices=("gelu", "relu")
    )
    query_layers: int = _setting(1, "linear maps that make a decoder's query", low=1, high=2)
    head_layers: int = _setting(1, "fully-connected layers of the fused score head", low=1, high=2)
    head_reduction: int = _setting(
        1, "width of the head's hidden layer is width / this (head_layers 2)", low=1, high=64
    )
    fixed_branches: str = _setting(
        "fixed",
        "fixed branches: truly, or with drifting batch-norm statistics and dropout",
        choices=("fixed", "drifting"),
    )
    mixed_start: str = _setting(
        "exact",
        "first stage of the mixed branch: what zeros give exactly, or normalised",
        choices=("exact", "computed"),
    )
    tau_form: str = _setting("exp", "temperature as exp(s), or a plain scalar", choices=("exp", "plain"))
    evaluation_noise: bool = _setting(False, "Gumbel noise when scoring", choices=(False, True))
    # Phase 2 (Sec. IV-C); `epochs` is a number, or a map from class to number
    phases: str = _setting("two", "pretrain the branches first, or train all in one stage", choices=("two", "one"))
    fine_tuned: tuple[str, ...] = _setting(("audio",), "branches trained further in phase 2")
    epochs: int | Mapping[str, int] = _setting(400, "epochs of phase 2", low=1, high=100_000)
    batch_size: int = _setting(32, "videos a batch; 1 is for highlights, whose norms count segments", low=1, high=4096)
    optimizer: str = _setting("adamw", "optimiser of phase 2", choices=("adamw", "sgd"))
    lr: float = _setting(5e-4, "learning rate of phase 2", low=1e-7, high=10.0)
    lr_scale: float = _setting(
        1.0,
        "multiplies lr and lr_floor: a search of it compares models at rates near each one's own",
        low=1e-4,
        high=1e4,
    )
    head_lr_scale: float = _setting(0.1, "learning rate of the fused score head, relative to lr", low=0.0, high=10.0)
    weight_decay: float = _setting(1e-4, "weight decay of phase 2", low=0.0, high=1.0)
    schedule: str = _setting("cosine", "learning-rate schedule of phase 2", choices=("cosine", "constant"))
    lr_floor: float = _setting(5e-6, "learning rate at the end of a cosine schedule", low=0.0, high=1.0)
    clip_norm: float | None = _setting(None, "largest gradient norm in phase 2; null: no clipping", low=1e-6, high=1e6)
    # Phase 1
    phase1_epochs: int = _setting(250, "epochs of phase 1", low=1, high=100_000)
    phase1_optimizer: str = _setting("sgd", "optimiser of phase 1", choices=("adamw", "sgd"))
    phase1_lr: float = _setting(0.01, "learning rate of phase 1", low=1e-7, high=10.0)
    phase1_momentum: float = _setting(0.9, "momentum of SGD", low=0.0, high=0.999)
    phase1_weight_decay: float = _setting(1e-4, "weight decay of phase 1", low=0.0, high=1.0)
    phase1_schedule: str = _setting("cosine", "learning-rate schedule of phase 1", choices=("cosine", "constant"))
    phase1_lr_floor: float = _setting(5e-6, "learning rate at the end of phase 1's cosine schedule", low=0.0, high=1.0)
    phase1_clip_norm: float | None = _setting(None, "largest gradient norm in phase 1; null: none", low=1e-6, high=1e6)
    # Data as the training sees it
    clip: int = _setting(70, "consecutive segments of a training clip (70 RG, 130 Fis-V)", low=1, high=100_000)
    padding: str = _setting("zero", "short clips: zeros that count as segments, or masked", choices=("zero", "mask"))
    standardise: bool = _setting(
        False, "standardise features with the training fold's statistics", choices=(False, True)
    )
    target: str = _setting("scaled", "learn score / C, or the training fold's quantile", choices=("scaled", "quantile"))
    # Luck
    reseed: int = _setting(
        0,
        "added into the seed of every phase 2: configurations that differ in nothing else are equal but for luck",
        low=0,
        high=1_000_000,
    )

    def __post_init__(self) -> None:
        given = dict(self.options)
        object.__setattr__(self, "options", tuple(sorted(given.items())))
        faults = [fault for name in settings() if name != "options" for fault in check(name, getattr(self, name))]
        faults += [fault for name, value in given.items() for fault in check(name, value)]
        for name in ("msfd_heads", "cmfd_heads"):
            heads = getattr(self, name)
            if not faults and self.width % heads:
                faults.append(f"{name}: {heads} does not divide width {self.width}")
        if not faults and self.head_layers == 2 and self.width % self.head_reduction:
            faults.append(f"head_reduction: {self.head_reduction} does not divide width {self.width}")
        if not faults and self.of.kind != "rows":
            faults += [
                f"{name}: {getattr(self, name)!r} is not for {self.model}, which is trained {rule}"
                for name, good, rule in (("phases", "one", "in one stage"), ("padding", "zero", "on zero-padded clips"))
                if getattr(self, name) != good
            ]
        if not faults:
            faults += self._task_faults()
        if faults:
            raise ValueError("; ".join(faults))

    def _task_faults(self) -> list[str]:
        if self.task == "score":
            few = "batch_size: 1 is for task highlights; a score is trained with 2 or more"
            return [few] if self.batch_size == 1 else []
        faults = []
        if self.padding != "mask":
            faults.append(
                f"padding: {self.padding!r} is not for task highlights, where every segment has a label: mask"
            )
        if not self.of.builder.endswith(DETECTORS):
            faults.append(f"task: 'highlights' is not for {self.model}, which scores videos as a whole")
        return faults

    @property
    def pools(self) -> bool:
        """Whether stages end in pools over time, towards one score a video."""
        return self.task == "score"

    @property
    def of(self) -> Model:
        """The model that is trained."""
        return model_of(self.model)

    def streams(self, there: Sequence[str]) -> tuple[str, ...]:
        """Returns the streams that the model reads, of those that the data have.

        Raises:
            ValueError: If one is not there, or there are too few or too many.
        """
        return streams_read(self.model, there)

    @property
    def has_fusion_nets(self) -> bool:
        """Whether the network has FusionNets."""
        return self.of.builder.endswith(":PAMFN") and self.cmfd != "none"

    @property
    def has_policy(self) -> bool:
        """Whether the network decides which FusionNets are on, and so has a temperature."""
        return self.has_fusion_nets and self.policy != "free"

    def epochs_of(self, task: str) -> int:
        """Returns the phase-2 budget of one class, in epochs."""
        if isinstance(self.epochs, Mapping):
            if task not in self.epochs:
                raise ValueError(f"epochs: no entry for {task!r}; the map has {sorted(self.epochs)}")
            return int(self.epochs[task])
        return int(self.epochs)


def settings() -> dict[str, dataclasses.Field[Any]]:
    """Returns every setting by name, in the order of their definition."""
    return {f.name: f for f in dataclasses.fields(Recipe)}


DETECTORS = (":PAMFN", ":Unimodal")  # ends of the builders of models that keep time steps apart


BRANCH_SETTINGS: tuple[str, ...] = (
    "task",
    "stages",
    "width",
    "embedding_dropout",
    "branch_head_dropout",
    "batch_size",
    "clip",
    "padding",
    "standardise",
    "target",
    *(name for name in Recipe.__dataclass_fields__ if name.startswith("phase1_")),
)
"""The settings that phase 1 depends on: trials that agree in them share their pretrained branches."""


ROW_SETTINGS: tuple[str, ...] = (
    *(
        "fusion_nets",
        "tau_init",
        "epochs",
        "lr",
        "lr_scale",
        "head_lr_scale",
        "weight_decay",
        "schedule",
        "lr_floor",
        "clip_norm",
    ),
    *("target", "reseed", "branch_head_dropout"),
    *(name for name in Recipe.__dataclass_fields__ if name.startswith("phase1_")),
)
"""The settings in which replicas of one batched program of phase 2 may differ."""


def option(name: str) -> Option | None:
    """Returns what may be said of ``<model>.<option>``; None if there is no such option."""
    model, _, own = name.partition(".")
    return _options(model).get(own) if own else None


@cache
def _options(model: str) -> Mapping[str, Option]:
    if name_faults(model) or model_of(model).kind == "rows":
        return {}
    return options_of(model_of(model).build, settings())


def own_options(model: str) -> list[tuple[str, Any]]:
    """Returns a model's own options, as a space file writes them, with their defaults."""
    return [(f"{model}.{name}", option.default) for name, option in _options(model).items()]


def is_setting(name: str) -> bool:
    """Returns whether a space file may fix or search something of this name."""
    return (name in settings() and name != "options") or option(name) is not None


def default_of(name: str, preset: str = "paper", model: str = "pamfn") -> Any:
    """Returns a setting's or an option's value where nobody sets it.

    Args:
        name: The setting.
        preset: The preset.
        model: The model that is trained.
    """
    if (own := option(name)) is not None:
        return own.default
    return _defaults(preset, model).get(name, settings()[name].default)


def _defaults(preset: str, model: str) -> dict[str, Any]:
    return {**PRESETS[preset], **({} if name_faults(model) else model_of(model).settings)}


def is_whole(name: str) -> bool:
    """Returns whether a setting is a whole number (``epochs`` counts as one)."""
    own = option(name)
    return own.kind == "int" if own is not None else str(settings()[name].type).startswith("int")


def check(name: str, value: Any) -> list[str]:
    """Returns the faults of one value, each as ``name: value breaks this rule``; an empty list if it is good."""
    known = settings()
    if name == "model":
        return name_faults(value) if isinstance(value, str) else [f"model: {value!r} is not the name of a model"]
    own = option(name)
    if own is None and name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        return [f"{name}: no such setting" + (f"; did you mean {near[0]!r}?" if near else "")]
    if name == "epochs" and isinstance(value, Mapping):
        if not value:
            return ["epochs: the map is empty; name each class's epochs"]
        return [
            f"epochs.{task}: {fault.split(': ', 1)[1]}" for task, n in value.items() for fault in check("epochs", n)
        ]
    if name == "fine_tuned":
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            return [f"fine_tuned: {value!r} is not a list of modality names"]
        return [f"fine_tuned: {value!r} names a modality twice"] if len(set(value)) < len(value) else []
    rule = (own or _rule(known[name])).fault(value)
    return [f"{name}: {value!r} {rule}"] if rule else []


def _rule(setting: dataclasses.Field[Any]) -> Option:
    """Returns what a setting may be, as its annotation and its metadata say."""
    kind, of = str(setting.type), setting.metadata
    if of["choices"]:
        return Option("bool" if of["choices"] == (False, True) else "choice", setting.default, choices=of["choices"])
    number = "int" if kind.startswith("int") else "float"
    return Option(number, setting.default, of["low"], of["high"], nullable="None" in kind)


def recipe(preset: str = "paper", /, **changes: Any) -> Recipe:
    """Returns a preset with what the model says, and with changes; options are changes named ``<model>.<option>``.

    Options of other models are left out. A model that names its streams fine-tunes no others.

    Raises:
        ValueError: If the preset is unknown, or a change names no setting or breaks its rule.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: {preset!r} is not one of {', '.join(PRESETS)}")
    faults = [fault for name in changes if not is_setting(name) for fault in check(name, None)]
    if faults:
        raise ValueError("; ".join(faults))
    model = changes.get("model", Recipe.model)
    if faults := check("model", model):
        raise ValueError("; ".join(faults))
    base, streams = model.partition(":")[0], streams_named(model)
    values = {**_defaults(preset, model), **{name: v for name, v in changes.items() if option(name) is None}}
    own = {name: v for name, v in changes.items() if option(name) is not None and name.startswith(f"{base}.")}
    if streams and isinstance(values.get("fine_tuned", Recipe.fine_tuned), (list, tuple)):
        values["fine_tuned"] = tuple(n for n in values.get("fine_tuned", Recipe.fine_tuned) if n in streams)
    return Recipe(**values, options=tuple(own.items()))
