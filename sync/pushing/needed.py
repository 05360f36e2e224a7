"""The dimension records that what goes needs, where a policy leaves some datasets here."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

from registry.model.columns import Columns
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.pushing.members import members

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from sync.pushing.plan import Outgoing

__all__ = ["needed_records"]


def needed_records(outgoing: Outgoing, left_out: Set[bytes]) -> Mapping[str, Columns]:
    """Return the records without which what goes would mean nothing.

    Parameters
    ----------
    outgoing : Outgoing
        Our side, with the records that all of it needs.
    left_out : set of bytes
        Ids of datasets that stay here.

    Returns
    -------
    mapping of str to Columns
        Element to records, elements in order of reference.
    """
    if not left_out:
        return outgoing.records
    universe = outgoing.universe
    keys = []
    for batch in outgoing.batches:
        rows = batch.rows.take(~members(batch.rows["id"].tolist(), left_out))
        if rows.n_rows:
            keys.append(keys_of_datasets(universe, batch.dataset_type.dimensions.required, rows))
    return close_records(_Held(universe, outgoing.records), merge_keys(universe, keys))


class _Held:
    """Records in memory, asked as a snapshot would be."""

    def __init__(self, universe: DimensionUniverse, held: Mapping[str, Columns]) -> None:
        self._universe = universe
        self._held = held

    @property
    def universe(self) -> DimensionUniverse:
        return self._universe

    def records(self, element: str, *, keys: Columns | None = None) -> Columns:
        rows = self._held.get(element)
        if rows is None:
            return Columns({name: [] for name in self._universe.element(element).record_columns})
        if keys is None:
            return rows
        return rows.take(members(rows.rows(keys.names), set(keys.rows())))
