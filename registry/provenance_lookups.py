"""What a snapshot tells of provenance beyond single runs: lineages, and what comparisons need."""

from __future__ import annotations

from collections.abc import Sequence

from registry.comparing_lookups import ComparingLookups
from registry.model.columns import Columns
from registry.model.records import QUANTUM, Walk
from registry.sql import lineage, walk

__all__ = ["ProvenanceLookups"]


class ProvenanceLookups(ComparingLookups):
    """The part of `registry.snapshot.Snapshot` that follows what came of what.

    Parameters
    ----------
    session : Session
        An open transaction.
    """

    def walk(self, ids: Sequence[bytes], *, up: bool = True, depth: int | None = None) -> Walk:
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
        Walk
            What lies on the ways, each once.

        Notes
        -----
        Two statements for each quantum on the longest way.
        """
        return walk.walk(self._session, ids, up=up, depth=depth)

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

    def count_outcomes(self, run: str) -> Columns:
        """Count a run's quanta by what became of them.

        Parameters
        ----------
        run : str
            The RUN.

        Returns
        -------
        Columns
            ``task``, ``status``, ``n``; the last attempt at each counts.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return lineage.count_outcomes(self._session, run)

    def artifacts_of_quanta(self, ids: Sequence[bytes], connection: str) -> Columns:
        """Return the artifacts of what quanta made by one connection.

        Parameters
        ----------
        ids : sequence of bytes
            The quanta.
        connection : str
            The connection.

        Returns
        -------
        Columns
            ``quantum_id``, ``uri``, ``size``, ``checksum``, ``formatter``, in no order; without datasets that have no
            artifact.
        """
        return lineage.artifacts_of_quanta(self._session, ids, connection)

    def known_to_quanta(self, ids: Sequence[bytes]) -> set[bytes]:
        """Return those datasets that quanta have read or made.

        Parameters
        ----------
        ids : sequence of bytes
            16 bytes each, of datasets that are registered or not.

        Returns
        -------
        set of bytes
            A part of `ids`; what was only offered to quanta is left out.
        """
        return lineage.known_to_quanta(self._session, ids) if ids else set()
