"""What the cells of a table are: integers, numbers, truth values, times or text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from registry.errors import UsageError
from registry.model.data_id import is_storable
from registry.model.times import parse_time

__all__ = ["KINDS", "Kind", "Values", "kind_of_text", "read_text"]

Kind = Literal["int", "float", "bool", "string", "time"]
KINDS: tuple[Kind, ...] = ("int", "float", "bool", "string", "time")

_NULLS = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# A number with a leading zero is somebody's name for something: 007 is not 7.
_INT = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})", re.ASCII)
_FLOAT = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_DIGITS = re.compile(r"[0-9.]+", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?", re.ASCII)
_WORDS = {
    "int": "an integer", "float": "a number", "bool": "true or false", "time": "a time (2024-05-31T12:30:00)",
    "string": "text",
}  # fmt: skip
_INT_END = 2**63


@dataclass(frozen=True)
class Values:
    """One column with its type.

    Parameters
    ----------
    kind : {"int", "float", "bool", "string", "time"}
        What its values are; times are text still.
    values : list
        The values, None where there is none.
    bad : (int, str), optional
        The first row whose value is not of that kind, and what was expected there.
    """

    kind: Kind
    values: list[Any]
    bad: tuple[int, str] | None = None

    def as_kind(self, kind: Kind | None, *, key: bool) -> Values:
        """Return values that have types already as the kind that is wanted.

        Parameters
        ----------
        kind : {"int", "float", "bool", "string", "time"} or None
            What they have to be, if that is known.
        key : bool
            Whether they name things: then they are integers or text.

        Returns
        -------
        Values
            Possibly with `bad`.
        """
        wanted = kind or self.kind
        whole = all(v is None or v == int(v) for v in self.values) if self.kind == "float" else False
        if key and wanted in {"float", "bool"}:
            # Libraries turn integers to floats where values are missing beside them.
            wanted = "int" if whole else "string"
        if wanted == self.kind:
            return self
        if wanted == "int" and whole:
            return Values("int", [None if v is None else int(v) for v in self.values])
        if wanted == "float" and self.kind == "int":
            return Values("float", [None if v is None else float(v) for v in self.values])
        if wanted == "string" or (wanted == "time" and self.kind == "string"):
            text = [None if v is None else str(v) for v in self.values]
            return read_text(["" if v is None else v for v in text], wanted, key=key)
        row = next((i for i, v in enumerate(self.values) if v is not None), 0)
        return Values(self.kind, self.values, (row, _WORDS[wanted]))


def _convert_float(text: str) -> float:
    # A whole number that no integer column holds is a name too: as a float it would lose digits.
    if not _FLOAT.fullmatch(text) or (text.lstrip("+-").isdigit() and not _is("int", text)):
        raise ValueError
    return float(text)


def _convert_int(text: str) -> int:
    if not _INT.fullmatch(text) or not -_INT_END <= int(text) < _INT_END:
        raise ValueError
    return int(text)


def _convert_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError
    plain = text.removesuffix("Z").replace(" ", "T")
    parse_time(plain)
    return plain


def _convert_text(text: str) -> str:
    if not is_storable(text):
        raise ValueError
    return text


_CONVERT: dict[Kind, Callable[[str], Any]] = {
    "int": _convert_int,
    "float": _convert_float,
    "bool": _TRUTHS.__getitem__,
    "time": _convert_time,
    "string": _convert_text,
}


def _is(kind: Kind, text: str) -> bool:
    try:
        _CONVERT[kind](text)
    except (ValueError, KeyError, UsageError):
        return False
    return True


def kind_of_text(cells: Sequence[str], *, key: bool = False) -> Kind:
    """Tell what the cells of a column look like.

    Parameters
    ----------
    cells : sequence of str
        Text of all rows.
    key : bool
        Whether they name things: then they are integers, times (of which the text counts) or text.

    Returns
    -------
    {"int", "float", "bool", "string", "time"}
        What all of them are; or what at least half of them are, so that the others will be told of as mistakes.
    """
    nulls: Iterable[str] = ("",) if key else _NULLS
    distinct = dict.fromkeys(c.strip() for c in dict.fromkeys(cells))
    for null in nulls:
        distinct.pop(null, None)
    if not distinct:
        return "string"
    kinds: tuple[Kind, ...] = ("int", "time") if key else ("int", "float", "bool", "time")
    for kind in kinds:
        if all(_is(kind, text) for text in distinct):
            return kind
    number: Kind = "int" if key else "float"
    present = [c.strip() for c in cells]
    for kind in (number, "time"):
        good = {text for text in distinct if _is(kind, text)}
        n_good = sum(1 for text in present if text in good)
        n_text = sum(1 for text in present if text in distinct)
        if 2 * n_good >= n_text and good and not _is_naming(distinct, good):
            return "int" if kind == "float" and all(_is("int", t) for t in good) else kind
    return "string"


def _is_naming(distinct: Iterable[str], good: set[str]) -> bool:
    """Tell whether numbers are names among other names, as 12 is beside 007."""
    return any(_DIGITS.fullmatch(text) for text in distinct if text not in good)


def read_text(cells: Sequence[str], kind: Kind, *, key: bool = False) -> Values:
    """Turn text into values.

    Parameters
    ----------
    cells : sequence of str
        Text of all rows.
    kind : {"int", "float", "bool", "string", "time"}
        What they are to be.
    key : bool
        Whether they name things: only an empty cell has no value then.

    Returns
    -------
    Values
        Each distinct text is read once.
    """
    wanted: Kind = "string" if key and kind in {"float", "bool"} else kind
    nulls = frozenset(("",)) if key else _NULLS
    known: dict[str, Any] = {}
    bad: set[str] = set()
    for cell in dict.fromkeys(cells):
        text = cell.strip()
        known[cell] = None
        if text not in nulls:
            try:
                known[cell] = _CONVERT[wanted](text)
            except (ValueError, KeyError, UsageError):
                bad.add(cell)
    first = next((i for i, cell in enumerate(cells) if cell in bad), None) if bad else None
    values = [known[cell] for cell in cells]
    return Values(wanted, values, None if first is None else (first, _WORDS[wanted]))
