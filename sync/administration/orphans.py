"""Orphans: files in a datastore that no row of its registry names, as killed writers leave them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry import keeping
from sync.administration.prune import remove_files
from sync.filesystem import files, local_files, remote_files
from sync.filesystem.file_errors import worded

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["DEFAULT_AGE_S", "OrphanPlan", "execute_orphans", "plan_orphans"]

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
    orphans = [(name, size, changed) for name, size, changed in found if name not in known]
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
        Open.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    int
        Files removed.

    Raises
    ------
    StorageError
        If some cannot be removed; all others are.
    """
    known = _named(repo)
    gone = [uri for uri in plan.uris if uri not in known]
    remove_files(repo, gone, on_progress)
    return len(gone)


def _named(repo: Repo) -> set[str]:
    """Return the files that rows name, relative to the datastore's root."""
    with repo.registry.read() as snapshot:
        uris = keeping.artifact_uris(snapshot)
    named = {uri for uri in uris if not files.is_absolute(uri)}
    roots = {repo.datastore.root.rstrip("/") + "/"}
    local = files.local_path(repo.datastore.root)
    if local is not None:
        roots.add(os.path.realpath(local) + "/")
    for uri in uris:
        # A file that was registered where it lies may lie in here.
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
            # Linking a file changes the one time, writing it the other.
            yield name, told.st_size, max(told.st_mtime, told.st_ctime)
