"""Dimension records in a pull: all that staging has, held against upstream's of the same keys."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from sync.explain import differing_records
from sync.fetching.sides import Digests, Sides
from sync.fetching.ways import with_ways
from sync.manifest import record_digests, record_kind
from sync.plan_parts import Note
from sync.pulling.part import Part, some_of
from sync.pulling.policies import FAIL, TAKE, Policies

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionElement
    from registry.snapshot import Snapshot

__all__ = ["RecordsPart", "pull_records"]


@dataclass
class RecordsPart(Part):
    """What becomes of dimension records.

    Parameters
    ----------
    kind, counts, differences, notes, conflicts, baselines, forgotten
        As of `Part`.
    changed : dict of str to Columns
        Element to upstream's, which take the place of ours.
    gone : dict of str to Columns
        Element to keys of those that go.
    held : dict of str to Columns
        Element to all that staging has.
    n_standing : int
        How many were kept or changed here earlier, and are upstream as they were then.
    """

    changed: dict[str, Columns] = field(default_factory=dict)
    gone: dict[str, Columns] = field(default_factory=dict)
    held: dict[str, Columns] = field(default_factory=dict)
    n_standing: int = 0


def pull_records(
    theirs: Snapshot, ours: Snapshot, base: Mapping[str, Digests], policies: Policies
) -> RecordsPart:
    """Compare dimension records.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    base : mapping of str to mapping
        All baselines.
    policies : Policies
        What becomes of conflicts.

    Returns
    -------
    RecordsPart
        Records of dimensions that upstream has no longer stay, since data IDs here may name them; relations go.

    Notes
    -----
    Two questions an element of which records were fetched.
    """
    part = RecordsPart("record")
    for element in theirs.universe.elements.values():
        fetched = base.get(record_kind(element.name), {})
        if fetched:
            part.held[element.name] = ours.records(element.name)
            _pull_element(part, theirs, element, fetched, policies)
    if policies.of("record-differs") == TAKE:
        part.note_standing("record-differs", part.n_standing)
    n_gone = part.counts["gone upstream"]
    if n_gone:
        text = f"{n_gone} records of dimensions are no longer upstream; they stay, since data IDs here may name them"
        part.notes.append(Note("record-gone", text))
    return part


def _pull_element(
    part: RecordsPart, theirs: Snapshot, element: DimensionElement, base: Digests, policies: Policies
) -> None:
    held = part.held[element.name]
    rows = theirs.records(element.name, keys=held.select(element.required))
    mine, upstream = record_digests(element, held), record_digests(element, rows)
    sides = Sides.of(base, mine, upstream)
    changed, gone = sides.changed, sides.gone
    told = differing_records(element, sides.conflicting, held, rows) if sides.conflicting else []
    deleted = sides.conflicting - upstream.keys()
    both = sides.conflicting - deleted
    policy = {
        "record-differs": policies.of("record-differs"),
        "record-deleted": policies.of("record-deleted"),
    }
    refused = [c for c in told if policy.get(c.code, FAIL) == FAIL]
    part.conflicts += with_ways(refused)
    if policy["record-differs"] == TAKE:
        changed |= both
    kept = (sides.kept & base.keys()) | frozenset().union(
        *(
            keys
            for keys, code in ((both, "record-differs"), (deleted, "record-deleted"))
            if policy[code] == "keep"
        )
    )
    removed = gone if not element.is_dimension else frozenset()
    if changed:
        part.changed[element.name] = rows.take(_mask(changed, upstream))
    if removed:
        part.gone[element.name] = held.take(_mask(removed, mine)).select(element.required)
    for action, keys in (
        ("taken", changed), ("removed", removed), ("kept", kept), ("gone upstream", gone - removed),
    ):  # fmt: skip
        if keys:
            part.tell(action, differing_records(element, some_of(keys), held, rows))
    part.count(
        same=len(sides.same), taken=len(changed), removed=len(removed), kept=len(kept), conflict=len(refused),
        gone_upstream=len(gone - removed),
    )  # fmt: skip
    part.n_standing += len(sides.kept & base.keys())
    settled = changed | sides.same | removed | (kept - sides.kept)
    part.settle(record_kind(element.name), base, upstream, settled)


def _mask(keys: AnyOf[bytes], digests: Digests) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.fromiter(map(keys.__contains__, digests), np.bool_, len(digests))
