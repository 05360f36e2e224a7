"""A bound expression to an SQLAlchemy clause: values are bound parameters, never pasted."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from registry.errors import InternalError
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END
from registry.query import bound
from registry.query.types import Kind
from registry.sql.long_lists import InLongList, list_text

__all__ = ["ColumnLookup", "Ready", "clause", "fields_of"]

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


class _Truncated(FunctionElement[Any]):
    """A number without its fraction, as an integer."""

    name = "stage_truncated"
    type = sa.BigInteger()
    inherit_cache = True


@compiles(_Truncated)
def _truncated_standard(element: _Truncated, compiler: Any, **kw: Any) -> str:
    return f"CAST(trunc({compiler.process(element.clauses, **kw)}) AS BIGINT)"


@compiles(_Truncated, "sqlite")
def _truncated_sqlite(element: _Truncated, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS INTEGER)"


@dataclass(frozen=True, eq=False)
class Ready(bound.Node):
    """A condition that was answered before the statement is run, or that no other node can say.

    Parameters
    ----------
    make : callable
        Gives its clause, from the columns of its fields.
    fields : tuple of Field
        The columns that it needs.
    """

    make: Callable[[ColumnLookup], Clause]
    fields: tuple[bound.Field, ...]


def fields_of(node: bound.Node) -> Iterator[bound.Field]:
    """Find the columns in a condition.

    Parameters
    ----------
    node : Node
        A condition, `Ready` ones in it perhaps.

    Yields
    ------
    Field
        Each column, as often as it occurs.
    """
    match node:
        case Ready(fields=fields):
            yield from fields
        case bound.Not(operand=operand):
            yield from fields_of(operand)
        case bound.And(operands=operands) | bound.Or(operands=operands):
            for operand in operands:
                yield from fields_of(operand)
        case _:
            yield from bound.fields(node)


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
def _(node: Ready, columns: ColumnLookup) -> Clause:
    return node.make(columns)


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
    return -_roomy(_term(node.operand, columns), node.kind)


@_term.register
def _(node: bound.Arithmetic, columns: ColumnLookup) -> Clause:
    left, right = _term(node.left, columns), _term(node.right, columns)
    if node.operator == "%":
        left, right = (_without_fraction(_term(n, columns), n) for n in (node.left, node.right))
    if node.operator in "/%":
        # Databases differ on division by zero; here it is null everywhere.
        right = sa.func.nullif(right, 0, type_=right.type)
    left = sa.cast(left, sa.Double()) if node.operator == "/" else _roomy(left, node.kind)
    return _ARITHMETIC[node.operator](left, right)


def _roomy(number: Clause, kind: Kind) -> Clause:
    """Return an integer as a number that does not run over; what is no integer already is one."""
    return sa.cast(number, sa.Numeric()) if kind is Kind.INT else number


def _without_fraction(number: Clause, node: bound.Node) -> Clause:
    """Return the quotient of integers as an integer, so that a remainder can be taken of it."""
    kind = getattr(node, "kind", None)
    return number if kind is Kind.INT else _Truncated(number)


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
        raise InternalError("a test of regions is to be answered before the statement is made")
    for moment, span in ((left, right), (right, left)):
        if not _is_timespan(moment):
            begin, end = _ends(span, columns)
            time = _term(moment, columns)
            return sa.and_(begin <= time, time < end)
    a, b = _ends(left, columns), _ends(right, columns)
    # A constant span that is empty has ends that overlap nothing; one that is stored may begin where it ends.
    stored = [begin < end for (begin, end), side in ((a, left), (b, right)) if isinstance(side, bound.Field)]
    return sa.and_(a[0] < b[1], b[0] < a[1], *stored)


@_clause.register
def _(node: bound.Contains, columns: ColumnLookup) -> Clause:
    value = _term(node.operand, columns)
    tests: list[Clause] = []
    by_type: dict[type, list[Any]] = {}
    for item in node.values:
        by_type.setdefault(type(item), []).append(item)
    tests += [_in_list(value, items) for items in by_type.values()]
    for first, last, step in node.ranges:
        # A quotient with a fraction is in a range between two integers of it; steps are counted without the fraction.
        test: Clause = value.between(first, last)
        if step > 1:
            whole = _without_fraction(value, node.operand)
            # Remainders first: the difference of two integers may be beyond 64 bits.
            test = sa.and_(test, (whole % step - first % step) % step == 0)
        tests.append(test)
    tests += [value == _term(other, columns) for other in node.others]
    if node.null:
        tests.append(value.is_(None))
    found = sa.or_(*tests) if tests else sa.false()
    return sa.not_(found) if node.negated else found


def _in_list(value: Clause, items: Sequence[Any]) -> Clause:
    if len(items) > _LONG_LIST:
        return InLongList(value, sa.literal(list_text(items), sa.Text()))
    kind = {float: Kind.FLOAT, int: Kind.INT}.get(type(items[0]))
    # Numbers say what they are: a driver would send each as the smallest type that holds it, and compare as that.
    return value.in_(items if kind is None else [_literal(i, kind) for i in items])


def _patterns(pattern: str) -> tuple[Clause, Clause]:
    """Return the pattern as SQLite's GLOB reads it, and as LIKE does."""
    glob = pattern.replace("[", "[[]")
    like = "".join({"*": "%", "?": "_"}.get(c, f"\\{c}" if c in "%_\\" else c) for c in pattern)
    return _literal(glob, Kind.STRING), _literal(like, Kind.STRING)
