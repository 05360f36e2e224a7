"""Checking and repairing in one go: the verb that campaigns and repositories share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from registry.errors import UsageError
from sync.administration.orphans import DEFAULT_AGE_S
from sync.faults import At, no_fault
from sync.fsck.findings import Depth, FsckPlan, FsckReport, Repaired
from sync.fsck.plan import plan_fsck
from sync.fsck.repair import execute_repair, left_after

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["CheckOptions", "check_repo", "depth_of", "heal"]

Opening = Callable[[bool], AbstractContextManager["Repo"]]
"""Opens the repository, to write or to read."""


@dataclass(frozen=True)
class CheckOptions:
    """How a repository is checked.

    Parameters
    ----------
    depth : {"fast", "default", "full"}
        How thoroughly.
    repair : bool
        Whether to repair what can be repaired without loss.
    lost : sequence of str
        Files that are given up; see `sync.fsck.repair.execute_repair`.
    older_than_s : float
        Files that no row names count as left over when they were not touched for so long, in seconds.
    on_progress : callable, optional
        Called with the numbers of bytes read and in all.
    """

    depth: Depth = "default"
    repair: bool = False
    lost: Sequence[str] = ()
    older_than_s: float = DEFAULT_AGE_S
    on_progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.lost and not self.repair:
            raise UsageError(
                "files are given up by a repair only", code="bad-options", hint="Say --repair with --lost."
            )


def depth_of(*, fast: bool, full: bool) -> Depth:
    """Return how thoroughly to check.

    Parameters
    ----------
    fast, full : bool
        At most one of them.

    Returns
    -------
    {"fast", "default", "full"}
        Which.

    Raises
    ------
    UsageError
        If it is both.
    """
    if fast and full:
        raise UsageError(
            "a check is either fast or full", code="bad-options", hint="Give one of --fast and --full."
        )
    return "fast" if fast else "full" if full else "default"


def check_repo(
    place: str,
    opening: Opening,
    options: CheckOptions,
    *,
    awaited: Callable[[Collection[str]], Collection[str]] | None = None,
    more: Callable[[FsckPlan], FsckPlan] = lambda plan: plan,
    at: At = no_fault,
) -> FsckReport:
    """Check a repository, and repair it where that was asked for.

    Parameters
    ----------
    place : str
        What it is called.
    opening : callable
        Opens it, to write or to read.
    options : CheckOptions
        How.
    awaited : callable, optional
        As for `sync.fsck.plan.plan_fsck`.
    more : callable, optional
        Adds what else is known to be wrong.
    at : callable, optional
        As for `sync.fsck.repair.execute_repair`, and ``healed``.

    Returns
    -------
    FsckReport
        What is still wrong, and what was repaired.

    Raises
    ------
    NotFoundError
        If there is no repository, or nothing lost goes by a name that was given.
    StorageError
        If it cannot be reached, or may not be written where a repair was asked for.
    """
    look = partial(
        plan_fsck, place, partial(opening, False), depth=options.depth, older_than_s=options.older_than_s,
        awaited=awaited, on_progress=options.on_progress,
    )  # fmt: skip
    plan = look()
    if not options.repair:
        return FsckReport(more(plan))
    healed = heal(plan, opening)
    at("healed")
    plan = more(look() if healed else plan)
    if not options.lost and not any(f.repair for f in plan.findings):
        return FsckReport(plan, healed)
    with opening(True) as repo:
        done = execute_repair(plan, repo, lost=options.lost, at=at)
    return FsckReport(left_after(plan, done), (*healed, *done))


def heal(plan: FsckPlan, opening: Opening) -> tuple[Repaired, ...]:
    """Let the database take back a change in whose middle a writer was killed: it does so when it is opened to write.

    Parameters
    ----------
    plan : FsckPlan
        What was found.
    opening : callable
        Opens the repository.

    Returns
    -------
    tuple of Repaired
        What was taken back, if anything.
    """
    found = [f for f in plan.findings if f.code == "hot-journal"]
    if not found:
        return ()
    with opening(True) as repo, repo.registry.write():
        pass
    return tuple(Repaired(f.code, "took back a change that was left half done", f.items) for f in found)
