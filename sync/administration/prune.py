"""Pruning: removing chosen datasets, or their files alone, or files that no row names.

A plan is made first and can be read; carrying it out deletes rows in one transaction, then files. A process that dies
between the two leaves files that no row names, which the next pruning of orphans finds. No file outside the
datastore's root is ever removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from registry import keeping
from registry.errors import ConflictError, StageError, StorageError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from sync.unstoring import note_unstoring

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = [
    "PruneMode",
    "PrunePlan",
    "PruneResult",
    "execute_prune",
    "plan_prune",
    "remove_files",
    "split_uris",
]

PruneMode = Literal["unstore", "purge"]
_THREADS = 8
_BATCH = 256
_SHOWN = 5
_WANTED = ("id", "run", "uri", "size")


@dataclass(frozen=True)
class PrunePlan:
    """What a pruning would remove.

    Parameters
    ----------
    mode : {"unstore", "purge"}
        Files and their records only, or the datasets too.
    counts : sequence of (str, str, int, int)
        Dataset type, RUN, number of datasets, bytes of their files.
    held_by : mapping of str to int
        Collections that were not chosen and hold some of the datasets, with how many.
    ids : sequence of bytes
        The datasets.
    uris : sequence of str
        Their files inside the datastore.
    n_outside : int
        Files of theirs that lie elsewhere; those stay.
    searched : frozenset of str
        The collections that were chosen, chains expanded.
    """

    mode: PruneMode
    counts: Sequence[tuple[str, str, int, int]]
    held_by: Mapping[str, int]
    ids: Sequence[bytes] = field(repr=False)
    uris: Sequence[str] = field(repr=False)
    n_outside: int = 0
    searched: frozenset[str] = frozenset()

    @property
    def n_datasets(self) -> int:
        """Number of datasets."""
        return len(self.ids)

    @property
    def size_bytes(self) -> int:
        """Bytes of the files."""
        return sum(size for *_, size in self.counts)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            Counts, not the datasets one by one.
        """
        names = ("dataset_type", "run", "n", "size")
        return {
            "mode": self.mode,
            "datasets": self.n_datasets,
            "files": len(self.uris),
            "size_bytes": self.size_bytes,
            "files_outside": self.n_outside,
            "held_by": dict(self.held_by),
            "counts": [dict(zip(names, row, strict=True)) for row in self.counts],
        }


@dataclass(frozen=True)
class PruneResult:
    """What a pruning removed.

    Parameters
    ----------
    datasets : int
        Datasets whose rows are gone, or with ``unstore`` whose artifact records are.
    files : int
        Files that are gone.
    kept : int
        Files that stay since other datasets name them too.
    """

    datasets: int
    files: int
    kept: int = 0


def plan_prune(
    repo: Repo,
    collections: Sequence[str] = (),
    *,
    dataset_types: Sequence[str] = (),
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    mode: PruneMode = "purge",
) -> PrunePlan:
    """Choose datasets to remove, without writing anywhere.

    Parameters
    ----------
    repo : Repo
        Open; read access is enough.
    collections : sequence of str, optional
        Collections that hold them, patterns allowed, chains expanded; all RUNs by default.
    dataset_types : sequence of str, optional
        Patterns of their types; all by default.
    where : str, optional
        An expression that their data IDs fulfil.
    bind : mapping, optional
        Values for names in `where`.
    mode : {"unstore", "purge"}, optional
        What is to go: files and their records, or the datasets too.

    Returns
    -------
    PrunePlan
        With other collections that hold some of them; `execute_prune` refuses those unless told.

    Raises
    ------
    UsageError
        If nothing is chosen, or `where` is not understood for any of the dataset types.
    NotFoundError
        If a collection or dataset type that is named does not exist.
    """
    if not (collections or dataset_types or where):
        raise UsageError(
            "nothing says which datasets are to go", code="prune-everything",
            hint="Name collections, dataset types or a condition; '*' is all collections.",
        )  # fmt: skip
    with repo.registry.read() as snapshot:
        searched = snapshot.search_path(list(collections)) if collections else _all_runs(snapshot)
        found = {
            name: _chosen(snapshot, name, searched, where, bind) for name in _types(snapshot, dataset_types)
        }
        ids = [i for rows in found.values() for i in rows["id"].tolist()]
        held = keeping.holders(snapshot, ids) if ids else {}
    chosen = frozenset(searched)
    here, outside = split_uris([u for rows in found.values() for u in rows["uri"].tolist() if u is not None])
    return PrunePlan(
        mode, _counts(found), {n: k for n, k in held.items() if n not in chosen}, ids, here, outside, chosen
    )


