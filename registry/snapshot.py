"""`Snapshot`: all reading, within one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionGroup
from registry.model.records import QUANTUM
from registry.provenance_lookups import ProvenanceLookups
from registry.queries.constraints import Constraints, Join
from registry.sql import dataset_types, datasets, keyed_datasets, marks, provenance, records
from registry.sql.collections import check_order

if TYPE_CHECKING:
    from registry.queries.query import Query, TableReader
    from registry.registry import Registry
    from registry.sql.session import Session

__all__ = ["Snapshot", "query_of"]


class Snapshot(ProvenanceLookups):
    """One state of a registry, from which everything can be read.

    Made by `Registry.read`; usable only within that block. Every question costs a number of statements that does
    not depend on how many rows it is about. The query language is loaded when the first question needs it.

    Parameters
    ----------
    session : Session
        An open transaction.
    """

    def records(
        self,
        element: str,
        *,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        data_id: Mapping[str, Any] | None = None,
        keys: Columns | None = None,
    ) -> Columns:
        """Return dimension records.

        Parameters
        ----------
        element : str
            Whose.
        where : str
            An expression that they fulfil.
        bind : mapping, optional
            Values for names in `where`.
        data_id : mapping, optional
            Dimension values that they have.
        keys : Columns, optional
            Only records whose dimensions have values that make up a row of these.

        Returns
        -------
        Columns
            `DimensionElement.record_columns`, ordered by key.

        Raises
        ------
        DataIdError
            If there is no such element.
        QueryError
            If `where` is not understood.
        """
        found = self.universe.element(element)
        if keys is not None and records.are_keys(found, keys) and not (where or bind or data_id):
            return records.keyed_records(self._session, found, keys)
        if keys is None and found.has_table and not (where or bind or data_id):
            return records.all_records(self._session, found)
        from registry.queries.statements import record_statement

        asked = _asked(where, bind, data_id, table=keys)
        with record_statement(self._session, found, asked) as statement:
            return self._session.fetch(statement)

    def data_ids(
        self,
        group: DimensionGroup,
        *,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        data_id: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        table: Columns | None = None,
        constrain: Sequence[tuple[DatasetType, Sequence[str]]] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> Columns:
        """Return the data IDs that there are.

        Parameters
        ----------
        group : DimensionGroup
            The dimensions.
        where : str
            An expression that they fulfil.
        bind : mapping, optional
            Values for names in `where`.
        data_id : mapping, optional
            Dimension values that they have.
        defaults : mapping, optional
            Values of governors (instrument, skymap), for those that the question leaves open.
        table : Columns, optional
            Only those whose values make up a row of these (some of the group's dimensions).
        constrain : sequence of (DatasetType, sequence of str)
            Only those for which a dataset of that type exists in those collections.
        order_by : sequence of str
            Names to order by; ``-name`` for falling order.
        limit : int, optional
            At most so many.

        Returns
        -------
        Columns
            Distinct rows of `group.names`, required and implied.

        Raises
        ------
        NotFoundError
            If a dataset type or collection does not exist.
        QueryError
            If `where` is not understood.
        """
        from registry.queries.statements import data_id_statement
        from registry.sql.joins import NO_COLUMNS

        joins = tuple(Join(kind.name, tuple(names)) for kind, names in constrain)
        asked = _asked(where, bind, data_id, defaults=defaults, table=table, joins=joins)
        with data_id_statement(self._session, group, asked, order_by=order_by, limit=limit) as statement:
            rows = self._session.fetch(statement)
        return rows if group.names else Columns({}).take(rows[NO_COLUMNS])

    def datasets(
        self,
        dataset_type: str,
        collections: Sequence[str],
        *,
        find_first: bool = True,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        data_id: Mapping[str, Any] | None = None,
        table: Columns | None = None,
        artifacts: bool = False,
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> Columns:
        """Return datasets of one type.

        Parameters
        ----------
        dataset_type : str
            Its name.
        collections : sequence of str
            Where to search, in order; chains and patterns are expanded.
        find_first : bool
            Whether of equal data IDs only the one found first counts. CALIBRATION collections are only searched where
            it is False.
        where : str
            An expression that they fulfil.
        bind : mapping, optional
            Values for names in `where`.
        data_id : mapping, optional
            Dimension values that they have.
        table : Columns, optional
            Only those whose dimensions make up a row of these.
        artifacts : bool
            Whether to return their artifact records too.
        order_by : sequence of str
            Names to order by; ``-name`` for falling order.
        limit : int, optional
            At most so many.

        Returns
        -------
        Columns
            The required dimensions, ``id``, ``run``, and with `artifacts` ``uri``, ``size``, ``checksum``,
            ``formatter`` (null where there is no artifact record).

        Raises
        ------
        NotFoundError
            If the dataset type or a collection does not exist.
        QueryError
            If `where` is not understood.
        """
        if find_first:
            check_order(collections)
        found, path = dataset_types.find_type(self._session, dataset_type), self._search(collections)
        plain = not (where or bind or data_id or order_by or limit is not None)
        if plain and table is None and [entry.type for entry in path] == [CollectionType.RUN]:
            return keyed_datasets.run_datasets(self._session, found, path[0], artifacts=artifacts)
        if plain and find_first and table is not None:
            holder = keyed_datasets.only_holder(self._session, found, path, table)
            if holder is not None:
                return keyed_datasets.keyed_datasets(self._session, found, holder, table, artifacts=artifacts)
        from registry.queries.statements import dataset_statement

        asked = _asked(where, bind, data_id, table=table)
        with dataset_statement(
            self._session, found, path, asked,
            find_first=find_first, artifacts=artifacts, order_by=order_by, limit=limit,
        ) as statement:  # fmt: skip
            rows = self._session.fetch(statement)
        names = (
            *found.type.dimensions.required,
            "id",
            "run",
            *(datasets.ARTIFACT_COLUMNS if artifacts else ()),
        )
        return provenance.with_run_names(self._session, rows, names)

    def query(self) -> Query:
        """Begin a question that is put together step by step.

        Returns
        -------
        Query
            Without constraints; its results can be read as long as this snapshot.
        """
        from registry.queries.query import Query

        return Query(self.universe, lambda: contextlib.nullcontext(self._session))

    def count_datasets(self, collections: Sequence[str] | None = None) -> Columns:
        """Count datasets by type and collection.

        Parameters
        ----------
        collections : sequence of str, optional
            Where, chains expanded; every RUN by default.

        Returns
        -------
        Columns
            ``dataset_type``, ``run``, ``n``; ordered by the first two.
        """
        return datasets.count_datasets(self._session, collections)

    def run_marks(self, runs: Sequence[str]) -> dict[str, str]:
        """Return a text for each RUN that changes when what it holds does.

        Parameters
        ----------
        runs : sequence of str
            RUN collections.

        Returns
        -------
        dict of str to str
            RUN to mark; cheap, since no rows are read out of the database.

        Raises
        ------
        NotFoundError
            If there is no such collection.
        """
        return marks.run_marks(self._session, runs)

    def quanta(
        self,
        runs: Sequence[str] | None = None,
        *,
        task: str | None = None,
        status: Sequence[str] | None = None,
        latest: bool = True,
        data_id: Mapping[str, str] | None = None,
        names: Sequence[str] = QUANTUM,
    ) -> Columns:
        """Return quanta that were executed.

        Parameters
        ----------
        runs : sequence of str, optional
            Their runs; all by default.
        task : str, optional
            Their task's label.
        status : sequence of str, optional
            What became of them.
        latest : bool
            Whether only the last attempt at each counts.
        data_id : mapping of str to str, optional
            Values of their data IDs, as text. A few others may be among them, where a value looks like part of another.
        names : sequence of str, optional
            Columns of `registry.model.records.QUANTUM`; all by default.

        Returns
        -------
        Columns
            These, ordered by id and attempt.
        """
        return provenance.quanta(
            self._session, runs, task, status, latest=latest, data_id=data_id, names=names
        )

    def quantum_inputs(self, runs: Sequence[str]) -> Columns:
        """Return what the quanta of runs read.

        Parameters
        ----------
        runs : sequence of str
            The runs.

        Returns
        -------
        Columns
            `registry.model.records.QUANTUM_INPUT`.
        """
        return provenance.quantum_links(self._session, "quantum_input", runs)

    def quantum_outputs(self, runs: Sequence[str]) -> Columns:
        """Return what the quanta of runs made.

        Parameters
        ----------
        runs : sequence of str
            The runs.

        Returns
        -------
        Columns
            `registry.model.records.QUANTUM_OUTPUT`.
        """
        return provenance.quantum_links(self._session, "quantum_output", runs)


def _asked(
    where: str, bind: Mapping[str, Any] | None, data_id: Mapping[str, Any] | None, **others: Any
) -> Constraints:
    return Constraints(
        wheres=(where,), bind=bind or {}, data_id=data_id or {},
        **{name: value for name, value in others.items() if value is not None},
    )  # fmt: skip


def query_of(registry: Registry, read_table: TableReader | None = None) -> Query:
    """Begin a question to a registry, of which no snapshot need be open.

    Parameters
    ----------
    registry : Registry
        Open; it reads one state of its own each time a result is read.
    read_table : callable, optional
        Reads a file of data IDs.

    Returns
    -------
    Query
        Without constraints.
    """
    from registry.queries.query import Query

    @contextlib.contextmanager
    def session() -> Iterator[Session]:
        with registry.read() as snapshot:
            yield snapshot._session  # noqa: SLF001 - its own

    return Query(registry.universe, session, read_table=read_table)
