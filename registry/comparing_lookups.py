"""What a snapshot tells of two runs: only what differs."""

from __future__ import annotations

from collections.abc import Sequence

from registry.lookups import Lookups, session_of
from registry.model.columns import Columns
from registry.sql import differences, differing_outputs

__all__ = ["ComparingLookups"]


class ComparingLookups(Lookups):
    """The part of `registry.snapshot.Snapshot` that compares a run with another one, of any registry.

    Parameters
    ----------
    session : Session
        An open transaction.

    Notes
    -----
    The comparing is done by the database: what is the same is counted there at most. Where the other run is of another
    registry, its rows are handed over to this one first.
    """

    def differing_quanta(self, run: str, other: Lookups, other_run: str, *, shown: int = 5) -> Columns:
        """Return quanta that came to something else in another run.

        Parameters
        ----------
        run : str
            A RUN of this registry.
        other : Lookups
            A snapshot of the registry that has the other run; this one, if it is the same.
        other_run : str
            The other RUN.
        shown : int, optional
            How many data IDs of each task and change to return.

        Returns
        -------
        Columns
            ``task``, ``data_id``, ``old``, ``new`` (the statuses; null where a run does not have it), and how many
            there are of that task and change: ``n``.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return differences.differing_quanta(*self._sides(run, other, other_run), shown)

    def differing_inputs(
        self, run: str, other: Lookups, other_run: str, *, shown: int = 5
    ) -> tuple[Columns, Columns]:
        """Compare which datasets of other collections the quanta of two runs were given, and which they read.

        Parameters
        ----------
        run : str
            A RUN of this registry.
        other : Lookups
            As for `differing_quanta`.
        other_run : str
            The other RUN.
        shown : int, optional
            How many datasets of each kind to return.

        Returns
        -------
        Columns
            ``dataset_type``, ``run`` (that has them), ``old``, ``new`` (1 read, 0 only offered, null not even that),
            and how many such datasets there are: ``n``.
        Columns
            Some of those that differ: ``id``, ``dataset_type``, ``old``, ``new``.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return differences.differing_inputs(*self._sides(run, other, other_run), shown)

    def differing_outputs(
        self,
        run: str,
        other: Lookups,
        other_run: str,
        dataset_type: str,
        n: tuple[int, int],
        *,
        shown: int = 5,
    ) -> Columns:
        """Return what differs of the datasets of one type that two runs made.

        Parameters
        ----------
        run : str
            A RUN of this registry.
        other : Lookups
            As for `differing_quanta`.
        other_run : str
            The other RUN.
        dataset_type : str
            The type.
        n : (int, int)
            How many datasets of it the runs hold.
        shown : int, optional
            How many data IDs of each change to return.

        Returns
        -------
        Columns
            The required dimensions, ``change`` (`registry.sql.differing_outputs.CHANGES`), and how many there are with
            that change: ``n``.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return differing_outputs.differing_outputs(
            *self._sides(run, other, other_run), dataset_type, n, shown
        )

    def changed_outputs(self, run: str, other: Lookups, other_run: str, dataset_type: str) -> Columns:
        """Return the datasets of one type that two runs made of the same data IDs, with other content.

        Parameters
        ----------
        run : str
            A RUN of this registry.
        other : Lookups
            As for `differing_quanta`.
        other_run : str
            The other RUN.
        dataset_type : str
            The type.

        Returns
        -------
        Columns
            The required dimensions, ``old`` and ``new``: both ids.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return differing_outputs.changed_outputs(*self._sides(run, other, other_run), dataset_type)

    def same_quanta(
        self, run: str, other: Lookups, other_run: str, statuses: Sequence[str], *, step: int = 1
    ) -> Columns:
        """Return quanta of two runs with the same task and data ID.

        Parameters
        ----------
        run : str
            A RUN of this registry.
        other : Lookups
            As for `differing_quanta`.
        other_run : str
            The other RUN.
        statuses : sequence of str
            What became of them, in both.
        step : int, optional
            Only one of so many, chosen evenly.

        Returns
        -------
        Columns
            ``task``, ``data_id``, ``old``, ``new``: both ids.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        return differences.same_quanta(*self._sides(run, other, other_run), statuses, step)

    def _sides(self, run: str, other: Lookups, other_run: str) -> tuple[differences.Side, differences.Side]:
        return differences.Side(self._session, run), differences.Side(session_of(other), other_run)
