"""What values of JSON lines have to be, asked of a whole column at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.errors import nearest
from sync.exports.json_lines import Lines

__all__ = ["expect", "ids_of", "objects", "only", "texts"]


def expect(value: object, kind: type, words: str) -> None:
    """Refuse a value of another type.

    Parameters
    ----------
    value : object
        The value.
    kind : type
        What it has to be, exactly.
    words : str
        That in words.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if type(value) is not kind:
        raise TypeError(f"expected {words}, found {value!r:.60}")


def only(lines: Lines, known: Sequence[str]) -> None:
    """Refuse lines that say more than they may.

    Parameters
    ----------
    lines : Lines
        The lines.
    known : sequence of str
        What they may say.

    Raises
    ------
    UsageError
        If one says something else; names it.
    """
    strange = lines.names - set(known)
    if strange:
        row, name = next((i, n) for i, r in enumerate(lines.rows) for n in r if n in strange)
        lines.fail(row, f"it has '{name}', which means nothing here", nearest(name, known))


def texts(lines: Lines, name: str) -> list[str]:
    """Return what all lines say, which has to be text.

    Parameters
    ----------
    lines : Lines
        The lines.
    name : str
        Of what.

    Returns
    -------
    list of str
        One a line.

    Raises
    ------
    UsageError
        If it is something else in one; names it.
    """
    values = lines.values(name)
    if not set(map(type, values)) <= {str}:
        row = next(i for i, v in enumerate(values) if type(v) is not str)
        lines.fail(row, f"'{name}': expected text, found {values[row]!r:.60}")
    return values


def objects(lines: Lines, name: str, *, nullable: bool = False) -> list[dict[str, Any]]:
    """Return what all lines say, which has to be an object.

    Parameters
    ----------
    lines : Lines
        The lines.
    name : str
        Of what.
    nullable : bool, optional
        Whether it may be null, and then counts as empty.

    Returns
    -------
    list of dict
        One a line.

    Raises
    ------
    UsageError
        If it is something else in one; names it.
    """
    values = lines.values(name)
    accepted = {dict, type(None)} if nullable else {dict}
    if not set(map(type, values)) <= accepted:
        row = next(i for i, v in enumerate(values) if type(v) not in accepted)
        lines.fail(row, f"'{name}': expected braces, found {values[row]!r:.60}")
    return [value or {} for value in values]


def ids_of(lines: Lines, name: str, *, nullable: bool = False) -> list[Any]:
    """Return what all lines say, which has to be an id.

    Parameters
    ----------
    lines : Lines
        The lines.
    name : str
        Of what.
    nullable : bool, optional
        Whether it may be null.

    Returns
    -------
    list of bytes or None
        16 bytes each.

    Raises
    ------
    UsageError
        If it is something else in one; names it.
    """
    values = lines.values(name)
    try:
        found = [None if v is None and nullable else bytes.fromhex(v.replace("-", "")) for v in values]
    except (ValueError, AttributeError):
        found = []
    if not found or not {len(i) for i in found if i is not None} <= {16}:
        for row, value in enumerate(values):
            if not _is_id(value) and not (value is None and nullable):
                lines.fail(row, f"'{name}': {value!r:.60} is no id")
    return found


def _is_id(value: Any) -> bool:
    try:
        return len(bytes.fromhex(value.replace("-", ""))) == 16
    except (ValueError, AttributeError):
        return False
