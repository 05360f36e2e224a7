"""The answer of a query that is made of datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Array, Columns
from registry.model.data_id import DataId
from registry.model.refs import DatasetRef
from registry.queries.results import Part, Result
from registry.queries.statements import Statement, dataset_statement, search_path
from registry.sql.collections import is_glob

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from registry.queries.constraints import Constraints
    from registry.queries.explain import Explanation
    from registry.queries.results import Sessions
    from registry.sql.dataset_types import TypeEntry
    from registry.sql.session import Session

__all__ = ["Datasets"]


class Datasets(Result[DatasetRef]):
    """Datasets of one type or several; iterating gives `DatasetRef` objects.

    Of several types the columns begin with ``dataset_type``, dimensions that a type does not have are null, and order
    and limit hold within the types, which are in order of their names.

    Parameters
    ----------
    universe : DimensionUniverse
        The registry's dimensions.
    sessions : callable
        Opens a transaction, or gives the one that is open.
    asked : Constraints
        What they fulfil.
    types : sequence of str
        Names and globs of dataset types.
    collections : sequence of str or None
        Where they are searched, in order; None for every RUN.
    find_first : bool
        Whether of equal data IDs only the one found first counts.
    artifacts : bool
        Whether to return artifact records too.
    """

    def __init__(
        self,
        universe: DimensionUniverse,
        sessions: Sessions,
        asked: Constraints,
        types: Sequence[str],
        collections: Sequence[str] | None,
        *,
        find_first: bool,
        artifacts: bool,
    ) -> None:
        super().__init__(universe, sessions, asked)
        self.types = tuple(types)
        self.collections = None if collections is None else tuple(collections)
        self.find_first = find_first
        self.artifacts = artifacts

    def __str__(self) -> str:
        where = f" in {', '.join(self.collections)}" if self.collections else ""
        return f"the query for datasets {', '.join(self.types)}{where}"

    @property
    def is_uniform(self) -> bool:
        """Whether the answer has the columns of several types."""
        return len(self.types) != 1 or is_glob(self.types[0])

    def matching(self, session: Session) -> list[TypeEntry]:
        """Return the dataset types that are meant.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        list of TypeEntry
            Sorted by name, each once.

        Raises
        ------
        NotFoundError
            If a name (that is no glob) does not exist; offers the nearest.
        """
        from registry.sql.dataset_types import find_type, types_matching

        found = {
            entry.type.name: entry
            for name in self.types
            for entry in (types_matching(session, name) if is_glob(name) else [find_type(session, name)])
        }
        return [found[name] for name in sorted(found)]

    def parts(self, session: Session) -> list[Part]:
        """Return the SELECTs of the answer.

        Parameters
        ----------
        session : Session
            An open transaction.

        Returns
        -------
        list of Part
            One for each dataset type, by name.
        """
        path = search_path(session, self.collections)
        return [self._part(session, found, path) for found in self.matching(session)]

    def _part(self, session: Session, found: TypeEntry, path: Sequence[Any]) -> Part:
        from registry.sql.datasets import ARTIFACT_COLUMNS, with_run_names

        names = [*found.type.dimensions.required, "id", "run", *(ARTIFACT_COLUMNS if self.artifacts else ())]

        def open_part(order: Sequence[str], most: int | None) -> Statement:
            return dataset_statement(
                session, found, path, self.asked,
                find_first=self.find_first, artifacts=self.artifacts, order_by=order, limit=most,
            )  # fmt: skip

        return Part(found.type.name, open_part, lambda rows: with_run_names(session, rows, names), found.type)

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
        from registry.queries.explain import explain_datasets

        return explain_datasets(session, self)

    def _merged(self, found: list[tuple[Part, Columns]]) -> Columns:
        if not self.is_uniform:
            return found[0][1]
        from registry.sql.datasets import ARTIFACT_COLUMNS

        held = {n for part, _ in found for n in part.about.dimensions.required}
        dimensions = [n for n in self.universe.dimension_names if n in held]
        rest = ("id", "run", *(ARTIFACT_COLUMNS if self.artifacts else ()))
        out: dict[str, Array] = {"dataset_type": _spread([(part.name, rows.n_rows) for part, rows in found])}
        for name in (*dimensions, *rest):
            columns = [rows.get(name, np.full(rows.n_rows, None, dtype=object)) for _, rows in found]
            filled = [c for c in columns if len(c)]
            out[name] = np.concatenate(filled) if filled else np.empty(0, dtype=object)
        return Columns(out)

    def _objects(self, found: Iterable[tuple[Part, Columns]]) -> Iterator[DatasetRef]:
        for part, columns in found:
            kind, group = part.about, part.about.dimensions
            rows = zip(
                columns["id"].tolist(), columns["run"].tolist(), columns.rows(group.required), strict=True
            )
            for dataset_id, run, values in rows:
                yield DatasetRef(dataset_id, kind, DataId(group, values), run)


def _spread(values: Sequence[tuple[str, int]]) -> Array:
    out = np.empty(sum(n for _, n in values), dtype=object)
    start = 0
    for value, n in values:
        out[start : start + n] = value
        start += n
    return out
