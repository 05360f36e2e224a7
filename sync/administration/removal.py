"""Removing collections with the files of the datasets that go with them: plan, then execute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError
from registry.model.collections import Collection, CollectionType
from sync.administration.prune import remove_files, split_uris

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["Removal", "RemovalPlan", "RemovalResult", "execute_removal", "plan_removal"]

_ORDER = (
    CollectionType.CHAINED, CollectionType.TAGGED, CollectionType.CALIBRATION, CollectionType.RUN,
)  # fmt: skip
"""What refers to others goes before them."""


@dataclass(frozen=True)
class Removal:
    """One collection that is to go.

    Parameters
    ----------
    name : str
        Its name.
    type : str
        What it is.
    datasets : int
        Datasets that it holds; those of a RUN go with it.
    chains : tuple of str
        Chains that search it, and stay.
    held_by : mapping of str to int
        Collections that stay and hold datasets of it, with how many.
    """

    name: str
    type: str
    datasets: int
    chains: tuple[str, ...]
    held_by: Mapping[str, int]


@dataclass(frozen=True)
class RemovalPlan:
    """What a removal would take away.

    Parameters
    ----------
    collections : tuple of Removal
        In the order in which they go.
    unlink, purge : bool
        Whether they leave the chains that search them; whether their datasets leave the collections that hold them.
    """

    collections: tuple[Removal, ...]
    unlink: bool = False
    purge: bool = False

    @property
    def n_datasets(self) -> int:
        """Number of datasets that go."""
        return sum(c.datasets for c in self.collections if c.type == CollectionType.RUN.name)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return asdict(self)


@dataclass(frozen=True)
class RemovalResult:
    """What a removal took away.

    Parameters
    ----------
    collections : tuple of str
        They.
    datasets : int
        Datasets that are gone.
    files : int
        Files that are gone.
    """

    collections: tuple[str, ...]
    datasets: int
    files: int


def plan_removal(
    repo: Repo, names: Sequence[str], *, unlink: bool = False, purge: bool = False
) -> RemovalPlan:
    """Say what removing collections would take away, without writing anywhere.

    Parameters
    ----------
    repo : Repo
        Open; read access is enough.
    names : sequence of str
        Collections and patterns.
    unlink : bool, optional
        Whether they are to leave the chains that search them.
    purge : bool, optional
        Whether their datasets are to leave the collections that hold them.

    Returns
    -------
    RemovalPlan
        With all that refers to them and stays.

    Raises
    ------
    NotFoundError
        If a collection does not exist, or a pattern matches none.
    """
    with repo.registry.read() as snapshot:
        chosen = _in_order(_chosen(snapshot, names))
        counts = _counts(snapshot, [c.name for c in chosen if c.type is not CollectionType.CHAINED])
        going = {c.name for c in chosen}
        removals = []
        for found in chosen:
            chains, holders = snapshot.collection_users(found.name)
            removals.append(
                Removal(
                    found.name, found.type.name, counts.get(found.name, 0),
                    tuple(name for name in chains if name not in going),
                    {name: n for name, n in holders.items() if name not in going},
                )
            )  # fmt: skip
    return RemovalPlan(tuple(removals), unlink, purge)


def _chosen(snapshot: Snapshot, names: Sequence[str]) -> list[Collection]:
    found: dict[str, Collection] = {}
    for name in names:
        matches = snapshot.collections([name])
        if not matches:
            raise NotFoundError(f"no collection matches '{name}'", code="no-such-collection")
        found |= {c.name: c for c in matches}
    return list(found.values())


def _in_order(chosen: Sequence[Collection]) -> list[Collection]:
    """Put collections into an order in which each may go: what refers to others first, outer chains before inner."""
    left = {c.name: c for c in sorted(chosen, key=lambda c: (_ORDER.index(c.type), c.name))}
    out: list[Collection] = []
    while left:
        inner = {child for c in left.values() for child in c.children}
        ready = [c for c in left.values() if c.name not in inner]
        first = next((c for c in ready if c.type is CollectionType.CHAINED), ready[0])
        out.append(left.pop(first.name))
    return out


def _counts(snapshot: Snapshot, names: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, name, n in snapshot.count_datasets(names).rows() if names else ():
        counts[name] = counts.get(name, 0) + int(n)
    return counts


def execute_removal(
    plan: RemovalPlan, repo: Repo, *, on_progress: Callable[[int, int], None] | None = None
) -> RemovalResult:
    """Remove what a plan names: rows in one transaction, then files.

    Parameters
    ----------
    plan : RemovalPlan
        From `plan_removal` on the same repository.
    repo : Repo
        Open to write.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    RemovalResult
        What went.

    Raises
    ------
    NotFoundError
        If one of the collections is gone by now.
    ConflictError
        If something else refers to one of them that may not be changed. Nothing was removed.
    StorageError
        If files cannot be removed: their rows are gone already, and a pruning of orphans finds them.
    """
    n_datasets = 0
    uris: list[str] = []
    with repo.registry.write() as change:
        for removal in plan.collections:
            if removal.type == CollectionType.RUN.name:
                n, here = _files_of(change, removal.name)
                n_datasets += n
                uris += here
            change.remove_collection(removal.name, unlink=plan.unlink, purge=plan.purge)
        # A file that a dataset which stays has too stays with it.
        kept = change.recorded_uris(uris) if uris else set()
    gone = [uri for uri in dict.fromkeys(uris) if uri not in kept]
    remove_files(repo, gone, on_progress)
    return RemovalResult(tuple(c.name for c in plan.collections), n_datasets, len(gone))


def _files_of(change: Change, run: str) -> tuple[int, list[str]]:
    """Count the datasets of a run, and return those of their files that are in the datastore."""
    n = 0
    uris: list[str] = []
    for name in dict.fromkeys(change.collection_summary([run])["dataset_type"].tolist()):
        rows = change.datasets(name, [run], find_first=False, artifacts=True)
        n += rows.n_rows
        uris += [uri for uri in rows["uri"].tolist() if uri is not None]
    return n, split_uris(uris)[0]
