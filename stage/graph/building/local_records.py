"""Dimension records that only staging has: what tasks discovered, what was defined there and not pushed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import ConflictError
from registry.model.columns import Columns
from registry.model.data_id import format_values
from registry.model.in_time import row_in
from registry.overlay import count_copies, record_keys
from sync.manifest import read_baselines, record_kind, row_keys

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionElement
    from registry.registry import Snapshot

__all__ = ["LocalRecords"]


@dataclass(eq=False)
class LocalRecords:
    """Tells the records that only staging has from the copies that were fetched.

    A copy (of which staging keeps a baseline) says nothing that upstream does not: upstream's record counts, also if
    it has changed since. Any other record of staging counts beside upstream's; one that upstream has too must be the
    same there.

    Parameters
    ----------
    upstream, staging : Snapshot
        The two registries.

    Notes
    -----
    One statement for all elements. Three more for an element of which staging has others than copies.
    """

    upstream: Snapshot
    staging: Snapshot
    _told: dict[str, Columns] = field(default_factory=dict, init=False)

    @cached_property
    def _suspect(self) -> frozenset[str]:
        """Elements of which staging has more records than it keeps baselines of."""
        kinds = {e.name: record_kind(e.name) for e in self.staging.universe.elements.values() if e.has_table}
        counts = count_copies(self.staging, kinds)
        return frozenset(name for name, (records, baselines) in counts.items() if records != baselines)

    def of(self, elements: Iterable[DimensionElement]) -> dict[str, Columns]:
        """Return the records of some elements that only staging has.

        Parameters
        ----------
        elements : iterable of DimensionElement
            The elements.

        Returns
        -------
        dict of str to Columns
            By element; those without any are left out.

        Raises
        ------
        ConflictError
            If upstream has another record with the key of one that is no copy (``record-differs``).
        """
        found = {}
        for element in elements:
            if element.name in self._suspect:
                if element.name not in self._told:
                    self._told[element.name] = self._tell(element)
                if self._told[element.name].n_rows:
                    found[element.name] = self._told[element.name]
        return found

    @property
    def is_none(self) -> bool:
        """Whether all records of staging are copies, so that no element need be looked at."""
        return not self._suspect

    def _tell(self, element: DimensionElement) -> Columns:
        keys, copies = (
            record_keys(self.staging, element.name),
            read_baselines(self.staging, record_kind(element.name)),
        )
        if copies:
            made = np.array([key not in copies for key in row_keys(keys.rows())], dtype=np.bool_)
            keys = keys.take(made)
        ours = self.staging.records(element.name, keys=keys)
        theirs = self.upstream.records(element.name, keys=keys)
        place = row_in([ours[n] for n in element.required], [theirs[n] for n in element.required])
        _refuse_differences(element, ours.take(place >= 0), theirs.take(place[place >= 0]))
        return ours.take(place < 0)


def _refuse_differences(element: DimensionElement, ours: Columns, theirs: Columns) -> None:
    """Refuse records of one key that differ, row by row."""
    for name in element.record_columns:
        differs = ours[name].astype(object) != theirs[name].astype(object)
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            key = format_values(element.required, ours.rows(element.required)[row])
            mine, other = (_shown(side[name][row]) for side in (ours, theirs))
            raise ConflictError(
                f"{element.name} {{{key}}} differs in {name}: staging has {mine}, upstream has {other}",
                code="record-differs",
                hint="It was made on both sides. Work with upstream's in a new campaign, or make ours under another key.",
                context={"element": element.name, "key": key, "column": name},
            )


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{value[:8].hex()}… ({len(value)} bytes)" if len(value) > 16 else value.hex()
    return "null" if value is None else str(value)
