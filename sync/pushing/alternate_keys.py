"""New dimension records whose alternate key, as a name, is another record's upstream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Columns
from registry.model.data_id import format_values
from registry.model.dimensions import Column, DimensionElement
from sync.explain import conflict, shown
from sync.plan_parts import Conflict

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["taken_alternate_keys"]

_AT_ONCE = 500


def taken_alternate_keys(element: DimensionElement, new: Columns, upstream: Snapshot) -> list[Conflict]:
    """Find new records whose alternate key is another record's upstream.

    Parameters
    ----------
    element : DimensionElement
        The element.
    new : Columns
        Records that upstream lacks.
    upstream : Snapshot
        The other side.

    Returns
    -------
    list of Conflict
        ``record-key-taken``, naming both keys.
    """
    out = []
    others = tuple(name for name in element.required if name != element.name)
    for column in element.unique:
        for within in new.unique(others).rows() if others else [()]:
            data_id = dict(zip(others, within, strict=True))
            mine = new.take(np.array([row == within for row in new.rows(others)], dtype=np.bool_))
            ours = dict(zip(mine[column.name].tolist(), mine.rows(element.required), strict=True))
            ours.pop(None, None)
            for value, key in _holders(element, column, list(ours), data_id, upstream).items():
                what = f"{element.name} with {column.name}={shown(value)}"
                texts = [f"{{{format_values(element.required, k)}}}" for k in (ours[value], key)]
                about = {"element": element.name, "field": column.name, "value": shown(value),
                         "data_id": dict(zip(element.required, ours[value], strict=True))}  # fmt: skip
                out.append(conflict("record-key-taken", "record", what, *texts, about=about))
    return out


def _holders(
    element: DimensionElement,
    column: Column,
    values: list[Any],
    data_id: Mapping[str, Any],
    upstream: Snapshot,
) -> dict[Any, tuple[Any, ...]]:
    """Return the keys of upstream's records that have one of `values` in an alternate key."""
    names = (column.name, *element.required)
    if column.type in {"hash", "region"}:  # expressions cannot name bytes
        rows = upstream.records(element.name, data_id=data_id).rows(names)
    else:
        where = f"{element.name}.{column.name} IN (:values)"
        parts = [values[i : i + _AT_ONCE] for i in range(0, len(values), _AT_ONCE)]
        rows = [
            row
            for part in parts
            for row in upstream.records(
                element.name, where=where, bind={"values": part}, data_id=data_id
            ).rows(names)
        ]
    wanted = set(values)
    return {value: tuple(key) for value, *key in rows if value in wanted}
