"""A tree to a question: names become columns, bind values constants, and every mistake an error that shows where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry.errors import DataIdError, QueryError
from registry.model.data_id import check_value
from registry.model.dimensions import DimensionGroup, DimensionUniverse
from registry.query import ast, bound
from registry.query.conditions import ConditionBinder
from registry.query.names import NameProblemError, Resolver
from registry.query.types import Kind

__all__ = ["bind", "bind_order"]

_INT_MAX = 2**63 - 1


def bind(
    expression: ast.Expression | None,
    universe: DimensionUniverse,
    group: DimensionGroup,
    values: Mapping[str, Any] | None = None,
    *,
    data_id: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> bound.BoundExpression:
    """Resolve the names of an expression and check its types.

    Parameters
    ----------
    expression : ast.Expression or None
        What `parse` gave.
    universe : DimensionUniverse
        Where names are resolved.
    group : DimensionGroup
        The dimensions asked for.
    values : mapping, optional
        Bind values; a value may be a list where ``IN`` takes it.
    data_id : mapping, optional
        Equality constraints on dimensions.
    defaults : mapping, optional
        Values of governors (instrument, skymap), for those that the question leaves open.

    Returns
    -------
    BoundExpression
        The question.

    Raises
    ------
    QueryError
        If a name is unknown or ambiguous, types do not fit, or a governor is missing; shows where.
    DataIdError
        If `data_id` names an unknown dimension or has a value of the wrong type.
    """
    binder = ConditionBinder(expression.text if expression else "", universe, group, values or {})
    root = binder.condition(expression.root) if expression else None
    given = _check_data_id(universe, data_id or {})
    known = binder.governors | set(given)
    known |= {n for n in _check_data_id(universe, defaults or {}) if n in universe.governors}
    binder.check_governors(known)
    _check_data_id_governors(universe, given, known)
    full = group.union(binder.dimensions, given)
    open_governors = [n for n in (defaults or {}) if n in full and n in universe.governors]
    for name in open_governors:
        if name not in binder.governors and name not in given:
            given[name] = check_value(universe, name, (defaults or {})[name])
    used = set(bound.fields(root))
    keys = {f.element for f in used if f.is_key} | set(given)
    elements = {f.element for f in used if not f.is_key}
    return bound.BoundExpression(
        root,
        full,
        given,
        tuple(n for n in universe.elements if n in elements),
        tuple(n for n in universe.dimension_names if n in keys),
    )


def bind_order(
    terms: Sequence[str], universe: DimensionUniverse, group: DimensionGroup
) -> tuple[bound.Order, ...]:
    """Resolve the terms of an ordering.

    Parameters
    ----------
    terms : sequence of str
        Names as in expressions, with ``-`` before them for the reverse.
    universe : DimensionUniverse
        Where names are resolved.
    group : DimensionGroup
        The dimensions asked for.

    Returns
    -------
    tuple of Order
        One a term.

    Raises
    ------
    QueryError
        If a name is unknown, ambiguous, has no order, or belongs to dimensions that were not asked for.
    """
    resolver = Resolver(universe, group)
    return tuple(_order(term, resolver) for term in terms)


def _order(term: str, resolver: Resolver) -> bound.Order:
    name = term.removeprefix("-")
    descending = term.startswith("-")
    parts = tuple(name.split("."))
    if not 1 <= len(parts) <= 3 or not all(p.isidentifier() for p in parts):
        raise QueryError(f"cannot order by '{term}'", code="query-syntax", hint="Write name or -name.")
    try:
        found = resolver.resolve(parts)
    except NameProblemError as exc:
        raise QueryError(f"cannot order by '{term}': {exc}", code=exc.code, hint=exc.hint) from exc
    if not set(found.dimensions) <= set(resolver.group.names):
        raise QueryError(
            f"cannot order by '{term}': it is not fixed by {resolver.group}",
            code="query-unknown-name",
            hint="Order by columns of the dimensions asked for.",
        )
    field = found.field
    if not field.kind.is_ordered:
        raise QueryError(
            f"cannot order by '{term}': {field.kind.value} has no order",
            code="query-type",
            hint=f"Order by {name}.begin." if field.kind is Kind.TIMESPAN else "",
        )
    return bound.Order(field, descending)


def _check_data_id(universe: DimensionUniverse, data_id: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: check_value(universe, name, value) for name, value in data_id.items()}
    for name, value in given.items():
        if isinstance(value, int) and not -_INT_MAX <= value <= _INT_MAX:
            raise DataIdError(f"{name}={value} is beyond 64 bits", code="data-id-value")
    return given


def _check_data_id_governors(universe: DimensionUniverse, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        for governor in universe.elements[name].required:
            if governor in universe.governors and governor not in known and governor not in given:
                raise DataIdError(
                    f"{name}={given[name]} says nothing without '{governor}'",
                    code="query-missing-governor",
                    hint=f"Give {governor} too.",
                )
