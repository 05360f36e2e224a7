"""Columns in PostgreSQL's binary form, made column by column: for arrays as parameters, and for COPY."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import add
from typing import Any

import numpy as np
import sqlalchemy as sa
from psycopg.adapt import Dumper
from psycopg.pq import Format

from registry.errors import InternalError, UsageError
from registry.model.columns import Array, Columns
from registry.sql.fixed_tables import IdType

__all__ = ["ArrayDumper", "BoundArray", "Kind", "copy_rows", "kind_of", "unnested"]

_NULL = struct.pack(">i", -1)
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TAIL = b"\xff\xff"


@dataclass(frozen=True)
class Kind:
    """A type of PostgreSQL in which columns are handed over.

    Parameters
    ----------
    name : str
        Its name in SQL.
    oid : int
        Its number.
    array_oid : int
        The number of the type of its arrays.
    form : str
        NumPy's form of one value, for those of fixed width; else "".
    """

    name: str
    oid: int
    array_oid: int
    form: str = ""


_BOOL = Kind("BOOLEAN", 16, 1000, "u1")
_INT = Kind("BIGINT", 20, 1016, ">i8")
_FLOAT = Kind("DOUBLE PRECISION", 701, 1022, ">f8")
_TEXT = Kind('TEXT COLLATE "C"', 25, 1009)
_BYTES = Kind("BYTEA", 17, 1001)
_UUID = Kind("UUID", 2950, 2951)

_KINDS: tuple[tuple[type[Any], Kind], ...] = (
    (sa.Boolean, _BOOL),
    (sa.Integer, _INT),
    (sa.Float, _FLOAT),
    (IdType, _UUID),
    (sa.LargeBinary, _BYTES),
    (sa.String, _TEXT),
)


def kind_of(declared: sa.types.TypeEngine[Any]) -> Kind:
    """Return in which type a column is handed over.

    Parameters
    ----------
    declared : sqlalchemy type
        What it is declared as.

    Returns
    -------
    Kind
        Every integer as the widest, every text without a limit: where the rows go, limits are checked.
    """
    for known, kind in _KINDS:
        if isinstance(declared, known):
            return kind
    raise InternalError(f"columns of {declared!r} cannot be handed over")


@dataclass(frozen=True)
class BoundArray:
    """An array as the driver sends it.

    Parameters
    ----------
    oid : int
        The number of its type.
    data : bytes
        Its binary form.
    """

    oid: int
    data: bytes = field(repr=False)


class _Sent(sa.types.UserDefinedType[BoundArray]):
    """The type of a `BoundArray`, which the driver knows how to send."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return a name, which no statement shows.

        Parameters
        ----------
        **_
            Of no use.

        Returns
        -------
        str
            The name.
        """
        return "BYTEA"


class ArrayDumper(Dumper):  # type: ignore[misc]
    """Sends a `BoundArray` as it is, under its own type."""

    format = Format.BINARY

    def get_key(self, obj: BoundArray, format: Any) -> Any:  # noqa: A002, ARG002
        """Tell which dumper sends an array.

        Parameters
        ----------
        obj : BoundArray
            The array.
        format : psycopg.adapt.PyFormat
            Of no use.

        Returns
        -------
        object
            A key: there is one dumper a type.
        """
        return (self.cls, obj.oid)

    def upgrade(self, obj: BoundArray, format: Any) -> ArrayDumper:  # noqa: A002, ARG002
        """Make the dumper of an array's type.

        Parameters
        ----------
        obj : BoundArray
            The array.
        format : psycopg.adapt.PyFormat
            Of no use.

        Returns
        -------
        ArrayDumper
            It.
        """
        dumper = ArrayDumper(self.cls)
        dumper.oid = obj.oid
        return dumper

    def dump(self, obj: BoundArray) -> bytes:
        """Return what is sent.

        Parameters
        ----------
        obj : BoundArray
            The array.

        Returns
        -------
        bytes
            Its binary form.
        """
        return obj.data


def unnested(name: str, rows: Columns, types: Mapping[str, sa.types.TypeEngine[Any]]) -> sa.FromClause:
    """Return rows as arrays that travel with the statement.

    Parameters
    ----------
    name : str
        What to call them.
    rows : Columns
        The rows.
    types : mapping of str to sqlalchemy type
        Which columns, declared as what.

    Returns
    -------
    sqlalchemy.FromClause
        What to select from.
    """
    kinds = {n: kind_of(t) for n, t in types.items()}
    arrays = [
        sa.bindparam(None, _bound_array(n, k, rows[n]), type_=_Sent(), unique=True) for n, k in kinds.items()
    ]
    columns = [sa.column(n, t) for n, t in types.items()]
    given = sa.func.unnest(*arrays).table_valued(*columns, name=f"{name}_given").render_derived()
    # Text is compared by its bytes, as the columns of tables are.
    chosen = [(sa.collate(c, "C").label(c.name) if isinstance(c.type, sa.String) else c) for c in given.c]
    return sa.select(*chosen).subquery(name)


def _bound_array(name: str, kind: Kind, values: Array) -> BoundArray:
    """Put a column into an array."""
    if not len(values):
        return BoundArray(kind.array_oid, struct.pack(">iii", 0, 0, kind.oid))
    fields = _fields(name, kind, values)
    has_null = values.dtype == object and _NULL in fields
    head = struct.pack(">iiiii", 1, int(has_null), kind.oid, len(values), 1)
    return BoundArray(kind.array_oid, head + b"".join(fields))


def copy_rows(names: Sequence[str], kinds: Sequence[Kind], columns: Sequence[Array]) -> bytes:
    """Put rows into what COPY reads in its binary format.

    Parameters
    ----------
    names : sequence of str
        The columns' names, for errors.
    kinds : sequence of Kind
        Their types.
    columns : sequence of array
        The columns.

    Returns
    -------
    bytes
        All of it, head and tail too.

    Raises
    ------
    UsageError
        If a value is of another type.
    """
    fields = [_fields(n, k, c) for n, k, c in zip(names, kinds, columns, strict=True)]
    width = repeat(struct.pack(">h", len(fields)))
    return b"".join((_COPY_HEAD, *chain.from_iterable(zip(width, *fields, strict=False)), _COPY_TAIL))


def _fields(name: str, kind: Kind, values: Array) -> list[bytes]:
    """Return each value with its length before it."""
    try:
        if kind.form:
            return _fixed(kind, values)
        if kind is _TEXT:
            return _with_lengths([None if v is None else v.encode() for v in values.tolist()])
        if kind is _UUID:
            # What is no id is nobody's; of rows to be kept that was found out before.
            return _with_lengths(
                [v if isinstance(v, bytes) and len(v) == 16 else None for v in values.tolist()]
            )
        return _with_lengths(values.tolist())
    except (AttributeError, TypeError, ValueError, OverflowError) as exc:
        raise UsageError(
            f"column '{name}' holds a value that is no {kind.name.split()[0].lower()}: {exc}",
            code="bad-value",
        ) from exc


def _fixed(kind: Kind, values: Array) -> list[bytes]:
    """Numbers: one operation a column, and one more where there are nulls."""
    width = np.dtype(kind.form).itemsize
    null = np.zeros(len(values), np.bool_)
    if values.dtype == object:
        null = np.fromiter((v is None for v in values.tolist()), np.bool_, len(values))
        values = np.where(null, 0, values)
    if kind is _FLOAT:
        values = values.astype(np.float64)
        null |= np.isnan(values)  # SQLite holds no other NaN than null
    elif kind is _INT and values.dtype.kind not in "iub":
        values = _whole(values)
    elif kind is _BOOL:
        values = values.astype(np.bool_)
    table = np.empty(len(values), np.dtype([("length", ">i4"), ("value", kind.form)]))
    table["length"], table["value"] = width, values
    fields: list[bytes] = table.view(f"V{4 + width}").tolist()
    for i in np.flatnonzero(null).tolist():
        fields[i] = _NULL
    return fields


def _whole(values: Array) -> Array:
    """Return numbers as integers, which they must be."""
    whole = values.astype(np.int64)
    if not (whole == values).all():
        raise ValueError(f"{values[whole != values][0]!r}")
    return whole


def _with_lengths(values: list[Any]) -> list[bytes]:
    if None not in values:
        heads: list[bytes] = np.fromiter(map(len, values), ">i4", len(values)).view("V4").tolist()
        return list(map(add, heads, values))
    return [_NULL if v is None else struct.pack(">i", len(v)) + v for v in values]
