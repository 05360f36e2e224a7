"""Data IDs as text and text as data IDs, column by column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from registry.model.columns import Array
from stage.graph.table import Coded, Column, Ints, Table

__all__ = ["data_id_texts", "matching_rows"]


def data_id_texts(table: Table, rows: Array) -> Array:
    """Return data IDs as compact JSON.

    Parameters
    ----------
    table : Table
        One column a dimension.
    rows : numpy.ndarray
        Which rows.

    Returns
    -------
    numpy.ndarray of object
        One text a row, as ``{"instrument":"HSC","visit":42}``.
    """
    out = np.empty(len(rows), dtype=object)
    if not table.columns:
        out[:] = "{}"
        return out
    template = "{" + ",".join(f"{json.dumps(name).replace('%', '%%')}:%s" for name in table.names) + "}"
    columns = [_json_values(column, rows) for column in table.columns.values()]
    out[:] = [template % values for values in zip(*columns, strict=True)]
    return out


def _json_values(column: Column, rows: Array) -> list[Any]:
    if isinstance(column, Coded):
        texts = np.empty(len(column.values), dtype=object)
        texts[:] = [json.dumps(v, ensure_ascii=False) for v in column.values]
        return texts[column.codes[rows]].tolist()  # type: ignore[no-any-return]
    values: list[Any] = column[rows].tolist()
    return values if column.dtype != object else [json.dumps(v, ensure_ascii=False) for v in values]


def matching_rows(table: Table, data_id: Mapping[str, Any]) -> Ints:
    """Return the rows that have given values.

    Parameters
    ----------
    table : Table
        One column a dimension.
    data_id : mapping
        Values by dimension; text is taken for a number where the column holds numbers.

    Returns
    -------
    numpy.ndarray of int64
        Row numbers, rising; none if the table lacks one of the dimensions.
    """
    mask = np.ones(table.n_rows, dtype=np.bool_)
    for name, value in data_id.items():
        column = table.columns.get(name)
        if column is None:
            return np.zeros(0, dtype=np.int64)
        mask &= _equals(column, value)
    return np.flatnonzero(mask).astype(np.int64)


def _equals(column: Column, value: Any) -> Any:
    if isinstance(column, Coded):
        places = np.flatnonzero(column.values == str(value))
        return np.equal(column.codes, places[0] if len(places) else -1)
    if column.dtype.kind in "iu" and isinstance(value, str):
        text = value.strip()
        return (
            np.equal(column, int(text))
            if text.lstrip("-").isdigit()
            else np.zeros(len(column), dtype=np.bool_)
        )
    return np.equal(column, value)
