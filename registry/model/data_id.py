"""`DataId`: which unit of data, as a frozen mapping with one canonical text form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from registry.errors import DataIdError, nearest
from registry.model.dimensions import DimensionGroup, DimensionUniverse

__all__ = [
    "DataId",
    "Value",
    "check_value",
    "format_values",
    "is_storable",
    "lacking",
    "parse_assignments",
    "typed_assignments",
]

Value = str | int
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_INT_END = 2**63


def check_value(universe: DimensionUniverse, dimension: str, value: Any) -> Value:
    """Return `value` as the type of the dimension's key.

    Parameters
    ----------
    universe : DimensionUniverse
        Where the dimension is defined.
    dimension : str
        Its name.
    value : object
        A string or an integer; digits in a string are taken for an integer where the key is one.

    Returns
    -------
    str or int
        The value.

    Raises
    ------
    DataIdError
        If it is of another type.
    """
    key = universe.element(dimension).key
    if key is None:
        raise DataIdError(f"'{dimension}' is a relation and has no value", code="not-a-dimension")
    if key.type == "int":
        is_text = isinstance(value, str) and _INTEGER.fullmatch(value)
        if is_text or (hasattr(value, "__index__") and not isinstance(value, bool)):
            number = int(value)
            if -_INT_END <= number < _INT_END:
                return number
    elif isinstance(value, str) and value and is_storable(value):
        return str(value)
    raise DataIdError(
        f"{dimension}={value!r:.60}: expected {'an integer' if key.type == 'int' else 'a non-empty string'}",
        code="data-id-value",
    )


def is_storable(text: str) -> bool:
    """Tell whether every database can hold a text: it is Unicode, and has no null character.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    bool
        Whether it can.
    """
    try:
        return "\0" not in text and bool(text.encode() or True)
    except UnicodeEncodeError:
        return False


def format_values(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """Return the canonical text of a data ID: ``instrument=HSC, detector=10``.

    Parameters
    ----------
    names, values : tuple
        Of one length, in universe order.

    Returns
    -------
    str
        The text.
    """
    return ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=True))


def parse_assignments(texts: list[str]) -> dict[str, str]:
    """Read ``name=value`` words, as given on a command line.

    Parameters
    ----------
    texts : list of str
        Words; each may hold several, separated by commas.

    Returns
    -------
    dict
        Names to values, both text.

    Raises
    ------
    DataIdError
        If a word has no ``=``.
    """
    out: dict[str, str] = {}
    for word in (w.strip() for text in texts for w in text.split(",")):
        if not word:
            continue
        name, equals, value = word.partition("=")
        if not equals:
            raise DataIdError(f"'{word}' is not of the form dimension=value", code="data-id-form")
        out[name.strip()] = value.strip()
    return out


def typed_assignments(universe: DimensionUniverse, texts: list[str]) -> dict[str, Value]:
    """Read ``dimension=value`` words, digits taken for an integer where the dimension's key is one.

    Parameters
    ----------
    universe : DimensionUniverse
        Where the dimensions are defined.
    texts : list of str
        As for `parse_assignments`.

    Returns
    -------
    dict
        Names to values; what is no number where one is expected stays text, as the other name of a record.

    Raises
    ------
    DataIdError
        If a word has no ``=``.
    """
    out: dict[str, Value] = {}
    for name, text in parse_assignments(texts).items():
        key = universe.elements[name].key if name in universe.elements else None
        out[name] = int(text) if key is not None and key.type == "int" and _INTEGER.fullmatch(text) else text
    return out


def lacking(group: DimensionGroup, names: list[str]) -> DataIdError:
    """Return the error of a data ID that says too little.

    Parameters
    ----------
    group : DimensionGroup
        Its dimensions.
    names : list of str
        Those of which there is no value.

    Returns
    -------
    DataIdError
        To be raised.
    """
    return DataIdError(
        f"data ID lacks {', '.join(names)} (dimensions {group})",
        code="data-id-missing",
        hint=f"Say which: {' '.join(f'{name}=VALUE' for name in names)}.",
    )


class DataId(Mapping[str, Value]):
    """Values of the required dimensions of a group.

    Parameters
    ----------
    group : DimensionGroup
        The dimensions.
    values : tuple
        One value a required dimension, in the group's order.
    """

    __slots__ = ("group", "values_tuple")

    def __init__(self, group: DimensionGroup, values: tuple[Value, ...]) -> None:
        self.group = group
        self.values_tuple = values

    @classmethod
    def standardize(cls, group: DimensionGroup, mapping: Mapping[str, Any], **kwargs: Any) -> DataId:
        """Make one from a mapping, checking names and types.

        Parameters
        ----------
        group : DimensionGroup
            The dimensions that it must have.
        mapping : mapping
            Values; implied dimensions may be there and are ignored.
        **kwargs
            More values, which go before `mapping`.

        Returns
        -------
        DataId
            Exactly the required dimensions of `group`.

        Raises
        ------
        DataIdError
            If a value is missing, unknown or of the wrong type.
        """
        given = {**mapping, **kwargs}
        for name in given:
            if name not in group:
                raise DataIdError(
                    f"data ID has '{name}', which is not one of {group}",
                    code="data-id-unknown",
                    hint=nearest(name, group),
                )
        missing = [n for n in group.required if n not in given]
        if missing:
            raise lacking(group, missing)
        return cls(group, tuple(check_value(group.universe, n, given[n]) for n in group.required))

    def __getitem__(self, name: str) -> Value:
        try:
            return self.values_tuple[self.group.required.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.group.required)

    def __len__(self) -> int:
        return len(self.values_tuple)

    def __hash__(self) -> int:
        return hash(self.values_tuple)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DataId):
            return self.group == other.group and self.values_tuple == other.values_tuple
        return Mapping.__eq__(self, other)

    def __str__(self) -> str:
        return "{" + format_values(self.group.required, self.values_tuple) + "}"

    __repr__ = __str__
