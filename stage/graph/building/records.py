"""The dimension records of all that a graph names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stage.graph.building.relate import DataIdRows, concat_columns
from stage.graph.table import Table, code_column, distinct, row_codes

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionElement, DimensionGroup
    from stage.graph.building.question import View

__all__ = ["collect_records"]


def collect_records(view: View, data_ids: Sequence[tuple[DimensionGroup, Table]]) -> dict[str, Table]:
    """Fetch the records of all elements that some data IDs name, one question an element.

    Parameters
    ----------
    view : View
        What to ask.
    data_ids : sequence of (DimensionGroup, Table)
        Data IDs with all dimensions of their group, required and implied.

    Returns
    -------
    dict of str to Table
        Element name to records, sorted by key.
    """
    keys: dict[str, Table] = {}
    elements: dict[str, DimensionElement] = {}
    for group, table in data_ids:
        rows = DataIdRows(table)
        for element in group.elements:
            new = rows.places(element.required).table
            old = keys.get(element.name)
            keys[element.name] = new if old is None else _merged(old, new)
            elements[element.name] = element
    order = [name for name in view.universe.elements if name in elements]
    return {name: _fetch(view, elements[name], keys[name]) for name in order if keys[name].n_rows}


def _merged(one: Table, other: Table) -> Table:
    columns = {n: concat_columns(c, other.columns[n]) for n, c in one.columns.items()}
    both = Table(columns, one.n_rows + other.n_rows)
    return DataIdRows(both).places(both.names).table


def _fetch(view: View, element: DimensionElement, keys: Table) -> Table:
    columns = view.records(element.name, keys.decode())
    table = Table({n: code_column(columns[n]) for n in element.record_columns}, columns.n_rows)
    # The order of strings differs from database to database; a reader of the file searches by code points.
    if table.n_rows < 2:
        return table
    codes, bound = row_codes([table.columns[n] for n in element.required], table.n_rows)
    return table if np.all(codes[1:] > codes[:-1]) else table.take(distinct(codes, bound)[0])
