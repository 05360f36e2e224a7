"""The build view: one question to upstream and staging together, answered with columns.

A graph is built on what the past runs of a campaign hold, which is in staging, and on the inputs, which are upstream.
Each collection is searched where it lives; which rows win is decided by the order of the search path.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import TYPE_CHECKING, Self

import numpy as np

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.columns import Columns
from stage.graph.answers import found_columns, has_collection, is_pattern, knows_type, with_artifacts
from stage.graph.quantum import FOUND_COLUMNS
from stage.graph.question import Place, Question
from stage.graph.table import Table, distinct, row_codes
from stage.graph.wanted import STAGING, UPSTREAM
from sync import files

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["BuildView"]


class BuildView:
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

    Raises
    ------
    UsageError
        If there is neither.
    """

    def __init__(
        self, upstream: Repo | None, staging: Repo | None = None, *, local: Sequence[str] = ()
    ) -> None:
        if upstream is None and staging is None:
            raise UsageError("a graph is built on a repository, and none was given")
        self._repos: dict[str, Repo] = {}
        if staging is not None:
            self._repos[STAGING] = staging
        if upstream is not None:
            self._repos[UPSTREAM] = upstream
        self._local = frozenset(local)
        self._stack = ExitStack()
        self._snapshots: dict[str, Snapshot] = {}
        self._depth = 0

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth > 1:  # a caller that asks first and then builds keeps its snapshot
            return self
        for side, repo in self._repos.items():
            self._snapshots[side] = self._stack.enter_context(repo.registry.read())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._snapshots = {}
            self._stack.close()

    @property
    def _main(self) -> str:
        """The side that knows the dimensions: upstream if it is there."""
        return UPSTREAM if UPSTREAM in self._repos else STAGING

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"the {self._main} repository"

    @property
    def root(self) -> str:
        """Root of the upstream repository, without credentials; empty where there is none."""
        return files.redact(self._repos[UPSTREAM].root) if UPSTREAM in self._repos else ""

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions."""
        return self._repos[self._main].registry.universe

    def search_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Flatten collections to a search path.

        Parameters
        ----------
        names : sequence of str
            Collections and chains, in search order.

        Returns
        -------
        tuple of Place
            No chains, no repeats.

        Raises
        ------
        NotFoundError
            If neither side has one of the names; offers the nearest.
        """
        found: dict[str, str] = {}
        for name in names:
            side = self._side_of(name)
            for child in self._snapshots[side].search_path([name]):
                found.setdefault(child, self._side_of(child))
        return tuple(Place(side, child) for child, side in found.items())

    def known_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Flatten collections to a search path, leaving out names of which there is no collection.

        Parameters
        ----------
        names : sequence of str
            Collections, chains and patterns, in search order.

        Returns
        -------
        tuple of Place
            No chains, no repeats; what a pattern matches in staging comes before what it matches upstream.
        """
        known: dict[str, None] = {}
        for name in names:
            if is_pattern(name):
                known.update(
                    dict.fromkeys(n for s in self._snapshots.values() for n in s.search_path([name]))
                )
            elif any(has_collection(s, name) for s in self._snapshots.values()):
                known[name] = None
        return self.search_path(list(known))

    def _side_of(self, name: str) -> str:
        if len(self._repos) == 1:
            return self._main
        if name in self._local or not has_collection(self._snapshots[UPSTREAM], name):
            if has_collection(self._snapshots[STAGING], name):
                return STAGING
            if is_pattern(name):
                return UPSTREAM
            known = {c.name for s in self._snapshots.values() for c in s.collections()}
            raise NotFoundError(
                f"no collection '{name}', neither upstream nor in staging",
                code="unknown-collection",
                hint=nearest(name, known),
            )
        return UPSTREAM

    def is_upstream_only(self, path: Sequence[Place]) -> bool:
        """Tell whether one side alone can answer for all of a search path.

        Parameters
        ----------
        path : sequence of Place
            The search path.

        Returns
        -------
        bool
            True if no collection of it is on the other side.
        """
        return all(place.side == self._main for place in path)

    def dataset_type(self, name: str) -> DatasetType:
        """Return a registered dataset type.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        DatasetType
            Upstream's definition if there is one, else staging's.

        Raises
        ------
        NotFoundError
            If it is registered on neither side.
        """
        try:
            return self._snapshots[self._main].dataset_type(name)
        except NotFoundError:
            if self._main == STAGING or STAGING not in self._snapshots:
                raise
            try:
                return self._snapshots[STAGING].dataset_type(name)
            except NotFoundError:
                pass
            raise

    def is_calibration(self, dataset_type: DatasetType) -> bool:
        """Tell whether datasets of a type are looked up at a time.

        Parameters
        ----------
        dataset_type : DatasetType
            The type as a pipeline has it.

        Returns
        -------
        bool
            As it is registered.
        """
        return self.dataset_type(dataset_type.name).is_calibration

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
            All on one side, unless `constrain` is empty.
        limit : int, optional
            Most rows.

        Returns
        -------
        Columns
            Distinct rows of all the group's dimensions, required and implied.

        Raises
        ------
        QueryError
            If the expression cannot be understood.
        """
        collections = [p.collection for p in path if p.side == self._main]
        return self._snapshots[self._main].data_ids(
            group,
            where=question.where,
            bind=question.bind,
            data_id=question.data_id,
            table=question.table,
            constrain=[(kind, collections) for kind in constrain],
            limit=limit,
        )

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
            if not knows_type(snapshot, dataset_type.name):
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
        for side, places in groupby(path, key=lambda p: p.side):
            snapshot = self._snapshots[side]
            if not len(left) or not knows_type(snapshot, name):
                continue
            # What one collection decides, those after it on the path are not asked about.
            rows = snapshot.find_calibrations(name, [p.collection for p in places], table.take(left))
            ordinal = left[rows["ordinal"].astype(np.int64)]
            left = np.setdiff1d(left, ordinal, assume_unique=True)
            found = found_columns(self._repos[side], side, with_artifacts(snapshot, name, rows), dims)
            parts.append(found.with_column("ordinal", ordinal))
        return Columns.concat(parts) if parts else Columns.from_rows(("ordinal", *dims, *FOUND_COLUMNS), [])

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
        return self._snapshots[self._main].records(element, keys=keys)
