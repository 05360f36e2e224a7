"""Datasets in a pull: all that were fetched, held against what upstream has of these ids now."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from registry.model.data_id import format_values
from registry.model.records import ARTIFACT
from registry.model.refs import id_text
from sync.explain import differing_datasets
from sync.fetching.planning import make_batches
from sync.fetching.sides import Digests, Sides
from sync.fetching.ways import INPUT_MOVED, with_ways
from sync.manifest import DATASET, GONE, MOVED_ON, dataset_digests
from sync.plan_parts import Conflict, DatasetBatch, Note
from sync.pulling.part import Part, some_of
from sync.pulling.policies import FAIL, TAKE, Policies

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot

__all__ = ["DatasetsPart", "pull_datasets"]

_GONE = "deleted since it was fetched"
Rows = Mapping[str, Columns]
Types = Mapping[str, "DatasetType"]


@dataclass
class DatasetsPart(Part):
    """What becomes of datasets.

    Parameters
    ----------
    kind, counts, differences, notes, conflicts, baselines, forgotten
        As of `Part`.
    types : mapping of str to DatasetType
        By name.
    held, found : mapping of str to Columns
        Dataset type to what staging and upstream have of those that were fetched.
    artifacts : Columns
        Upstream's artifact records of those whose content is taken, with absolute URIs.
    gone : list of bytes
        Those that go.
    replaced : tuple of DatasetBatch
        Those of which more than the artifact is another: they go and come again.
    moved_on : dict of bytes to bytes
        Those that quanta have read or made as they are here, to the digest of what upstream has, or `sync.manifest.GONE`.
    files : list of str
        The campaign's own copies of what goes or changes.
    """

    types: Types = field(default_factory=dict)
    held: Rows = field(default_factory=dict)
    found: Rows = field(default_factory=dict)
    artifacts: Columns = field(default_factory=lambda: Columns.from_rows(ARTIFACT, []))
    gone: list[bytes] = field(default_factory=list)
    replaced: tuple[DatasetBatch, ...] = ()
    moved_on: dict[bytes, bytes] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def pull_datasets(
    theirs: Snapshot, ours: Snapshot, base: Mapping[str, Digests], policies: Policies, *, root: str
) -> DatasetsPart:
    """Compare the datasets that were fetched.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    base : mapping of str to mapping
        All baselines.
    policies : Policies
        What becomes of conflicts, and of what quanta have read.
    root : str
        Root of upstream's datastore.

    Returns
    -------
    DatasetsPart
        What upstream has removed goes and what it has changed is taken, unless a quantum has read or made it.

    Notes
    -----
    Three questions, and one a dataset type on each side.
    """
    part, fetched = DatasetsPart("dataset"), base.get(DATASET, {})
    flagged = base.get(MOVED_ON, {})
    if not fetched and not flagged:
        return part
    there = {t.name: t for t in theirs.dataset_types()}
    part.types = there | {t.name: t for t in ours.dataset_types()}
    part.held = ours.datasets_by_id(list(fetched), artifacts=True)
    part.found = theirs.datasets_by_id(list(fetched), artifacts=True)
    upstream = _digests(there, part.found)
    # Mostly they are alike, and then need not be digested twice.
    mine = dict(upstream) if _are_alike(part.held, part.found) else _digests(part.types, part.held)
    _agree_on_absent(part, mine, upstream)
    sides = Sides.of(fetched, mine, upstream)
    moved = sides.changed | sides.gone
    used = ours.known_to_quanta(sorted(moved | flagged.keys()))
    taken, settled = _decide(part, sides, used, policies, upstream)
    lost = fetched.keys() - mine.keys() - upstream.keys()
    part.settle(DATASET, fetched, upstream, taken | settled | sides.same | lost)
    _take(part, taken, root)
    known = mine.keys() | upstream.keys()
    part.moved_on = {i: upstream.get(i, GONE) for i in moved & used}
    part.moved_on |= {
        i: digest for i, digest in flagged.items()
        if i in used and (i not in known or (i in sides.same and fetched.get(i) == digest))
    }  # fmt: skip
    part.settle(MOVED_ON, flagged, part.moved_on, part.moved_on.keys() | flagged.keys())
    return part


def _digests(types: Types, sides: Rows) -> dict[bytes, bytes]:
    out: dict[bytes, bytes] = {}
    for name, rows in sides.items():
        out |= dataset_digests(types[name], rows)
    return out


def _are_alike(one: Rows, other: Rows) -> bool:
    """Tell whether two sides have the same datasets with the same content, row by row."""
    if one.keys() != other.keys():
        return False
    return all(
        one[name].n_rows == rows.n_rows
        and all(np.array_equal(one[name][n], rows[n]) for n in rows.names if n not in {"uri", "formatter"})
        for name, rows in other.items()
    )


def _facts(types: Types, sides: Rows, ids: AbstractSet[bytes]) -> dict[bytes, bytes]:
    """Digest of some datasets what they are, without their artifacts."""
    out: dict[bytes, bytes] = {}
    for name, rows in _chosen(sides, ids).items():
        empty = np.full(rows.n_rows, None, dtype=object)
        out |= dataset_digests(types[name], rows.with_column("size", empty).with_column("checksum", empty))
    return out


def _chosen(sides: Rows, ids: AbstractSet[bytes]) -> dict[str, Columns]:
    masks = {
        name: np.fromiter(map(ids.__contains__, rows["id"].tolist()), np.bool_, rows.n_rows)
        for name, rows in sides.items()
    }
    return {name: sides[name].take(mask) for name, mask in masks.items() if mask.any()}


def _agree_on_absent(part: DatasetsPart, mine: dict[bytes, bytes], upstream: dict[bytes, bytes]) -> None:
    """Let datasets be the same of which one side has no artifact, and nothing else differs."""
    bare = [
        {i for rows in side.values() for i in rows["id"][rows["size"] == np.array(None)].tolist()}
        for side in (part.held, part.found)
    ]
    either = (bare[0] | bare[1]) & mine.keys() & upstream.keys()
    if not either:
        return
    ours, theirs = (_facts(part.types, side, either) for side in (part.held, part.found))
    alike = {i for i in either if ours[i] == theirs[i]}
    mine |= {i: upstream[i] for i in alike}
    lost = len(alike & (bare[1] - bare[0]))
    if lost:
        text = (
            f"upstream has removed the files of {lost} datasets that are here; they stay as they were fetched"
        )
        part.notes.append(Note("artifact-gone", text))


def _decide(
    part: DatasetsPart, sides: Sides, used: AbstractSet[bytes], policies: Policies, upstream: Digests
) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Return of which ids upstream's is taken, or which go, and of which ours stays for good; tell of all."""
    told = {
        "dataset-differs": sides.conflicting,
        INPUT_MOVED: frozenset(i for i in sides.changed | sides.gone if i in used),
    }
    taken, kept = (sides.changed | sides.gone) - told[INPUT_MOVED], sides.kept
    settled: frozenset[bytes] = frozenset()
    for code, keys in told.items():
        policy = policies.of(code)
        if policy == TAKE:
            taken |= keys
        elif policy == FAIL:
            part.conflicts += with_ways(_told(part, keys, code))
            part.count(conflict=len(keys))
        elif code == INPUT_MOVED:
            part.tell("kept as used", _told(part, some_of(keys), code))
            part.count(kept_as_used=len(keys))
        else:
            kept |= keys
            settled |= keys
    if policies.of("dataset-differs") == TAKE:
        part.note_standing("dataset-differs", len(sides.kept))
    gone = taken - upstream.keys()
    for action, keys in (("taken", taken - gone), ("removed", gone), ("kept", kept)):
        part.tell(action, _told(part, some_of(keys), "dataset-differs"))
    part.count(same=len(sides.same), taken=len(taken - gone), removed=len(gone), kept=len(kept))
    part.gone = sorted(gone)
    return taken, settled


