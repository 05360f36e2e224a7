"""Dimension records by their keys: the question that clone, push and closures ask of every element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from registry.sql.keys import with_checked_keys

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionElement
    from registry.sql.session import Session

__all__ = ["are_keys", "keyed_records"]


def are_keys(element: DimensionElement, rows: Columns) -> bool:
    """Tell whether rows are keys of an element that has records of its own.

    Parameters
    ----------
    element : DimensionElement
        The element.
    rows : Columns
        Values of dimensions.

    Returns
    -------
    bool
        Whether `keyed_records` takes them; other tables need the query language.
    """
    return element.has_table and bool(element.required) and set(rows.names) == set(element.required)


def keyed_records(session: Session, element: DimensionElement, keys: Columns) -> Columns:
    """Return the records of some keys.

    Parameters
    ----------
    session : Session
        Where.
    element : DimensionElement
        Whose.
    keys : Columns
        Rows for which `are_keys` holds; repeated ones count once, unknown ones are left out.

    Returns
    -------
    Columns
        `DimensionElement.record_columns`, ordered by key.

    Raises
    ------
    DataIdError
        If a value is of another type than the key.
    """
    required, t = element.required, session.schema.dimension(element.name)
    wanted = with_checked_keys(session.schema.universe, keys.select(required), required).unique()
    if not wanted.n_rows:
        return session.fetch(sa.select(*(t.c[n] for n in element.record_columns)).where(sa.false()))
    with session.stash(wanted, session.schema.dimension_types(required), key=required) as stash:
        here = stash.join(t, sa.and_(*(t.c[n] == stash.c[n] for n in required)))
        found = sa.select(*(t.c[n] for n in element.record_columns)).select_from(here)
        return session.fetch(found.order_by(*(t.c[n] for n in required)))
