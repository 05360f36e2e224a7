"""Parquet tables as plain columns."""

from __future__ import annotations

import io
import math
from typing import Any

from registry.errors import UsageError
from sync.formatters.base import needs_extra
from sync.tables.text import Content
from sync.tables.values import Kind

__all__ = ["read_parquet"]


def read_parquet(data: bytes, place: str) -> Content:
    """Read a Parquet file.

    Parameters
    ----------
    data : bytes
        The file.
    place : str
        Its name in errors.

    Returns
    -------
    Content
        Python values; times as ISO text in UTC.

    Raises
    ------
    UsageError
        If it is none, a column has values that a registry cannot hold, or Arrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise needs_extra("Parquet tables", "arrow", "pyarrow") from exc
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as exc:
        raise UsageError(f"{place} is no Parquet table: {exc}", code="bad-table") from exc
    columns: dict[str, list[Any]] = {}
    kinds: dict[str, Kind] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in columns:
            raise UsageError(f"{place}, column {name}: two columns have this name", code="bad-table")
        columns[name], kinds[name] = _column(pa, column, f"{place}, column {name}")
    return Content(columns, lambda row: f"row {row + 1}", kinds)


def _column(pa: Any, column: Any, where: str) -> tuple[list[Any], Kind]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_of, kind = pa.types, column.type
    found: Kind = "string"
    if is_of.is_integer(kind):
        column, found = column.cast(pa.int64()), "int"
    elif is_of.is_floating(kind) or is_of.is_decimal(kind):
        values = column.cast(pa.float64()).to_pylist()
        return [None if v is None or math.isnan(v) else v for v in values], "float"
    elif is_of.is_boolean(kind):
        found = "bool"
    elif is_of.is_timestamp(kind):
        # A cast to text would write the zone; without one the text is the moment in UTC.
        column, found = column.cast(pa.timestamp("ns")).cast(pa.string()), "time"
    elif is_of.is_date(kind):
        column, found = column.cast(pa.date32()).cast(pa.string()), "time"
    elif not (is_of.is_string(kind) or is_of.is_large_string(kind) or is_of.is_null(kind)):
        raise UsageError(
            f"{where}: a registry has no column of type {kind}", code="bad-table",
            hint="Leave the column out, or write it as text or numbers.",
        )  # fmt: skip
    return column.to_pylist(), found
