"""What a snapshot tells of single things: types, collections, datasets by data ID or id."""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Mapping, Sequence
from typing import Any

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.model.data_id import DataId
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.records import Artifact
from registry.model.refs import DatasetRef
from registry.sql import collections as collection_rows
from registry.sql import dataset_types, datasets, plain
from registry.sql.session import Session

__all__ = ["Lookups"]


class Lookups:
    """The part of `registry.snapshot.Snapshot` that needs no query language.

    Parameters
    ----------
    session : Session
        An open transaction.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def universe(self) -> DimensionUniverse:
        """The registry's dimensions."""
        return self._session.schema.universe

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

    def dataset_types(self, glob: str = "*") -> list[DatasetType]:
        """Return the dataset types that match.

        Parameters
        ----------
        glob : str
            A pattern.

        Returns
        -------
        list of DatasetType
            Sorted by name.
        """
        return [e.type for e in dataset_types.types_matching(self._session, glob)]

    def collection(self, name: str) -> Collection:
        """Return a collection.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Collection
            With its children.

        Raises
        ------
        NotFoundError
            If there is none; offers the nearest name.
        """
        found = collection_rows.existing(self._session, name)
        return collection_rows.describe(self._session, [found])[0]

    def collections(
        self, globs: Sequence[str] = ("*",), types: Container[CollectionType] | None = None
    ) -> list[Collection]:
        """Return the collections that match.

        Parameters
        ----------
        globs : sequence of str
            Names and patterns.
        types : collection of CollectionType, optional
            Only these.

        Returns
        -------
        list of Collection
            Sorted by name.

        Raises
        ------
        NotFoundError
            If a name (that is no pattern) does not exist.
        """
        return collection_rows.find_collections(self._session, globs, types)

    def search_path(self, names: Sequence[str]) -> list[str]:
        """Flatten names into the order in which they are searched.

        Parameters
        ----------
        names : sequence of str
            Collections and patterns, in order.

        Returns
        -------
        list of str
            No chains, each collection once.

        Raises
        ------
        NotFoundError
            If a name (that is no pattern) does not exist.
        """
        return [e.name for e in collection_rows.search(self._session, names)]

    def find(
        self, dataset_type: str, data_id: Mapping[str, Any], collections: Sequence[str]
    ) -> DatasetRef | None:
        """Return the first dataset of a data ID in a search path.

        Parameters
        ----------
        dataset_type : str
            Its name.
        data_id : mapping
            Values of the dimensions.
        collections : sequence of str
            Where to search, in order.

        Returns
        -------
        DatasetRef or None
            None if there is none.

        Raises
        ------
        NotFoundError
            If the dataset type or a collection does not exist.
        DataIdError
            If the data ID does not fit the dataset type.
        """
        found = dataset_types.find_type(self._session, dataset_type)
        values = DataId.standardize(found.type.dimensions, data_id)
        return datasets.find(self._session, found, values, self._search(collections))

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

    def _search(self, names: Sequence[str]) -> list[collection_rows.Entry]:
        return collection_rows.search(self._session, names)
