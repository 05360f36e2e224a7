"""The check of one repository: what is wrong with its rows and its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from registry.errors import StageError
from registry.integrity import artifacts_recorded
from sync.administration.orphans import DEFAULT_AGE_S, named_files
from sync.filesystem import files
from sync.fsck.artifacts import Listing, check_bytes, check_presence, left_over, listing_of, rows_of
from sync.fsck.database import check_database, finding_of
from sync.fsck.findings import Depth, Finding, FsckPlan
from sync.unstoring import unrecorded

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["plan_fsck"]


def plan_fsck(
    place: str,
    opening: Callable[[], AbstractContextManager[Repo]],
    *,
    depth: Depth = "default",
    older_than_s: float = DEFAULT_AGE_S,
    awaited: Callable[[Collection[str]], Collection[str]] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FsckPlan:
    """Find what is wrong with a repository, without changing anything.

    Parameters
    ----------
    place : str
        What it is called.
    opening : callable
        Opens it; read access is enough. What keeps it from being opened may be a finding.
    depth : {"fast", "default", "full"}, optional
        ``fast``: rows, and whether files are there with their size; ``default``: indexes too; ``full``: every byte.
    older_than_s : float, optional
        Files that no row names count as left over when they were not touched for so long, in seconds.
    awaited : callable, optional
        Returns those of some such files whose rows are still to come, as of jobs that nobody has merged.
    on_progress : callable, optional
        Called with the numbers of bytes read and in all.

    Returns
    -------
    FsckPlan
        With every finding; `sync.fsck.repair.execute_repair` acts on it.

    Raises
    ------
    NotFoundError
        If there is no such repository.
    StorageError
        If it cannot be reached, or its files cannot be listed.
    """
    with ExitStack() as stack:
        try:
            repo = stack.enter_context(opening())
        except StageError as exc:
            return FsckPlan(place, depth, (finding_of(exc, place),)).with_findings(())
        found = check_database(repo, depth)
        if any(f.code in {"hot-journal", "check-unfinished"} for f in found):
            return FsckPlan(place, depth, ()).with_findings(found)
        files_found, checked, n_young = _check_files(repo, depth, older_than_s, awaited, on_progress)
    return FsckPlan(place, depth, (), checked, n_young).with_findings([*found, *files_found])


def _check_files(
    repo: Repo,
    depth: Depth,
    older_than_s: float,
    awaited: Callable[[Collection[str]], Collection[str]] | None,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[list[Finding], dict[str, int], int]:
    root = repo.datastore.root
    listing = listing_of(root)
    try:
        with repo.registry.read() as snapshot:
            recorded = artifacts_recorded(snapshot)
    except StageError as exc:
        # Nobody knows then which files are named: nothing may be called left over.
        return [finding_of(exc, str(repo.registry))], {"files": len(listing.sizes)}, 0
    rows, escaping = rows_of(recorded, root)
    out = [Finding("path-escape", files.redact(root), tuple(sorted(escaping)))] if escaping else []
    found, there = check_presence(rows, listing)
    out = _joined([*out, *found])
    checked = {"artifacts": recorded.n_rows, "files": len(listing.sizes)}
    if depth == "full":
        damaged, checked["bytes"] = check_bytes(there, root, on_progress)
        out += damaged
    left, n_young = _left_over(listing, recorded["uri"].tolist(), older_than_s, awaited)
    return [*out, *_told_apart(repo, left)], checked, n_young


def _joined(found: list[Finding]) -> list[Finding]:
    out: dict[tuple[str, str], Finding] = {}
    for f in found:
        before = out.get((f.code, f.where))
        out[f.code, f.where] = f if before is None else Finding(f.code, f.where, (*before.items, *f.items))
    return list(out.values())


def _left_over(
    listing: Listing,
    uris: list[str],
    older_than_s: float,
    awaited: Callable[[Collection[str]], Collection[str]] | None,
) -> tuple[list[Finding], int]:
    latest = time.time() - older_than_s
    orphans, parts, n_young = left_over(listing, named_files(uris, listing.root), latest)
    if awaited is not None and orphans:
        kept = set(awaited(orphans))
        n_young += len(kept)
        orphans = [name for name in orphans if name not in kept]
    where = files.redact(listing.root)
    both = (("orphan-file", orphans), ("part-file", parts))
    return [Finding(code, where, tuple(names)) for code, names in both if names], n_young


def _told_apart(repo: Repo, left: list[Finding]) -> list[Finding]:
    """Take out of the files that are left over those whose datasets are on record: no repair may remove them."""
    orphans = [name for f in left if f.code == "orphan-file" for name in f.items]
    if not orphans:
        return left
    try:
        with repo.registry.read() as snapshot:
            kept = dict.fromkeys(unrecorded(snapshot, orphans))
    except StageError as exc:
        return [finding_of(exc, str(repo.registry)), *(f for f in left if f.code != "orphan-file")]
    if not kept:
        return left
    where = files.redact(repo.datastore.root)
    rest = [Finding(f.code, f.where, tuple(n for n in f.items if n not in kept)) for f in left]
    return [Finding("artifact-unrecorded", where, tuple(kept)), *(f for f in rest if f.items)]
