"""The elements of a universe: dimensions, relations of dimensions, and the columns of their records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["COLUMN_TYPES", "RESERVED", "Column", "ColumnType", "DimensionElement", "is_element_name"]

ColumnType = Literal["string", "int", "float", "bool", "hash", "region"]
COLUMN_TYPES: tuple[str, ...] = get_args(ColumnType)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
RESERVED = frozenset({"id", "run", "dataset_id", "dataset_type", "collection", "timespan", "region", "name"})


def is_element_name(name: str) -> bool:
    """Say whether an element may bear this name: it becomes a column and part of a table's name.

    Parameters
    ----------
    name : str
        A name.

    Returns
    -------
    bool
        Whether it is lower-case, short, and not a column of ours.
    """
    return bool(_NAME.match(name)) and name not in RESERVED


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dimension's records.

    Parameters
    ----------
    name : str
        Column name.
    type : {"string", "int", "float", "bool", "hash", "region"}
        What it holds; hashes and regions are bytes.
    nullable : bool
        Whether a record may leave it out.
    unit : str
        Physical unit, ``""`` where there is none.
    doc : str
        What it means.
    length : int or None
        Longest string, in characters.
    """

    name: str
    type: ColumnType
    nullable: bool = True
    unit: str = ""
    doc: str = ""
    length: int | None = None


@dataclass(frozen=True, slots=True)
class DimensionElement:
    """One element of a universe: a dimension (it has a key of its own) or a relation of dimensions.

    Parameters
    ----------
    name : str
        Its name; for a dimension also the name of its key in data IDs and in tables.
    doc : str
        What it is.
    required : tuple of str
        Names of all dimensions in its primary key, itself last if it is a dimension, in universe order.
    implied : tuple of str
        Dimensions that one record fixes.
    key : Column or None
        Its own key: the column's ``name`` is how users write it (``visit.id``); None for a relation.
    unique : tuple of Column
        Alternate keys.
    metadata : tuple of Column
        Other columns.
    region, timespan : bool
        Whether records have one.
    view_of : str or None
        The element whose table holds its values, for an element without a table.
    always_join : bool
        Whether it joins in whenever all that it requires is in a question.
    skypix : (str, int) or None
        Pixelisation and level, for a sky pixel dimension.
    governor : bool or None
        Whether questions about what requires it must say which one is meant; None where its place tells.
    """

    name: str
    doc: str = ""
    required: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()
    key: Column | None = None
    unique: tuple[Column, ...] = ()
    metadata: tuple[Column, ...] = ()
    region: bool = False
    timespan: bool = False
    view_of: str | None = None
    always_join: bool = False
    skypix: tuple[str, int] | None = None
    governor: bool | None = None

    @property
    def is_dimension(self) -> bool:
        """Whether it has a key of its own."""
        return self.key is not None

    @property
    def has_table(self) -> bool:
        """Whether records of it are stored."""
        return self.view_of is None and self.skypix is None

    @property
    def record_columns(self) -> tuple[str, ...]:
        """Names of a record's columns in table order.

        Required dimensions, implied dimensions, alternate keys, metadata, then ``region`` and
        ``timespan_begin``, ``timespan_end`` where it has them.
        """
        names = [
            *self.required,
            *self.implied,
            *(c.name for c in self.unique),
            *(c.name for c in self.metadata),
        ]
        if self.region:
            names.append("region")
        if self.timespan:
            names += ["timespan_begin", "timespan_end"]
        return tuple(names)
