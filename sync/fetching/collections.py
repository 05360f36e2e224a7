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

__all__ = ["CollectionsPlan", "Reach", "find_reach", "plan_collections"]

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
    """

    to_write: tuple[Collection, ...] = ()
    baselines: Mapping[bytes, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    changed: tuple[Note, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class Reach:
    """What inputs lead to upstream.

    Parameters
    ----------
    inputs : tuple of str
        Names and globs as the user gave them.
    matches : mapping of str to list of str
        Glob to the collections that it matches.
    upstream : mapping of str to Collection
        All of them, and what their chains lead to.
    """

    inputs: tuple[str, ...]
    matches: Mapping[str, list[str]]
    upstream: Mapping[str, Collection]


def find_reach(theirs: Snapshot, inputs: Sequence[str]) -> Reach:
    """Find what inputs lead to.

    Parameters
    ----------
    theirs : Snapshot
        Of upstream.
    inputs : sequence of str
        Names and globs as the user gave them; those that upstream lacks are left out.

    Returns
    -------
    Reach
        The collections.
    """
    globs = [name for name in inputs if not _GLOB.isdisjoint(name)]
    matches = {glob: [c.name for c in theirs.collections([glob])] for glob in globs}
    starts = [n for name in inputs for n in matches.get(name, [name])]
    return Reach(tuple(inputs), matches, collections_below(theirs, starts))


def plan_collections(theirs: Snapshot, ours: Snapshot, reach: Reach, used: AnyOf[str]) -> CollectionsPlan:
    """Decide which collections staging needs.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    reach : Reach
        What the inputs lead to upstream. An input that only staging has is left alone.
    used : collection of str
        RUNs of the datasets that are fetched, and other collections that hold some of them.

    Returns
    -------
    CollectionsPlan
        Every input that is named is there, empty or not; of a chain's children, those that lead to a used one.
        The order is upstream's, so that find-first gives in staging what it gives upstream.

    Raises
    ------
    NotFoundError
        If an input is on neither side.
    """
    runs = [name for name in used if name not in reach.upstream]
    upstream = {**reach.upstream, **known_collections(theirs, runs)}
    named_here = [name for name in reach.inputs if name not in reach.matches]
    here = known_collections(ours, [*upstream, *named_here])
    named = _expand(theirs, reach, here)
    needed = [*named, *sorted(used)]
    reduced = _Reduction(upstream, here, frozenset(needed)).of(needed)
    return _compare(reduced, upstream, here, read_baselines(ours, COLLECTION))


def _expand(theirs: Snapshot, reach: Reach, here: Mapping[str, Collection]) -> list[str]:
    """Return the collections that inputs name and upstream has, in order."""
    out: dict[str, None] = {}
    for name in reach.inputs:
        if name in reach.matches:
            out |= dict.fromkeys(reach.matches[name])
        elif name in reach.upstream:
            out[name] = None
        elif name not in here:
            theirs.collection(name)  # raises, and offers the nearest name
    return list(out)


class _Reduction:
    """Walks chains depth-first, and keeps what leads to a used collection."""

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
    to_write, changed, conflicts = [], [], []
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
    fresh = {key: digest for key, digest in digests.items() if base.get(key) != digest}
    return CollectionsPlan(tuple(to_write), fresh, counts, tuple(changed), tuple(conflicts))
