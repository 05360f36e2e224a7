"""Dimension records by their keys: the question that clone, push and closures ask of every element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registry.sql.keys import with_checked_keys
from registry.sql.long_lists import InLongList, list_text

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionElement
    from registry.sql.session import Session

__all__ = ["all_records", "are_keys", "keyed_records"]


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
    required = element.required
    wanted = with_checked_keys(session.schema.universe, keys.select(required), required)
    if not wanted.n_rows:
        return session.fetch(_selected(session, element).where(sa.false()))
    lists = {n: list(dict.fromkeys(wanted[n].tolist())) for n in required}
    several = [n for n, values in lists.items() if len(values) > 1]
    if len(several) > 1:
        return _stashed(session, element, wanted.unique())
    # One dimension tells the keys apart, as it mostly is: no table is worth making for them.
    listed = several[0] if several else required[-1]
    texts: dict[str, Any] = {n: list_text(v) if n == listed else v[0] for n, v in lists.items()}

    def make() -> sa.Select[Any]:
        t = session.schema.dimension(element.name)
        held = [t.c[n] == sa.bindparam(f"key_{n}", type_=t.c[n].type) for n in required if n != listed]
        text = sa.bindparam(f"key_{listed}", type_=sa.Text())
        return _selected(session, element).where(*held, InLongList(t.c[listed], text))

    values = {f"key_{n}": v for n, v in texts.items()}
    return session.answer(("records", element.name, listed), make, **values)


def all_records(session: Session, element: DimensionElement) -> Columns:
    """Return all records of an element.

    Parameters
    ----------
    session : Session
        Where.
    element : DimensionElement
        One that has records of its own.

    Returns
    -------
    Columns
        `DimensionElement.record_columns`, ordered by key.
    """
    return session.answer(("all records", element.name), lambda: _selected(session, element))


def _selected(session: Session, element: DimensionElement) -> sa.Select[Any]:
    """Select all records of an element, ordered by key."""
    t = session.schema.dimension(element.name)
    return sa.select(*(t.c[n] for n in element.record_columns)).order_by(*(t.c[n] for n in element.required))


def _stashed(session: Session, element: DimensionElement, wanted: Columns) -> Columns:
    """Return the records of keys that are handed over as a table."""
    required = element.required
    with session.stash(wanted, session.schema.dimension_types(required), key=required) as stash:

        def make() -> sa.Select[Any]:
            t = session.schema.dimension(element.name)
            here = stash.join(t, sa.and_(*(t.c[n] == stash.c[n] for n in required)))
            return _selected(session, element).select_from(here)

        return session.answer(("records", element.name), make, [stash])
