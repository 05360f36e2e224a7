"""What a dimension record says, and in which words: between the columns of its table and objects of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from registry.errors import nearest
from registry.model.columns import Columns, as_array, group_codes
from registry.model.data_id import format_values
from registry.model.dimensions import DimensionUniverse
from registry.model.elements import DimensionElement
from sync.exports.json_forms import BadValue, from_json, span_from_json, span_to_json, to_json
from sync.exports.json_lines import Lines, encode, fail_at

__all__ = ["SPAN", "columns_of", "objects_of"]

SPAN = ("timespan_begin", "timespan_end")


class _Field(NamedTuple):
    """One thing that a record says: a column, or the two of a timespan."""

    names: tuple[str, ...]
    """What it is called in the file, first the usual name."""
    column: str
    kind: str
    nullable: bool

    def read(self, source: Lines) -> dict[str, list[Any]]:
        name = next((n for n in self.names if n in source.names), self.names[0])
        values = source.values(name)
        if self.kind == "timespan":
            return dict(zip(SPAN, span_from_json(values), strict=True))
        return {self.column: from_json(self.kind, values, self.nullable)}

    def write(self, rows: Columns) -> list[Any]:
        if self.kind == "timespan":
            return span_to_json(rows[SPAN[0]], rows[SPAN[1]])
        return to_json(self.kind, rows[self.column])


def columns_of(universe: DimensionUniverse, element: DimensionElement, batches: Iterable[Lines]) -> Columns:
    """Turn objects of JSON into records.

    Parameters
    ----------
    universe : DimensionUniverse
        Says of which type keys are.
    element : DimensionElement
        Whose records.
    batches : iterable of Lines
        The lines of one file, in order.

    Returns
    -------
    Columns
        Columns of the element's table, as far as a line has them.

    Raises
    ------
    UsageError
        If a line is not a record, or its key is there twice; names file and line.
    """
    fields = _fields(universe, element)
    parts: list[dict[str, Any]] = []
    numbers: list[Sequence[int]] = []
    where, unit = "", "line"
    for lines in batches:
        where, unit = lines.uri, lines.unit
        parts.append(_columns(element, fields, lines))
        numbers.append(lines.numbers)
    present = {name for part in parts for name in part}
    names = [name for name in element.record_columns if name in present] or list(element.required)
    columns = {name: [v for part, n in zip(parts, numbers, strict=True) for v in part.get(name, [None] * len(n))]
               for name in names}  # fmt: skip
    rows = Columns({name: as_array(values) for name, values in columns.items()})
    twice = _first_twice(element, rows)
    if twice is not None:
        flat = [n for part in numbers for n in part]
        key = format_values(element.required, rows.take(np.array(twice)).rows(element.required)[1])
        one, other = (flat[row] for row in twice)
        fail_at(where, other, f"{element.name} {key} is on {unit} {one} already", unit=unit)
    return rows


def objects_of(universe: DimensionUniverse, element: DimensionElement, rows: Columns) -> Iterator[str]:
    """Turn records into lines.

    Parameters
    ----------
    universe : DimensionUniverse
        Says of which type keys are.
    element : DimensionElement
        Whose records.
    rows : Columns
        All columns of its table.

    Yields
    ------
    str
        One object of JSON a record, which `columns_of` turns back into the same.
    """
    fields = _fields(universe, element)
    names = [f.names[0] for f in fields]
    for values in zip(*(f.write(rows) for f in fields), strict=True):
        yield encode(dict(zip(names, values, strict=True)))


def _columns(element: DimensionElement, fields: Sequence[_Field], source: Lines) -> dict[str, Any]:
    _check_names(source, element, fields)
    columns: dict[str, Any] = {}
    for f in fields:
        if not f.nullable or any(name in source.names for name in f.names):
            try:
                columns |= f.read(source)
            except BadValue as exc:
                source.fail(exc.row, f"'{f.names[0]}': {exc.why}")
    return columns


def _fields(universe: DimensionUniverse, element: DimensionElement) -> list[_Field]:
    """Return what a record of an element says, in table order."""
    more = (*element.unique, *element.metadata)
    out: list[_Field] = []
    for name in (*element.required, *element.implied):
        key = universe.element(name).key
        names: tuple[str, ...] = (name,)
        if name == element.name and key is not None and key.name not in {c.name for c in more}:
            names = (key.name, name)
        out.append(_Field(names, name, key.type if key else "string", name in element.implied))
    out += [_Field((c.name,), c.name, c.type, c.nullable) for c in more]
    if element.region:
        out.append(_Field(("region",), "region", "region", True))
    if element.timespan:
        out.append(_Field(("timespan",), "timespan", "timespan", True))
    return out


def _check_names(source: Lines, element: DimensionElement, fields: Sequence[_Field]) -> None:
    known = {name for f in fields for name in f.names}
    unknown = source.names - known
    if unknown:
        row, name = next((i, n) for i, r in enumerate(source.rows) for n in r if n in unknown)
        source.fail(row, f"{element.name} has no column '{name}'", nearest(name, known))


def _first_twice(element: DimensionElement, rows: Columns) -> tuple[int, int] | None:
    """Return two rows of one key."""
    if rows.n_rows < 2:
        return None
    codes = group_codes([rows[name] for name in element.required])
    order = np.argsort(codes, kind="stable")
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    return (int(order[again[0]]), int(order[again[0] + 1])) if len(again) else None
