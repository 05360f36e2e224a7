"""What a snapshot tells of provenance beyond single runs: lineages, and what comparisons need."""

from __future__ import annotations

from collections.abc import Sequence

from registry.lookups import Lookups
from registry.model.columns import Columns
from registry.model.records import QUANTUM
from registry.sql import lineage

__all__ = ["ProvenanceLookups"]


class ProvenanceLookups(Lookups):
    """The part of `registry.snapshot.Snapshot` that follows what came of what.

    Parameters
    ----------
    session : Session
        An open transaction.
    """

    def lineage(self, ids: Sequence[bytes], *, up: bool = True, depth: int | None = None) -> Columns:
        """Follow datasets or quanta to what they came from, or to what came of them.

        Parameters
        ----------
        ids : sequence of bytes
            Of datasets, or of quanta, which then are among those returned.
        up : bool
            Whether to go to what they came from.
        depth : int, optional
            Over so many quanta one after another at most.

        Returns
        -------
        Columns
            `registry.sql.lineage.LINEAGE`: all that the quanta that were reached read and made.

        Notes
        -----
        One statement.
        """
        return lineage.lineage(self._session, ids, up=up, depth=depth)

    def quanta_by_id(self, ids: Sequence[bytes], names: Sequence[str] = QUANTUM) -> Columns:
        """Return the last attempts at quanta.

        Parameters
        ----------
        ids : sequence of bytes
            Which; those that were never executed are left out.
        names : sequence of str, optional
            Columns of `registry.model.records.QUANTUM`, ``run`` among them; all by default.

        Returns
        -------
        Columns
            These, ordered by id.
        """
        return lineage.quanta_by_id(self._session, ids, names)

    def dataset_types_by_id(self, ids: Sequence[bytes]) -> Columns:
        """Return what datasets are, without their data IDs.

        Parameters
        ----------
        ids : sequence of bytes
            Which; those that are not there are left out.

        Returns
        -------
        Columns
            ``id``, ``dataset_type``, ``run``; in no order.
        """
        return lineage.dataset_types_by_id(self._session, ids)

    def outcomes(self, run: str, *, task: str | None = None) -> Columns:
        """Return what became of a run's quanta, and no more.

        Parameters
        ----------
        run : str
            The RUN.
        task : str, optional
            Only of this task.

        Returns
        -------
        Columns
            ``id``, ``task``, ``data_id``, ``status``; the last attempt at each, in no order.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return lineage.outcomes(self._session, run, task)

    def inputs_from_outside(self, run: str) -> Columns:
        """Return the datasets of other collections that a run's quanta took.

        Parameters
        ----------
        run : str
            The RUN.

        Returns
        -------
        Columns
            ``id``, ``dataset_type``, ``run``; each dataset once.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return lineage.inputs_from_outside(self._session, run)

    def checksums(self, dataset_type: str, run: str) -> Columns:
        """Return what a run holds of a dataset type, and no more than tells whether another run holds the same.

        Parameters
        ----------
        dataset_type : str
            The dataset type.
        run : str
            The RUN.

        Returns
        -------
        Columns
            The required dimensions, ``id`` and ``checksum`` (null where there is no artifact record), in no order.

        Raises
        ------
        NotFoundError
            If there is no such dataset type or run.
        """
        return lineage.checksums(self._session, dataset_type, run)
