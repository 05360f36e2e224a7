"""Tables of data IDs from files: CSV, TSV, ECSV, Parquet, JSON lines; told apart by what they hold."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.errors import DataIdError, UsageError, nearest
from registry.model.columns import Columns
from registry.model.data_id import check_value
from sync import files

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse

__all__ = ["read_data_id_table"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DELIMITER = re.compile(r"#\s*delimiter:\s*(['\"]?)(.+?)\1\s*$")
_PARQUET, _ECSV = b"PAR1", "# %ECSV"


class _Table(NamedTuple):
    """A table as its file has it.

    Parameters
    ----------
    names : sequence of str
        The columns.
    columns : sequence of sequence
        Their values.
    place : callable
        Says where a row is.
    """

    names: Sequence[str]
    columns: Sequence[Sequence[Any]]
    place: Callable[[int], str]


def read_data_id_table(path: files.Uri, universe: DimensionUniverse) -> Columns:
    """Read a table of data IDs.

    Parameters
    ----------
    path : str or path
        A file at any URI: CSV or TSV with a header, ECSV, Parquet, JSON lines, or a JSON list of objects.
    universe : DimensionUniverse
        Where its columns are dimensions, which says what type the values have.

    Returns
    -------
    Columns
        One column a dimension, in the order of the file. Rows may repeat.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If it is no table; names the file and the line.
    DataIdError
        If a column is no dimension, or a value has the wrong type; names file, line and column.
    """
    where = files.redact(path)
    table = _read(files.read_bytes(path), where)
    if not table.names:
        raise UsageError(f"{where} is no table of data IDs: it is empty", code="not-a-table", hint=_HINT)
    for name in table.names:
        _check_name(name, table.names, universe, where)
    return Columns(
        {
            name: _typed(values, name, universe, lambda i: f"{where}, {table.place(i)}")
            for name, values in zip(table.names, table.columns, strict=True)
        }
    )


_HINT = "The first line names the dimensions: instrument,visit,detector."


def _check_name(name: str, names: Sequence[str], universe: DimensionUniverse, where: str) -> None:
    if list(names).count(name) > 1:
        raise DataIdError(f"{where}: two columns are called '{name}'", code="data-id-unknown")
    element = universe.elements.get(name)
    if element is None or not element.is_dimension:
        known = [n for n in universe.dimension_names if universe.elements[n].skypix is None]
        raise DataIdError(
            f"{where}: column '{name}' is no dimension of universe {universe.name}",
            code="data-id-unknown",
            hint=nearest(name, known),
        )


def _typed(
    values: Sequence[Any], name: str, universe: DimensionUniverse, place: Callable[[int], str]
) -> list[Any]:
    """Return a column's values as the dimension has them."""
    key = universe.elements[name].key
    is_integer = key is not None and key.type == "int"
    kinds = set(map(type, values))
    if is_integer and kinds == {str} and all(map(_INTEGER.fullmatch, values)):
        values, kinds = list(map(int, values)), {int}
    if is_integer and kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return list(values)
    out = []
    for i, value in enumerate(values):
        try:
            out.append(check_value(universe, name, value))
        except DataIdError as exc:
            raise DataIdError(f"{place(i)}, column '{name}': {exc.message}", code=exc.code) from exc
    return out


def _read(data: bytes, where: str) -> _Table:
    if data.startswith(_PARQUET):
        return _read_parquet(data, where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"{where} is no table of data IDs: neither text in UTF-8 nor Parquet",
            code="not-a-table",
            hint=_HINT,
        ) from exc
    if text.startswith(_ECSV):
        return _read_ecsv(text, where)
    start = text.lstrip()[:1]
    if start == "[":
        return _read_list(text, where)
    if start == "{":
        return _read_lines(text, where)
    header = text.lstrip("\r\n").partition("\n")[0]
    return _read_delimited(io.StringIO(text, newline=""), "\t" if "\t" in header else ",", where)


def _read_ecsv(text: str, where: str) -> _Table:
    """Read the plain form of ECSV: comments that hold YAML, then text between delimiters."""
    delimiter, lines = " ", text.splitlines(keepends=True)
    for line in lines:
        found = _DELIMITER.match(line)
        if found:
            delimiter = found.group(2)
    if len(delimiter) != 1:
        raise UsageError(f"{where}: the delimiter '{delimiter}' is not one character", code="not-a-table")
    # Comments stay as blank lines, so that the numbers of lines are those of the file.
    body = ("\n" if line.startswith("#") else line for line in lines)
    return _read_delimited(body, delimiter, where)


def _read_delimited(lines: Iterable[str], delimiter: str, where: str) -> _Table:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    names: list[str] = []
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        for row in reader:
            if not any(row):
                continue
            if not names:
                names = [cell.strip() for cell in row]
                continue
            if len(row) != len(names):
                raise UsageError(
                    f"{where}, line {reader.line_num}: {len(row)} values for {len(names)} columns",
                    code="not-a-table",
                )
            rows.append([cell.strip() for cell in row])
            numbers.append(reader.line_num)
    except csv.Error as exc:
        raise UsageError(f"{where}, line {reader.line_num}: {exc}", code="not-a-table") from exc
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return _Table(names, columns, lambda i: f"line {numbers[i]}")


def _read_lines(text: str, where: str) -> _Table:
    objects, numbers = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                objects.append(json.loads(line))
            except ValueError as exc:
                raise UsageError(f"{where}, line {number}: no JSON: {exc}", code="not-a-table") from exc
            numbers.append(number)
    return _of_objects(objects, where, lambda i: f"line {numbers[i]}")


def _read_list(text: str, where: str) -> _Table:
    try:
        objects = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"{where}: no JSON: {exc}", code="not-a-table") from exc
    return _of_objects(objects, where, lambda i: f"row {i + 1}")


def _of_objects(objects: Sequence[Any], where: str, place: Callable[[int], str]) -> _Table:
    names = list(objects[0]) if objects and isinstance(objects[0], dict) else []
    for i, found in enumerate(objects):
        if not isinstance(found, dict) or found.keys() != set(names):
            expected = f"an object with {', '.join(names)}" if names else "an object"
            raise UsageError(f"{where}, {place(i)}: expected {expected}", code="not-a-table")
    return _Table(names, [[found[n] for found in objects] for n in names], place)


def _read_parquet(data: bytes, where: str) -> _Table:
    from sync.formatters.base import needs_extra

    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise needs_extra(f"the Parquet file {where}", "arrow", "pyarrow") from exc
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as exc:
        raise UsageError(f"{where} is no table of data IDs: {exc}", code="not-a-table") from exc
    columns = [column.to_pylist() for column in table.columns]
    return _Table(table.column_names, columns, lambda i: f"row {i + 1}")
