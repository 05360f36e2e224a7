"""The build view: one question to upstream and staging together, answered with columns.

A graph is built on what the past runs of a campaign hold, which is in staging, and on the inputs, which are upstream.
Each collection is searched where it lives; which rows win is decided by the order of the search path. Data IDs may rest
on dimension records that only staging has: these count as if they were upstream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from registry import overlay
from registry.errors import NotFoundError
from registry.model.columns import Array, Columns
from registry.model.in_time import row_in
from registry.model.records import Artifact
from registry.queries.constraints import Constraints, Join
from stage.graph.building.answers import found_columns, with_artifacts
from stage.graph.building.local_records import LocalRecords
from stage.graph.building.question import Place, Question
from stage.graph.building.sides import Sides
from stage.graph.quantum import FOUND_COLUMNS
from stage.graph.table import Table, distinct, row_codes
from stage.graph.wanted import STAGING, UPSTREAM

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionGroup

__all__ = ["BuildView"]


class BuildView(Sides):
    """Upstream and staging as one, read-only: one snapshot of each for the length of a ``with`` block.

    Parameters
    ----------
    upstream : Repo or None
        The shared repository; None to ask staging alone.
    staging : Repo, optional
        The campaign's own.
    local : sequence of str, optional
        Collections to be searched in staging though upstream has one of that name (runs that were pushed).
        Collections that upstream lacks are searched in staging anyway.
    offline : bool, optional
        Whether staging alone is asked, be there an upstream or not; errors about what is not found say so.

    Raises
    ------
    UsageError
        If there is neither, or only upstream and it is not to be asked.
    """

    _told: LocalRecords | None = None

    @property
    def _local_records(self) -> LocalRecords | None:
        """The records that only staging has, told once a snapshot; None where one side answers alone."""
        if len(self._snapshots) < 2:
            return None
        upstream, staging = self._snapshots[UPSTREAM], self._snapshots[STAGING]
        if self._told is None or self._told.upstream is not upstream:
            self._told = LocalRecords(upstream, staging)
        return self._told

    def is_calibration(self, dataset_type: DatasetType) -> bool:
        """Tell whether datasets of a type are looked up at a time.

        Parameters
        ----------
        dataset_type : DatasetType
            The type as a pipeline has it.

        Returns
        -------
        bool
            As it is registered; as the pipeline has it if it is not.
        """
        try:
            return self.dataset_type(dataset_type.name).is_calibration
        except NotFoundError:
            return dataset_type.is_calibration

    def data_ids(
        self,
        group: DimensionGroup,
        question: Question,
        constrain: Sequence[DatasetType],
        path: Sequence[Place],
        *,
        limit: int | None = None,
    ) -> Columns:
        """Return the data IDs that a question allows.

        Parameters
        ----------
        group : DimensionGroup
            Their dimensions.
        question : Question
            Expression, data ID and table of data IDs.
        constrain : sequence of DatasetType
            Types of which a dataset must exist on the path.
        path : sequence of Place
            Where.
        limit : int, optional
            Most rows.

        Returns
        -------
        Columns
            Distinct rows of all the group's dimensions, required and implied.

        Raises
        ------
        ConflictError
            If staging has made a record that upstream has too, and has otherwise (``record-differs``).
        QueryError
            If the expression cannot be understood.

        Notes
        -----
        Upstream is asked, and handed what datasets staging has. Only where records that staging alone has may take
        part, what the question can meet is read from upstream and asked for beside them, in a temporary registry.
        """
        main, local = self._snapshots[self._main], self._local_records
        asked = self._constraints(group, question, constrain, path)
        if local is None or local.is_none:
            return overlay.data_ids(main, group, asked, {}, limit=limit)
        involved = overlay.involved(group, asked, [kind.dimensions.required for kind in constrain])
        return overlay.data_ids(main, group, asked, local.of(involved.elements), limit=limit)

    def _constraints(
        self,
        group: DimensionGroup,
        question: Question,
        constrain: Sequence[DatasetType],
        path: Sequence[Place],
    ) -> Constraints:
        """Say what is asked of the side that knows the dimensions, and what datasets the other has."""
        names = tuple(p.collection for p in path if p.side == self._main)
        others = [p.collection for p in path if p.side != self._main]
        plain = Constraints(
            (question.where,), question.bind or {}, question.data_id or {}, table=question.table
        )
        joins, given = [], []
        for kind in constrain:
            besides = self._besides(kind, others, group, plain)
            if len(self._snapshots) == 1 or self._types_on(self._main, [kind.name]):
                joins.append(Join(kind.name, names, besides if besides.n_rows else None))
            else:
                given.append(besides)
        return replace(plain, joins=tuple(joins), given=tuple(given))

    def _besides(
        self, kind: DatasetType, collections: Sequence[str], group: DimensionGroup, asked: Constraints
    ) -> Columns:
        """Return the data IDs of datasets that staging has, beside upstream."""
        staging = self._snapshots.get(STAGING)
        if staging is None or not collections or not self._types_on(STAGING, [kind.name]):
            return Columns.from_rows(kind.dimensions.required or (overlay.THERE,), [])
        return overlay.existing(staging, kind.name, collections, group, asked)

    def datasets(self, dataset_type: DatasetType, path: Sequence[Place], table: Columns | None) -> Columns:
        """Return the first dataset on a search path for each data ID.

        Parameters
        ----------
        dataset_type : DatasetType
            Their type.
        path : sequence of Place
            Where to look, in order.
        table : Columns or None
            Data IDs to which the answer is limited; None for all.

        Returns
        -------
        Columns
            The type's dimensions and `stage.graph.quantum.FOUND_COLUMNS`. Artifacts found upstream have absolute
            URIs.
        """
        dims = dataset_type.dimensions.required
        parts = []
        for side, places in groupby(path, key=lambda p: p.side):
            snapshot = self._snapshots[side]
            if not self._types_on(side, [dataset_type.name]):
                continue
            rows = snapshot.datasets(
                dataset_type.name,
                [p.collection for p in places],
                table=table if dims else None,
                artifacts=True,
            )
            parts.append(found_columns(self._repos[side], side, rows, dims))
        if not parts:
            return Columns.from_rows((*dims, *FOUND_COLUMNS), [])
        if len(parts) == 1:
            return parts[0]
        merged = Columns.concat(parts)
        data_ids = Table.of(merged.select(dims)) if dims else Table({}, merged.n_rows)
        first, _ = distinct(*row_codes(list(data_ids.columns.values()), merged.n_rows))
        return merged.take(first)

    def calibrations(self, dataset_type: DatasetType, path: Sequence[Place], table: Columns) -> Columns:
        """Return the first dataset on a search path for each of many data IDs, each at its own time.

        Parameters
        ----------
        dataset_type : DatasetType
            Their type, one for which `is_calibration` is true.
        path : sequence of Place
            Where to look, in order.
        table : Columns
            Data IDs: the dimensions of the type, and those whose records tell the time.

        Returns
        -------
        Columns
            ``ordinal`` (the row's number in `table`), the type's dimensions and
            `stage.graph.quantum.FOUND_COLUMNS`; a row for which there is none is left out.

        Raises
        ------
        DataIdError
            If the collection that decides holds two for a data ID (``calibration-ambiguous``); both are named.
        """
        dims, name = dataset_type.dimensions.required, dataset_type.name
        parts, left = [], np.arange(table.n_rows)
        times = self._times(table) if len(self._snapshots) > 1 else None
        for side, places in groupby(path, key=lambda p: p.side):
            snapshot = self._snapshots[side]
            if not len(left) or not self._types_on(side, [name]):
                continue
            # What one collection decides, those after it on the path are not asked about.
            at = None if times is None else (times[0][left], times[1][left])
            rows = snapshot.find_calibrations(
                name, [p.collection for p in places], table.take(left), times=at
            )
            ordinal = left[rows["ordinal"].astype(np.int64)]
            left = np.setdiff1d(left, ordinal, assume_unique=True)
            found = found_columns(self._repos[side], side, with_artifacts(snapshot, name, rows), dims)
            parts.append(found.with_column("ordinal", ordinal))
        return Columns.concat(parts) if parts else Columns.from_rows(("ordinal", *dims, *FOUND_COLUMNS), [])

    def _times(self, table: Columns) -> tuple[Array, Array] | None:
        """Return begin and end of the time of data IDs, whichever side has the records; equal where it has none.

        None where no dimension tells the time.
        """
        element = self.universe.temporal_element(table)
        if element is None:
            return None
        begin, end = np.zeros(table.n_rows, np.int64), np.zeros(table.n_rows, np.int64)
        records = self.records(element.name, table.unique(element.required))
        known = (records["timespan_begin"] != np.array(None)) & (records["timespan_end"] != np.array(None))
        records = records.take(known)
        at = row_in([table[n] for n in element.required], [records[n] for n in element.required])
        there = at >= 0
        for name, column in (("timespan_begin", begin), ("timespan_end", end)):
            column[there] = records[name][at[there]].astype(np.int64)
        return begin, end

    def records(self, element: str, keys: Columns) -> Columns:
        """Return dimension records.

        Parameters
        ----------
        element : str
            A dimension or a relation.
        keys : Columns
            Its required dimensions, one row a record that is wanted.

        Returns
        -------
        Columns
            The element's record columns; rows for keys that exist.
        """
        rows = self._snapshots[self._main].records(element, keys=keys)
        kind = self.universe.element(element)
        holder = self.universe.element(kind.view_of or element)
        local = {} if self._local_records is None else self._local_records.of([holder])
        if not local:
            return rows
        mine = local[holder.name].select(kind.record_columns)
        wanted = row_in([mine[n] for n in kind.required], [keys[n] for n in kind.required]) >= 0
        both = Columns.concat([rows, mine.take(wanted)])
        return both.unique() if kind.view_of else both

    def contents(self, path: Sequence[Place] | None = None) -> Columns:
        """Count datasets by type and collection.

        Parameters
        ----------
        path : sequence of Place, optional
            Where; every RUN of each side by default.

        Returns
        -------
        Columns
            ``dataset_type``, ``run`` (the collection's name), ``n``.
        """
        parts = []
        for side, snapshot in self._snapshots.items():
            names = None if path is None else [p.collection for p in path if p.side == side]
            if names is None or names:
                parts.append(snapshot.count_datasets(names))
        return Columns.concat(parts) if parts else Columns.from_rows(("dataset_type", "run", "n"), [])

    def every_dataset(self, dataset_type: DatasetType, path: Sequence[Place]) -> Columns:
        """Return all datasets of a type on a search path, also those that others hide.

        Parameters
        ----------
        dataset_type : DatasetType
            Their type.
        path : sequence of Place
            Where to look, in order.

        Returns
        -------
        Columns
            The type's dimensions, `stage.graph.quantum.FOUND_COLUMNS`, ``valid_begin``, ``valid_end``.
        """
        from stage.graph.hooks.answers import every_dataset

        parts = [
            every_dataset(
                self._repos[side], side, self._snapshots[side], dataset_type, [p.collection for p in places]
            )
            for side, places in groupby(path, key=lambda p: p.side)
            if self._types_on(side, [dataset_type.name])
        ]
        names = (*dataset_type.dimensions.required, *FOUND_COLUMNS, "valid_begin", "valid_end")
        return Columns.concat(parts) if parts else Columns.from_rows(names, [])

    def load(self, found: Columns, storage_class: str) -> Any:
        """Read a dataset.

        Parameters
        ----------
        found : Columns
            Its row of `stage.graph.quantum.FOUND_COLUMNS`.
        storage_class : str
            What it is to be in memory.

        Returns
        -------
        object
            It.

        Raises
        ------
        NotFoundError
            If its file is gone.
        """
        ((side, *stored),) = found.rows(("origin", "uri", "size", "checksum", "formatter"))
        return self._repos[side].datastore.get(Artifact(*stored), storage_class)
