"""Constraints between searched settings, such as ``width % head_reduction == 0``: read, never executed as Python.

A constraint is a comparison, or several joined by ``and``, ``or`` and ``not``, of names of settings, numbers, quoted
words, ``true``, ``false`` and ``null``, with ``+ - * / // %`` and parentheses. Equality is that of a space file: ``1``
equals ``1.0``, and ``true`` does not equal 1.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tuning.domains import same_value

LONGEST = 400  # characters
_DEEPEST = 50  # parentheses and operators in one another
_WORDS = {"true": True, "false": False, "null": None}
_ARITHMETIC: dict[type[ast.AST], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
}
_ORDER: dict[type[ast.AST], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
_EQUALITY: dict[type[ast.AST], bool] = {ast.Eq: True, ast.NotEq: False}


@dataclass(frozen=True)
class Constraint:
    """What the configurations of a study must satisfy; ``parse`` makes one.

    Args:
        text: The constraint as written.
        names: The settings that it names.
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr = field(repr=False, compare=False)

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Returns whether a configuration satisfies it; a division by zero satisfies nothing.

        Raises:
            TypeError: If values are compared or added that cannot be, such as a word and a number.
        """
        try:
            return _truth(self._tree, config)
        except ArithmeticError:
            return False

    def __reduce__(self) -> tuple[Callable[[str], Constraint], tuple[str]]:
        return parse, (self.text,)


def parse(text: str) -> Constraint:
    """Returns a constraint as written in a space file.

    Raises:
        ValueError: If it is none; the message says what is wrong with it, and where.
    """
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters; write several constraints")
    body = text.strip()
    shift = len(text) - len(text.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(body, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"cannot be read {_place(body, error, shift)}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError("cannot be read") from error
    _check(tree, shift)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(_WORDS)
    if not names:
        raise ValueError("names no setting")
    return Constraint(text, frozenset(names), tree)


def _place(body: str, error: SyntaxError, shift: int) -> str:
    if not error.offset:
        return "beyond its end"
    before = sum(map(len, body.splitlines(keepends=True)[: (error.lineno or 1) - 1]))
    return f"at character {shift + before + error.offset}"


def _check(tree: ast.expr, shift: int) -> None:
    """Raises ValueError for anything that is no part of a constraint."""
    if _depth(tree) > _DEEPEST:
        raise ValueError(f"is nested more than {_DEEPEST} deep")
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        at = f"at character {shift + node.col_offset + 1}"
        if isinstance(node, ast.Constant) and isinstance(node.value, (bool, type(None))):
            word = next(word for word, value in _WORDS.items() if value is node.value)
            raise ValueError(f"has {node.value} {at}, which is written {word}")
        if not _is_known(node):
            raise ValueError(f"has `{ast.unparse(node)}` {at}, which is no part of a constraint")


def _is_known(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, str)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.Not, ast.USub))
    if isinstance(node, ast.BinOp):
        return type(node.op) in _ARITHMETIC
    if isinstance(node, ast.Compare):
        return all(type(op) in {**_ORDER, **_EQUALITY} for op in node.ops)
    return isinstance(node, (ast.BoolOp, ast.Name))


def _depth(node: ast.AST) -> int:
    return 1 + max(map(_depth, ast.iter_child_nodes(node)), default=0)


def _truth(node: ast.expr, config: Mapping[str, Any]) -> bool:
    """Returns the truth of a comparison, of several joined, or of a setting that is true or false."""
    if isinstance(node, ast.BoolOp):
        joined = all if isinstance(node.op, ast.And) else any
        return joined(_truth(part, config) for part in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _truth(node.operand, config)
    if isinstance(node, ast.Compare):
        values = pairwise(_value(part, config) for part in (node.left, *node.comparators))
        return all(_compared(op, *pair) for op, pair in zip(node.ops, values, strict=True))
    value = _value(node, config)
    if not isinstance(value, bool):
        raise TypeError(f"{ast.unparse(node)} is {_spelled(value)}, which is neither true nor false; compare it")
    return value


def _value(node: ast.expr, config: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return _WORDS[node.id] if node.id in _WORDS else config[node.id]
    if isinstance(node, ast.BinOp):
        sign, combined = _ARITHMETIC[type(node.op)]
        one, other = _value(node.left, config), _value(node.right, config)
        if not (_is_number(one) and _is_number(other)):
            raise TypeError(f"{_spelled(one)} {sign} {_spelled(other)} cannot be computed")
        return combined(one, other)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, config)
        if not _is_number(value):
            raise TypeError(f"-{_spelled(value)} cannot be computed")
        return -value
    return _truth(node, config)


def _compared(op: ast.cmpop, one: Any, other: Any) -> bool:
    numbers = _is_number(one) and _is_number(other)
    if type(op) in _EQUALITY:
        if not numbers and type(one) is not type(other) and None not in (one, other):
            raise TypeError(f"{_spelled(one)} and {_spelled(other)} are never equal")
        return same_value(one, other) == _EQUALITY[type(op)]
    sign, compared = _ORDER[type(op)]
    if not (numbers or (isinstance(one, str) and isinstance(other, str))):
        raise TypeError(f"{_spelled(one)} {sign} {_spelled(other)} cannot be compared")
    return bool(compared(one, other))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _spelled(value: Any) -> str:
    words = [word for word, meaning in _WORDS.items() if meaning is value]
    return words[0] if words else repr(list(value) if isinstance(value, tuple) else value)
