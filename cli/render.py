"""Text, tables and JSON, all made from the same plain values."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

__all__ = ["cell_text", "count_text", "emit", "emit_json", "plain", "size_text", "table_text"]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes of an id as its text, other bytes in hexadecimal.

    Parameters
    ----------
    value : object
        A value of a column, or a structure of them.

    Returns
    -------
    object
        Plain JSON values.
    """
    if isinstance(value, bytes):
        return str(UUID(bytes=value)) if len(value) == 16 else value.hex()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str):
        return value.item()
    return value


def emit(text: str = "") -> None:
    """Write one line of an answer to standard output.

    Parameters
    ----------
    text : str, optional
        The line, without its end.
    """
    # Of an answer that nobody reads to its end, as with head, the command still has its exit code to say.
    with suppress(BrokenPipeError):
        sys.stdout.write(text + "\n")


def emit_json(value: Any) -> None:
    """Write a value as JSON to standard output.

    Parameters
    ----------
    value : object
        Plain values, bytes allowed.
    """
    emit(json.dumps(_finite(plain(value)), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    """Return a value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell_text(value: Any) -> str:
    """Return a value as a table shows it.

    Parameters
    ----------
    value : object
        A value of a column.

    Returns
    -------
    str
        One line, that cannot drive a terminal.
    """
    value = plain(value)
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        value = ", ".join(value)
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    # Control characters of data must not reach the terminal.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def table_text(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as aligned text.

    Parameters
    ----------
    names : sequence of str
        Column heads.
    rows : iterable of sequence
        Values; numbers are aligned right.

    Returns
    -------
    str
        Lines: heads, a rule, the rows.
    """
    values = [tuple(row) for row in rows]
    cells = [[cell_text(v) for v in row] for row in values]
    widths = [max([len(n), *(len(row[i]) for row in cells)]) for i, n in enumerate(names)]
    right = [
        bool(values) and all(isinstance(plain(row[i]), int | float | None) for row in values)
        for i in range(len(names))
    ]

    def line(row: Sequence[str]) -> str:
        parts = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        return "  ".join(parts).rstrip()

    return "\n".join([line(names), line(["-" * w for w in widths]), *map(line, cells)])


def size_text(n_bytes: int) -> str:
    """Return a number of bytes for people.

    Parameters
    ----------
    n_bytes : int
        How many.

    Returns
    -------
    str
        As ``1.2 GB``; decimal units.
    """
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{n_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def count_text(n: int, noun: str, plural: str = "") -> str:
    """Return a count and its noun.

    Parameters
    ----------
    n : int
        How many.
    noun : str
        Of what, in the singular.
    plural : str, optional
        The plural if it is not made by an s.

    Returns
    -------
    str
        As ``1,024 quanta``.
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
