"""Pull plans: what a pull would change in staging, frozen, printable, the same for a dry run and for the real thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.model.collections import Collection
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import id_text
from sync.fetching.members import Members
from sync.plan_parts import Conflict, Counts, DatasetBatch, Note

__all__ = ["Difference", "PullPlan", "Rows"]

_NO_KEYS = Columns({"kind": [], "key": []})


@dataclass(frozen=True)
class Difference:
    """One thing in which staging and upstream differ, or did when the plan was made.

    Parameters
    ----------
    action : str
        ``taken`` (upstream's takes the place of ours), ``removed``, ``kept`` (changed or made here), ``kept as used``
        (a quantum has read it as it is here).
    kind : str
        ``record``, ``dataset``, ``collection`` or ``member``.
    what : str
        Which one.
    ours, upstream : str
        Both values, where they differ.
    """

    action: str
    kind: str
    what: str
    ours: str
    upstream: str


@dataclass(frozen=True, eq=False)
class Rows:
    """What becomes of rows of staging.

    Parameters
    ----------
    dataset_types : tuple of DatasetType
        To be defined.
    new_collections : tuple of Collection
        To be made, or chains to be set; children before the chains that hold them.
    gone_collections : tuple of str
        To be removed.
    new_records, changed_records, gone_records : mapping of str to Columns
        Element to records; of those that go, to their keys.
    new_datasets : tuple of DatasetBatch
        With absolute URIs.
    changed_artifacts : Columns
        `registry.model.records.ARTIFACT` of datasets whose content is another upstream.
    gone_datasets : sequence of bytes
        Ids.
    members : Members
        What TAGGED and CALIBRATION collections are to hold.
    baselines, forgotten : Columns
        ``kind, key, digest`` of what is upstream now, and ``kind, key`` of what is known no more.
    files : tuple of str
        The campaign's own copies of what goes or changes, relative to its datastore's root.
    """

    dataset_types: tuple[DatasetType, ...] = ()
    new_collections: tuple[Collection, ...] = ()
    gone_collections: tuple[str, ...] = ()
    new_records: Mapping[str, Columns] = field(default_factory=dict)
    changed_records: Mapping[str, Columns] = field(default_factory=dict)
    gone_records: Mapping[str, Columns] = field(default_factory=dict)
    new_datasets: tuple[DatasetBatch, ...] = ()
    changed_artifacts: Columns = field(default_factory=lambda: Columns({"id": []}))
    gone_datasets: Sequence[bytes] = ()
    members: Members = field(default_factory=Members)
    baselines: Columns = field(default_factory=lambda: _NO_KEYS)
    forgotten: Columns = field(default_factory=lambda: _NO_KEYS)
    files: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write and no file to remove."""
        numbers = [c.n_rows for c in (self.changed_artifacts, self.baselines, self.forgotten)]
        rows = (
            self.dataset_types, self.new_collections, self.gone_collections, self.new_records, self.changed_records,
            self.gone_records, self.new_datasets, self.gone_datasets, self.files, *numbers,
        )  # fmt: skip
        return not any(rows) and self.members.is_empty


@dataclass(frozen=True, eq=False)
class PullPlan:
    """What a pull would do.

    Parameters
    ----------
    rows : Rows
        What becomes of staging.
    counts : mapping
        Kind to class to number; classes are ``same``, ``new``, ``taken``, ``removed``, ``kept``, ``kept as used`` and
        ``conflict``.
    differences : tuple of Difference
        What is not the same, of each kind and action the first thousand.
    notes : tuple of Note
        What else there is to know.
    conflicts : tuple of Conflict
        What both sides have changed, and no policy resolves; any refuses the pull.
    moved_on : sequence of bytes
        Datasets that quanta have read as they are here, and that upstream has changed or removed since.
    unfinished : mapping of bytes to sequence of str
        Files that an earlier pull, which was killed, was to remove; by its id.
    """

    rows: Rows
    counts: Counts
    differences: tuple[Difference, ...] = ()
    notes: tuple[Note, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    moved_on: Sequence[bytes] = ()
    unfinished: Mapping[bytes, Sequence[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether staging stays as it is."""
        return self.rows.is_empty and not self.conflicts and not self.unfinished

    @property
    def is_settled(self) -> bool:
        """Whether both sides have the same of all that was fetched: then at most that is noted."""
        seen = {what for classes in self.counts.values() for what, n in classes.items() if n}
        return seen <= {"same"} and not (self.conflicts or self.unfinished or self.changes_what_is_read)

    @property
    def changes_what_is_read(self) -> bool:
        """Whether records, datasets or what a search finds are others afterwards: a graph may have to be built again."""
        rows = self.rows
        changed = (
            rows.new_collections, rows.gone_collections, rows.changed_records, rows.gone_records, rows.gone_datasets,
            rows.new_datasets, rows.changed_artifacts.n_rows,
        )  # fmt: skip
        return any(changed) or not rows.members.is_empty

    def to_document(self) -> dict[str, Any]:
        """Return the plan's facts, without its rows, as JSON-like values.

        Returns
        -------
        dict
            ``counts``, ``differences``, ``notes``, ``conflicts``, ``moved_on`` and ``is_empty``.
        """
        return {
            "counts": {kind: dict(classes) for kind, classes in self.counts.items()},
            "differences": [vars(d) for d in self.differences],
            "notes": [vars(note) for note in self.notes],
            "conflicts": [{**vars(c), "about": dict(c.about)} for c in self.conflicts],
            "moved_on": [id_text(i) for i in self.moved_on],
            "is_empty": self.is_empty,
        }
