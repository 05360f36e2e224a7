"""Which collections a fetch brings: the inputs as search paths, reduced to what is used."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.model.collections import Collection, CollectionType
from sync.explain import collection_conflict
from sync.fetching.ways import with_ways
from sync.lookups import collections_below, known_collections
from sync.manifest import COLLECTION, STAGED, collection_digests, read_baselines
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
    staged : mapping of bytes to bytes
        Digests of what they are made here, where not yet known so.
    counts : dict
        Class to number.
    changed : tuple of Note
        Chains that are not upstream what they were when fetched.
    conflicts : tuple of Conflict
        Names that are of another type here.
    """

    to_write: tuple[Collection, ...] = ()
    baselines: Mapping[bytes, bytes] = field(default_factory=dict)
    staged: Mapping[bytes, bytes] = field(default_factory=dict)
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


def plan_collections(
    theirs: Snapshot, ours: Snapshot, reach: Reach, used: AnyOf[str], *, on_conflict: str = "fail"
) -> CollectionsPlan:
    """Decide which collections staging needs.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    reach : Reach
        What the inputs lead to upstream. An input that only staging has is left alone.
    used : collection of str
        RUNs of the datasets that are fetched, and other collections that hold some of them.
    on_conflict : {"fail", "keep", "take"}, optional
        What becomes of a chain that both sides have changed.

    Returns
    -------
    CollectionsPlan
        Every input that is named is there, empty or not; of a chain's children, those that lead to a used one.
        The order is upstream's, so that find-first gives in staging what it gives upstream; a chain that was changed
        here stays so.

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
    known = _Known(here, read_baselines(ours, COLLECTION), read_baselines(ours, STAGED))
    return _Comparison(known, on_conflict).of(reduced, upstream)


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
        found = self.upstream[name]
        children: list[str] = []
        if found.type is CollectionType.CHAINED:
            children = [child for child in found.children if self._visit(child)]
        if name not in self.needed and name not in self.here and not children:
            return False
        self.kept[name] = Collection(found.name, found.type, found.doc, tuple(children))
        return True


@dataclass(frozen=True)
class _Known:
    """What staging has, what it was upstream when it was fetched, and what it was made here then."""

    here: Mapping[str, Collection]
    base: Mapping[bytes, bytes]
    staged: Mapping[bytes, bytes]


class _Comparison:
    """What becomes of each collection, one after another."""

    def __init__(self, known: _Known, on_conflict: str) -> None:
        self.known = known
        self.on_conflict = on_conflict
        self.counts = {"new": 0, "same": 0, "changed-upstream": 0, "kept": 0, "conflict": 0}
        self.to_write: list[Collection] = []
        self.changed: list[Note] = []
        self.conflicts: list[Conflict] = []
        self.baselines: dict[bytes, bytes] = {}
        self.staged: dict[bytes, bytes] = {}

    def of(self, reduced: Mapping[str, Collection], upstream: Mapping[str, Collection]) -> CollectionsPlan:
        theirs = collection_digests(upstream[name] for name in reduced)
        ours = collection_digests(self.known.here[name] for name in reduced if name in self.known.here)
        for name, wanted in reduced.items():
            self._decide(wanted, theirs[name.encode()], ours.get(name.encode()))
        made = collection_digests(self.to_write)
        self.staged = {k: d for k, d in {**self.staged, **made}.items() if self.known.staged.get(k) != d}
        return CollectionsPlan(
            tuple(self.to_write), self.baselines, self.staged, self.counts, tuple(self.changed), tuple(self.conflicts)
        )  # fmt: skip

    def _decide(self, wanted: Collection, theirs: bytes, ours: bytes | None) -> None:
        name, key = wanted.name, wanted.name.encode()
        held, base = self.known.here.get(name), self.known.base.get(key)
        if held is None:
            self._settle("new", key, theirs, wanted)
            return
        if held.type is not wanted.type:
            self._conflict(collection_conflict(name, held.type.name, wanted.type.name))
            return
        moved = base is not None and base != theirs
        changed_here = self.known.staged.get(key) not in (None, ours)
        if changed_here and held.children != wanted.children:
            if not moved:
                self.counts["kept"] += 1
                return
            if self.on_conflict == "keep":
                self.counts["kept"] += 1
                self.baselines[key] = theirs
                return
            if self.on_conflict == "fail":
                mine, other = (", ".join(c.children) or "(empty)" for c in (held, wanted))
                what = f"what chain '{name}' searches"
                self._conflict(*with_ways([Conflict("chain-differs", "collection", what, mine, other)]))
                return
        if base is None:  # made here, under a name that upstream has too
            extra = [c for c in held.children if c not in wanted.children]
            wanted = Collection(name, wanted.type, wanted.doc, (*wanted.children, *extra))
        if moved:
            text = f"chain '{name}' is not upstream what it was when fetched"
            self.changed.append(Note("collection-changed", text))
        self._settle("changed-upstream" if moved else "same", key, theirs, wanted)
        if ours is not None and held.children == wanted.children:
            self.staged[key] = ours

    def _settle(self, what: str, key: bytes, theirs: bytes, wanted: Collection) -> None:
        self.counts[what] += 1
        held = self.known.here.get(wanted.name)
        if held is None or held.children != wanted.children:
            self.to_write.append(wanted)
        if self.known.base.get(key) != theirs:
            self.baselines[key] = theirs

    def _conflict(self, conflict: Conflict) -> None:
        self.conflicts.append(conflict)
        self.counts["conflict"] += 1
