"""Collections in a pull: search paths as upstream's, and what becomes of those that upstream has no longer."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.model.collections import Collection, CollectionType
from sync.fetching.collections import CollectionsPlan, Reach, find_reach, plan_collections
from sync.fetching.sides import Digests
from sync.lookups import known_collections
from sync.manifest import CERTIFIED, COLLECTION, STAGED, TAGGED, collection_digests
from sync.plan_parts import Note
from sync.pulling.part import Part
from sync.pulling.plan import Difference
from sync.pulling.policies import Policies

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["CollectionsPart", "pull_collections", "reach_of"]


@dataclass
class CollectionsPart(Part):
    """What becomes of collections.

    Parameters
    ----------
    kind, counts, differences, notes, conflicts, baselines, forgotten
        As of `Part`.
    to_write : tuple of Collection
        New ones, and chains that change; children before the chains that hold them.
    gone : list of str
        Those that are removed.
    """

    to_write: tuple[Collection, ...] = ()
    gone: list[str] = field(default_factory=list)


def reach_of(theirs: Snapshot, base: Mapping[str, Digests], inputs: Sequence[str]) -> Reach:
    """Find what the inputs of a campaign, and all that was fetched before, lead to upstream.

    Parameters
    ----------
    theirs : Snapshot
        Of upstream.
    base : mapping of str to mapping
        All baselines.
    inputs : sequence of str
        Collections as the user named them.

    Returns
    -------
    Reach
        The collections.
    """
    known = known_collections(theirs, (key.decode() for key in base.get(COLLECTION, {})))
    return find_reach(theirs, list(dict.fromkeys([*inputs, *known])))


def pull_collections(
    theirs: Snapshot,
    ours: Snapshot,
    base: Mapping[str, Digests],
    reach: Reach,
    *,
    used: AnyOf[str],
    gone_datasets: AnyOf[bytes],
    inputs: AnyOf[str],
    policies: Policies,
) -> CollectionsPart:
    """Compare collections.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    base : mapping of str to mapping
        All baselines.
    reach : Reach
        From `reach_of`.
    used : collection of str
        RUNs of datasets that are new, and collections that hold something.
    gone_datasets : collection of bytes
        Datasets that go.
    inputs : collection of str
        Collections that the campaign names: they stay.
    policies : Policies
        What becomes of conflicts.

    Returns
    -------
    CollectionsPart
        A collection that upstream has removed goes unless it is an input, or holds something that stays.
    """
    part = CollectionsPart("collection")
    plan = plan_collections(theirs, ours, reach, used, on_conflict=policies.of("chain-differs"))
    part.to_write = plan.to_write
    part.conflicts += plan.conflicts
    part.baselines = {COLLECTION: dict(plan.baselines), STAGED: dict(plan.staged)}
    counts = plan.counts
    part.count(
        new=counts["new"], same=counts["same"], taken=counts["changed-upstream"], kept=counts["kept"],
        conflict=counts["conflict"],
    )  # fmt: skip
    names = [key.decode() for key in base.get(COLLECTION, {})]
    here = known_collections(ours, {*names, *(c.name for c in plan.to_write)})
    part.differences += _told(plan, here)
    lost = {n: here[n] for n in names if n in here and n not in reach.upstream}
    for name in sorted(lost.keys() & set(inputs)):
        text = f"input '{name}' is no longer upstream; it stays here"
        part.notes.append(Note("input-collection-gone", text, "Name others: stage edit -i COLLECTION"))
        part.count(gone_upstream=1)
        del lost[name]
    if lost:
        _remove(part, ours, base, lost, gone_datasets)
    return part


def _told(plan: CollectionsPlan, here: Mapping[str, Collection]) -> list[Difference]:
    changed = [(here[c.name], c) for c in plan.to_write if c.name in here]
    return [
        Difference("taken", "collection", f"what chain '{a.name}' searches", ", ".join(a.children), ", ".join(b.children))
        for a, b in changed
    ]  # fmt: skip


def _remove(
    part: CollectionsPart,
    ours: Snapshot,
    base: Mapping[str, Digests],
    lost: Mapping[str, Collection],
    gone_datasets: AnyOf[bytes],
) -> None:
    digests, staged = collection_digests(lost.values()), base.get(STAGED, {})
    for name, found in lost.items():
        key = name.encode()
        if staged.get(key, digests[key]) == digests[key] and _is_empty(ours, found, base, gone_datasets):
            part.gone.append(name)
            part.count(removed=1)
            part.differences.append(
                Difference("removed", "collection", f"{found.type.name} '{name}'", "present", "removed")
            )
            begins = f"({name!r}, ".encode()
            for kind in (TAGGED, CERTIFIED):
                part.forgotten[kind] = [
                    *part.forgotten.get(kind, ()), *(k for k in base.get(kind, {}) if k.startswith(begins))
                ]  # fmt: skip
            for kind in (COLLECTION, STAGED):
                part.forgotten.setdefault(kind, []).append(key)
        else:
            part.count(gone_upstream=1)


def _is_empty(
    ours: Snapshot, found: Collection, base: Mapping[str, Digests], gone_datasets: AnyOf[bytes]
) -> bool:
    """Tell whether nothing of one's own is lost with a collection."""
    if found.type is CollectionType.CHAINED:
        return True
    if found.type is CollectionType.RUN:
        if ours.count_outcomes(found.name).n_rows:
            return False
        n = int(sum(ours.count_datasets([found.name])["n"].tolist()))
        return n == 0 or n == _n_gone(ours, found.name, gone_datasets)
    held = ours.associations([found.name])["id"].tolist()
    prefix = f"({found.name!r}, ".encode()
    fetched = sum(k.startswith(prefix) for kind in (TAGGED, CERTIFIED) for k in base.get(kind, {}))
    return len(held) <= fetched


def _n_gone(ours: Snapshot, run: str, gone_datasets: AnyOf[bytes]) -> int:
    rows = ours.datasets_by_id(list(gone_datasets))
    return sum(r["run"].tolist().count(run) for r in rows.values())
