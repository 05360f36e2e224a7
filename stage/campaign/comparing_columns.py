"""Comparing what two runs hold, column by column: quanta, inputs and outputs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Array, Columns, group_codes
from registry.model.in_time import row_in
from stage.campaign.comparing_report import InputDifference, OutputDifference, QuantaDifference

if TYPE_CHECKING:
    from registry.registry import Snapshot

__all__ = [
    "ABSENT",
    "SHOWN",
    "collection_differences",
    "input_differences",
    "output_differences",
    "places",
    "quanta_differences",
]

ABSENT = "absent"
"""What became of a quantum that a run does not have."""
SHOWN = 5
"""How many data IDs are named of those that differ in the same way."""

Pair = tuple[Columns, Columns]


def quanta_differences(quanta: Pair) -> list[QuantaDifference]:
    """Compare what became of quanta.

    Parameters
    ----------
    quanta : (Columns, Columns)
        ``task``, ``data_id``, ``status`` of both runs.

    Returns
    -------
    list of QuantaDifference
        One for each task and change.
    """
    old, new = quanta
    at = places(old, new, ("task", "data_id"))
    absent = np.full(old.n_rows, ABSENT, dtype=object)
    there = at >= 0
    absent[there] = new["status"][at[there]]
    changed = np.flatnonzero(absent != old["status"])
    came = _unmet(at, new.n_rows)
    rows = Columns.concat(
        [
            old.select(["task", "data_id"]).take(changed).with_column("old", old["status"][changed])
            .with_column("new", absent[changed]),
            new.select(["task", "data_id"]).take(came).with_column("old", np.full(len(came), ABSENT, dtype=object))
            .with_column("new", new["status"][came]),
        ]
    )  # fmt: skip
    return [
        QuantaDifference(task, before, after, len(mine), _read(rows["data_id"][mine[:SHOWN]]))
        for (task, before, after), mine in _grouped(rows, ("task", "old", "new"))
    ]


def input_differences(snapshots: tuple[Snapshot, Snapshot], inputs: Pair) -> list[InputDifference]:
    """Compare what runs took from outside.

    Parameters
    ----------
    snapshots : (Snapshot, Snapshot)
        Of the registries that have the runs.
    inputs : (Columns, Columns)
        ``id``, ``dataset_type`` of both runs.

    Returns
    -------
    list of InputDifference
        One for each dataset type of which something differs.
    """
    old, new = inputs
    at = places(old, new, ("id",))
    kept = at >= 0
    went, came = old.take(~kept), new.take(_unmet(at, new.n_rows))
    out = []
    for kind in sorted({*went["dataset_type"].tolist(), *came["dataset_type"].tolist()}):
        mine = [rows.take(rows["dataset_type"] == kind) for rows in (went, came)]
        n_same = int(np.count_nonzero(old["dataset_type"][kept] == kind))
        named = (_data_ids(s, rows["id"][:SHOWN].tolist()) for s, rows in zip(snapshots, mine, strict=True))
        listed = [each for part in named for each in part]
        distinct = list({json.dumps(each): each for each in listed}.values())
        out.append(InputDifference(kind, n_same, mine[0].n_rows, mine[1].n_rows, distinct[:SHOWN]))
    return out


def collection_differences(inputs: Pair) -> dict[str, list[int]]:
    """Compare which collections runs took inputs from.

    Parameters
    ----------
    inputs : (Columns, Columns)
        ``run`` of both runs' inputs.

    Returns
    -------
    dict of str to list of int
        Collection to how many each run took of it, where that differs.
    """
    counts = [Counter(rows["run"].tolist()) for rows in inputs]
    both = {name: [c[name] for c in counts] for name in sorted({*counts[0], *counts[1]})}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def output_differences(
    snapshots: tuple[Snapshot, Snapshot], runs: tuple[str, str], types: tuple[Iterable[str], Iterable[str]]
) -> list[OutputDifference]:
    """Compare what runs made.

    Parameters
    ----------
    snapshots : (Snapshot, Snapshot)
        Of the registries that have the runs.
    runs : (str, str)
        The RUNs.
    types : (iterable of str, iterable of str)
        The dataset types of each that are compared.

    Returns
    -------
    list of OutputDifference
        One for each dataset type of which something differs.
    """
    held = [set(names) for names in types]
    found = []
    for kind in sorted(held[0] | held[1]):
        sides = [
            snapshot.checksums(kind, run) if kind in names else None
            for snapshot, run, names in zip(snapshots, runs, held, strict=True)
        ]
        found.append(_output_difference(kind, *sides))
    return [each for each in found if each.n_changed or each.only_old or each.only_new]


def _output_difference(kind: str, old: Columns | None, new: Columns | None) -> OutputDifference:
    there_is = next(rows for rows in (old, new) if rows is not None)
    dims = [n for n in there_is.names if n not in {"id", "checksum"}]
    nothing = there_is.take(np.zeros(0, dtype=np.int64))
    old, new = (nothing if rows is None else rows for rows in (old, new))
    at = places(old, new, dims)
    there = np.flatnonzero(at >= 0)
    other = old["checksum"][there] != new["checksum"][at[there]]
    went, came = np.flatnonzero(at < 0), _unmet(at, new.n_rows)
    named = [(old, there[other]), (old, went), (new, came)]
    shown = [
        dict(zip(dims, row, strict=True))
        for rows, mine in named
        for row in rows.take(mine[:SHOWN]).rows(dims)
    ]
    n_changed = int(np.count_nonzero(other))
    return OutputDifference(kind, len(there) - n_changed, n_changed, len(went), len(came), shown[:SHOWN])


def places(rows: Columns, others: Columns, keys: Sequence[str]) -> Array:
    """Return for each row the place of its like among others.

    Parameters
    ----------
    rows, others : Columns
        Both have the keys; among `others` they are distinct.
    keys : sequence of str
        What like rows have in common; none where there is one row at most.

    Returns
    -------
    numpy.ndarray of int64
        Row numbers, -1 where there is none.
    """
    if not rows.n_rows or not others.n_rows:
        return np.full(rows.n_rows, -1, dtype=np.int64)
    if not keys:
        return np.zeros(rows.n_rows, dtype=np.int64)
    numbers = [_numbered(rows[name], others[name]) for name in keys]
    return row_in([mine for mine, _ in numbers], [theirs for _, theirs in numbers])


def _numbered(column: Array, other: Array) -> tuple[Array, Array]:
    """Give equal values of two columns equal numbers. Texts need no order for that, which is what costs most."""
    if object not in (column.dtype, other.dtype):
        return column, other
    values, others = column.tolist(), other.tolist()
    number = {value: n for n, value in enumerate(dict.fromkeys([*values, *others]))}
    return (
        np.fromiter(map(number.__getitem__, values), np.int64, len(values)),
        np.fromiter(map(number.__getitem__, others), np.int64, len(others)),
    )


def _unmet(at: Array, n_others: int) -> Array:
    """Return which of the others no row has as its like."""
    met = np.zeros(n_others, dtype=np.bool_)
    met[at[at >= 0]] = True
    return np.flatnonzero(~met)


def _grouped(rows: Columns, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Array]]:
    if not rows.n_rows:
        return
    codes = group_codes([rows[n] for n in keys])
    order = np.argsort(codes, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        yield rows.take(mine[:1]).rows(keys)[0], mine


def _read(texts: Array) -> list[Mapping[str, Any]]:
    return [json.loads(text) for text in texts.tolist()]


def _data_ids(snapshot: Snapshot, ids: Sequence[bytes]) -> list[Mapping[str, Any]]:
    out: list[Mapping[str, Any]] = []
    for rows in snapshot.datasets_by_id(ids).values():
        dims = rows.names[: rows.names.index("id")]
        out += [dict(zip(dims, row, strict=True)) for row in rows.rows(dims)]
    return out
