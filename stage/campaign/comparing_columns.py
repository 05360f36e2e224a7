"""Wording what the database found to differ between two runs: quanta, inputs and outputs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stage.campaign.comparing_report import InputDifference, OutputDifference, QuantaDifference

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.registry import Snapshot
    from stage.campaign.comparing_documents import Place

__all__ = [
    "ABSENT", "SHOWN", "collection_differences", "input_differences", "output_differences", "quanta_differences",
]  # fmt: skip

ABSENT = "absent"
"""What became of a quantum that a run does not have."""
SHOWN = 5
"""How many data IDs are named of those that differ in the same way."""


def quanta_differences(old: Place, new: Place) -> list[QuantaDifference]:
    """Compare what became of quanta.

    Parameters
    ----------
    old, new : Place
        The runs.

    Returns
    -------
    list of QuantaDifference
        One for each task and change.
    """
    rows = old.snapshot.differing_quanta(old.run, new.snapshot, new.run, shown=SHOWN)
    groups: dict[tuple[str, str, str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for task, before, after, n, data_id in rows.rows(("task", "old", "new", "n", "data_id")):
        groups[task, before or ABSENT, after or ABSENT, n].append(json.loads(data_id))
    return [QuantaDifference(*key, data_ids) for key, data_ids in sorted(groups.items(), key=lambda g: g[0])]


def collection_differences(counts: Columns) -> dict[str, list[int]]:
    """Compare which collections runs read inputs from.

    Parameters
    ----------
    counts : Columns
        From `registry.snapshot.Snapshot.differing_inputs`.

    Returns
    -------
    dict of str to list of int
        Collection to how many each run read of it, where that differs.
    """
    read: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for run, before, after, n in counts.rows(("run", "old", "new", "n")):
        for side, was_read in enumerate((before, after)):
            read[run][side] += n if was_read else 0
    return {name: pair for name, pair in sorted(read.items()) if pair[0] != pair[1]}


def input_differences(old: Place, new: Place, inputs: tuple[Columns, Columns]) -> list[InputDifference]:
    """Compare what runs read from outside.

    Parameters
    ----------
    old, new : Place
        The runs.
    inputs : (Columns, Columns)
        From `registry.snapshot.Snapshot.differing_inputs`.

    Returns
    -------
    list of InputDifference
        One for each dataset type of which something differs.
    """
    counts, some = inputs
    tallies: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for kind, before, after, n in counts.rows(("dataset_type", "old", "new", "n")):
        tally = tallies[kind]
        if before and after:
            tally[0] += n
        elif before or after:
            tally[1 if before else 2] += n
            tally[3] += n if before == 0 or after == 0 else 0
    shown: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for kind, wanted, is_old in _read_by_one(some):
        shown[kind] += _data_ids((old if is_old else new).snapshot, wanted)
    return [
        InputDifference(kind, tally[0], tally[1], tally[2], tally[3], data_ids=_distinct(shown[kind]))
        for kind, tally in sorted(tallies.items())
        if tally[1] or tally[2]
    ]


def _read_by_one(some: Columns) -> list[tuple[str, list[bytes], bool]]:
    found: dict[tuple[str, bool], list[bytes]] = defaultdict(list)
    for wanted, kind, before, after in some.rows(("id", "dataset_type", "old", "new")):
        if bool(before) != bool(after):
            found[kind, bool(before)].append(wanted)
    return [(kind, ids[:SHOWN], is_old) for (kind, is_old), ids in found.items()]


def _distinct(data_ids: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({json.dumps(each): each for each in data_ids}.values())[:SHOWN]


def _data_ids(snapshot: Snapshot, ids: Sequence[bytes]) -> list[Mapping[str, Any]]:
    out: list[Mapping[str, Any]] = []
    for rows in snapshot.datasets_by_id(ids).values():
        dims = rows.names[: rows.names.index("id")]
        out += [dict(zip(dims, row, strict=True)) for row in rows.rows(dims)]
    return out


def output_differences(
    old: Place, new: Place, counts: tuple[Mapping[str, int], Mapping[str, int]]
) -> list[OutputDifference]:
    """Compare what runs made.

    Parameters
    ----------
    old, new : Place
        The runs.
    counts : (mapping, mapping)
        How many datasets of each type they hold, of those types that are compared.

    Returns
    -------
    list of OutputDifference
        One for each dataset type of which something differs.
    """
    found = []
    for kind in sorted({*counts[0], *counts[1]}):
        held = (counts[0].get(kind, 0), counts[1].get(kind, 0))
        rows = old.snapshot.differing_outputs(old.run, new.snapshot, new.run, kind, held, shown=SHOWN)
        n = dict(rows.rows(("change", "n")))
        gone, changed, unknown = n.get("old", 0), n.get("changed", 0), n.get("unknown", 0)
        dims = [name for name in rows.names if name not in {"change", "n"}]
        known = rows.take(rows["change"] != "unknown")
        shown = (
            [dict(zip(dims, row, strict=True)) for row in known.rows(dims)] if dims else [{}] * known.n_rows
        )
        found.append(
            OutputDifference(
                kind, held[0] - gone - changed - unknown, changed, gone, n.get("new", 0), unknown, _distinct(shown)
            )
        )  # fmt: skip
    return [d for d in found if d.n_changed or d.only_old or d.only_new or d.n_unknown]
