"""What a question is held to: expressions, values, datasets that must exist, a table of data IDs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from registry.errors import DataIdError, QueryError, UsageError, nearest
from registry.model.columns import Columns
from registry.model.data_id import check_value
from registry.model.dimensions import DimensionUniverse

__all__ = ["Constraints", "Join"]

_BEFORE, _BETWEEN, _AFTER = "(\n", "\n) AND (\n", "\n)"


class Join(NamedTuple):
    """Datasets that must exist.

    Parameters
    ----------
    dataset_type : str
        Their type.
    collections : tuple of str or None
        Where they are looked for; None for every RUN.
    besides : Columns or None
        Data IDs of such datasets that are elsewhere, as `registry.overlay.existing` returns them: these count too.
    """

    dataset_type: str
    collections: tuple[str, ...] | None
    besides: Columns | None = None


@dataclass(frozen=True)
class Constraints:
    """What the rows of an answer fulfil, all of it.

    Parameters
    ----------
    wheres : tuple of str
        Expressions.
    bind : mapping
        Values for names in them.
    data_id : mapping
        Values that dimensions have.
    defaults : mapping
        Values of governors, for those that all else leaves open.
    joins : tuple of Join
        Datasets that exist.
    table : Columns or None
        Data IDs, of some dimensions, to keep to.
    given : tuple of Columns
        Data IDs of datasets that exist elsewhere, as `registry.overlay.existing` returns them: one table for each dataset that
        must exist.
    """

    wheres: tuple[str, ...] = ()
    bind: Mapping[str, Any] = field(default_factory=dict)
    data_id: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()
    table: Columns | None = None
    given: tuple[Columns, ...] = ()

    @cached_property
    def where(self) -> str:
        """All expressions as one, each on lines of its own."""
        if len(self.wheres) < 2:
            return "".join(self.wheres)
        return _BEFORE + _BETWEEN.join(self.wheres) + _AFTER

    def with_expression(self, text: str, bind: Mapping[str, Any]) -> Constraints:
        """Return these and one more expression.

        Parameters
        ----------
        text : str
            The expression.
        bind : mapping
            Values for names in it.

        Returns
        -------
        Constraints
            New ones.

        Raises
        ------
        UsageError
            If a name has another value already.
        """
        for name, value in bind.items():
            if name in self.bind and self.bind[name] is not value and self.bind[name] != value:
                raise UsageError(
                    f"':{name}' is {self.bind[name]!r} already, and cannot be {value!r} too",
                    code="bind-twice",
                    hint="Use another name in one of the expressions.",
                )
        wheres = (*self.wheres, text) if text.strip() else self.wheres
        return replace(self, wheres=wheres, bind={**self.bind, **bind})

    def with_data_id(self, values: Mapping[str, Any], universe: DimensionUniverse) -> Constraints:
        """Return these and values that dimensions have.

        Parameters
        ----------
        values : mapping
            Dimension to value.
        universe : DimensionUniverse
            Where the dimensions are defined.

        Returns
        -------
        Constraints
            New ones.

        Raises
        ------
        DataIdError
            If there is no such dimension, the value has the wrong type, or another one was given before.
        """
        checked = {name: check_value(universe, name, value) for name, value in values.items()}
        for name, value in checked.items():
            if self.data_id.get(name, value) != value:
                raise DataIdError(
                    f"{name} is {self.data_id[name]!r} already, and cannot be {value!r} too",
                    code="data-id-conflict",
                )
        return replace(self, data_id={**self.data_id, **checked})

    def with_defaults(self, values: Mapping[str, Any], universe: DimensionUniverse) -> Constraints:
        """Return these and values of governors for what is left open.

        Parameters
        ----------
        values : mapping
            Governor to value; go before those given earlier.
        universe : DimensionUniverse
            Where the dimensions are defined.

        Returns
        -------
        Constraints
            New ones.

        Raises
        ------
        DataIdError
            If a name is no governor, or the value has the wrong type.
        """
        for name in values:
            if name not in universe.governors:
                raise DataIdError(
                    f"'{name}' can have no default: only what other dimensions depend on can",
                    code="not-a-governor",
                    hint=nearest(name, universe.governors),
                )
        checked = {name: check_value(universe, name, value) for name, value in values.items()}
        return replace(self, defaults={**self.defaults, **checked})

    def with_join(self, dataset_type: str, collections: Sequence[str] | None) -> Constraints:
        """Return these and a dataset that must exist.

        Parameters
        ----------
        dataset_type : str
            Its type.
        collections : sequence of str or None
            Where; None for every RUN.

        Returns
        -------
        Constraints
            New ones.
        """
        return replace(
            self, joins=(*self.joins, Join(dataset_type, None if collections is None else tuple(collections)))
        )

    def with_table(self, table: Columns) -> Constraints:
        """Return these and a table of data IDs.

        Parameters
        ----------
        table : Columns
            Its columns are dimensions.

        Returns
        -------
        Constraints
            New ones.

        Raises
        ------
        UsageError
            If there is one already.
        """
        if self.table is not None:
            raise UsageError(
                "a query takes one table of data IDs, and has one already",
                code="two-tables",
                hint="Join the two before.",
            )
        return replace(self, table=table)

    @contextlib.contextmanager
    def in_own_words(self) -> Iterator[None]:
        """Let errors about an expression show the one that was given, and not all of them together.

        Yields
        ------
        None
            Nothing.
        """
        try:
            yield
        except QueryError as exc:
            if len(self.wheres) < 2 or exc.expression != self.where or exc.position is None:
                raise
            start = len(_BEFORE)
            for text in self.wheres:
                if exc.position <= start + len(text):
                    exc.expression, exc.position = text, max(0, exc.position - start)
                    break
                start += len(text) + len(_BETWEEN)
            raise
