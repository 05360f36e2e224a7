"""Data IDs completed from dimension records: names that stand for numbers, and what other values imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from registry.errors import DataIdError, nearest
from registry.model.data_id import DataId, Value, check_value, format_values, lacking
from registry.model.dimensions import DimensionElement, DimensionGroup, DimensionUniverse
from registry.model.times import Timespan
from registry.sql.session import Session

__all__ = ["Completed", "complete", "implying", "timespan_of"]


_INT_END = 2**63


class Completed(NamedTuple):
    """A data ID, and what was given beside it.

    Parameters
    ----------
    data_id : DataId
        The required dimensions of the group.
    known : dict of str to value
        These and all other dimensions that were given.
    """

    data_id: DataId
    known: dict[str, Value]


def complete(session: Session, group: DimensionGroup, given: Mapping[str, Any]) -> Completed:
    """Make a data ID of a group from values that need not be exactly its own.

    Parameters
    ----------
    session : Session
        Where the records are.
    group : DimensionGroup
        The dimensions that it must have.
    given : mapping
        Values of dimensions, also others than the group's. A string for a dimension whose key is a number is the
        other name of its record (the ``full_name`` of a detector). A dimension that is missing is taken from the
        records that imply it (the ``physical_filter`` of an exposure).

    Returns
    -------
    Completed
        Its required dimensions.

    Raises
    ------
    DataIdError
        If a value is missing, unknown, of the wrong type, or has no record that it would be completed from.
    """
    values = _plain(group, given)
    if values is not None:
        return Completed(DataId(group, values), dict(zip(group.required, values, strict=True)))
    known = _resolved(session, group, given)
    _imply(session, group, known)
    missing = [n for n in group.required if n not in known]
    if missing:
        raise lacking(group, missing)
    return Completed(DataId(group, tuple(known[n] for n in group.required)), known)


@lru_cache(maxsize=256)
def _keys(group: DimensionGroup) -> tuple[tuple[str, bool], ...]:
    """Return the required dimensions, each with whether its key is a number."""
    keys = [(n, group.universe.elements[n].key) for n in group.required]
    return tuple((n, key is not None and key.type == "int") for n, key in keys)


def _plain(group: DimensionGroup, given: Mapping[str, Any]) -> tuple[Value, ...] | None:
    """Return the values of a data ID as programs make them, which needs no records; None if it is another."""
    values: list[Value] = []
    for name, is_number in _keys(group):
        value = given.get(name)
        if value is None or (is_number and isinstance(value, str)):
            return None
        known = type(value) is int and is_number and -_INT_END <= value < _INT_END
        values.append(value if known else check_value(group.universe, name, value))
    if len(given) > len(values) and any(name not in group for name in given):
        return None
    return tuple(values)


def _is_name(universe: DimensionUniverse, dimension: str, value: Any) -> bool:
    """Say whether a string stands where the key is a number."""
    key = universe.elements[dimension].key
    return key is not None and key.type == "int" and isinstance(value, str)


def _resolved(session: Session, group: DimensionGroup, given: Mapping[str, Any]) -> dict[str, Value]:
    """Check all values, and look up those that are names; in the universe's order."""
    universe = group.universe
    for name in given:
        element = universe.elements.get(name)
        if element is None or not element.is_dimension:
            raise DataIdError(
                f"data ID has '{name}', which is no dimension",
                code="data-id-unknown",
                hint=nearest(name, group),
            )
    known: dict[str, Value] = {}
    for element in universe.elements.values():
        if element.name in given:
            value = given[element.name]
            if _is_name(universe, element.name, value):
                value = _number(session, element, value, known)
            known[element.name] = check_value(universe, element.name, value)
    return known


def _where(table: sa.Table, names: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[n] == sa.bindparam(f"value_{n}") for n in names]


def _values(names: Sequence[str], known: Mapping[str, Value]) -> dict[str, Value]:
    return {f"value_{n}": known[n] for n in names}


