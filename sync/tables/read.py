"""Tables that people have, in any of the usual forms, read column by column, with the place of every cell for errors."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from registry.errors import UsageError, nearest
from sync.filesystem import files
from sync.tables.text import Content, decoded, read_delimited
from sync.tables.values import Kind, Values, kind_of_text, read_text

__all__ = ["Table", "read_table"]

_PARQUET, _GZIP, _ZSTANDARD = b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Parameters
    ----------
    place : str
        The file, as errors name it.
    columns : mapping of str to sequence
        Columns by name: text as it stands in the file, or values that have types already.
    lines : callable
        Gives the line of a row, counted from 0, as people count lines.
    kinds : mapping of str to Kind
        Of columns whose values have types already.
    declared : mapping of str to Kind
        What the user says columns are.
    """

    place: str
    columns: Mapping[str, Sequence[Any]]
    lines: Callable[[int], str]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    declared: Mapping[str, Kind] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def check_column(self, name: str) -> str:
        """Return a column's name, refusing one that the table lacks.

        Parameters
        ----------
        name : str
            A name.

        Returns
        -------
        str
            The name.

        Raises
        ------
        UsageError
            If there is no such column; offers the nearest.
        """
        if name not in self.columns:
            raise UsageError(
                f"{self.place} has no column '{name}'",
                code="no-such-column",
                hint=nearest(name, self.columns),
            )
        return name

    def looks_like(self, name: str, *, key: bool = False) -> Kind:
        """Tell what a column is, or looks like.

        Parameters
        ----------
        name : str
            Which.
        key : bool
            Whether its values name things.

        Returns
        -------
        {"int", "float", "bool", "string", "time"}
            What was said that it is, or what its values are.
        """
        known = self.declared.get(name) or self.kinds.get(name)
        return known or kind_of_text(self.columns[name], key=key)

    def values(self, name: str, kind: Kind | None = None, *, key: bool = False) -> Values:
        """Return a column with the type that its values, or its owner, say.

        Parameters
        ----------
        name : str
            Which.
        kind : {"int", "float", "bool", "string", "time"}, optional
            What it has to be; what it looks like by default.
        key : bool
            Whether its values name things: then they are integers or text, and "NA" is a name like any other.

        Returns
        -------
        Values
            With None where there is no value.

        Raises
        ------
        UsageError
            If a value is of another type than the rest; names file, line and column.
        """
        cells = self.columns[self.check_column(name)]
        if name in self.kinds:
            wanted = kind or self.declared.get(name)
            found = Values(self.kinds[name], list(cells)).as_kind(wanted, key=key)
        else:
            found = read_text(cells, kind or self.looks_like(name, key=key), key=key)
        if found.bad is not None:
            row, expected = found.bad
            why = f"expected {expected}, found {cells[row]!r:.60}"
            self.refuse(
                row, name, why, hint=f"Correct it, or say what the column is: --type '{name}=string'."
            )
        return found

    def refuse(self, row: int, column: str, why: str, *, hint: str = "", code: str = "bad-table") -> NoReturn:
        """Refuse the table for one cell.

        Parameters
        ----------
        row : int
            Row of the cell.
        column : str
            Column of the cell.
        why : str
            What is wrong with it.
        hint : str, optional
            What to do.
        code : str, optional
            The fact's name.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError(f"{self.where(row)}, column {column}: {why}", code=code, hint=hint)

    def where(self, row: int) -> str:
        """Return the place of a row: file and line.

        Parameters
        ----------
        row : int
            Row, counted from 0.

        Returns
        -------
        str
            As ``samples.csv, line 7``.
        """
        return f"{self.place}, {self.lines(row)}"


def read_table(
    source: files.Uri, declared: Mapping[str, Kind] | None = None, *, allow_empty: bool = False
) -> Table:
    """Read a table.

    Parameters
    ----------
    source : str or path
        A file at any URI: CSV, TSV or text between semicolons, ECSV, JSON lines, a JSON list of objects, or Parquet;
        told apart by what it holds, not by its name. All may be packed (gzip, Zstandard). The first line of text
        names the columns.
    declared : mapping of str to str, optional
        What columns are, for those of which their values do not tell.
    allow_empty : bool, optional
        Whether columns without a row are a table.

    Returns
    -------
    Table
        With at least one column.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If it is no table; names file and line.
    """
    place = files.redact(source)
    content = _content(_unpacked(files.read_bytes(source), place), place)
    table = Table(place, content.columns, content.lines, content.kinds, declared or {})
    if not table.columns:
        raise UsageError(f"{place} is empty", code="empty-table", hint="Its first line names the columns.")
    if not (table.n_rows or allow_empty):
        raise UsageError(f"{place} has no rows", code="empty-table", hint="It needs a line for each thing.")
    for column in table.declared:
        table.check_column(column)
    return table


def _content(data: bytes, place: str) -> Content:
    if data.startswith(_PARQUET):
        from sync.tables.parquet import read_parquet

        return read_parquet(data, place)
    text = decoded(data, place)
    if text.lstrip()[:1] in {"[", "{"}:
        from sync.tables.json_form import read_json

        return read_json(text, place)
    return read_delimited(text, place)


def _unpacked(data: bytes, place: str) -> bytes:
    try:
        if data.startswith(_GZIP):
            return gzip.decompress(data)
        if data.startswith(_ZSTANDARD):
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except Exception as exc:  # zstandard's own error is not a class that can be named without importing it
        raise UsageError(f"{place} cannot be unpacked: {exc}", code="bad-table") from exc
    return data