def _told(part: DatasetsPart, keys: AbstractSet[bytes], code: str) -> list[Conflict]:
    """Say how datasets differ, or that upstream has removed them."""
    if not keys:
        return []
    found = _chosen(part.found, keys)
    there = {i for rows in found.values() for i in rows["id"].tolist()}
    out = [replace(c, code=code) for c in differing_datasets(keys & there, part.types, part.held, part.found)]
    for name, rows in _chosen(part.held, frozenset(keys) - there).items():
        dims = part.types[name].dimensions.required
        for *values, i, run in rows.rows((*dims, "id", "run")):
            what = f"{name} {{{format_values(dims, tuple(values))}}} ({id_text(i)})"
            out.append(Conflict(code, "dataset", what, f"in run '{run}'", _GONE))
    return out


def _take(part: DatasetsPart, taken: AbstractSet[bytes], root: str) -> None:
    """Gather what is written of datasets that change, and the files of those that change or go."""
    if not taken:
        return
    held, found = (_chosen(side, taken) for side in (part.held, part.found))
    ours, theirs = (_facts(part.types, side, taken) for side in (held, found))
    other = {i for i, digest in theirs.items() if ours[i] != digest}
    part.replaced = make_batches(root, part.types, found, other)
    part.gone = sorted({*part.gone, *other})
    batches = make_batches(root, part.types, found, theirs.keys() - other)
    stored = [b.rows.select(ARTIFACT).take(b.rows["uri"] != np.array(None)) for b in batches]
    part.artifacts = Columns.concat(stored) if stored else part.artifacts
    part.files = [uri for rows in held.values() for uri in rows["uri"].tolist() if uri and _is_own(uri)]


def _is_own(uri: str) -> bool:
    """Tell whether an artifact is a file of the campaign's own: its record then names it relative to the root."""
    return "://" not in uri and not uri.startswith("/")
