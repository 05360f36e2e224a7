"""Orphans: files in a datastore that no row of its registry names, as killed writers leave them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry import keeping
from sync.filesystem import files, local_files, remote_files
from sync.filesystem.file_errors import worded
from sync.outputs import claimed_roots
from sync.pushing.removing import BATCH, remove_unnamed
from sync.withdrawals import note_removal

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["DEFAULT_AGE_S", "OrphanPlan", "execute_orphans", "named_files", "plan_orphans"]

DEFAULT_AGE_S = 86_400.0
"""A push puts files in place before it writes the rows that name them: younger files may be of one that goes on."""


@dataclass(frozen=True)
class OrphanPlan:
    """Files that no row names.

    Parameters
    ----------
    uris : sequence of str
        Their paths relative to the datastore's root, sorted.
    size_bytes : int
        Bytes of them.
    n_young : int
        Further ones that are too young to be taken for left over.
    """

    uris: Sequence[str] = field(repr=False)
    size_bytes: int
    n_young: int

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            Counts and paths.
        """
        return {
            "mode": "orphans",
            "files": len(self.uris),
            "size_bytes": self.size_bytes,
            "young": self.n_young,
            "paths": list(self.uris),
        }


def plan_orphans(repo: Repo, *, older_than_s: float = DEFAULT_AGE_S) -> OrphanPlan:
    """Find files that no row names, without changing anything.

    Parameters
    ----------
    repo : Repo
        Open; read access is enough.
    older_than_s : float, optional
        Only files that were not touched for so long, in seconds.

    Returns
    -------
    OrphanPlan
        What there is.

    Raises
    ------
    StorageError
        If the datastore cannot be listed.
    """
    # Files first: one that is named between the two questions is then seen to be named.
    found = list(_details(repo.datastore.root))
    known = _named(repo)
    latest = time.time() - older_than_s
    campaigns = claimed_roots(name for name, _, _ in found)
    orphans = [
        (name, size, changed)
        for name, size, changed in found
        if name not in known and not (campaigns and name.startswith(campaigns))
    ]
    old = sorted((name, size) for name, size, changed in orphans if changed <= latest)
    return OrphanPlan([name for name, _ in old], sum(size for _, size in old), len(orphans) - len(old))


def execute_orphans(
    plan: OrphanPlan, repo: Repo, *, on_progress: Callable[[int, int], None] | None = None
) -> int:
    """Remove the files of a plan that are still named by no row.

    Parameters
    ----------
    plan : OrphanPlan
        From `plan_orphans` on the same repository.
    repo : Repo
        Open to write.
    on_progress : callable, optional
        Called with the numbers of files looked at and in all.

    Returns
    -------
    int
        Files removed.

    Raises
    ------
    StorageError
        If one cannot be removed; those before it are.

    Notes
    -----
    Each goes while nobody can publish a row that names it. A push that has moved one, or found it in place, looks for it
    again before its commit, since it is said beforehand that files go.
    """
    if not plan.uris:
        return 0
    done = 0

    def tell(_name: str) -> None:
        nonlocal done
        done = min(done + BATCH, len(plan.uris))
        if on_progress is not None:
            on_progress(done, len(plan.uris))

    with repo.registry.write() as change:
        note_removal(change)
    return remove_unnamed(repo, plan.uris, at=tell)[0]


def _named(repo: Repo) -> set[str]:
    """Return the files that rows name, relative to the datastore's root."""
    with repo.registry.read() as snapshot:
        uris = keeping.artifact_uris(snapshot)
    return named_files(uris, repo.datastore.root)


def named_files(uris: Sequence[str], datastore_root: str) -> set[str]:
    """Return the files of a datastore that rows name.

    Parameters
    ----------
    uris : sequence of str
        As the rows have them; a file that was registered where it lies may lie in here.
    datastore_root : str
        The datastore's root.

    Returns
    -------
    set of str
        Paths relative to the root.
    """
    named = {uri for uri in uris if not files.is_absolute(uri)}
    roots = {datastore_root.rstrip("/") + "/"}
    local = files.local_path(datastore_root)
    if local is not None:
        roots.add(os.path.realpath(local) + "/")
    for uri in uris:
        if files.is_absolute(uri):
            path = files.absolute(uri)
            named |= {path.removeprefix(root) for root in roots if path.startswith(root)}
    return named


def _details(root: str) -> Iterator[tuple[str, int, float]]:
    """Yield path, bytes and last change of each file below a root, also of those that were being written aside."""
    path = files.local_path(root)
    with worded(root, "list"):
        if path is None:
            yield from remote_files.details(root)
            return
        for name in local_files.walk(str(path)):
            try:
                told = (path / name).lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISLNK(told.st_mode) and (path / name).is_dir():
                continue  # files that rows name may lie behind it
            # Linking a file changes the one time, writing it the other.
            yield name, told.st_size, max(told.st_mtime, told.st_ctime)
