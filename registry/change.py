"""`Change`: all writing, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from registry.collection_changes import CollectionChanges
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.sql import (
    dataset_types,
    dataset_writes,
    deletion,
    dimensions,
    plain,
    provenance,
    record_changes,
)

__all__ = ["Change"]


class Change(CollectionChanges):
    """A registry being changed: what is read here is what was written here.

    Made by `Registry.write`. All is kept at the end of that block, or on any exception nothing. A method that fails
    leaves nothing of its own either, so that a caller may catch its error and go on.

    Parameters
    ----------
    session : Session
        An open transaction that may write.
    """

    def register_dataset_type(self, dt: DatasetType) -> bool:
        """Define a dataset type unless it is there.

        Parameters
        ----------
        dt : DatasetType
            The definition.

        Returns
        -------
        bool
            True if it is new.

        Raises
        ------
        ConflictError
            If it is defined otherwise (code ``dataset-type-differs``).
        """
        return dataset_types.register_type(self._session, dt)

    def remove_dataset_type(self, name: str) -> None:
        """Remove a dataset type that has no datasets.

        Parameters
        ----------
        name : str
            The dataset type.

        Raises
        ------
        NotFoundError
            If there is none.
        ConflictError
            If there are datasets of it (code ``dataset-type-in-use``); says how many each collection holds.
        """
        deletion.remove_type(self._session, name)

    def insert_records(
        self, element: str, rows: Columns, *, on_existing: Literal["error", "skip", "compare"] = "error"
    ) -> int:
        """Insert dimension records: all of them, or on an error none.

        Parameters
        ----------
        element : str
            Whose.
        rows : Columns
            Columns of `DimensionElement.record_columns`; nullable ones may be left out.
        on_existing : {"error", "skip", "compare"}
            What a record with a key that is taken does: fail; nothing; nothing if it is the same, else fail.

        Returns
        -------
        int
            Records that were new.

        Raises
        ------
        ConflictError
            If a record exists (code ``record-exists``), or exists with other values (``record-differs``, naming key,
            column and both values).
        DataIdError
            If a record that one refers to is missing, or a value that must be there is null.
        """
        return dimensions.insert_records(self._session, self.universe.element(element), rows, on_existing)

    def replace_records(self, element: str, rows: Columns) -> int:
        """Put other values into dimension records that are there, and look anew at what their regions touch.

        Parameters
        ----------
        element : str
            Whose.
        rows : Columns
            All columns of `DimensionElement.record_columns`, each key once; keys without a record are ignored.

        Returns
        -------
        int
            Records that were there.

        Raises
        ------
        ConflictError
            If an alternate key is another record's (code ``record-key-taken``), or a record that one refers to is
            missing (code ``record-refused``).
        """
        return record_changes.replace_records(self._session, self.universe.element(element), rows)

    def remove_records(self, element: str, keys: Columns) -> int:
        """Remove dimension records to which nothing refers: all of them, or on an error none.

        Parameters
        ----------
        element : str
            Whose.
        keys : Columns
            Their required dimensions; unknown keys are ignored.

        Returns
        -------
        int
            Records that were there.

        Raises
        ------
        ConflictError
            If something refers to one of them (code ``record-in-use``).
        """
        return record_changes.remove_records(self._session, self.universe.element(element), keys)

    def insert_datasets(
        self, dataset_type: str, run: str, rows: Columns, *, on_existing: Literal["error", "skip"] = "error"
    ) -> int:
        """Insert datasets of one type into one run: all of them, or on an error none.

        Parameters
        ----------
        dataset_type : str
            Its name.
        run : str
            The RUN collection.
        rows : Columns
            The required dimensions and ``id``; with ``uri``, ``size``, ``checksum`` and ``formatter`` also artifact
            records, for the rows whose uri is not null.
        on_existing : {"error", "skip"}
            What a dataset that is there with the same id, type, data ID and run does.

        Returns
        -------
        int
            Datasets that were new.

        Raises
        ------
        NotFoundError
            If the dataset type or the run does not exist.
        DataIdError
            If a dimension record is missing, or a value is of another type; names the first.
        ConflictError
            If the run has the data ID under another id (code ``dataset-exists``), or the id belongs to another dataset.
        """
        return dataset_writes.insert_datasets(self._session, dataset_type, run, rows, on_existing)

    def insert_artifacts(self, rows: Columns) -> None:
        """Record where the bytes of datasets are, in place of what was recorded.

        Parameters
        ----------
        rows : Columns
            `registry.model.records.ARTIFACT`.

        Raises
        ------
        NotFoundError
            If an id is no dataset.
        """
        dataset_writes.insert_artifacts(self._session, rows)

    def insert_quanta(self, rows: Columns) -> None:
        """Record executions of quanta; one of the same id and attempt is replaced.

        Parameters
        ----------
        rows : Columns
            `registry.model.records.QUANTUM`.

        Raises
        ------
        NotFoundError
            If a run does not exist.
        """
        provenance.insert_quanta(self._session, rows)

    def insert_quantum_inputs(self, rows: Columns) -> None:
        """Record what quanta read; whether it was read replaces what was recorded before.

        Parameters
        ----------
        rows : Columns
            `registry.model.records.QUANTUM_INPUT`.
        """
        provenance.insert_inputs(self._session, rows)

    def insert_quantum_outputs(self, rows: Columns) -> None:
        """Record what quanta made; what is recorded already stays.

        Parameters
        ----------
        rows : Columns
            `registry.model.records.QUANTUM_OUTPUT`.
        """
        provenance.insert_outputs(self._session, rows)

    def delete_datasets(self, ids: Sequence[bytes]) -> None:
        """Delete datasets with their tags, validity ranges and artifact records; provenance stays.

        Parameters
        ----------
        ids : sequence of bytes
            16 bytes each; unknown ones are ignored.
        """
        deletion.delete_datasets(self._session, ids)

    def insert_rows(
        self, table: str, rows: Columns, *, on_existing: Literal["error", "skip", "replace"] = "error"
    ) -> None:
        """Insert rows into a plain table.

        Parameters
        ----------
        table : str
            One of baseline, campaign, history, journal, push_ledger, repository.
        rows : Columns
            Columns of the table; those left out take their defaults.
        on_existing : {"error", "skip", "replace"}
            What a row with a primary key that is taken does.

        Raises
        ------
        AlreadyExistsError
            If a key is taken and `on_existing` is "error".
        """
        plain.insert_rows(self._session, plain.plain_table(self._session, table), rows, on_existing)

    def delete_rows(self, table: str, **equals: Any) -> None:
        """Delete rows of a plain table.

        Parameters
        ----------
        table : str
            One of baseline, campaign, history, journal, push_ledger, repository.
        **equals
            Values that columns must have; without any, all rows go.
        """
        plain.delete_rows(self._session, table, equals)

    def delete_listed(self, table: str, rows: Columns) -> None:
        """Delete the rows of a plain table that have some of the given values.

        Parameters
        ----------
        table : str
            One of baseline, campaign, history, journal, push_ledger, repository.
        rows : Columns
            Some of its columns; a row goes if it has all values of one of these.
        """
        plain.delete_listed(self._session, table, rows)
