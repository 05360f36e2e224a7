"""What a fetch brings of TAGGED and CALIBRATION collections, so that a lookup answers here as upstream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from sync.fetching.certified import Certifying
from sync.fetching.members import Members
from sync.fetching.tagged import Tagging
from sync.lookups import known_collections
from sync.manifest import CERTIFIED, TAGGED
from sync.plan import Conflict, Note

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot

__all__ = ["MembersPlan", "plan_members"]


@dataclass(frozen=True, eq=False)
class MembersPlan:
    """What a fetch does about the members of collections.

    Parameters
    ----------
    members : Members
        What to write.
    used : frozenset of str
        Collections that hold something of what is wanted.
    dataset_ids : list of bytes
        Datasets that ranges of validity name, beside those that are wanted anyhow.
    counts : dict
        Class to number of memberships.
    changed : tuple of Note
        What is not upstream what it was when fetched.
    conflicts : tuple of Conflict
        What both sides have changed.
    baselines : mapping
        Kind to key to digest, where not yet known so.
    forgotten : mapping
        Kind to keys of which there are baselines no more.
    """

    members: Members = field(default_factory=Members)
    used: frozenset[str] = frozenset()
    dataset_ids: list[bytes] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    changed: tuple[Note, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    baselines: Mapping[str, Mapping[bytes, bytes]] = field(default_factory=dict)
    forgotten: Mapping[str, Sequence[bytes]] = field(default_factory=dict)


def plan_members(
    theirs: Snapshot,
    ours: Snapshot,
    reach: Mapping[str, Collection],
    *,
    ids: Sequence[bytes],
    types: Sequence[DatasetType],
    records: Mapping[str, Columns],
    on_conflict: str = "fail",
    stand_ins: Mapping[bytes, bytes] = {},
) -> MembersPlan:
    """Decide which members of collections staging needs.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    reach : mapping of str to Collection
        The inputs and what they lead to, as upstream has them.
    ids : sequence of bytes
        The datasets that are wanted.
    types : sequence of DatasetType
        Dataset types of the work, as upstream has them.
    records : mapping of str to Columns
        Element to the dimension records that staging will have of them.
    on_conflict : {"fail", "keep", "take"}, optional
        What becomes of what both sides have changed.
    stand_ins : mapping of bytes to bytes, optional
        Datasets of upstream that stay out of staging, to the ones that have their places there and stand in for them.

    Returns
    -------
    MembersPlan
        Of TAGGED collections, those of the wanted datasets that they hold; of CALIBRATION collections, every range of
        validity that a lookup for one of the records, at the time of one of them, could meet. What upstream has taken
        out goes here too; what was put in or taken out here stays so.

    Notes
    -----
    A fixed number of queries a dataset type and a set of dimensions.
    """
    tags = [c.name for c in reach.values() if c.type is CollectionType.TAGGED]
    dated = [c.name for c in reach.values() if c.type is CollectionType.CALIBRATION]
    here = {n: c for n, c in known_collections(ours, [*tags, *dated]).items() if c.type is reach[n].type}
    tagging = Tagging(theirs, ours, on_conflict, stand_ins)
    certifying = Certifying(theirs, ours, records, on_conflict, stand_ins)
    if tags:
        tagging.decide(tags, ids, [n for n in tags if n in here])
    kinds = [kind for kind in types if kind.is_calibration] if dated else []
    certifying.decide(kinds, dated, [n for n in dated if n in here])
    counts = {k: tagging.counts[k] + certifying.counts[k] for k in tagging.counts}
    wanted = set(ids)
    return MembersPlan(
        Members(tagging.tagged, certifying.certified(), tagging.untagged, certifying.removed()),
        frozenset(tagging.used | certifying.used),
        [i for i in certifying.named if i not in wanted],
        counts,
        (*tagging.notes(), *certifying.notes()),
        (*tagging.conflicts, *certifying.conflicts),
        {TAGGED: tagging.fresh, CERTIFIED: certifying.fresh},
        {TAGGED: tagging.forgotten, CERTIFIED: certifying.forgotten},
    )
