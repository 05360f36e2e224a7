"""Conditions on records, asked once for each record and not once for each dataset that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registry.query import bound
from registry.query.types import Kind
from registry.sql.select import clause

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionElement
    from registry.sql.schema import Schema

__all__ = ["preselected"]


def preselected(schema: Schema, asked: bound.BoundExpression) -> dict[str, sa.Select[Any]]:
    """Return queries for the records of which an expression speaks.

    Where ``visit.exposure_time > 300`` is asked of a million datasets of some thousand visits, each dataset's visit would
    be looked up. With a list of the visits made first, datasets of others are passed over before anything else is done
    with them, such as deciding which of several is found first.

    Parameters
    ----------
    schema : Schema
        The tables.
    asked : BoundExpression
        The expression.

    Returns
    -------
    dict of str to sqlalchemy.Select
        By dimension, the keys of its records for which all holds that is asked about them alone. Dimensions about
        whose records nothing is asked but keys are left out.
    """
    conditions = bound.conjuncts(asked.root)
    found = {}
    for name in asked.group.required:
        element = schema.universe.elements[name]
        about = [c for c in conditions if _is_about(c, element)]
        if element.has_table and any(
            f.column not in element.required for c in about for f in bound.fields(c)
        ):
            found[name] = _chosen(schema, element, about, asked)
    return found


def _is_about(condition: bound.Node, element: DimensionElement) -> bool:
    """Tell whether a condition can be decided by a record alone, without its region."""
    keys = {*element.required, *element.implied}
    fields = list(bound.fields(condition))
    return bool(fields) and all(
        f.kind is not Kind.REGION and (f.column in keys if f.is_key else f.element == element.name)
        for f in fields
    )


def _chosen(
    schema: Schema, element: DimensionElement, about: list[bound.Node], asked: bound.BoundExpression
) -> sa.Select[Any]:
    records = schema.dimension(element.name).alias(f"chosen_{element.name}")
    held = {*element.required, *element.implied}
    given = [records.c[n] == v for n, v in asked.data_id.items() if n in held]
    return sa.select(records.c[element.name]).where(
        *given, *(clause(c, lambda f: records.c[f.column]) for c in about)
    )
