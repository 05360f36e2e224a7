"""Lines of JSON, one object each: read a megabyte at a time, and written as they are made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from registry.errors import UsageError
from sync.filesystem import files

__all__ = ["SUFFIX", "Lines", "encode", "read_batches", "write_objects"]

SUFFIX = ".jsonl"
_AT_ONCE = 5_000


class Lines(NamedTuple):
    """Some lines of one file, those that hold something.

    Parameters
    ----------
    uri : str
        The file's name in messages.
    rows : list of dict
        What the lines say.
    numbers : list of int
        Which lines they are.
    names : frozenset of str
        All keys that occur.
    unit : str, optional
        What is numbered.
    """

    uri: str
    rows: list[dict[str, Any]]
    numbers: Sequence[int]
    names: frozenset[str]
    unit: str = "line"

    def values(self, name: str) -> list[Any]:
        """Return what all lines say of one thing.

        Parameters
        ----------
        name : str
            A key.

        Returns
        -------
        list
            None where a line does not have it.
        """
        return [row.get(name) for row in self.rows]

    def fail(self, row: int, why: str, hint: str = "", cause: Exception | None = None) -> NoReturn:
        """Refuse a line.

        Parameters
        ----------
        row : int
            Which of `rows`.
        why : str
            What is wrong.
        hint : str, optional
            What to do.
        cause : Exception, optional
            Where the trouble came from.

        Raises
        ------
        UsageError
            Always.
        """
        fail_at(self.uri, self.numbers[row], why, hint, cause, unit=self.unit)


def fail_at(
    uri: str, number: int, why: str, hint: str = "", cause: Exception | None = None, *, unit: str = "line"
) -> NoReturn:
    """Refuse a line of a file.

    Parameters
    ----------
    uri : str
        The file.
    number : int
        The line, from 1.
    why : str
        What is wrong.
    hint : str, optional
        What to do.
    cause : Exception, optional
        Where the trouble came from.
    unit : str, optional
        What `number` counts.

    Raises
    ------
    UsageError
        Always.
    """
    raise UsageError(
        f"{uri}, {unit} {number}: {why}",
        code="bad-record",
        hint=hint or f"Nothing was imported; correct that {unit}.",
        context={"file": uri, unit: number},
    ) from cause


def read_batches(uri: files.Uri) -> Iterator[Lines]:
    """Read a file.

    Parameters
    ----------
    uri : str or path
        Which.

    Yields
    ------
    Lines
        Those of about a megabyte each time; nothing for an empty file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If a line is not one object of JSON; names file and line.
    """
    shown = files.redact(uri)
    number, rest = 1, [b""]
    for chunk in files.read_chunks(uri):
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            rest.append(chunk)
            continue
        data = b"".join((*rest, chunk[:cut]))
        rest = [chunk[cut:]]
        yield from _batch(shown, number, data)
        number += data.count(b"\n")
    if any(rest):
        yield from _batch(shown, number, b"".join(rest))


def write_objects(uri: files.Uri, objects: Iterable[str]) -> None:
    """Write lines that are encoded already.

    Parameters
    ----------
    uri : str or path
        The file.
    objects : iterable of str
        One object of JSON each, without the end of its line.

    Raises
    ------
    StorageError
        If it cannot be written; nothing is there under that name then.
    """
    files.write_stream(uri, _blocks(objects))


def _blocks(objects: Iterable[str]) -> Iterator[bytes]:
    block: list[str] = []
    for text in objects:
        block.append(text)
        if len(block) == _AT_ONCE:
            block.append("")
            yield "\n".join(block).encode()
            block = []
    if block:
        block.append("")
        yield "\n".join(block).encode()


def _batch(uri: str, number: int, data: bytes) -> Iterator[Lines]:
    try:
        texts = data.decode().split("\n")
    except UnicodeDecodeError as exc:
        fail_at(uri, number + data.count(b"\n", 0, exc.start), "not text in UTF-8", cause=exc)
    rows = _quickly(texts)
    numbers: Sequence[int] = range(number, number + len(texts))
    if rows is None:
        found = [(n, text.strip()) for n, text in zip(numbers, texts, strict=True)]
        found = [(n, text) for n, text in found if text]
        rows, numbers = [_object(uri, n, text) for n, text in found], [n for n, _ in found]
    if rows:
        yield Lines(uri, rows, numbers, frozenset().union(*rows))


def _quickly(texts: list[str]) -> list[dict[str, Any]] | None:
    """Read lines that are as they should be; None if one of them is not, or is empty."""
    if not texts[-1]:
        texts.pop()
    try:
        found = [_scan(text, 0) for text in texts]
    except (ValueError, StopIteration, RecursionError):
        return None
    rows = [value for value, _ in found]
    whole = [end for _, end in found] == list(map(len, texts))
    return rows if whole and set(map(type, rows)) <= {dict} else None


def _object(uri: str, number: int, text: str) -> dict[str, Any]:
    try:
        value = _decoder.decode(text)
    except (ValueError, RecursionError) as exc:
        fail_at(uri, number, f"not JSON: {exc}", cause=exc)
    if type(value) is not dict:
        fail_at(uri, number, f"expected one record in braces, found {text!r:.60}")
    return value


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a value of a record; write null")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_scan: Any = _decoder.scan_once  # type: ignore[attr-defined]
encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""Write one value as compact JSON."""