def execute_prune(
    plan: PrunePlan,
    repo: Repo,
    *,
    even_held: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> PruneResult:
    """Remove what a plan names: rows in one transaction, then files.

    Parameters
    ----------
    plan : PrunePlan
        From `plan_prune` on the same repository.
    repo : Repo
        Open to write.
    even_held : bool, optional
        Whether datasets go that other collections hold too; they leave those as well.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    PruneResult
        What went.

    Raises
    ------
    ConflictError
        If other collections hold some of the datasets and `even_held` is false. Nothing was removed.
    StorageError
        If files cannot be removed: their rows are gone already, and a pruning of orphans finds them.
    """
    if not plan.ids:
        return PruneResult(0, 0)

    def refuse(held: Mapping[str, int]) -> None:
        others = {name: n for name, n in held.items() if name not in plan.searched}
        if others and not even_held:
            raise _held(others)

    with repo.registry.write() as change:
        n_rows, shared = keeping.remove(
            change, plan.ids, plan.uris, purge=plan.mode == "purge", refuse=refuse
        )
        if plan.mode == "unstore" and plan.uris:
            unstoring = note_unstoring(change, sorted({run for _, run, *_ in plan.counts}))
    gone = [uri for uri in plan.uris if uri not in shared]
    remove_files(repo, gone, on_progress)
    if plan.mode == "unstore" and plan.uris:
        with repo.registry.write() as change:
            change.delete_rows("journal", operation=unstoring)
    return PruneResult(n_rows, len(gone), len(plan.uris) - len(gone))


def remove_files(
    repo: Repo, uris: Sequence[str], on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Remove files of a datastore that no row names, and the directories that are empty then.

    Parameters
    ----------
    repo : Repo
        The repository.
    uris : sequence of str
        Paths relative to the datastore's root.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Raises
    ------
    StorageError
        If some cannot be removed; all others are.
    """
    failed: dict[str, StageError] = {}

    def remove(part: Sequence[str]) -> int:
        for uri in part:
            try:
                repo.datastore.remove(uri)
            except StageError as exc:
                failed[uri] = exc
        return len(part)

    parts = [uris[i : i + _BATCH] for i in range(0, len(uris), _BATCH)]
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for n in pool.map(remove, parts):
            done += n
            if on_progress is not None:
                on_progress(done, len(uris))
    for folder in {uri.rpartition("/")[0] for uri in uris if uri not in failed} - {""}:
        repo.datastore.prune(f"{folder}/x")
    if failed:
        raise StorageError(
            f"{len(failed):,} of {len(uris):,} files could not be removed ({next(iter(failed.values())).message}); no row names them any more",
            code="files-left",
            hint="Mend that, and run 'stage repo prune --orphans'.",
        )


def _all_runs(snapshot: Snapshot) -> list[str]:
    return [c.name for c in snapshot.collections(types=[CollectionType.RUN])]


def _types(snapshot: Snapshot, globs: Sequence[str]) -> list[str]:
    known = [t.name for t in snapshot.dataset_types()]
    for glob in globs:
        if not any(c in glob for c in "*?["):
            snapshot.dataset_type(glob)
    return [n for n in known if not globs or any(fnmatchcase(n, g) for g in globs)]


def _chosen(
    snapshot: Snapshot, name: str, searched: Sequence[str], where: str, bind: Mapping[str, Any] | None
) -> Columns:
    rows = snapshot.datasets(name, searched, find_first=False, where=where, bind=bind, artifacts=True)
    rows = rows.select(_WANTED)
    if len(searched) == 1 and rows.n_rows == len(set(rows["id"].tolist())):
        return rows
    # A dataset may be in several of the collections, and in one of them for several spans of time.
    first = {i: row for row, i in reversed(list(enumerate(rows["id"].tolist())))}
    return rows.take(np.array(sorted(first.values()), np.intp))


def _counts(found: Mapping[str, Columns]) -> list[tuple[str, str, int, int]]:
    out: list[tuple[str, str, int, int]] = []
    for name, rows in found.items():
        runs, inverse = np.unique(rows["run"].astype(str), return_inverse=True)
        sizes = np.zeros(len(runs), np.int64)
        np.add.at(sizes, inverse, np.array([size or 0 for size in rows["size"].tolist()], np.int64))
        numbers = np.bincount(inverse, minlength=len(runs))
        out += zip([name] * len(runs), runs.tolist(), numbers.tolist(), sizes.tolist(), strict=True)
    return sorted(out)


def split_uris(uris: Sequence[str]) -> tuple[list[str], int]:
    """Tell files inside a datastore from others.

    Parameters
    ----------
    uris : sequence of str
        As they are recorded.

    Returns
    -------
    (list of str, int)
        Those relative to its root, each once, and the number of others.
    """
    # As `files.is_absolute` tells it, at a tenth of the cost; a colon elsewhere in a path is no scheme.
    outside = {uri for uri in uris if uri[0] == "/" or "://" in uri}
    here = dict.fromkeys(uris if not outside else (uri for uri in uris if uri not in outside))
    return list(here), len(outside)


def _held(held: Mapping[str, int]) -> ConflictError:
    shown = ", ".join(f"{name} ({n:,})" for name, n in list(held.items())[:_SHOWN])
    more = f" and {len(held) - _SHOWN} more collections" if len(held) > _SHOWN else ""
    return ConflictError(
        f"some of these datasets are in {shown}{more} too",
        code="datasets-held",
        hint="Choose those collections as well, or say --even-held.",
        context={"held_by": dict(held)},
    )
