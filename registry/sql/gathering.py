"""Rows as the driver gives them, gathered into columns some at a time, so that no more of them are held at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Array, Columns, as_array

__all__ = ["ROWS_AT_ONCE", "batches", "gathered"]

ROWS_AT_ONCE = 1 << 15
"""A row as a tuple of objects takes several times what it takes in columns."""

_ROWS_A_TEXT = 4
"""Texts that on average stand in fewer rows are not worth finding again."""

_DTYPES: tuple[tuple[type, type], ...] = (
    (sa.Boolean, np.bool_),
    (sa.Integer, np.int64),
    (sa.Float, np.float64),
)

Kind = sa.types.TypeEngine[Any]


def batches(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Read the rows of a cursor of the driver's.

    Parameters
    ----------
    cursor : object
        With rows to be fetched.

    Yields
    ------
    list of tuple
        `ROWS_AT_ONCE` of them, or those that are left.
    """
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield rows


def gathered(columns: Sequence[tuple[str, Kind]], rows: Iterable[Sequence[tuple[Any, ...]]]) -> Columns:
    """Put rows together as columns.

    Parameters
    ----------
    columns : sequence of (str, sqlalchemy type)
        Their names, and how they are declared.
    rows : iterable of sequence of tuple
        From `batches`.

    Returns
    -------
    Columns
        Typed as declared also where there are no rows.
    """
    if not columns:
        return Columns({}).take(np.arange(sum(map(len, rows))))
    found = {name: _Gathered(kind) for name, kind in columns}
    for batch in rows:
        for column, values in zip(found.values(), zip(*batch, strict=True), strict=True):
            column.add(values)
    return Columns({name: column.whole() for name, column in found.items()})


class _Gathered:
    """One column, batch by batch; equal texts, and ids, are one object, as long as there are few of them."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.parts: list[Array] = []
        self.texts: dict[Any, Any] | None = {}

    def add(self, values: Sequence[Any]) -> None:
        if isinstance(self.kind, sa.Boolean):
            values = [None if v is None else bool(v) for v in values]
        elif self.texts is not None and len(values) == ROWS_AT_ONCE and isinstance(values[0], str | bytes):
            values = list(map(self.texts.setdefault, values, values))
            if len(self.texts) * _ROWS_A_TEXT > len(values):
                self.texts = None
        self.parts.append(as_array(values))

    def whole(self) -> Array:
        if not self.parts:
            return np.empty(0, next((d for k, d in _DTYPES if isinstance(self.kind, k)), object))
        if len({part.dtype for part in self.parts}) > 1:  # nulls in some of them
            self.parts = [part.astype(object) for part in self.parts]
        return self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
