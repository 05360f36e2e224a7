"""A bound expression to an SQLAlchemy clause: values are bound parameters, never pasted."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from registry.errors import InternalError
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END
from registry.query import bound
from registry.query.types import Kind

__all__ = ["ColumnLookup", "clause", "overlaps"]

Clause = sa.ColumnElement[Any]
ColumnLookup = Callable[[bound.Field], Clause]

_LONG_LIST = 30
_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    Kind.INT: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.STRING: sa.String(),
    Kind.TIME: sa.BigInteger(),
    Kind.REGION: sa.LargeBinary(),
}
_COMPARE: dict[str, Callable[[Any, Any], Clause]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Clause]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


class _Glob(FunctionElement[bool]):
    """``GLOB`` with ``*`` and ``?`` alone: text, pattern for SQLite, pattern for PostgreSQL."""

    name = "stage_glob"
    type = sa.Boolean()
    inherit_cache = True


@compiles(_Glob)
def _glob_standard(element: _Glob, compiler: Any, **kw: Any) -> str:
    text, _, like = element.clauses
    return f"({compiler.process(text, **kw)} LIKE {compiler.process(like, **kw)})"


@compiles(_Glob, "sqlite")
def _glob_sqlite(element: _Glob, compiler: Any, **kw: Any) -> str:
    text, glob, _ = element.clauses
    return f"({compiler.process(text, **kw)} GLOB {compiler.process(glob, **kw)})"


class _InLongList(FunctionElement[bool]):
    """``x IN`` a list that is too long for one parameter a value: the list travels as one JSON text."""

    name = "stage_in_long_list"
    type = sa.Boolean()
    inherit_cache = True


@compiles(_InLongList, "sqlite")
def _in_long_list_sqlite(element: _InLongList, compiler: Any, **kw: Any) -> str:
    value, document = element.clauses
    return f"({compiler.process(value, **kw)} IN (SELECT value FROM json_each({compiler.process(document, **kw)})))"


@compiles(_InLongList)
def _in_long_list_standard(element: _InLongList, compiler: Any, **kw: Any) -> str:
    value, document = element.clauses
    kind = compiler.dialect.type_compiler_instance.process(value.type)
    listed = f"SELECT CAST(v AS {kind}) FROM json_array_elements_text(CAST({compiler.process(document, **kw)} AS json)) AS t(v)"
    return f"({compiler.process(value, **kw)} IN ({listed}))"


def overlaps(a: Clause, b: Clause) -> Clause:
    """Return the exact test of two regions.

    Parameters
    ----------
    a, b : sqlalchemy.ColumnElement
        Encoded regions.

    Returns
    -------
    sqlalchemy.ColumnElement
        A call of the SQL function ``stage_overlaps``, which the engine registers.
    """
    return sa.func.stage_overlaps(a, b, type_=sa.Boolean())


def clause(node: bound.Node, columns: ColumnLookup) -> Clause:
    """Translate a condition.

    Parameters
    ----------
    node : Node
        A bound condition.
    columns : callable
        Gives the column of a field; for the two ends of a timespan it is asked one by one.

    Returns
    -------
    sqlalchemy.ColumnElement
        True, false or null for each row, as `registry.query.evaluate` has it.
    """
    return _clause(node, columns)


@singledispatch
def _clause(node: bound.Node, columns: ColumnLookup) -> Clause:  # noqa: ARG001
    raise InternalError(f"{type(node).__name__} is not a condition")


@_clause.register
def _(node: bound.And, columns: ColumnLookup) -> Clause:
    return sa.and_(sa.true(), *(_clause(o, columns) for o in node.operands))


@_clause.register
def _(node: bound.Or, columns: ColumnLookup) -> Clause:
    return sa.or_(sa.false(), *(_clause(o, columns) for o in node.operands))


@_clause.register
def _(node: bound.Not, columns: ColumnLookup) -> Clause:
    return sa.not_(_clause(node.operand, columns))


@_clause.register
def _(node: bound.Truth, columns: ColumnLookup) -> Clause:
    return columns(node.field)


@_clause.register
def _(node: bound.IsNull, columns: ColumnLookup) -> Clause:
    operand = node.operand
    value = _ends(operand, columns)[0] if _is_timespan(operand) else _term(operand, columns)
    return value.is_not(None) if node.negated else value.is_(None)


@_clause.register
def _(node: bound.Glob, columns: ColumnLookup) -> Clause:
    return _Glob(_term(node.operand, columns), *_patterns(node.pattern))


def _literal(value: Any, kind: Kind) -> Clause:
    return sa.literal(value, _TYPES[kind])


@singledispatch
def _term(node: bound.Node, columns: ColumnLookup) -> Clause:  # noqa: ARG001
    raise InternalError(f"{type(node).__name__} is not a term")


@_term.register
def _(node: bound.Const, columns: ColumnLookup) -> Clause:  # noqa: ARG001
    return _literal(node.value, node.kind)


@_term.register
def _(node: bound.Field, columns: ColumnLookup) -> Clause:
    return columns(node)


@_term.register
def _(node: bound.Negate, columns: ColumnLookup) -> Clause:
    return -_term(node.operand, columns)


@_term.register
def _(node: bound.Arithmetic, columns: ColumnLookup) -> Clause:
    left, right = _term(node.left, columns), _term(node.right, columns)
    if node.operator in "/%":
        # Databases differ on division by zero; here it is null everywhere.
        right = sa.func.nullif(right, 0, type_=right.type)
    return _ARITHMETIC[node.operator](left, right)


def _is_timespan(node: bound.Node) -> bool:
    return getattr(node, "kind", None) is Kind.TIMESPAN


def _ends(node: bound.Node, columns: ColumnLookup) -> tuple[Clause, Clause]:
    if isinstance(node, bound.Field):
        begin, end = (bound.Field(node.element, f"{node.column}_{e}", Kind.TIME) for e in ("begin", "end"))
        return columns(begin), columns(end)
    if not isinstance(node, bound.Span):
        raise InternalError(f"{type(node).__name__} is not a timespan")
    first = _literal(UNBOUNDED_BEGIN, Kind.TIME) if node.begin is None else _term(node.begin, columns)
    last = _literal(UNBOUNDED_END, Kind.TIME) if node.end is None else _term(node.end, columns)
    return first, last


@_clause.register
def _(node: bound.Compare, columns: ColumnLookup) -> Clause:
    if not _is_timespan(node.left):
        return _COMPARE[node.operator](_term(node.left, columns), _term(node.right, columns))
    left, right = _ends(node.left, columns), _ends(node.right, columns)
    same = sa.and_(left[0] == right[0], left[1] == right[1])
    return same if node.operator == "=" else sa.not_(same)


@_clause.register
def _(node: bound.Overlaps, columns: ColumnLookup) -> Clause:
    left, right = node.left, node.right
    if node.kind is Kind.REGION:
        return overlaps(_term(left, columns), _term(right, columns))
    for moment, span in ((left, right), (right, left)):
        if not _is_timespan(moment):
            begin, end = _ends(span, columns)
            time = _term(moment, columns)
            return sa.and_(begin <= time, time < end)
    a, b = _ends(left, columns), _ends(right, columns)
    return sa.and_(a[0] < b[1], b[0] < a[1], a[0] < a[1], b[0] < b[1])


@_clause.register
def _(node: bound.Contains, columns: ColumnLookup) -> Clause:
    value = _term(node.operand, columns)
    tests: list[Clause] = []
    by_type: dict[type, list[Any]] = {}
    for item in node.values:
        by_type.setdefault(type(item), []).append(item)
    tests += [_in_list(value, items) for items in by_type.values()]
    for first, last, step in node.ranges:
        test = value.between(first, last)
        tests.append(sa.and_(test, (value - first) % step == 0) if step > 1 else test)
    tests += [value == _term(other, columns) for other in node.others]
    if node.null:
        tests.append(value.is_(None))
    found = sa.or_(*tests) if tests else sa.false()
    return sa.not_(found) if node.negated else found


def _in_list(value: Clause, items: Sequence[Any]) -> Clause:
    if len(items) > _LONG_LIST:
        return _InLongList(value, sa.literal(json.dumps(items), sa.Text()))
    if isinstance(items[0], float):
        return value.in_([_literal(i, Kind.FLOAT) for i in items])
    return value.in_(items)


def _patterns(pattern: str) -> tuple[Clause, Clause]:
    """Return the pattern as SQLite's GLOB reads it, and as LIKE does."""
    glob = pattern.replace("[", "[[]")
    like = "".join({"*": "%", "?": "_"}.get(c, f"\\{c}" if c in "%_\\" else c) for c in pattern)
    return _literal(glob, Kind.STRING), _literal(like, Kind.STRING)
