"""Our search and its peers, one file each, behind one interface; a further peer is a file and a line of the table.

A method is spelled by its name alone, which is the peer as it comes, or as ``NAME@GRACE/REDUCTION``: its first rung
after ``GRACE`` epochs, each further one at ``REDUCTION`` times as many.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tuning.bench.simulation import Method
from tuning.bench.surrogate import BenchError
from tuning.domains import Domain
from tuning.faults import nearest_or_all

_SPELLING = re.compile(r"(?P<name>[a-z-]+)(?:@(?P<grace>[1-9]\d*)/(?P<reduction>[2-9]))?")


@dataclass(frozen=True)
class Setting:
    """What a method is built for.

    Args:
        domains: The space.
        seed: Decides everything random.
        workers: Trials that run at once.
        epochs: Epochs of a full training.
        grace: Epochs before the first rung; None: what the method does by default.
        reduction: The paper's eta; None: what the method does by default.
    """

    domains: Mapping[str, Domain]
    seed: int
    workers: int
    epochs: int
    grace: int | None = None
    reduction: int | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    Args:
        module: The module in this package.
        function: The function there that builds the method.
        needs: Packages that the module imports and the platform does not need.
        rungs: Whether the method has rungs that can be set.
    """

    module: str
    function: str
    needs: tuple[str, ...] = ()
    rungs: bool = True

    def build(self, setting: Setting) -> Method:
        """Returns the method, ready to run."""
        module = importlib.import_module(f"{__name__}.{self.module}")
        make: Callable[[Setting], Method] = getattr(module, self.function)
        return make(setting)


METHODS: dict[str, Entry] = {
    "ours": Entry("ours", "study_search"),
    "ours-stop": Entry("ours", "stopping"),
    "ours-promote": Entry("ours", "promoting"),
    "ours-random": Entry("ours", "random_configurations"),
    "ours-hyperopt": Entry("ours", "hyperopt_alone"),
    "ours-gp": Entry("ours", "gaussian_process_alone"),
    "ours-auto": Entry("ours", "proven_rungs", rungs=False),
    "random": Entry("random_search", "random_search", rungs=False),
    "ray-hyperopt": Entry("ray_tune", "asha_hyperopt"),
    "optuna-halving": Entry("optuna_tpe", "successive_halving", ("optuna",)),
    "optuna-hyperband": Entry("optuna_tpe", "hyperband", ("optuna",)),
    "syne-asha": Entry("syne_tune_asha", "random_search", ("syne_tune",)),
    "syne-kde": Entry("syne_tune_asha", "density_estimate", ("syne_tune",)),
    "syne-bore": Entry("syne_tune_asha", "density_ratio", ("syne_tune",)),
    "syne-cqr": Entry("syne_tune_asha", "conformal_quantiles", ("syne_tune", "huggingface_hub")),
}


@dataclass(frozen=True)
class Variant:
    """A method at its defaults, or at given rungs."""

    name: str
    grace: int | None = None
    reduction: int | None = None

    @property
    def entry(self) -> Entry:
        """The method's line of the table."""
        return METHODS[self.name]

    @property
    def missing(self) -> str:
        """What to say where a package that the method needs is not installed; empty where all are."""
        absent = [package for package in self.entry.needs if importlib.util.find_spec(package) is None]
        if not absent:
            return ""
        beside = " huggingface-hub" if "huggingface_hub" in absent else ""
        return f"{self.name}: left out, without {', '.join(absent)}; pip install 'pamfn-tuning[bench]'{beside}"

    def build(self, domains: Mapping[str, Domain], *, seed: int, workers: int, epochs: int) -> Method:
        """Returns the method, ready to run."""
        return self.entry.build(Setting(domains, seed, workers, epochs, self.grace, self.reduction))

    def __str__(self) -> str:
        return self.name if self.grace is None else f"{self.name}@{self.grace}/{self.reduction}"


def variant(spelled: str) -> Variant:
    """Returns the method that is spelled ``NAME`` or ``NAME@GRACE/REDUCTION``.

    Raises:
        BenchError: If there is none of that name, or it has no rungs to set.
    """
    match = _SPELLING.fullmatch(spelled)
    if match is None:
        raise BenchError(f"--methods: {spelled!r} must be NAME or NAME@GRACE/REDUCTION, such as ray-hyperopt@3/3")
    if match["name"] not in METHODS:
        hint = nearest_or_all(match["name"], tuple(METHODS))
        raise BenchError(f"--methods: {match['name']} is no method; {hint}")
    if match["grace"] is None:
        return Variant(match["name"])
    if not METHODS[match["name"]].rungs:
        raise BenchError(f"--methods: {spelled} must be plain {match['name']}; it has no rungs")
    return Variant(match["name"], int(match["grace"]), int(match["reduction"]))


DEFAULT = tuple(
    variant(name)
    for name in (
        "ours",
        "random",
        "ray-hyperopt",
        "ray-hyperopt@3/2",
        "optuna-halving",
        "optuna-halving@9/4",
        "optuna-hyperband",
        "optuna-hyperband@13/3",
        "syne-asha",
        "syne-asha@2/3",
        "syne-kde",
        "syne-kde@2/2",
    )
)
"""What is compared where nothing else is asked for: every peer as it comes, and at the rungs that were best for it on
the tasks that rules were chosen on; docs/benchmark.md has the whole grid and its command."""
