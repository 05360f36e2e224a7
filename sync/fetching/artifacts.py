"""Fetching the files of datasets: what goes below a campaign's own datastore root, and how.

The bytes come first and are made durable; the rows that name them are written by whoever asked, in one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from registry.artifacts import artifacts_elsewhere
from registry.model.columns import Columns
from registry.model.records import ARTIFACT
from sync.errors import TransferError
from sync.faults import At, no_fault
from sync.fetching.binding import bind
from sync.fetching.inside import check_inside
from sync.fetching.modes import check_mode, try_mode
from sync.fetching.movers import Moved, move_all
from sync.fetching.places import Places
from sync.fetching.weaker import weaker_files
from sync.filesystem import files
from sync.filesystem.durable import flush
from sync.filesystem.file_errors import worded
from sync.filesystem.uris import local_text
from sync.found import below
from sync.plan import DatasetBatch, Note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.registry import Change
    from sync.found import Task
    from sync.repo import Repo

__all__ = ["ArtifactMode", "ArtifactPlan", "bring_artifacts", "plan_artifacts", "upstream_artifacts"]

ArtifactMode = Literal["direct", "link", "symlink", "copy"]
_SHOWN = 3
_NO_ROWS = Columns.from_rows(ARTIFACT, [])


@dataclass(frozen=True, eq=False)
class ArtifactPlan:
    """Which files would be fetched, and how.

    Parameters
    ----------
    mode : {"direct", "link", "symlink", "copy"}
        How; ``direct`` leaves them where they are.
    root : str
        Root of the campaign's own datastore.
    upstream : str
        Root of upstream's.
    batches : tuple of DatasetBatch
        The new datasets, with the URIs that they get.
    held : Columns
        Artifact records of datasets that staging has, with the URIs that they get.
    tasks : sequence of Task
        Name, where it is, where it goes, size and checksum of each file.
    notes : tuple of Note
        Files that cannot be fetched any more, and stay as they are.
    """

    mode: ArtifactMode
    root: str
    upstream: str
    batches: tuple[DatasetBatch, ...]
    held: Columns = field(default_factory=lambda: _NO_ROWS)
    tasks: Sequence[Task] = field(default=(), repr=False)
    notes: tuple[Note, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no file to fetch and no record to change."""
        return not self.tasks and not self.held.n_rows

    @property
    def size_bytes(self) -> int:
        """Bytes of the files."""
        return sum(task[3] for task in self.tasks)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            Counts, not the files one by one.
        """
        return {
            "mode": self.mode,
            "files": len(self.tasks),
            "size_bytes": self.size_bytes,
            "held": self.held.n_rows,
            "notes": [vars(note) for note in self.notes],
        }

    def write(self, tx: Change) -> None:
        """Let the records of what staging has refer to the files that were fetched.

        Parameters
        ----------
        tx : Change
            The transaction that writes the new datasets too.
        """
        if self.held.n_rows:
            tx.insert_artifacts(self.held)


def plan_artifacts(
    batches: Iterable[DatasetBatch],
    upstream: Repo,
    staging: Repo,
    mode: ArtifactMode,
    *,
    held: Sequence[bytes] | None = (),
) -> ArtifactPlan:
    """Decide which files have to be fetched, without writing anywhere.

    Parameters
    ----------
    batches : iterable of DatasetBatch
        New datasets, with absolute URIs.
    upstream, staging : Repo
        Open; read access is enough.
    mode : {"direct", "link", "symlink", "copy"}
        How.
    held : sequence of bytes or None, optional
        Datasets that staging has, whose files are to come too if they are upstream's still; None for all, and then also
        those that are gone here, or are links where `mode` wants more.

    Returns
    -------
    ArtifactPlan
        What there is to do.

    Raises
    ------
    UsageError
        If the mode cannot work here; says which would.
    """
    new = tuple(batches)
    root, places = staging.datastore.root, Places(upstream.datastore.root)
    if mode == "direct":
        return ArtifactPlan(mode, root, places.upstream, new)
    rows, gone = _held(upstream, staging, held, mode)
    sources = rows["uri"].tolist()
    tasks = _tasks(rows, sources, places, root)
    kept = rows.with_column("uri", _texts([task[0] for task in tasks]))
    named = []
    for batch in new:
        there = batch.rows["uri"] != np.array(None)
        chosen = batch.rows.take(there)
        some = _tasks(chosen, chosen["uri"].tolist(), places, root)
        uris = batch.rows["uri"].copy()
        uris[there] = [task[0] for task in some]
        named.append(DatasetBatch(batch.dataset_type, batch.run, batch.rows.with_column("uri", uris)))
        tasks += some
    check_mode(mode, [task[1] for task in tasks], root)
    notes = []
    if gone:
        notes.append(
            Note(
                "artifact-gone",
                f"{gone:,} files are no longer upstream's as they were recorded; they stay as they are",
            )
        )
    return ArtifactPlan(mode, root, places.upstream, tuple(named), kept, tasks, tuple(notes))


def _held(
    upstream: Repo, staging: Repo, ids: Sequence[bytes] | None, mode: ArtifactMode
) -> tuple[Columns, int]:
    """Return the records of what staging has with URIs of where upstream has it now, and how many it has not."""
    if ids is not None and not len(ids):
        return _NO_ROWS, 0
    with staging.registry.read() as ours:
        rows = artifacts_elsewhere(ours, ids)
        if ids is None:
            rows = Columns.concat([rows, weaker_files(ours, staging.datastore.root, mode)])
    if not rows.n_rows:
        return rows, 0
    theirs = upstream_artifacts(upstream, rows["id"].tolist())
    ours_all = zip(*(rows[n].tolist() for n in ("id", "size", "checksum")), strict=True)
    uris = [_same(theirs.get(i), size, checksum) for i, size, checksum in ours_all]
    there = np.array([uri is not None for uri in uris], dtype=np.bool_)
    found = rows.with_column("uri", _texts(uris)).take(there)
    return found, rows.n_rows - found.n_rows


def _same(theirs: tuple[str, int, str] | None, size: int, checksum: str) -> str | None:
    return theirs[0] if theirs is not None and theirs[1:] == (size, checksum) else None


def upstream_artifacts(upstream: Repo, ids: Sequence[bytes]) -> Mapping[bytes, tuple[str, int, str]]:
    """Return what upstream records of artifacts.

    Parameters
    ----------
    upstream : Repo
        Open.
    ids : sequence of bytes
        Of which datasets.

    Returns
    -------
    mapping of bytes to (str, int, str)
        Dataset to place (absolute), size and checksum; those without a record are absent.
    """
    with upstream.registry.read() as snapshot:
        found = snapshot.datasets_by_id(ids, artifacts=True)
    out: dict[bytes, tuple[str, int, str]] = {}
    for named in found.values():
        rows = named.take(named["uri"] != np.array(None))
        places = below(upstream.datastore.root, rows["uri"].tolist())
        out.update(
            zip(rows["id"].tolist(), zip(places, rows["size"].tolist(), rows["checksum"].tolist(), strict=True), strict=True)
        )  # fmt: skip
    return out


def _tasks(rows: Columns, sources: Sequence[str], places: Places, root: str) -> list[Task]:
    names = places.names(sources)
    targets = below(local_text(root) or root, names)
    read_at = [local_text(source) or source for source in sources]
    return list(zip(names, read_at, targets, rows["size"].tolist(), rows["checksum"].tolist(), strict=True))


def _texts(values: Sequence[str | None]) -> np.ndarray[Any, Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def bring_artifacts(
    plan: ArtifactPlan, *, at: At = no_fault, on_progress: Callable[[int, int], None] | None = None
) -> Moved:
    """Fetch the files of a plan; they are durable when this returns, and no row names them yet.

    Parameters
    ----------
    plan : ArtifactPlan
        From `plan_artifacts`.
    at : callable
        Called between durable steps, with the step's name.
    on_progress : callable, optional
        Called with the numbers done and in all, in the calling thread.

    Returns
    -------
    Moved
        What was fetched, and what was there already.

    Raises
    ------
    TransferError
        If some did not arrive; what has arrived stays, and is found by the next try.
    StorageError
        If the disk is full, or the system cannot promise to keep what was written.
    """
    total, tally = len(plan.tasks), Moved()
    if plan.mode == "direct" or not total:
        return tally
    check_inside((task[0] for task in plan.tasks), plan.root)
    try_mode(plan.mode, [plan.tasks[0][1]], plan.root)
    # Before the first file: who finds one has to know what it is.
    bind(plan.root, upstream=plan.upstream, is_local=True)
    at("bound")
    is_remote = not files.is_local(plan.root) or any("://" in task[1] for task in plan.tasks)
    for part in move_all(plan.tasks, plan.mode, is_remote=is_remote):
        tally.add(part)
        at("artifacts-moving")
        if on_progress is not None:
            on_progress(len(tally.moved) + len(tally.same) + len(tally.failed), total)
    at("artifacts-moved")
    if tally.failed:
        raise _not_fetched(tally, total)
    root = files.local_path(plan.root)
    if root is not None:
        with worded(plan.root, "flush"):
            # Also what was there: whoever put it there may have been killed before it was durable.
            flush((*tally.moved, *tally.same), os.fspath(root))
    at("artifacts-durable")
    return tally


def _not_fetched(tally: Moved, total: int) -> TransferError:
    failed = tally.failed
    shown = "\n  ".join(map(str, failed[:_SHOWN]))
    more = f"\n  and {len(failed) - _SHOWN:,} more" if len(failed) > _SHOWN else ""
    return TransferError(
        f"{len(failed):,} of {total:,} files could not be fetched:\n  {shown}{more}",
        code="artifacts-not-fetched",
        hint="Nothing was recorded. What has arrived stays: the same command again fetches only the rest.",
        result=tally,
    )
