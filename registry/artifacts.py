"""What is asked about where artifacts are, beside the questions that everybody asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.lookups import session_of
from registry.sql import artifacts

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.snapshot import Snapshot

__all__ = ["artifacts_elsewhere", "artifacts_of_runs"]


def artifacts_elsewhere(snapshot: Snapshot, ids: Sequence[bytes] | None = None) -> Columns:
    """Return the artifact records whose URIs are absolute: those of files that others keep.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    ids : sequence of bytes, optional
        Of these datasets only; of all by default.

    Returns
    -------
    Columns
        `registry.model.records.ARTIFACT`, ordered by id; from one statement.
    """
    return artifacts.artifacts_elsewhere(session_of(snapshot), ids)


def artifacts_of_runs(snapshot: Snapshot, runs: Sequence[str], *, others: bool = False) -> Columns:
    """Return the artifact records of the datasets of some RUNs.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    runs : sequence of str
        The RUNs; few.
    others : bool, optional
        Those of all other RUNs instead.

    Returns
    -------
    Columns
        `registry.model.records.ARTIFACT`, ``dataset_type`` and ``run``, ordered by id.

    Raises
    ------
    NotFoundError
        If there is no such collection.
    ConflictError
        If one is no RUN.
    """
    return artifacts.artifacts_of_runs(session_of(snapshot), runs, others=others)
