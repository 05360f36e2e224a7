"""Freeing local artifacts that upstream holds: plan, then execute.

A file may go when upstream has a record of the same dataset with the same size and checksum, and the file of that
record is there with that size. Rows first: from the moment that they are committed they refer to upstream's files, and
what a process that dies then leaves here is named by no row, and goes with the next drop. Nothing but names below the
datastore's own root is removed; a symbolic link is removed, never followed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.artifacts import artifacts_of_runs
from registry.model.columns import Columns
from registry.model.records import ARTIFACT
from sync.faults import At, no_fault
from sync.fetching.artifacts import upstream_artifacts
from sync.fetching.binding import bind
from sync.fetching.inside import check_inside
from sync.fetching.kept import Candidate, Kept, Named, judge
from sync.fetching.movers import each_chunk
from sync.fetching.places import Places
from sync.filesystem import files, local_files
from sync.filesystem.file_errors import worded

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["DropPlan", "DropResult", "execute_drop", "plan_drop"]

_BATCH = 256


@dataclass(frozen=True, eq=False)
class DropPlan:
    """Which files would go, and which stay.

    Parameters
    ----------
    upstream : str
        Root of upstream's datastore.
    rows : Columns
        `registry.model.records.ARTIFACT` of datasets whose records will refer to upstream's files.
    names : sequence of str
        The files that go, relative to the datastore's root.
    counts : sequence of (str, str, int, int)
        Dataset type, RUN, number of files and bytes of what goes.
    kept : sequence of Kept
        What stays, by reason.
    shared_bytes : int
        Bytes of files that have another name elsewhere (hard links): their room is not freed.
    """

    upstream: str
    rows: Columns
    names: Sequence[str] = field(repr=False)
    counts: Sequence[tuple[str, str, int, int]]
    kept: Sequence[Kept] = ()
    shared_bytes: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would go."""
        return not self.names and not self.rows.n_rows

    @property
    def size_bytes(self) -> int:
        """Bytes of the files that go."""
        return sum(size for *_, size in self.counts)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            Counts, not the files one by one.
        """
        names = ("dataset_type", "run", "n", "size")
        return {
            "files": len(self.names),
            "size_bytes": self.size_bytes,
            "shared_bytes": self.shared_bytes,
            "counts": [dict(zip(names, row, strict=True)) for row in self.counts],
            "kept": [vars(kept) for kept in self.kept],
        }


@dataclass(frozen=True)
class DropResult:
    """What a drop removed.

    Parameters
    ----------
    files : int
        Files that are gone.
    size_bytes : int
        Their bytes.
    """

    files: int = 0
    size_bytes: int = 0


def plan_drop(
    staging: Repo,
    upstream: Repo,
    runs: Sequence[str],
    *,
    inputs_beside: Sequence[str] | None = None,
    dataset_types: Sequence[str] = (),
    unfinished: Mapping[str, str] | None = None,
    verify: bool = False,
) -> DropPlan:
    """Choose files that can go, without writing anywhere.

    Parameters
    ----------
    staging, upstream : Repo
        Open; read access is enough.
    runs : sequence of str
        RUNs whose files are asked about.
    inputs_beside : sequence of str, optional
        RUNs that are the campaign's own: the files of all others are asked about too.
    dataset_types : sequence of str, optional
        Globs of dataset types; all by default.
    unfinished : mapping of str to str, optional
        RUNs whose files have to stay, and why.
    verify : bool, optional
        Whether upstream's bytes are read and compared.

    Returns
    -------
    DropPlan
        What would go, and what stays and why.

    Raises
    ------
    NotFoundError
        If there is no such RUN.
    StorageError
        If upstream's files cannot be asked for.
    """
    with staging.registry.read() as snapshot:
        parts = [artifacts_of_runs(snapshot, runs)] if runs else []
        if inputs_beside is not None:
            parts.append(artifacts_of_runs(snapshot, inputs_beside, others=True))
    rows = Columns.concat(parts) if parts else Columns.from_rows((*ARTIFACT, "dataset_type", "run"), [])
    if dataset_types and rows.n_rows:
        known = set(rows["dataset_type"].tolist())
        wanted = {name for name in known if any(fnmatchcase(name, glob) for glob in dataset_types)}
        rows = rows.take(np.array([name in wanted for name in rows["dataset_type"].tolist()], dtype=np.bool_))
    places = Places(upstream.datastore.root)
    theirs = upstream_artifacts(upstream, rows["id"].tolist()) if rows.n_rows else {}
    candidates = [Candidate(*row) for row in rows.rows((*ARTIFACT, "dataset_type", "run"))]
    free, kept = judge(candidates, theirs, staging.datastore.root, places, unfinished or {}, verify=verify)
    return _plan(places.upstream, free, kept, theirs)


def _plan(
    upstream: str, free: Sequence[Named], kept: Sequence[Kept], theirs: Mapping[bytes, tuple[str, int, str]]
) -> DropPlan:
    counts: dict[tuple[str, str], list[int]] = {}
    for one in free:
        count = counts.setdefault((one.found.dataset_type, one.found.run), [0, 0])
        count[0] += 1
        count[1] += one.found.size
    moved = [
        (one.found.id, theirs[one.found.id][0], one.found.size, one.found.checksum, one.found.formatter)
        for one in free
        if not one.is_theirs
    ]
    return DropPlan(
        upstream,
        Columns.from_rows(ARTIFACT, moved),
        [one.name for one in free],
        [(kind, run, n, size) for (kind, run), (n, size) in sorted(counts.items())],
        tuple(kept),
        sum(one.found.size for one in free if one.links > 1),
    )


def execute_drop(
    plan: DropPlan,
    staging: Repo,
    *,
    at: At = no_fault,
    on_progress: Callable[[int, int], None] | None = None,
) -> DropResult:
    """Let records refer to upstream's files, then remove ours.

    Parameters
    ----------
    plan : DropPlan
        From `plan_drop`.
    staging : Repo
        Open for writing; nobody else changes its records.
    at : callable
        Called between durable steps, with the step's name.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    DropResult
        What is gone.

    Raises
    ------
    UsageError
        If a file is not below the datastore's root; nothing was touched.
    StorageError
        If one cannot be removed; the same again goes on.
    """
    if plan.is_empty:
        return DropResult()
    root = staging.datastore.root
    check_inside(plan.names, root)
    # First of all: from here on, who misses a file looks for it upstream.
    bind(root, upstream=plan.upstream, is_dropped=True)
    at("bound")
    if plan.rows.n_rows:
        with staging.registry.write() as tx:
            tx.insert_artifacts(plan.rows)
            at("rows-written")
        at("committed")
    done = 0

    def remove(part: Sequence[str]) -> int:
        for name in part:
            files.remove(files.join(root, name), missing_ok=True)
        return len(part)

    for n in each_chunk(remove, plan.names, chunk=_BATCH, waits=not files.is_local(root)):
        done += n
        at("files-going")
        if on_progress is not None:
            on_progress(done, len(plan.names))
    _prune(plan.names, root)
    at("files-gone")
    return DropResult(done, plan.size_bytes)


def _prune(names: Sequence[str], root: str) -> None:
    """Remove the directories that are empty now, the deepest first."""
    own = files.local_path(root)
    if own is not None:
        with worded(root, "tidy"):
            for folder in sorted({name.rpartition("/")[0] for name in names}, key=len, reverse=True):
                local_files.prune_empty(os.path.join(own, folder), str(own))  # noqa: PTH118