def _number(session: Session, element: DimensionElement, text: str, known: Mapping[str, Value]) -> Value:
    """Return the key of the record that has another name."""
    others = [n for n in element.required if n != element.name]
    names = [c.name for c in element.unique if c.type == "string"]
    if not names or not element.has_table:
        check = f"{element.name}={text!r:.60}: expected an integer"
        raise DataIdError(check, code="data-id-value")
    missing = [n for n in others if n not in known]
    if missing:
        raise DataIdError(
            f"{element.name}={text!r:.60}: data ID lacks {', '.join(missing)}", code="data-id-missing"
        )
    table = session.schema.dimension(element.name)
    rows = session.lookup(
        ("named", element.name),
        lambda: sa.select(table.c[element.name]).where(
            *_where(table, others),
            sa.or_(*(table.c[n] == sa.bindparam(f"name_{n}") for n in names)),
        ),
        **_values(others, known),
        **{f"name_{n}": text for n in names},
    )
    if not rows:
        where = format_values(tuple(others), tuple(known[n] for n in others))
        raise DataIdError(
            f"{element.name}={text!r:.60}: no {element.name} of {where} has that {' or '.join(names)}",
            code="data-id-value", hint=f"Give the {element.name} as an integer, or its {' or '.join(names)}.",
        )  # fmt: skip
    return rows[0][0]  # type: ignore[no-any-return]


def implying(universe: DimensionUniverse, name: str, known: Mapping[str, Any]) -> DimensionElement | None:
    """Return the element whose records tell a dimension's value.

    Parameters
    ----------
    universe : DimensionUniverse
        The dimensions.
    name : str
        The dimension that is missing.
    known : mapping
        The dimensions that are there.

    Returns
    -------
    DimensionElement or None
        The most precise one that implies it and whose key is known.
    """
    for element in reversed(list(universe.elements.values())):
        fits = name in element.implied and element.is_dimension and element.has_table
        if fits and all(n in known for n in element.required):
            return element
    return None


def _imply(session: Session, group: DimensionGroup, known: dict[str, Value]) -> None:
    """Add to `known` what records of it imply, as far as the group needs it."""
    for name in reversed(group.required):
        if name in known:
            continue
        element = implying(group.universe, name, known)
        if element is None:
            continue
        table = session.schema.dimension(element.name)
        rows = session.lookup(
            ("implied", element.name, name),
            partial(_implied, table, name, element.required),
            **_values(element.required, known),
        )
        if not rows:
            raise _no_record(element, known)
        if rows[0][0] is not None:
            known[name] = rows[0][0]


def _implied(table: sa.Table, name: str, key: Sequence[str]) -> sa.Select[Any]:
    return sa.select(table.c[name]).where(*_where(table, key))


def _no_record(element: DimensionElement, known: Mapping[str, Value]) -> DataIdError:
    shown = format_values(element.required, tuple(known[n] for n in element.required))
    return DataIdError(f"there is no {element.name} {{{shown}}}", code="no-such-record")


def timespan_of(session: Session, universe: DimensionUniverse, known: Mapping[str, Value]) -> Timespan | None:
    """Return the time of a data ID.

    Parameters
    ----------
    session : Session
        Where the records are.
    universe : DimensionUniverse
        The dimensions.
    known : mapping
        Their values.

    Returns
    -------
    Timespan or None
        That of its exposure, visit or the like; None where it has none, or the record's is null.

    Raises
    ------
    DataIdError
        If there is no such record.
    """
    element = universe.temporal_element(known)
    if element is None:
        return None
    t = session.schema.dimension(element.name)
    rows = session.lookup(
        ("timespan", element.name),
        lambda: sa.select(t.c.timespan_begin, t.c.timespan_end).where(*_where(t, element.required)),
        **_values(element.required, known),
    )
    if not rows:
        raise _no_record(element, known)
    begin, end = rows[0]
    return None if begin is None or end is None else Timespan(begin, end)
