"""Plans: what a fetch or a push would do, frozen, printable, the same for a dry run and for the real thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry.model.collections import Collection
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from sync.fetching.members import Members
from sync.plan_parts import CampaignInfo, Conflict, Counts, DatasetBatch, Note
from sync.pushing.plan import ChainMove, Outgoing, PushPlan
from sync.wording import total_size

__all__ = [
    "CampaignInfo",
    "ChainMove",
    "Conflict",
    "Counts",
    "DatasetBatch",
    "FetchPlan",
    "Note",
    "Outgoing",
    "PushPlan",
    "Wanted",
]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What has to be in staging for a piece of work; anything with these attributes will do.

    Parameters
    ----------
    dataset_ids : sequence of bytes
        The input datasets.
    records : mapping of str to Columns
        Element to the keys (its required dimensions) of the records needed.
    dataset_types : sequence of DatasetType
        All dataset types of the work. Those that upstream lacks are defined by whoever makes them.
    collections : sequence of str
        Input collections as the user named them, in search order.
    """

    dataset_ids: Sequence[bytes] = ()
    records: Mapping[str, Columns] = field(default_factory=dict)
    dataset_types: Sequence[DatasetType] = ()
    collections: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class FetchPlan:
    """What a fetch would write into staging.

    Parameters
    ----------
    dataset_types : tuple of DatasetType
        To be defined, as upstream does.
    collections : tuple of Collection
        To be made or, where chains grew, set anew; children before the chains that hold them.
    records : mapping of str to Columns
        Element to its new records, elements in order of reference.
    datasets : tuple of DatasetBatch
        New datasets, with absolute URIs.
    baselines : Columns
        ``kind, key, digest`` of everything new, and of what was found equal without a baseline.
    counts : mapping
        Kind to class to number.
    changed : tuple of Note
        What changed upstream since it was fetched; it stays as it was fetched.
    conflicts : tuple of Conflict
        What was made or changed here and differs upstream.
    members : Members
        What TAGGED and CALIBRATION collections are to hold.
    forgotten : Columns
        ``kind, key`` of baselines that go.
    """

    dataset_types: tuple[DatasetType, ...]
    collections: tuple[Collection, ...]
    records: Mapping[str, Columns]
    datasets: tuple[DatasetBatch, ...]
    baselines: Columns
    counts: Counts
    changed: tuple[Note, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    members: Members = field(default_factory=Members)
    forgotten: Columns = field(default_factory=lambda: Columns({"kind": [], "key": []}))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        n_baselines = self.baselines.n_rows + self.forgotten.n_rows
        rows = (self.dataset_types, self.collections, self.records, self.datasets, n_baselines)
        return not any(rows) and self.members.is_empty

    @property
    def size_bytes(self) -> int:
        """Bytes of the artifacts that the new datasets refer to; none of them is copied."""
        return sum(total_size(batch.rows) for batch in self.datasets)
