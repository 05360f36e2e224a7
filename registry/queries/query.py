"""`Query`: a question put together step by step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError, nearest
from registry.model.dataset_type import DatasetType
from registry.queries.constraints import Constraints

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionUniverse
    from registry.queries.data_ids import DataIds, Records
    from registry.queries.datasets import Datasets
    from registry.queries.results import Sessions

__all__ = ["Query", "TableReader"]

TableReader = Callable[[str], "Columns"]
"""Reads a file of data IDs."""


class Query:
    """A question to a registry, which grows step by step: each step returns a new one.

    Begin with `Repo.query` or `Snapshot.query`; say what the rows fulfil; end with what is asked for: `data_ids`,
    `records` or `datasets`. Nothing is asked before the result of that is read.

    Parameters
    ----------
    universe : DimensionUniverse
        The registry's dimensions.
    sessions : callable
        Opens a transaction to read in, or gives the one that is open.
    asked : Constraints, optional
        What the rows fulfil.
    read_table : callable, optional
        Reads a file of data IDs.
    """

    def __init__(
        self,
        universe: DimensionUniverse,
        sessions: Sessions,
        asked: Constraints | None = None,
        read_table: TableReader | None = None,
    ) -> None:
        self.universe = universe
        self._sessions = sessions
        self._asked = asked or Constraints()
        self._read_table = read_table

    def __repr__(self) -> str:
        shown = [repr(w) for w in self._asked.wheres] + [f"{k}={v!r}" for k, v in self._asked.data_id.items()]
        shown += [f"with a {join.dataset_type}" for join in self._asked.joins]
        return f"Query({', '.join(shown)})"

    def where(
        self, *terms: str | Mapping[str, Any], bind: Mapping[str, Any] | None = None, **values: Any
    ) -> Query:
        """Constrain by expressions and by values of dimensions.

        Parameters
        ----------
        *terms : str or mapping
            Expressions in the query language, all of which hold; mappings of dimensions to values.
        bind : mapping, optional
            Values for names in the expressions, under any name.
        **values
            Of a name that an expression uses (as ``:name``): its value. Else of a dimension: the value it has.

        Returns
        -------
        Query
            A new one.

        Raises
        ------
        QueryError
            If an expression cannot be read; shows where.
        DataIdError
            If a value has the wrong type, or the dimension another one already.
        UsageError
            If a name is neither in an expression nor a dimension.
        """
        texts = [t for t in terms if isinstance(t, str)]
        given, data_id = self._sorted(texts, values)
        given.update(bind or {})
        asked = self._asked
        for term in terms:
            if isinstance(term, Mapping):
                asked = asked.with_data_id(term, self.universe)
            else:
                asked = asked.with_expression(term, given)
        return self._with(asked.with_data_id(data_id, self.universe))

    def _sorted(
        self, texts: Sequence[str], values: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tell values for names in expressions from those of dimensions."""
        used, bare = _names_in(texts)
        bind: dict[str, Any] = {}
        data_id: dict[str, Any] = {}
        for name, value in values.items():
            is_dimension = name in self.universe.dimension_names
            if name in used and (is_dimension or name in bare):
                # A value may be named without its colon: the expression would speak of nothing but values.
                raise UsageError(
                    f"':{name}' has the name of what is asked for, and '{name}' would mean the value too",
                    code="bind-name",
                    hint="Give the value another name.",
                )
            if name in used or (name in bare and not is_dimension):
                bind[name] = value
            elif is_dimension:
                data_id[name] = value
            else:
                known = {n for n in self.universe.dimension_names if not self.universe.elements[n].skypix}
                raise UsageError(
                    f"'{name}' is neither a value that an expression asks for nor a dimension",
                    code="query-unknown-name",
                    hint=nearest(name, used | known),
                )
        return bind, data_id

    def default_data_id(self, **values: Any) -> Query:
        """Give values of governors (instrument, skymap) that hold where all else leaves them open.

        Parameters
        ----------
        **values
            Governor to value.

        Returns
        -------
        Query
            A new one.

        Raises
        ------
        DataIdError
            If a name is no governor, or its value has the wrong type.
        """
        return self._with(self._asked.with_defaults(values, self.universe))

    def join_dataset(
        self, dataset_type: str | DatasetType, collections: str | Iterable[str] | None = None
    ) -> Query:
        """Keep to data IDs for which a dataset exists.

        Parameters
        ----------
        dataset_type : str or DatasetType
            Its type.
        collections : str or iterable of str, optional
            Where, chains and globs expanded; every RUN by default.

        Returns
        -------
        Query
            A new one.
        """
        return self._with(
            self._asked.with_join(
                _type_name(dataset_type), None if collections is None else _names(collections)
            )
        )

    def table(self, table: Any) -> Query:
        """Keep to the data IDs of a table.

        Parameters
        ----------
        table : Columns, mapping of lists, pyarrow.Table, pandas.DataFrame, str or path
            Its columns are dimensions. A file is read as `stage.read_data_id_table` does.

        Returns
        -------
        Query
            A new one.

        Raises
        ------
        DataIdError
            If a column is no dimension, or a value has the wrong type.
        UsageError
            If it is no table, or there is one already.
        """
        from registry.queries.tables import as_columns
        from registry.sql.keys import with_checked_keys

        if isinstance(table, str | os.PathLike):
            table = self._read(os.fspath(table))
        rows = as_columns(table)
        return self._with(self._asked.with_table(with_checked_keys(self.universe, rows, rows.names)))

    def data_ids(self, dimensions: str | Iterable[str]) -> DataIds:
        """Ask for data IDs.

        Parameters
        ----------
        dimensions : str or iterable of str
            The dimensions; what they require and imply comes with them.

        Returns
        -------
        DataIds
            A result, not asked for yet.

        Raises
        ------
        DataIdError
            If a name is no dimension.
        """
        from registry.queries.data_ids import DataIds

        group = self.universe.group(_names(dimensions))
        return DataIds(self.universe, self._sessions, self._asked, group)

    def records(self, element: str) -> Records:
        """Ask for dimension records.

        Parameters
        ----------
        element : str
            Whose: a dimension, or a relation of dimensions.

        Returns
        -------
        Records
            A result, not asked for yet.

        Raises
        ------
        DataIdError
            If there is no such element.
        """
        from registry.queries.data_ids import Records

        return Records(self.universe, self._sessions, self._asked, self.universe.element(element))

    def datasets(
        self,
        dataset_type: str | DatasetType | Sequence[str],
        collections: str | Iterable[str] | None = None,
        *,
        find_first: bool | None = None,
        artifacts: bool = False,
    ) -> Datasets:
        """Ask for datasets.

        Parameters
        ----------
        dataset_type : str, DatasetType or sequence of str
            Their type; a glob or several names for several types.
        collections : str or iterable of str, optional
            Where they are searched, in order, chains and globs expanded; every RUN by default.
        find_first : bool, optional
            Whether of equal data IDs only the one found first counts; by default where there are collections, and
            no patterns among them.
        artifacts : bool, optional
            Whether to return their artifact records too.

        Returns
        -------
        Datasets
            A result, not asked for yet.

        Raises
        ------
        UsageError
            If the first is to be found, and it is not said where, or by a pattern.
        """
        from registry.queries.datasets import Datasets
        from registry.sql.collections import check_order, is_glob

        names = [dataset_type] if isinstance(dataset_type, str | DatasetType) else list(dataset_type)
        where = None if collections is None else _names(collections)
        if find_first and where is None:
            raise UsageError(
                "which dataset is first depends on a search path, and there is none",
                code="no-search-path",
                hint="Name collections, in order.",
            )
        if find_first is None:
            find_first = where is not None and not any(map(is_glob, where))
        elif find_first:
            check_order(where or ())
        return Datasets(
            self.universe, self._sessions, self._asked, [_type_name(n) for n in names], where,
            find_first=find_first, artifacts=artifacts,
        )  # fmt: skip

    def _with(self, asked: Constraints) -> Query:
        return Query(self.universe, self._sessions, asked, self._read_table)

    def _read(self, path: str) -> Columns:
        if self._read_table is None:
            raise UsageError(
                f"a snapshot does not read files, and was given {path}",
                code="not-a-table",
                hint="Read it before: stage.read_data_id_table(path, universe).",
            )
        return self._read_table(path)


def _names(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _type_name(dataset_type: str | DatasetType) -> str:
    return dataset_type.name if isinstance(dataset_type, DatasetType) else dataset_type


def _names_in(texts: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the names of values in expressions, and all names of one part."""
    if not texts:
        return set(), set()
    from registry.queries.words import bare_names, bind_names

    used = {name for text in texts for name in bind_names(text)}
    return used, {name for text in texts for name in bare_names(text)}
