"""Contracts: expressions over the configs of a pipeline's tasks, evaluated without executing code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from registry.errors import PipelineError, nearest
from stage.pipeline.config import Config
from stage.pipeline.definition import Contract

__all__ = ["check_contracts", "contract_labels"]

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,  # codespell:ignore notin
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


def check_contracts(
    contracts: tuple[Contract, ...], configs: Mapping[str, Config], parameters: Mapping[str, Any]
) -> None:
    """Refuse a pipeline whose configs break one of its contracts.

    Parameters
    ----------
    contracts : tuple of Contract
        What must hold. One that names a task which was left out does not count.
    configs : mapping of str to Config
        By label.
    parameters : mapping
        The pipeline's, as ``parameters.name``.

    Raises
    ------
    PipelineError
        If one does not hold, with the values that disagree; or cannot be understood.
    """
    for contract in contracts:
        evaluation = _Evaluation(contract, configs, parameters)
        try:
            holds = evaluation.value(evaluation.tree)
        except _LeftOut:
            continue
        if not holds:
            values = ", ".join(f"{name} is {value!r}" for name, value in evaluation.seen.items())
            said = contract.message or "the configs do not agree"
            raise PipelineError(
                f"{contract.where}: contract '{contract.expression}' is broken: {said} ({values})",
                code="contract-broken",
            )


def contract_labels(contract: Contract) -> list[str]:
    """Return the labels of the tasks that a contract names.

    Parameters
    ----------
    contract : Contract
        What must hold.

    Returns
    -------
    list of str
        Sorted.

    Raises
    ------
    PipelineError
        If it is not an expression.
    """
    names = (n.id for n in ast.walk(_parse(contract)) if isinstance(n, ast.Name))
    return sorted({n for n in names if n != "parameters"})


def _bad(contract: Contract, text: str, hint: str = "") -> PipelineError:
    return PipelineError(
        f"{contract.where}: contract '{contract.expression}' {text}", code="bad-contract", hint=hint
    )


def _parse(contract: Contract) -> ast.expr:
    try:
        return ast.parse(contract.expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise _bad(contract, f"is not an expression: {exc}") from exc


class _LeftOut(Exception):  # noqa: N818 - a signal within this module
    """The contract names a task that is not in this pipeline."""


class _Evaluation:
    """One contract against the configs."""

    def __init__(
        self, contract: Contract, configs: Mapping[str, Config], parameters: Mapping[str, Any]
    ) -> None:
        self.contract = contract
        self.configs = configs
        self.parameters = parameters
        self.seen: dict[str, Any] = {}
        self.tree = _parse(contract)

    def _error(self, text: str, hint: str = "") -> PipelineError:
        return _bad(self.contract, text, hint)

    def value(self, node: ast.expr) -> Any:  # noqa: PLR0911 - one branch a kind of node
        """Return what an expression evaluates to."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Attribute():
                return self._setting(node)
            case ast.List() | ast.Tuple():
                return [self.value(e) for e in node.elts]
            case ast.BoolOp():
                values = (self.value(v) for v in node.values)
                return all(values) if isinstance(node.op, ast.And) else any(values)
            case ast.UnaryOp(op=ast.Not()):
                return not self.value(node.operand)
            case ast.UnaryOp(op=ast.USub()):
                return -self._number(node.operand)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return self._arithmetic(node)
            case ast.Compare():
                return self._compare(node)
        raise self._error(f"has '{ast.unparse(node)}', which contracts do not know")

    def _number(self, node: ast.expr) -> int | float:
        found = self.value(node)
        if isinstance(found, int | float):
            return found
        raise self._error(f"reckons with {found!r}, which is no number")

    def _arithmetic(self, node: ast.BinOp) -> Any:
        try:
            return _ARITHMETIC[type(node.op)](self._number(node.left), self._number(node.right))
        except (ZeroDivisionError, OverflowError) as exc:
            raise self._error(f"cannot be reckoned: {exc}") from exc

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(right_node)
            try:
                if not _COMPARE[type(op)](left, right):
                    return False
            except TypeError as exc:
                raise self._error(f"compares {left!r} with {right!r}: {exc}") from exc
            left = right
        return True

    def _setting(self, node: ast.Attribute) -> Any:
        """Return the value of ``label.config.name``, ``label.name`` or ``parameters.name``."""
        parts: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise self._error(f"has '{ast.unparse(node)}', which contracts do not know")
        found: Any
        if inner.id == "parameters":
            found = dict(self.parameters)
        elif inner.id in self.configs:
            found = self.configs[inner.id]
            if parts[0] == "config" and "config" not in type(found).model_fields:
                parts = parts[1:]
        else:
            raise _LeftOut
        for part in parts:
            found = self._member(found, part)
        self.seen[ast.unparse(node)] = found
        return found

    def _member(self, found: Any, name: str) -> Any:
        if isinstance(found, Config):
            known: Mapping[str, Any] = {n: getattr(found, n) for n in type(found).model_fields}
        else:
            known = found if isinstance(found, Mapping) else {}
        if name not in known:
            raise self._error(f"names '{name}', which is no setting", nearest(name, known))
        return known[name]
