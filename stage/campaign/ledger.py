"""A repository's ledger of pushes, and taking one of them back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync.ledger import Push
    from sync.repo import Repo
    from sync.unpush import UnpushPlan, UnpushResult

__all__ = ["plan_unpush", "repo_pushes", "taken_back_notes", "unpush_repo"]


def _open(repo: str, *, writable: bool = False) -> Repo:
    from sync.repo import Repo

    return Repo.open(repo, writable=writable)


def repo_pushes(repo: str) -> list[Push]:
    """Return who pushed what, when and from which campaign.

    Parameters
    ----------
    repo : str
        Root of the repository; it is only read.

    Returns
    -------
    list of sync.ledger.Push
        The latest first, those that were taken back among them; not those that were given up before their commit.

    Raises
    ------
    NotFoundError
        If there is no repository.
    """
    from sync.ledger import pushes

    with _open(repo) as opened, opened.registry.read() as snapshot:
        return [push for push in pushes(snapshot) if not push.is_aborted]


def plan_unpush(repo: str, what: str) -> UnpushPlan:
    """Say what taking a push back would remove and who depends on it, without writing anywhere.

    Parameters
    ----------
    repo : str
        Root of the repository.
    what : str
        The push: its id, or the beginning of that; or a RUN, for its last push that stands.

    Returns
    -------
    sync.unpush.UnpushPlan
        For `unpush_repo`.

    Raises
    ------
    NotFoundError
        If there is no such repository or push.
    UsageError
        If several pushes are meant, or this user may only add to the repository.
    """
    from sync import unpush

    with _open(repo) as opened:
        return unpush.plan_unpush(opened, what)


def unpush_repo(repo: str, plan: UnpushPlan) -> UnpushResult:
    """Take a push back: its rows in one transaction, then its files.

    Parameters
    ----------
    repo : str
        Root of the repository.
    plan : sync.unpush.UnpushPlan
        From `plan_unpush` on it.

    Returns
    -------
    sync.unpush.UnpushResult
        What went.

    Raises
    ------
    ConflictError
        If something depends on it. Nothing was removed.
    """
    from sync import unpush

    with _open(repo, writable=True) as opened:
        return unpush.execute_unpush(plan, opened)


def taken_back_notes(staging: Repo, upstream: Repo) -> list[str]:
    """Tell of a campaign's last pushes that were taken back upstream.

    Parameters
    ----------
    staging, upstream : Repo
        The two sides; both are only read.

    Returns
    -------
    list of str
        A sentence a RUN.
    """
    from sync.pushing.settled import noted_pushes
    from sync.withdrawals import taken_back

    last: dict[str, bytes] = {}
    with staging.registry.read() as ours, upstream.registry.read() as theirs:
        for entry in noted_pushes(ours):
            for run in entry.payload["runs"]:
                last.setdefault(run, entry.operation)
        gone = taken_back(theirs, list(last.values())) if last else {}
    out = []
    for run, push_id in last.items():
        mark = gone[push_id].withdrawn if push_id in gone else None
        if mark is not None:
            at = datetime.fromtimestamp(mark["at_ns"] / 1e9, UTC)
            out.append(
                f"run '{run}': its push was taken back by {mark['who']} at {at:%Y-%m-%d %H:%M} UTC; 'stage push' pushes it again"
            )
    return out
