"""The part of `registry.change.Change` that makes, fills and removes collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.snapshot import Snapshot
from registry.sql import collection_writes, dataset_types, deletion, memberships, tagging, validity

__all__ = ["CollectionChanges"]


class CollectionChanges(Snapshot):
    """Collections being changed: all that a method does, or on an error nothing.

    Parameters
    ----------
    session : Session
        An open transaction that may write.
    """

    def register_run(self, name: str, doc: str = "") -> bool:
        """Make a RUN collection unless it is there.

        Parameters
        ----------
        name : str
            Its name.
        doc : str
            What it is for.

        Returns
        -------
        bool
            True if it is new.

        Raises
        ------
        ConflictError
            If a collection of another type has that name (code ``collection-type-differs``).
        """
        return self.register_collection(name, CollectionType.RUN, doc)

    def register_collection(self, name: str, type: CollectionType, doc: str = "") -> bool:  # noqa: A002
        """Make a collection unless it is there.

        Parameters
        ----------
        name : str
            Its name.
        type : CollectionType
            What it shall be.
        doc : str
            What it is for.

        Returns
        -------
        bool
            True if it is new.

        Raises
        ------
        ConflictError
            If a collection of another type has that name (code ``collection-type-differs``).
        """
        return collection_writes.register(self._session, name, type, doc)

    def set_chain(self, name: str, children: Sequence[str], *, expected: Sequence[str] | None = None) -> None:
        """Define what a chain searches, making it where it is absent.

        Parameters
        ----------
        name : str
            The chain.
        children : sequence of str
            Existing collections, in search order.
        expected : sequence of str, optional
            What it must hold now; an absent chain holds nothing. Anything by default.

        Raises
        ------
        ConflictError
            If it holds something else (code ``chain-changed``), would contain itself (``chain-cycle``), or the name is
            not a chain's.
        NotFoundError
            If a child does not exist.
        """
        with self._session.savepoint():
            collection_writes.set_chain(self._session, name, children, expected)

    def prepend_chain(self, name: str, children: Sequence[str]) -> None:
        """Put collections before what a chain searches, making it where it is absent.

        Parameters
        ----------
        name : str
            The chain.
        children : sequence of str
            Existing collections, in search order; those that it has move to the front.

        Raises
        ------
        ConflictError
            If it would contain itself (code ``chain-cycle``), or the name is not a chain's.
        NotFoundError
            If a child does not exist.
        """
        with self._session.savepoint():
            collection_writes.prepend_chain(self._session, name, children)

    def extend_chain(self, name: str, children: Sequence[str]) -> None:
        """Put collections after what a chain searches, making it where it is absent.

        Parameters
        ----------
        name : str
            The chain.
        children : sequence of str
            Existing collections, in search order; those that it has move to the end.

        Raises
        ------
        ConflictError
            If it would contain itself (code ``chain-cycle``), or the name is not a chain's.
        NotFoundError
            If a child does not exist.
        """
        with self._session.savepoint():
            collection_writes.extend_chain(self._session, name, children)

    def remove_from_chain(self, name: str, children: Sequence[str]) -> None:
        """Take collections out of a chain.

        Parameters
        ----------
        name : str
            The chain.
        children : sequence of str
            Some of its own children.

        Raises
        ------
        ConflictError
            If the name is not a chain's.
        NotFoundError
            If there is no such chain, or it does not search one of them (code ``not-in-chain``).
        """
        collection_writes.remove_from_chain(self._session, name, children)

    def pop_chain(self, name: str, n: int = 1) -> list[str]:
        """Take the first collections out of a chain.

        Parameters
        ----------
        name : str
            The chain.
        n : int
            How many.

        Returns
        -------
        list of str
            They, in search order.

        Raises
        ------
        ConflictError
            If the name is not a chain's.
        NotFoundError
            If there is no such chain.
        UsageError
            If it does not have so many (code ``chain-too-short``).
        """
        return collection_writes.pop_chain(self._session, name, n)

    def associate(self, collection: str, ids: Sequence[bytes], *, replace: bool = False) -> None:
        """Put datasets into a TAGGED collection.

        Parameters
        ----------
        collection : str
            The collection.
        ids : sequence of bytes
            16 bytes each; those that it holds already stay.
        replace : bool
            Whether one takes the place of another dataset of the same type and data ID.

        Raises
        ------
        NotFoundError
            If there is no such collection or dataset.
        ConflictError
            If the collection is not TAGGED, holds another dataset of the same type and data ID and may not be
            changed (code ``tag-taken``), or two of those given have the same (``tag-twice``).
        """
        tagging.associate(self._session, collection, ids, replace=replace)

    def disassociate(self, collection: str, ids: Sequence[bytes]) -> int:
        """Take datasets out of a TAGGED collection.

        Parameters
        ----------
        collection : str
            The collection.
        ids : sequence of bytes
            16 bytes each; those that it does not hold are ignored.

        Returns
        -------
        int
            How many it held.

        Raises
        ------
        NotFoundError
            If there is no such collection.
        ConflictError
            If it is not TAGGED.
        """
        return tagging.disassociate(self._session, collection, ids)

    def certify(
        self, collection: str, ids: Sequence[bytes], begin_ns: int | None = None, end_ns: int | None = None
    ) -> None:
        """Put datasets into a CALIBRATION collection, all for one time.

        Parameters
        ----------
        collection : str
            The collection.
        ids : sequence of bytes
            16 bytes each.
        begin_ns, end_ns : int, optional
            TAI nanoseconds, half-open; unbounded by default.

        Raises
        ------
        NotFoundError
            If there is no such collection or dataset.
        ConflictError
            As for `certify_rows`.
        UsageError
            If the time is empty.
        """
        n = len(ids)
        rows = {"id": ids, "valid_begin": [begin_ns] * n, "valid_end": [end_ns] * n}
        self.certify_rows(collection, Columns(rows))

    def certify_rows(
        self, collection: str, rows: Columns, *, on_existing: Literal["error", "skip"] = "error"
    ) -> None:
        """Put datasets into a CALIBRATION collection, each for its own time.

        Parameters
        ----------
        collection : str
            The collection.
        rows : Columns
            ``id``, ``valid_begin`` and ``valid_end`` in TAI nanoseconds, half-open, null where unbounded.
        on_existing : {"error", "skip"}
            What a dataset does that the collection holds for exactly that time.

        Raises
        ------
        NotFoundError
            If there is no such collection or dataset.
        ConflictError
            If the collection is not CALIBRATION, a dataset is of a type of which there are no calibrations
            (code ``not-a-calibration``), or another one of the same type and data ID is valid for a part of the
            time, there (``validity-overlaps``) or among those given (``validity-twice``).
        UsageError
            If a time is empty (code ``empty-validity``), or not one.
        """
        validity.certify(self._session, collection, rows, on_existing)

    def decertify(
        self,
        collection: str,
        dataset_type: str,
        begin_ns: int | None = None,
        end_ns: int | None = None,
        *,
        table: Columns | None = None,
    ) -> int:
        """Take a time away from what a CALIBRATION collection holds, splitting what reaches beyond it.

        Parameters
        ----------
        collection : str
            The collection.
        dataset_type : str
            Of which type.
        begin_ns, end_ns : int, optional
            TAI nanoseconds, half-open; unbounded by default.
        table : Columns, optional
            Data IDs, with all dimensions of the type; all by default.

        Returns
        -------
        int
            Ranges of validity that have lost something.

        Raises
        ------
        NotFoundError
            If there is no such collection or dataset type.
        ConflictError
            If the collection is not CALIBRATION, or the type not one of calibrations.
        DataIdError
            If `table` lacks a dimension, or has a value of another type.
        """
        span = validity.timespan(begin_ns, end_ns)
        return validity.decertify(self._session, collection, dataset_type, span, table)

    def remove_ranges(self, collection: str, dataset_type: str, rows: Columns) -> int:
        """Take whole ranges of validity out of a CALIBRATION collection.

        Parameters
        ----------
        collection : str
            The collection.
        dataset_type : str
            Of which type.
        rows : Columns
            ``id``, ``valid_begin`` and ``valid_end``, as `Snapshot.validity_ranges` gives them; ranges that are not
            there are ignored.

        Returns
        -------
        int
            Ranges that were there.

        Raises
        ------
        NotFoundError
            If there is no such collection or dataset type.
        ConflictError
            If the collection is not CALIBRATION.
        """
        found = dataset_types.find_type(self._session, dataset_type)
        return memberships.remove_ranges(self._session, collection, found, rows)

    def remove_collection(self, name: str, *, unlink: bool = False, purge: bool = False) -> None:
        """Remove a collection; a RUN goes with its datasets and the provenance of its quanta.

        Parameters
        ----------
        name : str
            The collection.
        unlink : bool
            Whether to take it out of the chains that search it.
        purge : bool
            Whether to take its datasets out of the TAGGED and CALIBRATION collections that hold them.

        Raises
        ------
        NotFoundError
            If there is none.
        ConflictError
            If a chain searches it, or another collection holds datasets of it (code ``collection-in-use``); names
            all that refers to it, and how many datasets each holds.
        """
        deletion.remove_collection(self._session, name, unlink=unlink, purge=purge)
