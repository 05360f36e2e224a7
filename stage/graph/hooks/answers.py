"""What only tasks' own code asks of one of the registries of a build view: every dataset, with its validity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns, as_array
from stage.graph.building.answers import found_columns

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["every_dataset"]


def every_dataset(
    repo: Repo, side: str, snapshot: Snapshot, kind: DatasetType, collections: Sequence[str]
) -> Columns:
    """Return all datasets of a type that some collections hold, each with the spans in which it is valid.

    Parameters
    ----------
    repo : Repo
        Where they are.
    side : str
        ``upstream`` or ``staging``.
    snapshot : Snapshot
        Its registry.
    kind : DatasetType
        A type that is registered there.
    collections : sequence of str
        No chains.

    Returns
    -------
    Columns
        The type's dimensions, `stage.graph.quantum.FOUND_COLUMNS`, ``valid_begin``, ``valid_end``; one row for each
        span, and one for each dataset of which none is said.
    """
    rows = snapshot.datasets(kind.name, list(collections), find_first=False, artifacts=True)
    dims = kind.dimensions.required
    found = found_columns(repo, side, rows, dims)
    place = {i: n for n, i in reversed(list(enumerate(found["id"].tolist())))}
    held = snapshot.associations(list(collections)).rows(("id", "valid_begin", "valid_end"))
    # Also what is valid from ever to ever has a span, and what is only tagged has none: both have nulls here.
    spans = [(place[i], begin, end) for i, begin, end in held if i in place and (begin, end) != (None, None)]
    dated = {n for n, _, _ in spans}
    spans += [(n, None, None) for n in sorted(place.values()) if n not in dated]
    spans.sort(key=lambda s: (s[0], s[1] is not None, s[1] or 0))
    out = found.take(np.array([n for n, _, _ in spans], dtype=np.int64))
    out = out.with_column("valid_begin", as_array([begin for _, begin, _ in spans]))
    return out.with_column("valid_end", as_array([end for _, _, end in spans]))
