"""Data IDs of a RUN that staging has under another id than upstream now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns, group_codes

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot
    from sync.plan import DatasetBatch

__all__ = ["Taken", "taken_places"]


@dataclass(frozen=True, eq=False)
class Taken:
    """Places of one dataset type that two datasets claim.

    Parameters
    ----------
    dataset_type : DatasetType
        The type.
    rows : Columns
        The required dimensions, ``run``, ``ours`` and ``upstream``: both ids.
    """

    dataset_type: DatasetType
    rows: Columns


def taken_places(ours: Snapshot, batches: Iterable[DatasetBatch], runs: Mapping[str, object]) -> list[Taken]:
    """Find which of the datasets that are to come have their place taken.

    Parameters
    ----------
    ours : Snapshot
        Of staging.
    batches : iterable of DatasetBatch
        Datasets that it does not have.
    runs : mapping of str to object
        Collections that it has.

    Returns
    -------
    list of Taken
        Of each type of which there are any. One question a dataset type, and none where all RUNs are new.
    """
    by_type: dict[str, list[DatasetBatch]] = {}
    for batch in batches:
        if batch.run in runs:
            by_type.setdefault(batch.dataset_type.name, []).append(batch)
    known = ours.known_types(list(by_type)) if by_type else {}
    return [found for name in known if (found := _taken(ours, by_type[name])).rows.n_rows]


def _taken(ours: Snapshot, batches: list[DatasetBatch]) -> Taken:
    kind = batches[0].dataset_type
    dims = kind.dimensions.required
    new = Columns.concat(
        [b.rows.select((*dims, "id")).with_column("run", [b.run] * b.rows.n_rows) for b in batches]
    )
    runs = list(dict.fromkeys(b.run for b in batches))
    table = new.select(dims).unique() if dims else None
    held = ours.datasets(kind.name, runs, find_first=False, table=table)
    key = (*dims, "run")
    codes = group_codes([np.concatenate([new[n], held[n]]) for n in key])
    mine, theirs = codes[new.n_rows :], codes[: new.n_rows]
    _, at_ours, at_theirs = np.intersect1d(mine, theirs, return_indices=True)
    rows = held.take(at_ours).select(key)
    both = Columns({**rows, "ours": held["id"][at_ours], "upstream": new["id"][at_theirs]})
    return Taken(kind, both)
