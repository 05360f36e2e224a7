"""Columns as tables of other libraries, which are loaded only here and only when one is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from registry.model.columns import Array, Columns
    from registry.model.dimensions import DimensionUniverse

__all__ = ["as_columns", "to_arrow", "to_pandas"]

_ID = 16


def _library(name: str, what: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as exc:
        raise UsageError(
            f"{what} needs the package '{name}', which is not installed",
            code="missing-extra",
            hint=f"Install it: pip install {name}",
        ) from exc


def to_arrow(columns: Columns, universe: DimensionUniverse) -> Any:
    """Return rows as a table of Apache Arrow.

    Parameters
    ----------
    columns : Columns
        The rows.
    universe : DimensionUniverse
        Tells the types of columns that hold only nulls, or nothing.

    Returns
    -------
    pyarrow.Table
        Ids are ``fixed_size_binary(16)``; other bytes ``binary``.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    """
    pa = _library("pyarrow", "an Arrow table")
    arrays = [_arrow_array(pa, name, columns[name], universe) for name in columns.names]
    return pa.table(arrays, names=list(columns.names))


def _arrow_array(pa: Any, name: str, column: Array, universe: DimensionUniverse) -> Any:
    if column.dtype != object:
        return pa.array(column)
    values = column.tolist()
    sample = next((v for v in values if v is not None), None)
    if sample is not None:
        return pa.array(values, pa.binary(_ID)) if name == "id" else pa.array(values)
    element = universe.elements.get(name)
    if element is not None and element.key is not None:
        return pa.array(values, pa.int64() if element.key.type == "int" else pa.string())
    return pa.array(values, {"id": pa.binary(_ID), "size": pa.int64()}.get(name, pa.string()))


def to_pandas(columns: Columns) -> Any:
    """Return rows as a frame of pandas.

    Parameters
    ----------
    columns : Columns
        The rows.

    Returns
    -------
    pandas.DataFrame
        One column a column; integers with nulls among them are objects.

    Raises
    ------
    UsageError
        If pandas is not installed.
    """
    pandas = _library("pandas", "a data frame")
    return pandas.DataFrame({name: columns[name] for name in columns.names})


def as_columns(table: Any) -> Columns:
    """Return a table in any of the usual forms as columns.

    Parameters
    ----------
    table : Columns, mapping of str to sequence, pyarrow.Table or pandas.DataFrame
        The table.

    Returns
    -------
    Columns
        The same rows.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    from collections.abc import Mapping

    from registry.model.columns import Columns

    if isinstance(table, Columns):
        return table
    if isinstance(table, Mapping):
        return _made({str(k): list(v) for k, v in table.items()})
    if hasattr(table, "column_names") and hasattr(table, "to_pydict"):
        return _made(table.to_pydict())
    if hasattr(table, "columns") and hasattr(table, "to_dict"):
        return _made({str(k): table[k].tolist() for k in table.columns})
    raise UsageError(
        f"a table of data IDs cannot be a {type(table).__name__}",
        code="not-a-table",
        hint="Give Columns, a mapping of lists, an Arrow table or a data frame.",
    )


def _made(columns: dict[str, list[Any]]) -> Columns:
    from registry.model.columns import Columns

    try:
        return Columns(columns)
    except ValueError as exc:
        raise UsageError(f"the table of data IDs has {exc}", code="not-a-table") from exc
