"""What was taken from upstream, with which digests: the base of every three-way comparison.

A baseline is a row ``(kind, key, digest)`` of staging. Kinds are ``record:<element>``, ``dataset-type``,
``collection``, ``dataset``, ``tagged``, ``certified`` and ``upstream``; a dataset's key is its id, an upstream's the
repository's id, any other's the text of its natural key. Beside them, ``collection-staged`` is what a collection was made
here, of whose children upstream may have more, and ``moved-on`` names datasets that quanta have read as they are here and
that upstream has changed since (the digest is what it has now) or removed (`GONE`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.model.collections import Collection
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_rows
from registry.model.dimensions import DimensionElement

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = [
    "CERTIFIED",
    "COLLECTION",
    "DATASET",
    "DATASET_TYPE",
    "GONE",
    "MOVED_ON",
    "STAGED",
    "TAGGED",
    "UPSTREAM",
    "baseline_rows",
    "collection_digests",
    "dataset_digests",
    "dataset_type_digests",
    "forgotten_rows",
    "read_baselines",
    "record_digests",
    "record_kind",
    "row_keys",
]

COLLECTION, DATASET, DATASET_TYPE = "collection", "dataset", "dataset-type"
TAGGED, CERTIFIED = "tagged", "certified"
STAGED = "collection-staged"
"""Kind of what a collection was made here, when it was last fetched."""
MOVED_ON = "moved-on"
"""Kind of datasets that quanta have read, and that upstream has changed or removed since."""
GONE = bytes(16)
"""Stands for the digest of what upstream has no longer."""
UPSTREAM = "upstream"
"""Kind whose keys are the ids of the repositories that baselines speak of."""

Digests = dict[bytes, bytes]


def record_kind(element: str) -> str:
    """Name the kind of an element's baselines.

    Parameters
    ----------
    element : str
        Its name.

    Returns
    -------
    str
        ``record:<element>``.
    """
    return f"record:{element}"


def row_keys(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Return rows of natural keys as baseline keys.

    Parameters
    ----------
    rows : iterable of tuple
        Values of strings and integers.

    Returns
    -------
    list of bytes
        Their text, readable in the database.
    """
    return [repr(row).encode() for row in rows]


def record_digests(element: DimensionElement, records: Columns) -> Digests:
    """Digest dimension records.

    Parameters
    ----------
    element : DimensionElement
        The element.
    records : Columns
        Its record columns.

    Returns
    -------
    dict of bytes to bytes
        Key to digest, in the order of the rows.
    """
    keys = row_keys(records.rows(element.required))
    return dict(zip(keys, digest_rows(records.rows(element.record_columns)), strict=True))


def dataset_digests(dataset_type: DatasetType, rows: Columns) -> Digests:
    """Digest datasets of one type: where each belongs and what its bytes are, not where they lie.

    Parameters
    ----------
    dataset_type : DatasetType
        Their type.
    rows : Columns
        Its required dimensions, ``id``, ``run``, ``size`` and ``checksum``.

    Returns
    -------
    dict of bytes to bytes
        Id to digest, in the order of the rows.
    """
    dims = dataset_type.dimensions.required
    constant = Columns({"type": [dataset_type.name] * rows.n_rows, **rows})
    digests = digest_rows(constant.rows(("type", "run", *dims, "size", "checksum")))
    return dict(zip(rows["id"].tolist(), digests, strict=True))


def dataset_type_digests(types: Iterable[DatasetType]) -> Digests:
    """Digest definitions of dataset types.

    Parameters
    ----------
    types : iterable of DatasetType
        The definitions.

    Returns
    -------
    dict of bytes to bytes
        Name to digest.
    """
    rows = [(t.name, t.dimensions.key, t.storage_class, t.is_calibration) for t in types]
    return dict(zip((row[0].encode() for row in rows), digest_rows(rows), strict=True))


def collection_digests(collections: Iterable[Collection]) -> Digests:
    """Digest collections: what kind each is, and a chain's children.

    Parameters
    ----------
    collections : iterable of Collection
        The collections, with all their children.

    Returns
    -------
    dict of bytes to bytes
        Name to digest.
    """
    rows = [(c.name, int(c.type), *c.children) for c in collections]
    return dict(zip((str(row[0]).encode() for row in rows), digest_rows(rows), strict=True))


def read_baselines(staging: Snapshot, kind: str) -> Digests:
    """Return the baselines of one kind.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.
    kind : str
        The kind.

    Returns
    -------
    dict of bytes to bytes
        Key to digest.
    """
    found = staging.table("baseline", kind=kind)
    return dict(zip(found["key"].tolist(), found["digest"].tolist(), strict=True))


def baseline_rows(digests: Mapping[str, Mapping[bytes, bytes]]) -> Columns:
    """Return digests as rows of the baseline table.

    Parameters
    ----------
    digests : mapping of str to mapping
        Kind to key to digest.

    Returns
    -------
    Columns
        ``kind``, ``key``, ``digest``.
    """
    kinds = [kind for kind, of_kind in digests.items() for _ in range(len(of_kind))]
    keys = [key for of_kind in digests.values() for key in of_kind]
    values = [digest for of_kind in digests.values() for digest in of_kind.values()]
    return Columns({"kind": kinds, "key": keys, "digest": values})


def forgotten_rows(keys: Mapping[str, Sequence[bytes]]) -> Columns:
    """Return keys as rows of the baseline table that go.

    Parameters
    ----------
    keys : mapping of str to sequence of bytes
        Kind to keys.

    Returns
    -------
    Columns
        ``kind``, ``key``.
    """
    kinds = [kind for kind, of_kind in keys.items() for _ in of_kind]
    return Columns({"kind": kinds, "key": [key for of_kind in keys.values() for key in of_kind]})
