"""Tables as Parquet files, through pyarrow (extra ``arrow``)."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from sync.formatters.base import needs_extra, reading, writing, wrong_type

__all__ = ["ParquetFormatter", "as_frame", "as_table"]


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
    obj : pyarrow.Table, pyarrow.RecordBatch or pandas.DataFrame
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
    raise wrong_type("parquet", "a pyarrow.Table or pandas.DataFrame", obj)


def as_frame(obj: Any) -> Any:
    """Return a table as `pandas.DataFrame`.

    Parameters
    ----------
    obj : pyarrow.Table, pyarrow.RecordBatch or pandas.DataFrame
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
            A `pyarrow.Table` or `pandas.DataFrame`.

        Returns
        -------
        bytes
            The file.

        Raises
        ------
        UsageError
            If it is neither, has a column that Parquet lacks, or pyarrow is not installed.
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
