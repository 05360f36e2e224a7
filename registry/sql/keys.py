"""Checks of rows that come from outside: which columns, and values that every database can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.errors import DataIdError, UsageError, nearest
from registry.model.columns import Array, Columns
from registry.model.data_id import check_value, is_storable
from registry.model.dimensions import DimensionUniverse
from registry.sql.fixed_tables import IdType

__all__ = ["check_columns", "check_ids", "check_parameters", "check_values", "key_text", "with_checked_keys"]

_NONE = type(None)
_LIMITS: tuple[tuple[type[Any], int], ...] = (
    (sa.SmallInteger, 2**15),
    (sa.BigInteger, 2**63),
    (sa.Integer, 2**31),
)
_KINDS: tuple[tuple[type[Any], str, frozenset[type]], ...] = (
    (sa.Boolean, "a truth value", frozenset({bool, _NONE})),
    (sa.Integer, "an integer", frozenset({int, bool, _NONE})),
    (sa.Float, "a number", frozenset({float, int, bool, _NONE})),
    (sa.String, "a text", frozenset({str, _NONE})),
    (sa.LargeBinary, "bytes", frozenset({bytes, _NONE})),
    (IdType, "16 bytes", frozenset({bytes, _NONE})),
)


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
    limit = 255 if key is None else key.length or 255
    if kinds <= {str} and values:
        _check_length(name, values, limit)
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


def _check_length(name: str, values: Sequence[str | None], limit: int) -> None:
    texts = [v for v in values if v is not None]
    if texts and max(map(len, texts)) > limit:
        long = next(v for v in texts if len(v) > limit)
        raise DataIdError(
            f"{name}={long[:60]!r}…: {len(long)} characters, where {limit} fit", code="data-id-value"
        )
    if not is_storable("".join(texts)):
        wrong = next(v for v in texts if not is_storable(v))
        raise DataIdError(
            f"{name}={wrong!r:.60}: a null character or half a character cannot be kept", code="data-id-value"
        )


def check_values(rows: Columns, types: Mapping[str, sa.types.TypeEngine[Any]]) -> None:
    """Refuse values that not every database can keep; SQLite alone would keep nearly anything.

    Parameters
    ----------
    rows : Columns
        The rows.
    types : mapping of str to sqlalchemy type
        What their columns are declared as.

    Raises
    ------
    UsageError
        If a value is of another type, too long, too large, or has a null character; names column, value and limit.
    """
    for name, declared in types.items():
        column = rows[name]
        _check_kinds(name, column, declared)
        if isinstance(declared, sa.String):
            _check_texts(name, column.tolist(), declared.length)
        elif isinstance(declared, sa.Integer):
            limit = next(n for kind, n in _LIMITS if isinstance(declared, kind))
            _check_range(name, column, limit)


def check_parameters(parameters: Mapping[str, Any], table: sa.FromClause | None = None) -> None:
    """Refuse values of one row, or of a question, that not every database can take.

    Parameters
    ----------
    parameters : mapping of str to object
        The values.
    table : sqlalchemy.FromClause, optional
        Where a row goes, if it does.

    Raises
    ------
    UsageError
        If a text is too long for its column, or has a null character.
    """
    for name, value in parameters.items():
        if isinstance(value, str):
            declared = None if table is None or name not in table.c else table.c[name].type
            _check_texts(name, [value], declared.length if isinstance(declared, sa.String) else None)


def _bad(name: str, value: Any, why: str) -> UsageError:
    return UsageError(f"column '{name}' cannot hold {value!r:.60}: {why}", code="bad-value")


def _check_kinds(name: str, column: Array, declared: sa.types.TypeEngine[Any]) -> None:
    what, allowed = next((w, a) for kind, w, a in _KINDS if isinstance(declared, kind))
    if column.dtype.kind == "f" and isinstance(declared, sa.Integer):
        wrong = column[column != np.floor(column)]
        if len(wrong):
            raise _bad(name, float(wrong[0]), f"expected {what}")
        return
    values = column.tolist() if column.dtype == object else column[:1].tolist()
    kinds = set(map(type, values))
    if not kinds <= allowed:
        raise _bad(name, next(v for v in values if type(v) not in allowed), f"expected {what}")
    if not isinstance(declared, IdType):
        return
    there = [v for v in values if v is not None] if type(None) in kinds else values
    if not set(map(len, there)) <= {16}:
        raise _bad(name, next(v for v in values if v is not None and len(v) != 16), "expected 16 bytes")


def _check_texts(name: str, values: Sequence[str | None], limit: int | None) -> None:
    texts = [v for v in values if v is not None]
    if limit is not None and texts and max(map(len, texts)) > limit:
        long = next(v for v in texts if len(v) > limit)
        raise _bad(name, long, f"it has {len(long)} characters, and {limit} fit")
    if not is_storable("".join(texts)):
        wrong = next(v for v in texts if not is_storable(v))
        raise _bad(name, wrong, "a null character or half a character cannot be kept")


def _check_range(name: str, column: Array, limit: int) -> None:
    given = column
    if column.dtype == object:
        given = np.array([v for v in column.tolist() if v is not None], dtype=object)
    if len(given) and not (-limit <= given.min() and given.max() < limit):
        wrong = next(v for v in given.tolist() if not -limit <= v < limit)
        raise _bad(name, int(wrong), f"it is beyond {limit - 1}")


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
