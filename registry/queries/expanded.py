"""Data IDs with the records of their dimensions, brought together by sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Array, Columns, group_codes
from registry.model.data_id import DataId
from registry.queries.constraints import Constraints
from registry.queries.statements import record_statement

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionElement, DimensionGroup
    from registry.sql.session import Session

__all__ = ["ExpandedDataId", "Expansion"]

Record = Mapping[str, Any]


class ExpandedDataId(DataId):
    """A data ID and the records of its dimensions.

    Parameters
    ----------
    group : DimensionGroup
        The dimensions.
    values : tuple
        One value a required dimension.
    records : dict of str to mapping
        By element, the columns of its record; an element that has no record for this data ID is left out.
    """

    __slots__ = ("records",)

    def __init__(self, group: DimensionGroup, values: tuple[Any, ...], records: dict[str, Record]) -> None:
        super().__init__(group, values)
        self.records = MappingProxyType(records)


def _elements(group: DimensionGroup) -> list[DimensionElement]:
    return [e for e in group.elements if len(e.record_columns) > len(e.required)]


def _present(rows: Columns) -> Columns:
    """Return the rows without a null."""
    keep = np.ones(rows.n_rows, dtype=np.bool_)
    for name in rows.names:
        if rows[name].dtype == object:
            keep &= np.fromiter((v is not None for v in rows[name].tolist()), np.bool_, rows.n_rows)
    return rows if keep.all() else rows.take(keep)


def _places(wanted: Columns, there: Columns) -> Array:
    """Return for each wanted row the number of the equal row that is there, or -1."""
    if not there.n_rows or not wanted.n_rows:
        return np.full(wanted.n_rows, -1)
    codes = group_codes([np.concatenate([there[n], wanted[n]]) for n in there.names])
    known, asked = codes[: there.n_rows], codes[there.n_rows :]
    order = np.argsort(known)
    found = np.minimum(np.searchsorted(known, asked, sorter=order), there.n_rows - 1)
    place = order[found]
    return np.where(known[place] == asked, place, -1)


def _records_of(session: Session, element: DimensionElement, data_ids: Columns) -> tuple[Columns, Array]:
    """Return an element's records, and which of them belongs to each data ID."""
    wanted = data_ids.select(element.required)
    keys = _present(wanted.unique())
    with record_statement(session, element, Constraints(table=keys)) as statement:
        records = session.fetch(statement)
    return records, _places(wanted, records.select(element.required))


class Expansion:
    """Data IDs, and beside them the records of their dimensions, each record once.

    Parameters
    ----------
    group : DimensionGroup
        The dimensions.
    data_ids : Columns
        All of its names, required and implied.
    records : mapping of str to (Columns, array)
        By element, its records, and for each data ID the number of its own, or -1.
    """

    def __init__(
        self, group: DimensionGroup, data_ids: Columns, records: Mapping[str, tuple[Columns, Array]]
    ) -> None:
        self.group = group
        self.data_ids = data_ids
        self.records = dict(records)

    @classmethod
    def read(cls, session: Session, group: DimensionGroup, data_ids: Columns) -> Expansion:
        """Read the records of data IDs.

        Parameters
        ----------
        session : Session
            Where; one statement an element.
        group : DimensionGroup
            The dimensions.
        data_ids : Columns
            All of its names.

        Returns
        -------
        Expansion
            Both.
        """
        return cls(group, data_ids, {e.name: _records_of(session, e, data_ids) for e in _elements(group)})

    def columns(self) -> Columns:
        """Return all as one table.

        Returns
        -------
        Columns
            The data IDs, then ``<element>.<column>`` for all columns that are no dimensions; null where there is
            no record.
        """
        out: dict[str, Array] = {n: self.data_ids[n] for n in self.data_ids.names}
        for element, (records, place) in self.records.items():
            for name in records.names:
                if name not in self.group:
                    out[f"{element}.{name}"] = _taken(records[name], place)
        return Columns(out)

    def __iter__(self) -> Iterator[ExpandedDataId]:
        made = {
            element: (
                [MappingProxyType(dict(zip(rows.names, r, strict=True))) for r in rows.rows()],
                place.tolist(),
            )
            for element, (rows, place) in self.records.items()
        }
        for i, values in enumerate(self.data_ids.rows(self.group.required)):
            records = {e: rows[place[i]] for e, (rows, place) in made.items() if place[i] >= 0}
            yield ExpandedDataId(self.group, values, records)


def _taken(column: Array, place: Array) -> Array:
    missing = place < 0
    if not missing.any():
        return column[place]
    out = np.full(len(place), None, dtype=object)
    out[~missing] = column[place[~missing]].tolist()
    return out
