"""Tables as Parquet files, through pyarrow (extra ``arrow``)."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from registry.model.columns import Columns, as_array
from sync.formatters.base import needs_extra, reading, writing, wrong_type

__all__ = ["ParquetFormatter", "as_columns", "as_frame", "as_table"]


def _pyarrow() -> ModuleType:
    try:
        pa = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError as exc:
        raise needs_extra("the format 'parquet'", "arrow", "pyarrow") from exc
    return pa


def _is_frame(obj: object) -> bool:
    kind = type(obj)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def as_table(obj: Any) -> Any:
    """Return a table as `pyarrow.Table`.

    Parameters
    ----------
    obj : pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame or Columns
        The table.

    Returns
    -------
    pyarrow.Table
        The same rows; the index of a frame is kept.

    Raises
    ------
    UsageError
        If it is something else.
    """
    pa = _pyarrow()
    if isinstance(obj, pa.Table):
        return obj
    if isinstance(obj, pa.RecordBatch):
        return pa.Table.from_batches([obj])
    if _is_frame(obj):
        with writing("parquet", obj):
            return pa.Table.from_pandas(obj)
    if isinstance(obj, Columns):
        with writing("parquet", obj):
            return pa.table(dict(obj))
    raise wrong_type("parquet", "a pyarrow.Table, pandas.DataFrame or Columns", obj)


def as_columns(obj: Any) -> Columns:
    """Return a table as `registry.model.columns.Columns`.

    Parameters
    ----------
    obj : pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame or Columns
        The table.

    Returns
    -------
    Columns
        One array a column; one with nulls is of objects, among them None.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if isinstance(obj, Columns):
        return obj
    table = as_table(obj)
    return Columns({name: _array(table.column(name)) for name in table.column_names})


def _array(column: Any) -> Any:
    if not column.null_count:
        return column.to_numpy()
    # Not NaN, as pyarrow would have it: a number that is not known is no number.
    return as_array(column.to_pylist())


def as_frame(obj: Any) -> Any:
    """Return a table as `pandas.DataFrame`.

    Parameters
    ----------
    obj : pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame or Columns
        The table.

    Returns
    -------
    pandas.DataFrame
        The same rows.

    Raises
    ------
    UsageError
        If it is something else, or pandas is not installed.
    """
    try:
        import pandas  # noqa: F401, ICN001 - only whether it is there
    except ImportError as exc:
        raise needs_extra("the storage class 'DataFrame'", "", "pandas") from exc
    return obj if _is_frame(obj) else as_table(obj).to_pandas()


class ParquetFormatter:
    """One table, its columns compressed with Zstandard."""

    name = "parquet"
    extension = ".parquet"

    def encode(self, obj: object) -> bytes:
        """Return a Parquet file.

        Parameters
        ----------
        obj : object
            A `pyarrow.Table`, `pandas.DataFrame` or `Columns`.

        Returns
        -------
        bytes
            The file.

        Raises
        ------
        UsageError
            If it is none of these, has a column that Parquet lacks, or pyarrow is not installed.
        """
        pa, table = _pyarrow(), as_table(obj)
        stream = pa.BufferOutputStream()
        with writing(self.name, obj):
            pa.parquet.write_table(table, stream, compression="zstd")
        return bytes(stream.getvalue())

    def decode(self, data: bytes) -> object:
        """Read a Parquet file.

        Parameters
        ----------
        data : bytes
            The file.

        Returns
        -------
        pyarrow.Table
            The table.

        Raises
        ------
        IntegrityError
            If it is no such file.
        UsageError
            If pyarrow is not installed.
        """
        pa = _pyarrow()
        with reading(self.name):
            return pa.parquet.read_table(pa.BufferReader(data))

    def check(self, path: str) -> None:
        """See whether a file has the footer of a table.

        Parameters
        ----------
        path : str
            A local file.

        Raises
        ------
        IntegrityError
            If it has none.
        UsageError
            If pyarrow is not installed.
        """
        pa = _pyarrow()
        with reading(self.name):
            pa.parquet.read_metadata(path)
