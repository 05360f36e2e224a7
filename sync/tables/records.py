"""The dimension records that a table holds, for a universe that was inferred from it or written by a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, cast

import numpy as np

from registry.errors import UsageError, nearest
from registry.model.columns import Array, Columns, as_array
from registry.model.dimensions import DimensionUniverse
from registry.model.elements import DimensionElement
from registry.model.times import parse_time
from sync.tables.facts import Facts
from sync.tables.infer import column_names, span_columns
from sync.tables.read import Table
from sync.tables.values import Kind

__all__ = ["records_of", "universe_kinds"]


def universe_kinds(universe: DimensionUniverse, table: Table, keys: Mapping[str, str]) -> dict[str, Kind]:
    """Return what a universe says that the columns of a table are.

    Parameters
    ----------
    universe : DimensionUniverse
        The universe.
    table : Table
        The table.
    keys : mapping of str to str
        Dimension to key column.

    Returns
    -------
    dict of str to Kind
        By column; of a text key and of what the universe does not name, nothing.

    Raises
    ------
    UsageError
        If a key is no dimension of the universe, or a column would have to hold what no table holds.
    """
    out: dict[str, Kind] = {}
    for dimension, column in keys.items():
        element = universe.elements.get(dimension)
        if element is None or element.key is None or not element.has_table:
            known = [e.name for e in universe.elements.values() if e.is_dimension and e.has_table]
            raise UsageError(
                f"key column '{column}': the universe '{universe.name}' has no dimension '{dimension}'",
                code="unknown-dimension",
                hint=nearest(dimension, known),
            )
        if element.key.type == "int":
            out[column] = "int"
        elif not element.timespan:
            out[column] = "string"
    by_name = column_names([c for c in table.columns if c not in keys.values()], universe.elements)
    for element in universe.elements.values():
        for told in (*element.unique, *element.metadata):
            if told.name not in by_name:
                continue
            if told.type in {"hash", "region"}:
                raise UsageError(
                    f"column {told.name} of '{element.name}': no table holds values of type {told.type}",
                    code="bad-universe", hint="Import such records: stage repo import.",
                )  # fmt: skip
            # Times in a column of text go there as they are, and tell a timespan beside.
            if not (told.type == "string" and table.looks_like(by_name[told.name]) == "time"):
                out[by_name[told.name]] = cast("Kind", told.type)
    return out


def records_of(facts: Facts, universe: DimensionUniverse) -> dict[str, Columns]:
    """Gather the dimension records of a table.

    Parameters
    ----------
    facts : Facts
        The table.
    universe : DimensionUniverse
        Its universe.

    Returns
    -------
    dict of str to Columns
        By element, in order of reference; elements of whose key the table lacks a part are left out.

    Raises
    ------
    UsageError
        If two rows of one key disagree, or a value that must be there is missing; names file, line and column.
    """
    by_name = column_names(facts.metadata, universe.elements)
    elements = [
        e for e in universe.elements.values() if e.has_table and all(n in facts.keys for n in e.required)
    ]
    spans = _spans(facts, elements)
    return {e.name: _records(facts, e, by_name, spans.get(e.name, ())) for e in elements}


def _spans(facts: Facts, elements: list[DimensionElement]) -> dict[str, tuple[str, ...]]:
    """Choose the times that are each element's timespan; one that a smaller key determines belongs to that."""
    order = sorted(elements, key=lambda e: len(e.required))
    owned: dict[str, list[str]] = {}
    for column in facts.metadata:
        if facts.values[column].kind == "time":
            keys = ((e.name, [facts.keys[n] for n in e.required]) for e in order)
            owner = next((name for name, key in keys if facts.determines(key, column)), "")
            owned.setdefault(owner, []).append(column)
    return {
        e.name: span_columns(facts, owned.get(e.name, []), facts.keys.get(e.name))
        for e in elements
        if e.timespan
    }


def _records(
    facts: Facts, element: DimensionElement, by_name: Mapping[str, str], span: tuple[str, ...]
) -> Columns:
    keys = [facts.keys[n] for n in element.required]
    _, first = np.unique(facts.codes(keys), return_index=True)
    first.sort()
    columns: dict[str, Array] = {n: _of(facts, facts.keys[n], first) for n in element.required}
    for name in element.implied:
        if name in facts.keys:
            columns[name] = _determined(facts, element, keys, facts.keys[name], first)
    for column in (*element.unique, *element.metadata):
        if column.name in by_name:
            source = by_name[column.name]
            columns[column.name] = _determined(facts, element, keys, source, first)
            _check_present(facts, column.nullable, columns[column.name], source, first)
        elif not column.nullable:
            raise UsageError(
                f"{facts.table.place} has no column for {element.name}.{column.name}, which must have a value",
                code="no-such-column", hint=nearest(column.name, facts.table.columns),
            )  # fmt: skip
    if span:
        columns |= _span(facts, element, keys, span, first)
    return Columns(columns)


def _of(facts: Facts, column: str, rows: Array) -> Array:
    values = facts.values[column].values
    return as_array([values[i] for i in rows.tolist()])


def _determined(facts: Facts, element: DimensionElement, keys: list[str], column: str, rows: Array) -> Array:
    differs = facts.conflict(keys, column)
    if differs is not None:
        values = facts.values[column].values
        shown = ", ".join(f"{n}={facts.values[facts.keys[n]].values[differs[0]]}" for n in element.required)
        facts.table.refuse(
            differs[1], column,
            f"{values[differs[1]]!r:.60} for {{{shown}}}, but {facts.table.lines(differs[0])} has {values[differs[0]]!r:.60}",
            code="not-determined",
            hint=f"Let '{element.name}' require '{column}'." if column in facts.keys.values()
            else f"Correct it, or let the column belong to a key that tells it better than '{element.name}'.",
        )  # fmt: skip
    return _of(facts, column, rows)


def _check_present(facts: Facts, nullable: bool, values: Array, column: str, rows: Array) -> None:
    if not nullable and values.dtype == object and None in values.tolist():
        facts.table.refuse(int(rows[values.tolist().index(None)]), column, "there must be a value")


def _span(
    facts: Facts, element: DimensionElement, keys: list[str], span: tuple[str, ...], rows: Array
) -> dict[str, Array]:
    """Return the begins and ends of an element's timespans: between two times, of a day, or of a moment."""
    begins = [_begin(v) for v in _determined(facts, element, keys, span[0], rows).tolist()]
    if len(span) == 1:
        ends = [_end(v) for v in _of(facts, span[0], rows).tolist()]
    else:
        ends = [_begin(v) for v in _determined(facts, element, keys, span[1], rows).tolist()]
        for row, begin, end in zip(rows.tolist(), begins, ends, strict=True):
            if begin is not None and end is not None and end < begin:
                facts.table.refuse(row, span[1], f"it ends before it begins ({span[0]})")
    return {"timespan_begin": as_array(begins), "timespan_end": as_array(ends)}


def _begin(text: Any) -> int | None:
    return None if text is None else parse_time(text)


def _end(text: Any) -> int | None:
    """Return the end of a day, or of the one nanosecond of a moment."""
    if text is None:
        return None
    if len(text) > len("2024-05-31"):
        return parse_time(text) + 1
    return parse_time((date.fromisoformat(text) + timedelta(days=1)).isoformat())
