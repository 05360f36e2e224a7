"""The answers of a query that are made of dimensions: data IDs, and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.model.columns import Columns
from registry.model.data_id import DataId
from registry.queries.results import Part, Result
from registry.queries.statements import Statement, data_id_statement, record_statement

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionElement, DimensionGroup, DimensionUniverse
    from registry.queries.constraints import Constraints
    from registry.queries.expanded import ExpandedDataId, Expansion
    from registry.queries.explain import Explanation
    from registry.queries.results import Sessions
    from registry.sql.session import Session

__all__ = ["DataIds", "ExpandedDataIds", "Records"]


class DataIds(Result[DataId]):
    """Data IDs of some dimensions; iterating gives `DataId` objects.

    Parameters
    ----------
    universe : DimensionUniverse
        The registry's dimensions.
    sessions : callable
        Opens a transaction, or gives the one that is open.
    asked : Constraints
        What they fulfil.
    group : DimensionGroup
        The dimensions.
    """

    def __init__(
        self, universe: DimensionUniverse, sessions: Sessions, asked: Constraints, group: DimensionGroup
    ) -> None:
        super().__init__(universe, sessions, asked)
        self.group = group

    def __str__(self) -> str:
        return f"the query for data IDs of {self.group}"

    def with_records(self) -> ExpandedDataIds:
        """Return the same with the records of all dimensions.

        Returns
        -------
        ExpandedDataIds
            A new result.
        """
        out = ExpandedDataIds(self.universe, self._sessions, self.asked, self.group)
        out.order, out.most = self.order, self.most
        return out

    def parts(self, session: Session) -> list[Part]:
        """Return the SELECT of the answer.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        list of Part
            The only one.
        """
        from registry.sql.joins import NO_COLUMNS

        def open_part(order: Sequence[str], most: int | None) -> Statement:
            return data_id_statement(session, self.group, self.asked, order_by=order, limit=most)

        def shape(rows: Columns) -> Columns:
            return rows if self.group.names else Columns({}).take(rows[NO_COLUMNS])

        return [Part(f"data IDs of {self.group}", open_part, shape)]

    def diagnose(self, session: Session) -> Explanation:
        """Say how the answer is found, and if it has no rows, why.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        Explanation
            All there is to say.
        """
        from registry.queries.explain import explain_data_ids

        return explain_data_ids(session, self)

    def _objects(self, found: Iterable[tuple[Part, Columns]]) -> Iterator[DataId]:
        for _, rows in found:
            for values in rows.rows(self.group.required):
                yield DataId(self.group, values)


class ExpandedDataIds(DataIds):
    """Data IDs and the records of their dimensions; iterating gives `ExpandedDataId` objects.

    One SELECT for the data IDs, and one for each of their dimensions.

    Parameters
    ----------
    universe : DimensionUniverse
        The registry's dimensions.
    sessions : callable
        Opens a transaction, or gives the one that is open.
    asked : Constraints
        What they fulfil.
    group : DimensionGroup
        The dimensions.
    """

    def to_columns(self) -> Columns:
        """Read the rows.

        Returns
        -------
        Columns
            The data IDs, then ``<element>.<column>`` for what their records say.
        """
        return self._expansion().columns()

    def __iter__(self) -> Iterator[ExpandedDataId]:
        return iter(self._expansion())

    def _expansion(self) -> Expansion:
        from registry.queries.expanded import Expansion

        with self._sessions() as session, self.asked.in_own_words():
            part = self.parts(session)[0]
            with part.open(self.order, self.most) as statement:
                rows = part.shape(session.fetch(statement))
            return Expansion.read(session, self.group, rows)


class Records(Result[Mapping[str, Any]]):
    """Dimension records of one element; iterating gives mappings of their columns.

    Parameters
    ----------
    universe : DimensionUniverse
        The registry's dimensions.
    sessions : callable
        Opens a transaction, or gives the one that is open.
    asked : Constraints
        What they fulfil.
    element : DimensionElement
        Whose records.
    """

    def __init__(
        self, universe: DimensionUniverse, sessions: Sessions, asked: Constraints, element: DimensionElement
    ) -> None:
        super().__init__(universe, sessions, asked)
        self.element = element

    def __str__(self) -> str:
        return f"the query for records of '{self.element.name}'"

    def parts(self, session: Session) -> list[Part]:
        """Return the SELECT of the answer.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        list of Part
            The only one.
        """

        def open_part(order: Sequence[str], most: int | None) -> Statement:
            return record_statement(session, self.element, self.asked, order_by=order, limit=most)

        return [Part(f"records of '{self.element.name}'", open_part, lambda rows: rows)]

    def diagnose(self, session: Session) -> Explanation:
        """Say how the answer is found, and if it has no rows, why.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        Explanation
            All there is to say.
        """
        from registry.queries.explain import explain_records

        return explain_records(session, self)

    def _objects(self, found: Iterable[tuple[Part, Columns]]) -> Iterator[Mapping[str, Any]]:
        for _, columns in found:
            names = columns.names
            for row in columns.rows():
                yield dict(zip(names, row, strict=True))
