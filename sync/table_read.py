"""Tables that people have: CSV, TSV and Parquet, read column by column, with the place of every cell for errors."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from registry.errors import StageError, UsageError, nearest
from sync import files
from sync.table_values import Kind, Values, kind_of_text, read_text

__all__ = ["Table", "read_table"]

_PARQUET = (".parquet", ".pq")
_TABS = (".tsv", ".tab")


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


def read_table(source: files.Uri, declared: Mapping[str, Kind] | None = None) -> Table:
    """Read a table.

    Parameters
    ----------
    source : str or path
        A file at any URI. ``.parquet`` is Parquet, ``.tsv`` has tabs, anything else is CSV; text may be packed
        (``.gz``, ``.zst``). The first line names the columns.
    declared : mapping of str to str, optional
        What columns are, for those of which their values do not tell.

    Returns
    -------
    Table
        With at least one row.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If it is no table; names file and line.
    """
    place = files.redact(source)
    name = place.lower().removesuffix(".gz").removesuffix(".zst")
    data = _unpacked(files.read_bytes(source), place)
    if name.endswith(_PARQUET):
        from sync.table_parquet import read_parquet

        columns, kinds = read_parquet(data, place)
        table = Table(place, columns, lambda row: f"row {row + 1}", kinds, declared or {})
    else:
        table = _read_text(data, place, "\t" if name.endswith(_TABS) else "", declared or {})
    if not table.n_rows:
        raise UsageError(f"{place} has no rows", code="empty-table", hint="It needs a line for each thing.")
    for column in table.declared:
        table.check_column(column)
    return table


def _unpacked(data: bytes, place: str) -> bytes:
    try:
        if place.lower().endswith(".gz"):
            return gzip.decompress(data)
        if place.lower().endswith(".zst"):
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except (OSError, EOFError, zlib.error, ValueError) as exc:
        raise UsageError(f"{place} cannot be unpacked: {exc}", code="bad-table") from exc
    except Exception as exc:  # zstandard's own error is not a class that can be named without importing it
        if isinstance(exc, StageError):
            raise
        raise UsageError(f"{place} cannot be unpacked: {exc}", code="bad-table") from exc
    return data


def _read_text(data: bytes, place: str, delimiter: str, declared: Mapping[str, Kind]) -> Table:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise UsageError(
            f"{place}, line {line}: not UTF-8 text ({exc.reason})", code="bad-table",
            hint="Save the table as CSV in UTF-8.",
        ) from exc  # fmt: skip
    delimiter = delimiter or _delimiter(text.partition("\n")[0])
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [n.strip() for n in next(reader, [])]
        rows = [row for row in reader if row]
    except csv.Error as exc:
        raise UsageError(f"{place}, line {reader.line_num}: {exc}", code="bad-table") from exc
    _check_names(names, place)
    lines = _Lines(text, delimiter)
    if set(map(len, rows)) - {len(names)}:
        row = next(i for i, cells in enumerate(rows) if len(cells) != len(names))
        _refuse_ragged(rows[row], names, f"{place}, {lines(row)}")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    return Table(place, columns, lines, declared=declared)


def _delimiter(header: str) -> str:
    return max(",;\t", key=lambda c: (header.count(c), c == ","))


def _check_names(names: Sequence[str], place: str) -> None:
    for position, name in enumerate(names, 1):
        if not name or name in names[: position - 1]:
            what = f"two columns are called '{name}'" if name else "it has no name"
            raise UsageError(f"{place}, line 1, column {position}: {what}", code="bad-table")
    if not names:
        raise UsageError(f"{place} is empty", code="empty-table", hint="Its first line names the columns.")


def _refuse_ragged(cells: Sequence[str], names: Sequence[str], where: str) -> NoReturn:
    if len(cells) < len(names):
        what = f"column {names[len(cells)]}: there is none"
    else:
        what = f"column {len(names) + 1}: {cells[len(names)]!r:.60} has no name in the first line"
    raise UsageError(
        f"{where}, {what} ({len(cells)} values for {len(names)} columns)", code="bad-table",
        hint="Put values that have the delimiter in them into quotes.",
    )  # fmt: skip


@dataclass(frozen=True)
class _Lines:
    """Finds the line of a row again; values in quotes may have line ends in them, so that it is not the row's number."""

    text: str
    delimiter: str

    def __call__(self, row: int) -> str:
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter)
        next(reader)
        before = reader.line_num
        for cells in reader:
            if cells:
                if row == 0:
                    return f"line {before + 1}"
                row -= 1
            before = reader.line_num
        return f"line {before}"
