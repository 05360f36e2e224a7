"""Adoption: artifacts that lie in upstream's storage already are registered where they are, and no byte moves.

What makes it safe is that nobody else writes below the campaign's prefix (`sync.outputs`), and that it is noted there, before
the commit, that the files of these RUNs are upstream's from now on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import UsageError
from registry.model.columns import Columns
from sync.filesystem import files
from sync.filesystem.durable import flush
from sync.filesystem.file_errors import worded
from sync.outputs import OUTPUTS_CLAIM, OUTPUTS_IN, mark_given, place_upstream, unmark_given
from sync.transfer import TransferResult

if TYPE_CHECKING:
    from sync.faults import At
    from sync.plan import DatasetBatch
    from sync.repo import Repo

__all__ = ["Adoption", "adoption_of"]


class Adoption:
    """What makes the artifacts of one push upstream's where they are.

    Parameters
    ----------
    outputs : str
        Root of staging's datastore: the campaign's prefix.
    prefix : str
        What upstream's rows write before the paths below it.
    claim_id : str or None
        The claim that staging remembers.
    """

    def __init__(self, outputs: str, prefix: str, claim_id: str | None) -> None:
        self.outputs = outputs
        self.prefix = prefix
        self._claim_id = claim_id
        self._given: tuple[str, ...] = ()

    def take(self, artifacts: Columns, runs: Sequence[str], at: At) -> TransferResult:
        """Make artifacts durable and note that they are upstream's; they have been looked at before.

        Parameters
        ----------
        artifacts : Columns
            ``uri`` (relative to the prefix), ``size``.
        runs : sequence of str
            Their RUNs.
        at : callable
            Called with ``artifacts-moved`` and ``artifacts-durable``, as where artifacts move.

        Returns
        -------
        TransferResult
            All of them are where they are to be.

        Raises
        ------
        ConflictError
            If the prefix is not the campaign's any more.
        StorageError
            If the system cannot promise that they stay.
        """
        uris = artifacts["uri"].tolist()
        self._given = mark_given(self.outputs, runs, self._claim_id)
        at("artifacts-moved")
        if (root := files.local_text(self.outputs)) is not None:
            with worded(self.outputs, "flush"):
                flush(uris, root)
        at("artifacts-durable")
        return TransferResult(moved=tuple(uris), adoption=self)

    def give_back(self) -> None:
        """Note that a push was refused: what it would have made upstream's is the campaign's still."""
        if self._given:
            unmark_given(self.outputs, self._given)

    def placed(self, batch: DatasetBatch) -> DatasetBatch:
        """Return datasets with the URIs that upstream finds them by.

        Parameters
        ----------
        batch : DatasetBatch
            With URIs relative to the prefix; absolute ones stay.

        Returns
        -------
        DatasetBatch
            With URIs relative to upstream's root, or absolute.
        """
        uris = batch.rows["uri"].tolist()
        placed = [uri if uri is None or uri[0] == "/" or "://" in uri else self.prefix + uri for uri in uris]
        return replace(batch, rows=batch.rows.with_column("uri", np.array(placed, dtype=object)))


def adoption_of(staging: Repo, upstream: Repo, mode: str = "auto") -> Adoption | None:
    """Say whether a push adopts artifacts.

    Parameters
    ----------
    staging, upstream : Repo
        The two sides.
    mode : {"auto", "link", "copy"}
        How artifacts are to get upstream; only ``auto`` adopts.

    Returns
    -------
    Adoption or None
        None where artifacts are linked or copied.

    Raises
    ------
    UsageError
        If upstream's datastore is elsewhere now, so that its readers might not find them.
    """
    if mode != "auto" or not staging.registry.attribute(OUTPUTS_IN):
        return None
    outputs = staging.datastore.root
    try:
        prefix = place_upstream(outputs, upstream.datastore.root)
    except UsageError as exc:
        raise UsageError(exc.message, code=exc.code, hint="Copy them: stage push --artifacts copy.") from exc
    return Adoption(outputs, prefix, staging.registry.attribute(OUTPUTS_CLAIM))
