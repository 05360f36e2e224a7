"""What a quantum needs of a machine where that follows from its inputs, which are there only when it is about to run."""

from __future__ import annotations

import ast
import inspect
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from registry.errors import PipelineError, nearest

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = ["HOOK", "QuantumInputs", "check_late", "is_late_hook", "late_value", "split_hints"]

HOOK = "*"
"""Stands among expressions for the method ``resources(data_id, inputs)``, which says all."""

_FACTORS = {"kB": 0.001, "MB": 1, "GB": 1000, "TB": 1_000_000}
_AMOUNT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)\b")
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_ASKED = ("size", "count", "value")
_REDUCED: Mapping[str, Callable[..., Any]] = {"min": min, "max": max}
_LONGEST = 1000


class QuantumInputs(Protocol):
    """What may be asked of the inputs of a quantum that is about to run."""

    def size(self, name: str) -> float:
        """Return how large an input is.

        Parameters
        ----------
        name : str
            An input connection.

        Returns
        -------
        float
            Megabytes, of all its datasets together.
        """

    def count(self, name: str) -> int:
        """Return how many datasets of an input there are.

        Parameters
        ----------
        name : str
            An input connection.

        Returns
        -------
        int
            0 for one that is optional and not there.
        """

    def value(self, name: str) -> Any:
        """Return the value of an input that is small.

        Parameters
        ----------
        name : str
            An input connection of plain values (``Json``, ``Yaml``).

        Returns
        -------
        object
            The value; a list of them where it is multiple.
        """


def is_late_hook(task_class: type[Task]) -> bool:
    """Tell whether a task's method ``resources`` looks at inputs.

    Parameters
    ----------
    task_class : type
        The task.

    Returns
    -------
    bool
        Whether it has a parameter ``inputs``: then it is called when a quantum is about to run.
    """
    hook = task_class.resources
    return callable(hook) and "inputs" in inspect.signature(hook).parameters


def split_hints(hints: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Tell resources that are known from those that are reckoned from inputs.

    Parameters
    ----------
    hints : mapping
        As a pipeline file has them.

    Returns
    -------
    known : dict
        Numbers.
    late : dict of str to str
        Expressions.
    """
    late = {name: value for name, value in hints.items() if isinstance(value, str)}
    return {name: value for name, value in hints.items() if name not in late}, late


def check_late(name: str, text: str, inputs: Collection[str]) -> None:
    """Refuse an expression that could not be reckoned.

    Parameters
    ----------
    name : str
        The resource.
    text : str
        As ``2 * size(raw) + 500 MB``.
    inputs : collection of str
        The inputs of the task.

    Raises
    ------
    PipelineError
        If it is none, or names what is no input (``bad-resources``).
    """
    for node in ast.walk(tree := _parse(name, text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ASKED:
            asked = node.args[0] if node.args else None
            if not isinstance(asked, ast.Name) or node.keywords:
                raise _bad(name, text, f"{node.func.id}() takes the name of an input")
            if asked.id not in inputs:
                raise _bad(name, text, f"the task has no input '{asked.id}'", nearest(asked.id, inputs))
    _Reckoning(name, text, _Ones()).value(tree)


def late_value(name: str, text: str, inputs: QuantumInputs) -> int:
    """Reckon an expression.

    Parameters
    ----------
    name : str
        The resource.
    text : str
        The expression.
    inputs : QuantumInputs
        Of the quantum.

    Returns
    -------
    int
        Rounded up, at least 1.

    Raises
    ------
    PipelineError
        If it cannot be reckoned, or is no number (``bad-resources``).
    """
    found = _Reckoning(name, text, inputs).value(_parse(name, text))
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise _bad(name, text, f"that is {found!r}, which is no amount")
    return max(1, math.ceil(found))


def _bad(name: str, text: str, why: str, hint: str = "") -> PipelineError:
    return PipelineError(
        f"resources: {name} '{text}' cannot be reckoned: {why}",
        code="bad-resources",
        hint=hint
        or "As '2 * size(raw) + 500 MB', with size(), count() or value() of inputs, min() and max().",
    )


def _parse(name: str, text: str) -> ast.expr:
    plain = _AMOUNT.sub(lambda found: f"({found[1]} * {_FACTORS[found[2]]})", text.strip())
    if len(plain) > _LONGEST:
        raise _bad(name, text[:_LONGEST], f"it has more than {_LONGEST} letters")
    try:
        return ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise _bad(name, text, f"it is no expression: {exc}") from exc


class _Ones:
    """Inputs of which nothing is known yet: each answer is 1, as every part of an expression is to be gone through."""

    def size(self, name: str) -> float:
        del name
        return 1.0

    def count(self, name: str) -> int:
        del name
        return 1

    def value(self, name: str) -> Any:
        del name
        return _Any()


class _Any(dict[str, Any]):
    """A value of which nothing is known yet."""

    def __missing__(self, key: str) -> Any:
        return _Any()


class _Reckoning:
    """One expression and one quantum."""

    def __init__(self, name: str, text: str, inputs: QuantumInputs) -> None:
        self._name, self._text, self._inputs = name, text, inputs

    def value(self, node: ast.expr) -> Any:
        """Return what an expression amounts to."""
        match node:
            case ast.Constant(value=int() | float()):
                return node.value
            case ast.UnaryOp(op=ast.USub()):
                return -self._number(node.operand)
            case ast.BinOp() if type(node.op) in _OPERATORS:
                return self._reckon(_OPERATORS[type(node.op)], [node.left, node.right])
            case ast.Call(func=ast.Name(id=called), keywords=[]) if called in _REDUCED and node.args:
                return self._reckon(lambda *found: _REDUCED[called](found), node.args)
            case ast.Call(func=ast.Name(id=called), args=[ast.Name(id=asked)], keywords=[]) if (
                called in _ASKED
            ):
                return getattr(self._inputs, called)(asked)
            case ast.Subscript(slice=ast.Constant(value=str() | int())):
                return self._member(node)
        raise self._error(f"it has '{ast.unparse(node)}'")

    def _error(self, why: str) -> PipelineError:
        return _bad(self._name, self._text, why)

    def _number(self, node: ast.expr) -> int | float:
        found = self.value(node)
        if isinstance(found, _Any):
            return 1
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._error(f"'{ast.unparse(node)}' is {found!r:.60}, which is no number")
        return found

    def _reckon(self, how: Callable[..., Any], nodes: list[ast.expr]) -> Any:
        try:
            return how(*(self._number(node) for node in nodes))
        except (ZeroDivisionError, OverflowError) as exc:
            raise self._error(str(exc)) from exc

    def _member(self, node: ast.Subscript) -> Any:
        assert isinstance(node.slice, ast.Constant)  # noqa: S101 - by the pattern that leads here
        key: Any = node.slice.value
        whole = self.value(node.value)
        try:
            return whole[key]
        except (KeyError, IndexError, TypeError) as exc:
            raise self._error(f"'{ast.unparse(node.value)}' has no {key!r}") from exc
