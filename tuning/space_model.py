"""The whole of a space file as one typed, frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from pamfn.recipe import Recipe, default_of, recipe
from tuning import constraints, yaml_lines
from tuning.domains import Domain, frozen_value
from tuning.region import Region
from tuning.sections import Budget, Data, Evaluation, Final, Index, Resources, Scheduler, Searcher, Tracking


def _first(value: Any) -> Any:
    if value != "paper" and not isinstance(value, Mapping):
        raise ValueError("must be paper, or a mapping from searched settings to the first trial's values")
    return frozen_value(value)


def _several(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a list")
    return frozen_value(value)


class Space(BaseModel):
    """One study as its space file describes it.

    ``search`` and ``fixed`` hold settings of ``pamfn.recipe.Recipe``, the model among them, and models' options; what
    neither names has the preset's value, or the model's.
    ``load_space`` is how one is made: it checks the rules between the sections as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    preset: Literal["paper", "released", "highlights"] = "paper"
    data: Data = Data()
    search: dict[str, Annotated[Domain, Field(discriminator="type")]] = {}
    fixed: Annotated[dict[str, Any], BeforeValidator(frozen_value)] = {}
    constraints: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    first: Annotated[Literal["paper"] | dict[str, Any], BeforeValidator(_first)] = "paper"
    points: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_several)] = ()
    warm_start: str | None = None
    evaluation: Evaluation = Evaluation()
    scheduler: Scheduler = Scheduler()
    searcher: Searcher = Searcher()
    budget: Budget = Budget()
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    final: Final = Final()
    seed: Index = 0
    _source: str = PrivateAttr("")

    @property
    def source(self) -> str:
        """The path of the file this was read from; empty if it was not."""
        return self._source

    def preset_value(self, name: str) -> Any:
        """Returns a setting's value in the preset, or what a fixed model has in its place."""
        return default_of(name, self.preset, self.fixed.get("model", "pamfn"))

    def value(self, name: str) -> Any:
        """Returns the value of a setting that is not searched: as fixed, or else the preset's."""
        return self.fixed.get(name, self.preset_value(name))

    @property
    def region(self) -> Region:
        """What is searched: the domains with their conditions, the constraints, and the presets of what is inactive."""
        defaults = {name: self.preset_value(name) for name in self.search}
        return Region(self.search, defaults, [constraints.parse(text) for text in self.constraints])

    def first_point(self) -> dict[str, Any]:
        """Returns the first trial's values of the searched settings: the preset's, changed as ``first`` says."""
        changes = {} if self.first == "paper" else self.first
        return {name: changes.get(name, self.preset_value(name)) for name in self.search}

    def fixed_points(self) -> list[dict[str, Any]]:
        """Returns the configurations to try after the first: ``points``, with the first trial's values where silent."""
        region, first = self.region, self.first_point()
        return [region.canonical({**first, **point}) for point in self.points]

    def recipe(self, config: Mapping[str, Any]) -> Recipe:
        """Returns every setting of a trial: the preset, the fixed values, and the trial's own.

        Args:
            config: A value for each searched setting.

        Raises:
            ValueError: If a value breaks its rule, or ``config`` lacks a searched setting.
        """
        if absent := sorted(set(self.search) - set(config)):
            raise ValueError(f"config: no value for {', '.join(absent)}")
        chosen = dict(config)
        if any(domain.when for domain in self.search.values()):  # what is inactive has the model's own value
            active = self.region.active(config)
            chosen = {name: value for name, value in config.items() if name not in self.search or name in active}
        return recipe(self.preset, **{**self.fixed, **frozen_value(chosen)})

    def settled(self, config: Mapping[str, Any]) -> Space:
        """Returns this space with a trial's values fixed and nothing left to search: one trial, launchable."""
        fixed = {**self.fixed, **frozen_value(dict(config))}
        budget = self.budget.model_copy(update={"trials": 1})
        searching = ("search", "constraints", "first", "points", "warm_start")
        nothing = {key: type(self).model_fields[key].get_default() for key in searching}
        return self.model_copy(update={**nothing, "fixed": fixed, "budget": budget})

    def to_yaml(self) -> str:
        """Returns this space as the text of a space file; ``load_space`` reads back an equal space."""
        return yaml_lines.dump(self.model_dump(mode="json"))
