"""Tables of text: values between delimiters, plain or as ECSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from registry.errors import UsageError
from sync.tables.values import Kind

__all__ = ["Content", "decoded", "read_delimited"]

_ECSV = "# %ECSV"
_DELIMITER = re.compile(r"#\s*delimiter:\s*(['\"]?)(.+?)\1\s*$", re.MULTILINE)


class Content(NamedTuple):
    """What a file of any form has in it.

    Parameters
    ----------
    columns : mapping of str to sequence
        Columns by name: text as it stands in the file, or values that have types already.
    lines : callable
        Gives the line of a row, counted from 0, as people count lines.
    kinds : mapping of str to Kind
        Of columns whose values have types already.
    """

    columns: Mapping[str, Sequence[Any]]
    lines: Callable[[int], str]
    kinds: Mapping[str, Kind]


def decoded(data: bytes, place: str) -> str:
    """Return the text of a file.

    Parameters
    ----------
    data : bytes
        The file.
    place : str
        Its name in errors.

    Returns
    -------
    str
        Without a byte order mark.

    Raises
    ------
    UsageError
        If it is no text in UTF-8; names the line.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise UsageError(
            f"{place}, line {line}: neither Parquet nor text in UTF-8 ({exc.reason})", code="bad-table",
            hint="Save the table as CSV in UTF-8.",
        ) from exc  # fmt: skip


def read_delimited(text: str, place: str) -> Content:
    """Read values between delimiters; blanks around a value mean nothing, nor do empty lines.

    Parameters
    ----------
    text : str
        CSV, TSV or text between semicolons, as its first line has it, or ECSV, whose head says what is between.
    place : str
        The file's name in errors.

    Returns
    -------
    Content
        Text only.

    Raises
    ------
    UsageError
        If a line has more or fewer values than the first has names, or names repeat; names the line.
    """
    delimiter = ""
    if text.startswith(_ECSV):
        found = _DELIMITER.search(text)
        delimiter = found.group(2) if found else " "
        if len(delimiter) != 1:
            raise UsageError(f"{place}: the delimiter '{delimiter}' is not one character", code="bad-table")
        # Comments stay as blank lines, so that the numbers of lines are those of the file.
        text = "".join("\n" if line.startswith("#") else line for line in text.splitlines(keepends=True))
    lines = _Lines(text, delimiter or _delimiter(text.lstrip("\r\n").partition("\n")[0]))
    reader = lines.reader()
    try:
        names, *rows = [[cell.strip() for cell in row] for row in reader if any(row)] or [[]]
    except csv.Error as exc:
        raise UsageError(f"{place}, line {reader.line_num}: {exc}", code="bad-table") from exc
    _check_names(names, f"{place}, {lines(-1)}" if names else place)
    if set(map(len, rows)) - {len(names)}:
        row = next(i for i, cells in enumerate(rows) if len(cells) != len(names))
        _refuse_ragged(rows[row], names, f"{place}, {lines(row)}")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    return Content(columns, lines, {})


def _delimiter(header: str) -> str:
    return max(",;\t", key=lambda c: (header.count(c), c == ","))


def _check_names(names: Sequence[str], place: str) -> None:
    for position, name in enumerate(names, 1):
        if not name or name in names[: position - 1]:
            what = f"two columns are called '{name}'" if name else "it has no name"
            raise UsageError(f"{place}, column {position}: {what}", code="bad-table")


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

    def reader(self) -> Any:
        text = io.StringIO(self.text, newline="")
        return csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True)

    def __call__(self, row: int) -> str:
        """Return the line of a row, counted from 0; that of the names is -1."""
        reader = self.reader()
        before, left = 0, row + 1  # the names come first
        for cells in reader:
            if any(cells):
                if left == 0:
                    break
                left -= 1
            before = reader.line_num
        return f"line {before + 1}"
