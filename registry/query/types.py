"""Kinds of value in an expression, and which may meet which."""

from __future__ import annotations

from enum import Enum

from registry.model.dimensions import Column

__all__ = ["Kind", "comparable", "kind_of_column"]


class Kind(Enum):
    """What a term of an expression is; the value is how messages call it."""

    INT = "an integer"
    FLOAT = "a number"
    STRING = "a string"
    BOOL = "a truth value"
    BYTES = "bytes"
    TIME = "a time"
    TIMESPAN = "a timespan"
    REGION = "a region"
    NULL = "NULL"

    @property
    def is_number(self) -> bool:
        """Whether arithmetic is defined for it."""
        return self in {Kind.INT, Kind.FLOAT}

    @property
    def is_ordered(self) -> bool:
        """Whether ``=`` and ``<`` are defined for it."""
        return self in {Kind.INT, Kind.FLOAT, Kind.STRING, Kind.TIME}


_OF_COLUMN = {
    "string": Kind.STRING,
    "int": Kind.INT,
    "float": Kind.FLOAT,
    "bool": Kind.BOOL,
    "hash": Kind.BYTES,
    "region": Kind.REGION,
}


def kind_of_column(column: Column) -> Kind:
    """Return the kind of a column of dimension records.

    Parameters
    ----------
    column : Column
        A key, alternate key or metadata column.

    Returns
    -------
    Kind
        Its kind.
    """
    return _OF_COLUMN[column.type]


def comparable(a: Kind, b: Kind) -> bool:
    """Say whether two kinds may stand on the two sides of a comparison.

    Parameters
    ----------
    a, b : Kind
        Kinds of the two sides.

    Returns
    -------
    bool
        Whether they may; integers and floats may meet.
    """
    return a.is_ordered and (a is b or (a.is_number and b.is_number))
