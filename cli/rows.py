"""Rows of an answer as a table, JSON or CSV; written piece by piece, however many there are."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from cli.render import cell_text, emit, plain

if TYPE_CHECKING:
    from registry.model.columns import Array, Columns

__all__ = ["Form", "show_rows"]

Form = Literal["table", "json", "csv"]
"""How rows are shown."""

_AT_ONCE = 5_000
_PLAIN = frozenset({str, int, bool, type(None)})
_TIMES = ("timespan_begin", "timespan_end", "valid_begin", "valid_end")
_LONGEST_ID = 16

Shape = Callable[["Columns", Form], "Columns"]


def show_rows(columns: Columns, form: Form = "table", shape: Shape | None = None) -> None:
    """Write rows to standard output.

    Parameters
    ----------
    columns : Columns
        The rows.
    form : {"table", "json", "csv"}
        How. A table leaves out columns without values, and on a terminal those that do not fit.
    shape : callable, optional
        Changes a batch of the rows for a form.
    """
    if form == "table":
        columns = _with_values(columns)
    batches = _batches(columns, form, shape)
    {"json": _write_json, "csv": _write_csv, "table": _write_table}[form](batches)


def _batches(columns: Columns, form: Form, shape: Shape | None) -> Iterator[Columns]:
    """Yield the rows some thousands at a time; one batch without rows where there are none."""
    from registry.model.columns import Columns

    for start in range(0, max(columns.n_rows, 1), _AT_ONCE):
        part = columns
        if columns.n_rows > _AT_ONCE:
            part = Columns({n: columns[n][start : start + _AT_ONCE] for n in columns.names})
        yield part if shape is None else shape(part, form)


def _values(column: Array) -> list[Any]:
    """Return a column as JSON has it."""
    values: list[Any] = column.tolist()
    if column.dtype != object:
        return values
    kinds = set(map(type, values))
    if kinds == {bytes} and set(map(len, values)) == {_LONGEST_ID}:
        return _id_texts(values)
    return values if kinds <= _PLAIN else [plain(v) for v in values]


def _id_texts(ids: list[bytes]) -> list[str]:
    """Write ids as `registry.model.refs.id_text` does, many at a time."""
    return [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in map(bytes.hex, ids)]


def _write_json(batches: Iterator[Columns]) -> None:
    """Write a list with an object a line."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    separator = "["
    for batch in batches:
        names = batch.names
        columns = [_finite(_values(batch[n])) for n in names]
        lines = [encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
        if lines:
            sys.stdout.write(f"{separator}\n  " + ",\n  ".join(lines))
            separator = ","
    emit("[]" if separator == "[" else "\n]")


def _finite(values: list[Any]) -> list[Any]:
    """Return values with null for what JSON has no number for."""
    if not any(isinstance(v, float) for v in values):
        return values
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in values]


def _write_csv(batches: Iterator[Columns]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for i, batch in enumerate(batches):
        if i == 0:
            writer.writerow(batch.names)
        columns = [_texts(_values(batch[n])) for n in batch.names]
        writer.writerows(zip(*columns, strict=True))


def _texts(values: list[Any]) -> list[Any]:
    return [_joined(v, ",") if isinstance(v, list | dict) else v for v in values]


def _joined(value: list[Any] | dict[str, Any], comma: str) -> Any:
    if isinstance(value, dict):
        return comma.join(f"{k}={v}" for k, v in value.items())
    return comma.join(value) if all(isinstance(v, str) for v in value) else value


# Tables


def _with_values(columns: Columns) -> Columns:
    """Leave out columns of nulls alone, unless that leaves nothing."""
    names = [n for n in columns.names if columns[n].dtype != object or _is_there(columns[n])]
    return columns.select(names) if names and columns.n_rows else columns


def _is_there(column: Array) -> bool:
    return any(v is not None for v in column.tolist())


def _write_table(batches: Iterator[Columns]) -> None:
    """Write aligned text; the first batch decides how wide columns are."""
    first = next(batches)
    cells = _cells(first)
    names = list(first.names)
    widths = [max([len(n), *map(len, texts)]) for n, texts in zip(names, cells, strict=True)]
    right = [_is_numeric(first[n]) for n in names]
    shown = _fitting(widths)
    left_out = names[shown:]
    names, widths = names[:shown], widths[:shown]

    def line(row: Sequence[str]) -> str:
        parts = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=False))
        return "  ".join(parts).rstrip()

    emit(line(names))
    emit(line(["-" * w for w in widths]))
    for texts in chain([cells], map(_cells, batches)):
        sys.stdout.writelines(line(row) + "\n" for row in zip(*texts[:shown], strict=True))
    if left_out:
        emit(f"(not shown, for want of room: {', '.join(left_out)}; --json and --csv have all)")


def _cells(batch: Columns) -> list[list[str]]:
    return [_cells_of(name, batch[name]) for name in batch.names]


def _cells_of(name: str, column: Array) -> list[str]:
    values: list[Any] = column.tolist()
    if column.dtype.kind in "iu" and name not in _TIMES:
        return list(map(str, values))
    kinds = set(map(type, values))
    if kinds == {str} and all(map(str.isprintable, values)):
        return values
    if kinds == {bytes} and set(map(len, values)) == {_LONGEST_ID}:
        return _id_texts(values)
    return [_cell(name, v) for v in values]


def _cell(name: str, value: Any) -> str:
    if isinstance(value, bytes) and len(value) > _LONGEST_ID:
        return f"({len(value)} bytes)"
    if name in _TIMES and isinstance(value, int):
        return _time(value)
    return cell_text(_joined(value, ", ") if isinstance(value, list | dict) else value)


def _time(tai_ns: int) -> str:
    from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, format_iso

    return "open" if tai_ns in {UNBOUNDED_BEGIN, UNBOUNDED_END} else format_iso(tai_ns, "utc")


def _is_numeric(column: Array) -> bool:
    if column.dtype != object:
        return bool(column.dtype.kind in "iuf" and len(column))
    return len(column) > 0 and all(isinstance(v, int | float | None) for v in column.tolist())


def _fitting(widths: Sequence[int]) -> int:
    """Return how many of the columns fit on the terminal; all where there is none."""
    if not sys.stdout.isatty():
        return len(widths)
    room = shutil.get_terminal_size().columns + 2
    fitting = 0
    for width in widths:
        room -= width + 2
        if room < 0:
            break
        fitting += 1
    return max(fitting, 1)
