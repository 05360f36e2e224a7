"""What a snapshot tells of single things: types, collections, datasets by data ID or id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.collection_lookups import CollectionLookups
from registry.model.collections import CollectionType
from registry.model.columns import Array, Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import Artifact
from registry.model.refs import DatasetRef
from registry.model.times import Timespan
from registry.sql import bulk_lookups, calibrations, data_ids, dataset_types, datasets, plain

if TYPE_CHECKING:
    from registry.sql.session import Session

__all__ = ["Lookups", "session_of"]


class Lookups(CollectionLookups):
    """The part of `registry.snapshot.Snapshot` that needs no query language.

    Parameters
    ----------
    session : Session
        An open transaction.
    """

    def dataset_type(self, name: str) -> DatasetType:
        """Return a dataset type.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        DatasetType
            Its definition.

        Raises
        ------
        NotFoundError
            If there is none; offers the nearest name.
        """
        return dataset_types.find_type(self._session, name).type

    def known_types(self, names: Sequence[str]) -> dict[str, DatasetType]:
        """Return those of some dataset types that there are.

        Parameters
        ----------
        names : sequence of str
            Their names.

        Returns
        -------
        dict of str to DatasetType
            By name; one statement.
        """
        return {name: e.type for name, e in dataset_types.types_of(self._session, names).items()}

    def dataset_types(self, glob: str | Sequence[str] = "*") -> list[DatasetType]:
        """Return the dataset types that match.

        Parameters
        ----------
        glob : str or sequence of str
            Patterns; a name is one that matches itself alone, and need not exist.

        Returns
        -------
        list of DatasetType
            Sorted by name.
        """
        return [e.type for e in dataset_types.types_matching(self._session, glob)]

    def find(
        self,
        dataset_type: str,
        data_id: Mapping[str, Any],
        collections: Sequence[str],
        *,
        timespan: Timespan | None = None,
    ) -> DatasetRef | None:
        """Return the first dataset of a data ID in a search path.

        Parameters
        ----------
        dataset_type : str
            Its name.
        data_id : mapping
            Values of the dimensions; those that are missing are taken from records that imply them, as the
            ``physical_filter`` of an ``exposure``. A string for a key that is a number is a record's other name.
        collections : sequence of str
            Where to search, in order; what patterns match comes first, in order of registration.
        timespan : Timespan, optional
            The time for which a dataset of a CALIBRATION collection has to be valid, for a part of it at least; by
            default that of the most precise dimension of `data_id` that has one. Without any, these hold nothing.

        Returns
        -------
        DatasetRef or None
            None if there is none.

        Raises
        ------
        NotFoundError
            If the dataset type or a collection does not exist.
        DataIdError
            If the data ID does not fit the dataset type, or the first CALIBRATION collection that holds one for the
            time holds two (code ``calibration-ambiguous``).
        """
        found = dataset_types.find_type(self._session, dataset_type)
        path = self._ordered(collections)
        data, known = data_ids.complete(self._session, found.type.dimensions, data_id)
        if found.type.is_calibration and any(e.type is CollectionType.CALIBRATION for e in path):
            span = timespan or data_ids.timespan_of(self._session, self.universe, known)
            if span is not None:
                return calibrations.find_in_time(self._session, found, data, path, span)
        return datasets.find(self._session, found, data, path)

    def find_calibrations(
        self,
        dataset_type: str,
        collections: Sequence[str],
        table: Columns,
        *,
        times: tuple[Array, Array] | None = None,
    ) -> Columns:
        """Return the first dataset in a search path for each of many data IDs, each at its own time.

        Parameters
        ----------
        dataset_type : str
            Its name.
        collections : sequence of str
            Where to search, in order.
        table : Columns
            Data IDs: the dimensions that the type needs, or others whose records imply them. The time of each is that
            of its most precise dimension that has one, as ``exposure`` or ``visit``.
        times : (numpy.ndarray, numpy.ndarray), optional
            Begin and end of the time of each row in TAI nanoseconds, equal where it has none: for data IDs whose
            records are elsewhere.

        Returns
        -------
        Columns
            ``ordinal`` (the row's number in `table`), the required dimensions of the type, ``id``, ``run``; rising
            with the ordinal. A row for which there is none is left out.

        Raises
        ------
        NotFoundError
            If the dataset type or a collection does not exist.
        DataIdError
            If a dimension is missing, or the collection that decides holds two for a data ID
            (code ``calibration-ambiguous``), both of which are named.

        Notes
        -----
        A fixed number of statements.
        """
        found = dataset_types.find_type(self._session, dataset_type)
        return bulk_lookups.find_many(self._session, found, self._search(collections), table, times)

    def dataset(self, id: bytes) -> DatasetRef:  # noqa: A002 - what it is called everywhere
        """Return the dataset of an id.

        Parameters
        ----------
        id : bytes
            16 bytes.

        Returns
        -------
        DatasetRef
            It.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return datasets.dataset(self._session, id)

    def datasets_by_id(self, ids: Sequence[bytes], *, artifacts: bool = False) -> dict[str, Columns]:
        """Return datasets by their ids.

        Parameters
        ----------
        ids : sequence of bytes
            16 bytes each; unknown ones are left out.
        artifacts : bool
            Whether to return their artifact records too.

        Returns
        -------
        dict of str to Columns
            By dataset type name, with the columns of `datasets`, ordered by id.
        """
        return datasets.datasets_by_id(self._session, ids, artifacts=artifacts)

    def artifact(self, id: bytes) -> Artifact | None:  # noqa: A002
        """Return the artifact record of a dataset.

        Parameters
        ----------
        id : bytes
            16 bytes.

        Returns
        -------
        Artifact or None
            None if there is none.
        """
        return datasets.artifact(self._session, id)

    def existing_ids(self, ids: Sequence[bytes]) -> set[bytes]:
        """Return those ids that are datasets.

        Parameters
        ----------
        ids : sequence of bytes
            16 bytes each.

        Returns
        -------
        set of bytes
            A part of `ids`.
        """
        return datasets.existing_ids(self._session, ids)

    def recorded_uris(self, uris: Sequence[str]) -> set[str]:
        """Return those URIs that artifact records name.

        Parameters
        ----------
        uris : sequence of str
            As they are recorded.

        Returns
        -------
        set of str
            A part of `uris`: the files that some dataset has.
        """
        return datasets.recorded_uris(self._session, uris)

    def table(self, name: str, **equals: Any) -> Columns:
        """Return rows of a plain table.

        Parameters
        ----------
        name : str
            One of baseline, campaign, history, journal, push_ledger, repository.
        **equals
            Values that columns must have.

        Returns
        -------
        Columns
            All columns, ordered by primary key.
        """
        return plain.read_table(self._session, name, equals)


def session_of(lookups: Lookups) -> Session:
    """Return the open transaction beneath a snapshot or a change, for other modules of this package.

    Parameters
    ----------
    lookups : Lookups
        The snapshot.

    Returns
    -------
    Session
        Its own.
    """
    return lookups._session  # noqa: SLF001 - the one way in; who uses the package has questions instead
