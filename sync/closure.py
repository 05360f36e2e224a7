"""The dimension records that a set of keys needs: they, and all that they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from registry.model.columns import Array, Columns
from registry.model.dimensions import DimensionElement, DimensionUniverse

__all__ = ["RecordSource", "close_records", "keys_of_datasets", "merge_keys"]

Key = tuple[Any, ...]


class RecordSource(Protocol):
    """Where dimension records are: a `registry.snapshot.Snapshot`, or what is in memory."""

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions."""

    def records(self, element: str, *, keys: Columns | None = None) -> Columns:
        """Return the records of an element, or those of some keys.

        Parameters
        ----------
        element : str
            Its name.
        keys : Columns, optional
            Rows of its required dimensions.

        Returns
        -------
        Columns
            Its record columns.
        """


def close_records(snapshot: RecordSource, wanted: Mapping[str, Columns]) -> dict[str, Columns]:
    """Return the records that keys name, with everything that they refer to.

    Parameters
    ----------
    snapshot : RecordSource
        Where the records are.
    wanted : mapping of str to Columns
        Element to keys: rows of its required dimensions. Elements without tables count too: what a ``band``
        is follows from the records of the element whose view it is.

    Returns
    -------
    dict of str to Columns
        Element to its record columns, elements in order of reference. A record that its keys require or that
        it implies is there, and so are the relations (as which exposures make up a visit) whose every
        dimension is. Keys without a record are left out.

    Notes
    -----
    A fixed number of queries an element, whatever the number of keys.
    """
    return _Closure(snapshot).close(wanted)


def merge_keys(universe: DimensionUniverse, parts: Iterable[Mapping[str, Columns]]) -> dict[str, Columns]:
    """Unite sets of keys.

    Parameters
    ----------
    universe : DimensionUniverse
        Where the elements are defined.
    parts : iterable of mapping
        Element to keys, each.

    Returns
    -------
    dict of str to Columns
        Element to distinct keys.
    """
    gathered: dict[str, list[Columns]] = {}
    for part in parts:
        for name, keys in part.items():
            gathered.setdefault(name, []).append(keys.select(universe.element(name).required))
    return {name: Columns.concat(keys).unique() for name, keys in gathered.items()}


def keys_of_datasets(
    universe: DimensionUniverse, required: tuple[str, ...], rows: Columns
) -> dict[str, Columns]:
    """Return the dimension keys that data IDs hold.

    Parameters
    ----------
    universe : DimensionUniverse
        Where the dimensions are defined.
    required : tuple of str
        The dimensions of the data IDs.
    rows : Columns
        One column each of them.

    Returns
    -------
    dict of str to Columns
        Dimension to distinct keys; sky pixels, whose keys mean themselves, are left out.
    """
    elements = [universe.element(name) for name in required]
    return {e.name: rows.unique(e.required) for e in elements if e.skypix is None}


class _Closure:
    """Keys asked for and records read so far, element by element."""

    def __init__(self, snapshot: RecordSource) -> None:
        self.snapshot = snapshot
        self.universe = snapshot.universe
        self.pending: dict[str, set[Key]] = {}
        self.read: dict[str, set[Key]] = {}
        self.found: dict[str, list[Columns]] = {}

    def close(self, wanted: Mapping[str, Columns]) -> dict[str, Columns]:
        for name, named in wanted.items():
            element = self.universe.element(name)
            self._ask(element, named.rows(element.required))
        while self.pending:
            # What a record refers to comes before it in the universe, so one pass in reverse order
            # settles all but the views, whose source may come after them.
            for element in reversed(list(self.universe.elements.values())):
                keys = self.pending.pop(element.name, None)
                if keys:
                    self._settle(element, keys)
        records = {name: Columns.concat(parts) for name, parts in self.found.items()}
        for element in self.universe.elements.values():
            if not element.is_dimension and element.has_table:
                rows = self._related(element)
                records.pop(element.name, None)
                if rows.n_rows:
                    records[element.name] = rows
        return {name: records[name] for name in self.universe.elements if name in records}

    def _ask(self, element: DimensionElement, keys: Iterable[Key]) -> None:
        if element.skypix is not None:
            return
        new = {key for key in keys if None not in key} - self.read.get(element.name, set())
        if new:
            self.pending.setdefault(element.name, set()).update(new)

    def _settle(self, element: DimensionElement, keys: set[Key]) -> None:
        self.read.setdefault(element.name, set()).update(keys)
        columns = Columns.from_rows(element.required, sorted(keys))
        if element.view_of is not None:
            self._settle_view(element, columns)
            return
        records = self.snapshot.records(element.name, keys=columns)
        if not records.n_rows:
            return
        self.found.setdefault(element.name, []).append(records)
        for name in (*element.required, *element.implied):
            other = self.universe.element(name)
            if name != element.name and set(other.required) <= set(records.names):
                self._ask(other, set(records.rows(other.required)))

    def _settle_view(self, element: DimensionElement, keys: Columns) -> None:
        """Ask for the records of the source in which the values of a view occur."""
        source = self.universe.element(str(element.view_of))
        have = self.found.get(source.name, [])
        known = {key for part in have for key in part.rows(element.required)}
        missing = [key for key in keys.rows() if key not in known]
        if missing:
            rows = self.snapshot.records(source.name)
            wanted = set(missing)
            chosen = [key in wanted for key in rows.rows(element.required)]
            self._ask(source, rows.take(np.array(chosen, dtype=np.bool_)).rows(source.required))

    def _related(self, element: DimensionElement) -> Columns:
        """Return the rows of a relation all of whose dimensions have been read."""
        dimensions = [self.universe.element(name) for name in element.required]
        dimensions = [d for d in dimensions if d.has_table]
        if not all(self.found.get(d.name) for d in dimensions):
            return Columns({})
        # Ask by the dimension that chooses best; the others choose among what comes.
        best = max(dimensions, key=lambda d: (len(d.required), -len(self.read[d.name])))
        keys = Columns.from_rows(best.required, sorted(self.read[best.name]))
        rows = self.snapshot.records(element.name, keys=keys)
        for other in dimensions:
            if other is not best and rows.n_rows:
                rows = rows.take(_among(rows.rows(other.required), self.read[other.name]))
        return rows


def _among(keys: list[Key], known: set[Key]) -> Array:
    return np.fromiter(map(known.__contains__, keys), np.bool_, len(keys))
