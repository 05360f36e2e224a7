"""What the keeper of a repository takes away: collections, dataset types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stage.campaign.collecting import matching_types
from stage.campaign.questions import split_words

if TYPE_CHECKING:
    from sync.administration.removal import RemovalPlan, RemovalResult

__all__ = ["plan_removal", "remove_collections", "remove_dataset_types"]


def plan_removal(
    repo: str, names: Sequence[str], *, unlink: bool = False, purge: bool = False
) -> RemovalPlan:
    """Say what removing collections would take away, without changing the repository.

    Parameters
    ----------
    repo : str
        Its root.
    names : sequence of str
        Collections and patterns.
    unlink : bool, optional
        Whether they are to leave the chains that search them.
    purge : bool, optional
        Whether their datasets are to leave the TAGGED and CALIBRATION collections that hold them.

    Returns
    -------
    RemovalPlan
        With all that refers to them.

    Raises
    ------
    NotFoundError
        If a collection does not exist, or a pattern matches none.
    """
    from sync.administration import removal
    from sync.repo import Repo

    with Repo.open(repo) as opened:
        return removal.plan_removal(opened, split_words(names), unlink=unlink, purge=purge)


def remove_collections(
    repo: str, plan: RemovalPlan, *, on_progress: Callable[[int, int], None] | None = None
) -> RemovalResult:
    """Remove what a plan names: rows in one transaction, then files. A RUN goes with its datasets.

    Parameters
    ----------
    repo : str
        Root of the repository.
    plan : RemovalPlan
        From `plan_removal` on it.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    RemovalResult
        What went.

    Raises
    ------
    ConflictError
        If something else refers to one of them that may not be changed. Nothing was removed.
    """
    from sync.administration import removal
    from sync.repo import Repo

    with Repo.open(repo, writable=True) as opened:
        return removal.execute_removal(plan, opened, on_progress=on_progress)


def remove_dataset_types(repo: str, names: Sequence[str]) -> list[str]:
    """Remove dataset types that have no datasets: all of them, or none.

    Parameters
    ----------
    repo : str
        Root of the repository.
    names : sequence of str
        Types, patterns allowed.

    Returns
    -------
    list of str
        Those that went.

    Raises
    ------
    NotFoundError
        If one does not exist, or a pattern matches none.
    ConflictError
        If there are datasets of one; says how many, and where.
    """
    from sync.repo import Repo

    with Repo.open(repo, writable=True) as opened, opened.registry.write() as tx:
        found = matching_types(tx, names)
        for name in found:
            tx.remove_dataset_type(name)
    return found
