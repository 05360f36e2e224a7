"""What one of the registries of a build view answers, as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Array, Columns
from stage.graph.wanted import UPSTREAM
from sync.filesystem import files

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["found_columns", "has_collection", "is_pattern", "with_artifacts"]


def found_columns(repo: Repo, side: str, rows: Columns, dims: Sequence[str]) -> Columns:
    """Return datasets as a graph holds them.

    Parameters
    ----------
    repo : Repo
        Where they are.
    side : str
        ``upstream`` or ``staging``; what is upstream gets absolute URIs.
    rows : Columns
        Data IDs, ``id``, ``run`` and what artifact records have.
    dims : sequence of str
        The dimensions of the data IDs.

    Returns
    -------
    Columns
        The data IDs and `stage.graph.quantum.FOUND_COLUMNS`.
    """
    uris = _located(rows["uri"], repo.datastore.locate) if side == UPSTREAM else rows["uri"]
    return Columns(
        {
            **{d: rows[d] for d in dims},
            "id": rows["id"],
            "run": rows["run"],
            "uri": uris,
            "size": _filled(rows["size"], 0),
            "checksum": _filled(rows["checksum"], ""),
            "formatter": _filled(rows["formatter"], ""),
            "origin": np.full(rows.n_rows, side, dtype=object),
        }
    )


def with_artifacts(snapshot: Snapshot, dataset_type: str, rows: Columns) -> Columns:
    """Return the datasets that rows name by id, with their artifact records.

    Parameters
    ----------
    snapshot : Snapshot
        Where they are.
    dataset_type : str
        Name of their type.
    rows : Columns
        With a column ``id``; a dataset may be named more than once.

    Returns
    -------
    Columns
        Row by row the data ID, ``id``, ``run`` and what the artifact record has.
    """
    ids = rows["id"].tolist()
    held = snapshot.datasets_by_id(ids, artifacts=True).get(dataset_type)
    if held is None:
        return Columns.from_rows((*rows.names, "uri", "size", "checksum", "formatter"), [])
    place = {i: n for n, i in enumerate(held["id"].tolist())}
    return held.take(np.array([place[i] for i in ids], dtype=np.int64))


def is_pattern(name: str) -> bool:
    """Tell whether a name of collections is a pattern.

    Parameters
    ----------
    name : str
        As a user wrote it.

    Returns
    -------
    bool
        Whether it has a wildcard.
    """
    return any(c in name for c in "*?[")


def has_collection(snapshot: Snapshot, name: str) -> bool:
    """Tell whether there is a collection.

    Parameters
    ----------
    snapshot : Snapshot
        Where.
    name : str
        Its name.

    Returns
    -------
    bool
        Whether there is.
    """
    try:
        snapshot.collection(name)
    except NotFoundError:
        return False
    return True


def _located(uris: Array, locate: Callable[[str], str]) -> Array:
    """Make relative URIs absolute: the root is asked for once, for one of them, and put before the others."""
    texts = uris.tolist()
    plain = None not in texts and _are_relative(texts)
    sample = next((u for u in texts if u is not None and not files.is_absolute(u)), None)
    out = np.empty(len(texts), dtype=object)
    if sample is None:
        return uris
    prefix = locate(sample).removesuffix(sample)
    if plain:
        out[:] = [prefix + u for u in texts]
    else:
        out[:] = [u if u is None or files.is_absolute(u) else prefix + u for u in texts]
    return out


def _are_relative(uris: Sequence[str]) -> bool:
    """Tell, looking at all at once, that none has a root or a scheme; of some that have none it cannot be told."""
    joined = "\n".join(uris)
    return ":" not in joined and not joined.startswith("/") and "\n/" not in joined


def _filled(column: Array, value: Any) -> Array:
    """Put a value in place of nulls: a dataset may have no artifact."""
    if column.dtype != object:
        return column
    missing = np.array([v is None for v in column.tolist()], dtype=np.bool_)
    if not missing.any():
        return column
    out = column.copy()
    out[missing] = value
    return out.astype(np.int64) if isinstance(value, int) else out
