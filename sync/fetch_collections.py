"""Which collections a fetch brings: the inputs as search paths, reduced to what is used."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.model.collections import Collection, CollectionType
from sync.explain import collection_conflict
from sync.lookups import collections_below, known_collections
from sync.manifest import COLLECTION, collection_digests, read_baselines
from sync.plan import Conflict, Note

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["CollectionsPlan", "plan_collections"]

_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class CollectionsPlan:
    """What a fetch does about collections.

    Parameters
    ----------
    to_write : tuple of Collection
        New ones, and chains that have to change; children before the chains that hold them.
    baselines : mapping of bytes to bytes
        Digests of what they are upstream, where not yet known so.
    counts : dict
        Class to number.
    changed : tuple of Note
        Chains that are not upstream what they were when fetched.
    conflicts : tuple of Conflict
        Names that are of another type here.
    left : tuple of Note
        What cannot be brought.
    """

    to_write: tuple[Collection, ...] = ()
    baselines: Mapping[bytes, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    changed: tuple[Note, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    left: tuple[Note, ...] = ()


def plan_collections(
    theirs: Snapshot, ours: Snapshot, inputs: Sequence[str], used_runs: AnyOf[str]
) -> CollectionsPlan:
    """Decide which collections staging needs.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    inputs : sequence of str
        Names and globs as the user gave them. One that only staging has is left alone.
    used_runs : collection of str
        RUNs of the datasets that are fetched.

    Returns
    -------
    CollectionsPlan
        Every input that is named is there, empty or not; of a chain's children, those that lead to a used RUN.
        The order is upstream's, so that find-first gives in staging what it gives upstream.

    Raises
    ------
    NotFoundError
        If an input is on neither side.
    """
    globs = [name for name in inputs if not _GLOB.isdisjoint(name)]
    matches = {glob: [c.name for c in theirs.collections([glob])] for glob in globs}
    starts = [
        *(n for n in inputs if n not in matches),
        *(n for found in matches.values() for n in found),
        *used_runs,
    ]
    upstream = collections_below(theirs, starts)
    here = known_collections(ours, [*upstream, *starts])
    named = _expand(theirs, inputs, matches, upstream, here)
    needed = [*named, *sorted(used_runs)]
    reduced = _Reduction(upstream, here, frozenset(needed)).of(needed)
    return _compare(reduced, upstream, here, read_baselines(ours, COLLECTION))


def _expand(
    theirs: Snapshot,
    inputs: Sequence[str],
    matches: Mapping[str, Sequence[str]],
    upstream: Mapping[str, Collection],
    here: Mapping[str, Collection],
) -> list[str]:
    """Return the collections that inputs name and upstream has, in order."""
    out: dict[str, None] = {}
    for name in inputs:
        if name in matches:
            out |= dict.fromkeys(matches[name])
        elif name in upstream:
            out[name] = None
        elif name not in here:
            theirs.collection(name)  # raises, and offers the nearest name
    return list(out)


class _Reduction:
    """Walks chains depth-first, and keeps what leads to a used RUN."""

    def __init__(
        self, upstream: Mapping[str, Collection], here: Mapping[str, Collection], needed: frozenset[str]
    ) -> None:
        self.upstream = upstream
        self.here = here
        self.needed = needed
        self.kept: dict[str, Collection] = {}

    def of(self, names: Iterable[str]) -> dict[str, Collection]:
        for name in names:
            self._visit(name)
        return self.kept

    def _visit(self, name: str) -> bool:
        """Return whether `name` stays: it was named, is used, leads to what is used, or is in staging already."""
        if name in self.kept:
            return True
        found, held = self.upstream[name], self.here.get(name)
        children: list[str] = []
        if found.type is CollectionType.CHAINED:
            children = [child for child in found.children if self._visit(child)]
            # A child that upstream took away stays: what was run from it was run from it.
            children += [c for c in (held.children if held else ()) if c not in found.children]
        if name not in self.needed and held is None and not children:
            return False
        self.kept[name] = Collection(found.name, found.type, found.doc, tuple(children))
        return True


def _compare(
    reduced: Mapping[str, Collection],
    upstream: Mapping[str, Collection],
    here: Mapping[str, Collection],
    base: Mapping[bytes, bytes],
) -> CollectionsPlan:
    to_write, changed, conflicts, left = [], [], [], []
    counts = {"new": 0, "same": 0, "changed-upstream": 0, "conflict": 0}
    digests = collection_digests(upstream[name] for name in reduced)
    for name, wanted in reduced.items():
        held, key = here.get(name), name.encode()
        if held is not None and held.type is not wanted.type:
            conflicts.append(collection_conflict(name, held.type.name, wanted.type.name))
            counts["conflict"] += 1
            continue
        if held is None or held.children != wanted.children:
            to_write.append(wanted)
        moved = held is not None and key in base and base[key] != digests[key]
        if moved:
            changed.append(
                Note("collection-changed", f"chain '{name}' is not upstream what it was when fetched")
            )
        counts["new" if held is None else "changed-upstream" if moved else "same"] += 1
        if wanted.type in {CollectionType.TAGGED, CollectionType.CALIBRATION}:
            left.append(
                Note(
                    "membership-not-fetched",
                    f"{wanted.type.name} collection '{name}' is made without its members",
                    "Name the RUN collections that hold them as inputs too.",
                )
            )
    fresh = {key: digest for key, digest in digests.items() if base.get(key) != digest}
    return CollectionsPlan(tuple(to_write), fresh, counts, tuple(changed), tuple(conflicts), tuple(left))
