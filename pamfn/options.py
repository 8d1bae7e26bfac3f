"""What may be set of a model beyond the settings that all models share: the keyword arguments of its constructor.

A model declares an option by annotating it, and that is all:

    def __init__(self, inputs, *, width: int, queries: Annotated[int, Between(1, 64)] = 4, norm: Literal["a"] = "a")

A parameter that is named as a setting of ``pamfn.recipe.Recipe``, such as ``width``, gets the recipe's value; all
others are options, which a space file writes as ``gdlt.queries``.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Between:
    """The interval of a number, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class Option:
    """What one setting, or one option of a model, may be.

    Args:
        kind: ``int``, ``float``, ``bool`` or ``choice``.
        default: Its value where nobody sets it.
        low: Smallest value of a number.
        high: Largest value of a number.
        choices: The values of a choice.
        nullable: Whether None is a value as well.
    """

    kind: str
    default: Any
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    nullable: bool = False

    def fault(self, value: Any) -> str:
        """Returns what is wrong with a value, as a rule that it breaks; empty if it is good."""
        if value is None and self.nullable:
            return ""
        if self.kind == "bool":
            return "" if isinstance(value, bool) else "is not true or false"
        if self.kind == "choice":
            near = difflib.get_close_matches(str(value), [str(c) for c in self.choices], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            same = [c for c in self.choices if c == value and isinstance(value, bool) == isinstance(c, bool)]
            return "" if same else f"is not one of {', '.join(map(str, self.choices))}{hint}"
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else (int, float)):
            return "is not a whole number" if self.kind == "int" else "is not a number"
        return "" if self.low <= value <= self.high else f"is outside {_plain(self.low)} to {_plain(self.high)}"


def _plain(bound: float) -> str:
    """Returns a bound as people write it: 0 and 0.0 are one to ``typing``, which keeps whichever came first."""
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def options_of(build: Callable[..., Any], shared: Collection[str]) -> dict[str, Option]:
    """Returns the options that a constructor declares, by name.

    Args:
        build: A class, or a function.
        shared: Parameters that are no options, such as those that a recipe has values for.

    Raises:
        TypeError: If a keyword-only parameter is neither shared nor declares a default and its values.
    """
    hints = get_type_hints(build.__init__ if inspect.isclass(build) else build, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(build).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name not in shared:
            found[name] = _option(f"{build.__qualname__}: {name}", hints.get(name), parameter.default)
    return found


def _option(where: str, hint: Any, default: Any) -> Option:
    if default is inspect.Parameter.empty:
        raise TypeError(f"{where} needs a default: it is an option")
    if get_origin(hint) is Literal:
        return Option("choice", default, choices=get_args(hint))
    if hint is bool:
        return Option("bool", default)
    kind, *notes = get_args(hint) or (hint,)
    between = next((note for note in notes if isinstance(note, Between)), None)
    if between is None or kind not in (int, float):
        raise TypeError(f"{where} needs its values: Literal[...], bool, or Annotated[int or float, Between(low, high)]")
    return Option(kind.__name__, default, between.low, between.high)
