"""`Snapshot`: all reading, within one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.lookups import Lookups
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionGroup
from registry.sql import dataset_types, datasets, marks, provenance
from registry.sql.keys import with_checked_keys

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Snapshot"]


class Snapshot(Lookups):
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
        from registry.sql.joins import record_select

        found = self.universe.element(element)
        with self._table(keys) as table:
            return self._session.fetch(
                record_select(
                    self._session.schema, found, where=where, bind=bind, data_id=data_id, table=table
                )
            )

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
        from registry.sql.joins import NO_COLUMNS, Member, data_id_select

        with contextlib.ExitStack() as stack:
            members = []
            for dataset_type, names in constrain:
                found = dataset_types.find_type(self._session, dataset_type.name)
                path = self._search(names)
                there = stack.enter_context(datasets.exists_query(self._session, found, path))
                members.append(Member(there, found.type.dimensions.required, ()))
            handed = stack.enter_context(self._table(table))
            rows = self._session.fetch(
                data_id_select(
                    self._session.schema, group, where=where, bind=bind, data_id=data_id, defaults=defaults,
                    table=handed, members=members, order_by=order_by, limit=limit,
                )
            )  # fmt: skip
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
        from registry.sql.joins import Member, dataset_select

        found, path = dataset_types.find_type(self._session, dataset_type), self._search(collections)
        extra = ("id", "run_id", *(datasets.ARTIFACT_COLUMNS if artifacts else ()))
        with contextlib.ExitStack() as stack:
            handed = stack.enter_context(self._table(table))
            members = stack.enter_context(
                datasets.member_query(
                    self._session, found, path, find_first=find_first, artifacts=artifacts, data_id=data_id
                )
            )
            member = Member(members, found.type.dimensions.required, extra)
            statement = dataset_select(
                self._session.schema, found.type, member,
                where=where, bind=bind, data_id=data_id, table=handed, order_by=order_by, limit=limit,
            )  # fmt: skip
            rows = self._session.fetch(statement)
        names = [*found.type.dimensions.required, "id", "run", *extra[2:]]
        return provenance.with_run_names(self._session, rows, names)

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

        Returns
        -------
        Columns
            `registry.model.records.QUANTUM`, ordered by id and attempt.
        """
        return provenance.quanta(self._session, runs, task, status, latest=latest)

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

    @contextlib.contextmanager
    def _table(self, rows: Columns | None) -> Iterator[sa.Table | None]:
        """Hand a table of dimension values over to the database, each row once."""
        if rows is None or not rows.names:
            yield None
            return
        checked = with_checked_keys(self.universe, rows, rows.names).unique()
        types = self._session.schema.dimension_types(rows.names)
        with self._session.stash(checked, types, key=rows.names) as stash:
            yield stash
