"""Answers that are not asked for yet: ordered, limited, counted, read as columns or as objects.

A result asks the database each time it is read, in one SELECT (datasets of several types: one a type).
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from registry.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionUniverse
    from registry.queries.constraints import Constraints
    from registry.queries.explain import Explanation
    from registry.queries.statements import Statement
    from registry.sql.session import Session

__all__ = ["Part", "Result", "Sessions"]

T_co = TypeVar("T_co", covariant=True)
Sessions = Callable[[], "AbstractContextManager[Session]"]
"""Opens a transaction to read in, or gives the one that is open."""


class Part(NamedTuple):
    """One SELECT of an answer.

    Parameters
    ----------
    name : str
        What it is about.
    open : callable
        Makes the statement, given an order and a limit.
    shape : callable
        Makes of the rows fetched what the answer says.
    about : object
        What is needed to make objects of the rows.
    """

    name: str
    open: Callable[[Sequence[str], int | None], Statement]
    shape: Callable[[Columns], Columns]
    about: Any = None


class Result(ABC, Generic[T_co]):
    """What a query answers; nothing is asked before it is read.

    Parameters
    ----------
    universe : DimensionUniverse
        The registry's dimensions.
    sessions : callable
        Opens a transaction, or gives the one that is open.
    asked : Constraints
        What the rows fulfil.
    """

    def __init__(self, universe: DimensionUniverse, sessions: Sessions, asked: Constraints) -> None:
        self.universe = universe
        self.asked = asked
        self.order: tuple[str, ...] = ()
        self.most: int | None = None
        self._sessions = sessions

    @abstractmethod
    def parts(self, session: Session) -> list[Part]:
        """Return the SELECTs of the answer.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        list of Part
            In the order of their rows.
        """

    @abstractmethod
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

    @abstractmethod
    def _objects(self, found: Iterable[tuple[Part, Columns]]) -> Iterator[T_co]:
        """Make objects of rows."""

    def _merged(self, found: list[tuple[Part, Columns]]) -> Columns:
        """Put the rows of all parts together."""
        return found[0][1]

    def order_by(self, *names: str) -> Self:
        """Return the same in an order.

        Parameters
        ----------
        *names : str
            Names as in expressions, each perhaps after ``-`` for falling order. Nulls are the smallest. What these
            leave open is ordered by the required dimensions.

        Returns
        -------
        Result
            A new one.
        """
        out = copy(self)
        out.order = names
        return out

    def limit(self, n: int | None) -> Self:
        """Return the same with at most so many rows.

        Parameters
        ----------
        n : int or None
            How many; None for all.

        Returns
        -------
        Result
            A new one; rows are in order of the required dimensions if no other was given.

        Raises
        ------
        UsageError
            If `n` is negative.
        """
        if n is not None and n < 0:
            raise UsageError(f"the limit is {n}, less than no rows", code="bad-limit")
        out = copy(self)
        out.most = n
        return out

    def count(self) -> int:
        """Count the rows, in the database.

        Returns
        -------
        int
            How many there are.
        """
        from registry.sql.plans import count_rows

        total = 0
        with self._sessions() as session, self.asked.in_own_words():
            for part in self.parts(session):
                left = None if self.most is None else self.most - total
                with part.open((), left) as statement:
                    total += count_rows(session, statement)
        return total

    def any(self) -> bool:
        """Tell whether there is a row, looking no further than for the first.

        Returns
        -------
        bool
            Whether there is.
        """
        from registry.sql.plans import has_rows

        if self.most == 0:
            return False
        with self._sessions() as session, self.asked.in_own_words():
            for part in self.parts(session):
                with part.open((), None) as statement:
                    if has_rows(session, statement):
                        return True
        return False

    def to_columns(self) -> Columns:
        """Read the rows.

        Returns
        -------
        Columns
            Column by column; ids are 16 bytes, times TAI nanoseconds.

        Raises
        ------
        NotFoundError
            If a dataset type or a collection does not exist.
        QueryError
            If an expression or the order cannot be understood.
        """
        return self._merged(self._fetch())

    def rows(self) -> list[tuple[Any, ...]]:
        """Read the rows as tuples.

        Returns
        -------
        list of tuple
            With the columns of `to_columns`.
        """
        return self.to_columns().rows()

    def to_arrow(self) -> Any:
        """Read the rows as a table of Apache Arrow.

        Returns
        -------
        pyarrow.Table
            With the columns of `to_columns`.

        Raises
        ------
        UsageError
            If pyarrow is not installed.
        """
        from registry.queries.tables import to_arrow

        return to_arrow(self.to_columns(), self.universe)

    def to_pandas(self) -> Any:
        """Read the rows as a frame of pandas.

        Returns
        -------
        pandas.DataFrame
            With the columns of `to_columns`.

        Raises
        ------
        UsageError
            If pandas is not installed.
        """
        from registry.queries.tables import to_pandas

        return to_pandas(self.to_columns())

    def __iter__(self) -> Iterator[T_co]:
        # All is fetched before the first object is made: within the loop the registry can be asked again.
        return self._objects(self._fetch())

    def one(self) -> T_co:
        """Read the only row.

        Returns
        -------
        object
            What iterating gives.

        Raises
        ------
        NotFoundError
            If there is none.
        UsageError
            If there are more.
        """
        found = list(itertools.islice(self.limit(2 if self.most is None else min(2, self.most)), 2))
        if not found:
            raise NotFoundError(
                f"{self} has no rows, and one was expected", code="no-rows", hint="Ask why: explain()."
            )
        if len(found) > 1:
            raise UsageError(
                f"{self} has more rows than the one that was expected: {found[0]}, {found[1]}",
                code="several-rows",
                hint="Say more about it, or take the first: limit(1).",
            )
        return found[0]

    def explain(self) -> Explanation:
        """Say how the answer is found, and if it has no rows, why.

        Returns
        -------
        Explanation
            Statement, values and plan; of an empty answer also the rows that are left after each constraint, and the
            first that leaves none.
        """
        with self._sessions() as session, self.asked.in_own_words():
            return self.diagnose(session)

    def _fetch(self) -> list[tuple[Part, Columns]]:
        found: list[tuple[Part, Columns]] = []
        left = self.most
        with self._sessions() as session, self.asked.in_own_words():
            for part in self.parts(session):
                with part.open(self.order, left) as statement:
                    rows = part.shape(session.fetch(statement))
                found.append((part, rows))
                if left is not None:
                    left -= rows.n_rows
                    if left <= 0:
                        break
        return found
