"""Checks of rows that come from outside: which columns, and key values of the right type."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from registry.errors import DataIdError, UsageError, nearest
from registry.model.columns import Array, Columns
from registry.model.data_id import check_value
from registry.model.dimensions import DimensionUniverse

__all__ = ["check_columns", "check_ids", "key_text", "with_checked_keys"]


def check_columns(rows: Columns, needed: Sequence[str], allowed: Collection[str], what: str) -> None:
    """Refuse rows that lack a column or have one too many.

    Parameters
    ----------
    rows : Columns
        The rows.
    needed : sequence of str
        Columns that must be there.
    allowed : collection of str
        All that may be there.
    what : str
        What the rows are, for the error.

    Raises
    ------
    DataIdError
        If a column is missing.
    UsageError
        If a column is unknown.
    """
    missing = [n for n in needed if n not in rows]
    if missing:
        raise DataIdError(f"rows of {what} lack {', '.join(missing)}", code="data-id-missing")
    for name in rows:
        if name not in allowed:
            raise UsageError(
                f"rows of {what} have an unknown column '{name}'",
                code="unknown-column",
                hint=nearest(name, allowed),
            )


def _checked(universe: DimensionUniverse, name: str, column: Array, *, nullable: bool) -> Array:
    key = universe.element(name).key
    if key is not None and key.type == "int" and column.dtype.kind in "iu":
        return column
    values = column.tolist()
    kinds = set(map(type, values))
    if nullable:
        kinds.discard(type(None))
    if key is not None and kinds <= {int if key.type == "int" else str} and "" not in values:
        return column if column.dtype.kind != "U" else column.astype(object)
    out = np.empty(len(values), dtype=object)
    out[:] = [v if v is None and nullable else check_value(universe, name, v) for v in values]
    return out


def with_checked_keys(
    universe: DimensionUniverse, rows: Columns, names: Sequence[str], nullable: Collection[str] = ()
) -> Columns:
    """Return rows whose dimension columns hold values of the right type.

    Parameters
    ----------
    universe : DimensionUniverse
        Where the dimensions are defined.
    rows : Columns
        The rows.
    names : sequence of str
        Dimensions among their columns.
    nullable : collection of str
        Those of them that may be null.

    Returns
    -------
    Columns
        The rows, with digits in a string taken for an integer where the key is one.

    Raises
    ------
    DataIdError
        If a value is of another type.
    """
    for name in names:
        column = _checked(universe, name, rows[name], nullable=name in nullable)
        if column is not rows[name]:
            rows = rows.with_column(name, column)
    return rows


def check_ids(rows: Columns, name: str = "id") -> None:
    """Refuse ids that are not 16 bytes.

    Parameters
    ----------
    rows : Columns
        The rows.
    name : str
        The column.

    Raises
    ------
    UsageError
        If one is something else.
    """
    values = rows[name].tolist()
    if not (set(map(type, values)) <= {bytes} and set(map(len, values)) <= {16}):
        wrong = next(v for v in values if not isinstance(v, bytes) or len(v) != 16)
        raise UsageError(f"{wrong!r} is not a dataset id: expected 16 bytes", code="bad-id")


def key_text(names: Sequence[str], values: Sequence[Any]) -> str:
    """Return a key as errors show it: ``{instrument=HSC, visit=903}``.

    Parameters
    ----------
    names, values : sequence
        Of one length.

    Returns
    -------
    str
        The text.
    """
    return "{" + ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=False)) + "}"
