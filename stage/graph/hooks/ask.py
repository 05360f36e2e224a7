"""`Ask`: the questions that a task's own code may put to the repository while a graph is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Columns
from stage.graph.building.question import Question
from stage.graph.building.relate import DataIdRows, match_rows
from stage.graph.table import Table

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from stage.graph.building.question import Place, View

__all__ = ["Ask", "aligned_records", "with_implied"]


class Ask:
    """Questions to the repository, answered with columns; what a lookup function and a finder of units are given.

    All answers come from the one snapshot that the graph is built on, and from the collections it is built on.

    Parameters
    ----------
    view : View
        What to ask.
    path : sequence of Place
        The search path.
    question : Question
        What the user asked for.
    dataset_type : str, optional
        The dataset type of the connection that is looked up.

    Attributes
    ----------
    question : Question
        What the user asked for: ``where``, ``bind``, ``data_id``, ``table``.
    """

    def __init__(
        self, view: View, path: Sequence[Place], question: Question, *, dataset_type: str = ""
    ) -> None:
        self.question = question
        self._view = view
        self._path = tuple(path)
        self._dataset_type = dataset_type
        self._seen: list[Columns] = []

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions."""
        return self._view.universe

    def datasets(
        self, dataset_type: str = "", *, data_ids: Columns | None = None, every: bool = False
    ) -> Columns:
        """Return datasets of one type.

        Parameters
        ----------
        dataset_type : str, optional
            Their type; that of the connection by default.
        data_ids : Columns, optional
            Only those whose dimensions make up a row of these, which have all its dimensions; others are ignored.
        every : bool, optional
            Whether of equal data IDs all count, and not only the first on the search path. Only so are datasets found
            in CALIBRATION collections: a row for each span in which one is valid.

        Returns
        -------
        Columns
            The type's dimensions, ``id``, ``run``, ``uri``, ``size``, ``checksum``, ``formatter``, ``origin``; with
            `every` also ``valid_begin`` and ``valid_end`` (TAI nanoseconds since 1970; null without an end, and where
            no span is said).

        Raises
        ------
        NotFoundError
            If there is no such dataset type.
        """
        kind = self._view.dataset_type(dataset_type or self._dataset_type)
        names = kind.dimensions.required
        wanted = data_ids.select(names).unique() if data_ids is not None and names else None
        if every:
            found = self._view.every_dataset(kind, self._path)
            if wanted is not None:
                found = found.take(match_rows(Table.of(found), Table.of(wanted), names) >= 0)
        else:
            found = self._view.datasets(kind, self._path, wanted)
            if wanted is not None:  # a view may answer with more than was asked for
                found = found.take(match_rows(Table.of(found), Table.of(wanted), names) >= 0)
        if kind.name == self._dataset_type:
            self._seen.append(found)
        return found

    @property
    def seen(self) -> Sequence[Columns]:
        """All that `datasets` has answered about the connection's own dataset type."""
        return self._seen

    def records(self, element: str, data_ids: Columns) -> Columns:
        """Return the dimension record of each of many data IDs.

        Parameters
        ----------
        element : str
            A dimension or a relation.
        data_ids : Columns
            Data IDs that have what the element requires, possibly with repeats.

        Returns
        -------
        Columns
            The element's record columns, row by row beside `data_ids`. Times are TAI nanoseconds since 1970, regions
            bytes of the field's library.

        Raises
        ------
        NotFoundError
            If there is no record for one of them (``unknown-record``).
        """
        return aligned_records(self._view, element, Table.of(data_ids)).decode()

    def data_ids(
        self,
        dimensions: Iterable[str],
        *,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        data_id: Mapping[str, Any] | None = None,
        table: Columns | None = None,
    ) -> Columns:
        """Return the data IDs that there are, by the relations of dimensions, on the sky and in time.

        Parameters
        ----------
        dimensions : iterable of str
            Their dimensions.
        where : str, optional
            An expression that they fulfil.
        bind : mapping, optional
            Values for names in it.
        data_id : mapping, optional
            Dimension values that they have.
        table : Columns, optional
            Only those whose dimensions make up a row of these.

        Returns
        -------
        Columns
            Distinct rows of all dimensions, required and implied.

        Raises
        ------
        QueryError
            If the expression cannot be understood.
        """
        group = self.universe.group(dimensions)
        return self._view.data_ids(group, Question(where, bind, data_id, table), (), self._path)


def aligned_records(view: View, element: str, data_ids: Table) -> Table:
    """Return the record of each of many data IDs.

    Parameters
    ----------
    view : View
        What to ask.
    element : str
        A dimension or a relation.
    data_ids : Table
        Data IDs that have what the element requires.

    Returns
    -------
    Table
        The element's record columns, row by row beside `data_ids`.

    Raises
    ------
    NotFoundError
        If there is no record for one of them.
    """
    kind = view.universe.element(element)
    keys = DataIdRows(data_ids).places(kind.required).table
    found = Table.of(view.records(kind.name, keys.decode()))
    rows = match_rows(data_ids, found, kind.required)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        values = data_ids.select(kind.required).row(int(missing[0]))
        shown = ", ".join(f"{k}={v}" for k, v in zip(kind.required, values, strict=True))
        raise NotFoundError(f"there is no record of {kind.name} for {shown}", code="unknown-record")
    return found.take(rows)


def with_implied(view: View, group: DimensionGroup, table: Table) -> Table:
    """Return data IDs with the dimensions that follow from them.

    Parameters
    ----------
    view : View
        What to ask.
    group : DimensionGroup
        Their dimensions.
    table : Table
        Data IDs with at least the required ones.

    Returns
    -------
    Table
        All dimensions of the group.

    Raises
    ------
    NotFoundError
        If there is no record for one of them.
    """
    columns = dict(table.columns)
    for element in reversed(group.elements):  # what is implied comes before what implies it
        new = [n for n in element.implied if n in group and n not in columns]
        if new and all(n in columns for n in element.required):
            records = aligned_records(view, element.name, Table(columns, table.n_rows))
            columns.update({n: records.columns[n] for n in new})
    return Table({n: columns[n] for n in group.names}, table.n_rows)
