"""Tables of data IDs from files of any form that a table may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import DataIdError, nearest
from registry.model.columns import Columns
from registry.model.data_id import check_value
from sync.tables.read import Table, read_table

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from sync.filesystem import files

__all__ = ["read_data_id_table"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def read_data_id_table(path: files.Uri, universe: DimensionUniverse) -> Columns:
    """Read a table of data IDs.

    Parameters
    ----------
    path : str or path
        A file as `sync.tables.read.read_table` takes it.
    universe : DimensionUniverse
        Where its columns are dimensions, which says what type the values have.

    Returns
    -------
    Columns
        One column a dimension, in the order of the file. Rows may repeat, and there may be none.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If it is no table; names the file and the line.
    DataIdError
        If a column is no dimension, or a value has the wrong type; names file, line and column.
    """
    table = read_table(path, allow_empty=True)
    for name in table.columns:
        _check_name(name, universe, table.place)
    return Columns({name: _typed(values, name, universe, table) for name, values in table.columns.items()})


def _check_name(name: str, universe: DimensionUniverse, where: str) -> None:
    element = universe.elements.get(name)
    if element is None or not element.is_dimension:
        known = [n for n in universe.dimension_names if universe.elements[n].skypix is None]
        raise DataIdError(
            f"{where}: column '{name}' is no dimension of universe {universe.name}",
            code="data-id-unknown",
            hint=nearest(name, known),
        )


def _typed(values: Sequence[Any], name: str, universe: DimensionUniverse, table: Table) -> list[Any]:
    """Return a column's values as the dimension has them."""
    key = universe.elements[name].key
    is_integer = key is not None and key.type == "int"
    kinds = set(map(type, values))
    if is_integer and kinds == {str} and all(map(_INTEGER.fullmatch, values)):
        values, kinds = list(map(int, values)), {int}
    if is_integer and kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return list(values)
    out = []
    for row, value in enumerate(values):
        try:
            out.append(check_value(universe, name, value))
        except DataIdError as exc:
            raise DataIdError(f"{table.where(row)}, column '{name}': {exc.message}", code=exc.code) from exc
    return out
