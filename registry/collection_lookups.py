"""What a snapshot tells of collections: what they are, what they search, what they hold."""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Sequence

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from registry.model.times import Timespan
from registry.sql import associations as association_rows
from registry.sql import collection_digest, dataset_types, deletion, holdings, listing, memberships
from registry.sql import collections as collection_rows
from registry.sql.session import Session

__all__ = ["CollectionLookups"]


class CollectionLookups:
    """The part of `registry.lookups.Lookups` that is about collections.

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
        return listing.describe(self._session, [found])[0]

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
        return listing.find_collections(self._session, globs, types)

    def collection_names(
        self,
        names: str | Sequence[str],
        types: Container[CollectionType] | None = None,
        *,
        flatten_chains: bool = False,
        include_chains: bool | None = None,
    ) -> list[str]:
        """Return the names of the collections that match, in an order that means something.

        Parameters
        ----------
        names : str or sequence of str
            Names and patterns.
        types : collection of CollectionType, optional
            Only these.
        flatten_chains : bool
            Whether what chains search takes part too, at the chain's place.
        include_chains : bool, optional
            Whether chains themselves take part; by default where they are not flattened.

        Returns
        -------
        list of str
            Each once: what patterns match in order of registration, then the names as they are given.

        Raises
        ------
        NotFoundError
            If a name (that is no pattern) does not exist.
        """
        given = [names] if isinstance(names, str) else list(names)
        found = listing.list_collections(
            self._session, given, types, flatten_chains=flatten_chains, include_chains=include_chains
        )
        return [e.name for e in found]

    def collection_summary(self, collections: Sequence[str] = ("*",)) -> Columns:
        """Say which dataset types collections hold, and for which governors: instruments and skymaps.

        Parameters
        ----------
        collections : sequence of str
            Collections and patterns, chains expanded.

        Returns
        -------
        Columns
            ``collection``, ``dataset_type``, ``governor``, ``value``, each row once, sorted; the last two are empty
            for a type that has no governor. Cheap: its cost does not grow with the datasets.

        Raises
        ------
        NotFoundError
            If a name (that is no pattern) does not exist.
        """
        return holdings.summary(self._session, self._search(collections))

    def content_digests(
        self, collections: Sequence[str], dataset_types: Sequence[str], *, leave_out: Container[str] = ()
    ) -> dict[str, str]:
        """Return a text for each collection that changes when what a search finds in it may do.

        Parameters
        ----------
        collections : sequence of str
            Names and patterns.
        dataset_types : sequence of str
            The types that matter; those that are not registered hold nothing.
        leave_out : container of str
            Collections that do not count, also where a chain has them.

        Returns
        -------
        dict of str to str
            Name to digest; names of which there is no collection are absent. Cheap, since no rows are read out of the
            database; to be compared with one that the same repository gave.
        """
        return collection_digest.content_digests(self._session, collections, dataset_types, leave_out)

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

    def associations(self, collections: Sequence[str] = ("*",)) -> Columns:
        """Return what TAGGED and CALIBRATION collections hold.

        Parameters
        ----------
        collections : sequence of str
            Collections and patterns, chains expanded; RUN collections among them are left out.

        Returns
        -------
        Columns
            ``collection``, ``id``, ``valid_begin``, ``valid_end`` (null for what is tagged); ordered by collection,
            begin and id.

        Raises
        ------
        NotFoundError
            If a collection does not exist.
        """
        return association_rows.associations(self._session, collections)

    def collection_users(self, name: str) -> tuple[list[str], dict[str, int]]:
        """Say what refers to a collection.

        Parameters
        ----------
        name : str
            The collection.

        Returns
        -------
        (list of str, dict of str to int)
            The chains of which it is a child; and, of a RUN, the TAGGED and CALIBRATION collections that hold datasets
            of it, with how many. Both sorted by name.

        Raises
        ------
        NotFoundError
            If there is no such collection.
        """
        found = collection_rows.existing(self._session, name)
        holders = deletion.holders_of(self._session, found)
        return deletion.chains_of(self._session, found), dict(sorted(holders.items()))

    def tagged(self, collections: Sequence[str], ids: Sequence[bytes]) -> Columns:
        """Say which of some datasets TAGGED collections hold.

        Parameters
        ----------
        collections : sequence of str
            Collections and patterns, chains expanded; those of another type are left out.
        ids : sequence of bytes
            16 bytes each; unknown ones are ignored.

        Returns
        -------
        Columns
            ``collection``, ``id``; sorted.

        Raises
        ------
        NotFoundError
            If a name (that is no pattern) does not exist.
        """
        return memberships.tagged(self._session, self._search(collections), ids)

    def validity_ranges(
        self, dataset_type: str, collections: Sequence[str], *, timespan: Timespan | None = None
    ) -> Columns:
        """Return for which times CALIBRATION collections hold the datasets of a type.

        Parameters
        ----------
        dataset_type : str
            The type.
        collections : sequence of str
            Collections and patterns, chains expanded; those of another type are left out.
        timespan : Timespan, optional
            Only ranges that have a time in common with this one.

        Returns
        -------
        Columns
            ``collection``, the required dimensions, ``id``, ``valid_begin``, ``valid_end``; ordered by collection,
            data ID and begin. None for a type of which there are no calibrations.

        Raises
        ------
        NotFoundError
            If the dataset type or a collection does not exist.
        """
        found = dataset_types.find_type(self._session, dataset_type)
        return memberships.validity_ranges(self._session, found, self._search(collections), timespan)

    def _search(self, names: Sequence[str]) -> list[collection_rows.Entry]:
        return collection_rows.search(self._session, names)

    def _ordered(self, names: Sequence[str]) -> list[collection_rows.Entry]:
        """Return a search path in which a pattern stands for one order, that of this registry."""
        if any(map(collection_rows.is_glob, names)):
            return listing.list_collections(self._session, names, flatten_chains=True)
        return self._search(names)
