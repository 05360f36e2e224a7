"""What an upstream is: a state that answers in columns, files that can be found, and a place where a plan is published.

A repository of ours is one, and keeps all promises. Another system's is one through an adapter, which says which of
them weaken: see ``docs/design/upstream.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from sync.repo import Repo
from sync.repo_file import is_database_url, place_of

if TYPE_CHECKING:
    from registry.registry import Registry
    from registry.snapshot import Snapshot
    from sync.datastore import Datastore
    from sync.faults import At
    from sync.filesystem import files
    from sync.plan import Conflict, PushPlan
    from sync.pushing.publishing import PushResult
    from sync.transfer import Mode

__all__ = ["Upstream", "open_upstream"]


class Upstream(Protocol):
    """What campaigns ask of where they come from and go to."""

    root: str
    """What it is called."""
    registry: Registry
    """Its rows, or a mirror of those that were looked at: ``read()`` gives one consistent state, and `repo_id` is its
    own. Only a repository of ours lets anybody write here."""
    datastore: Datastore
    """Its files."""
    is_foreign: bool
    """Whether an adapter publishes in it."""

    def look_at(self, searches: Iterable[tuple[str, str]], storage_classes: Mapping[str, str] = ...) -> None:
        """Say what will be asked; a repository of ours has it all at hand.

        Parameters
        ----------
        searches : iterable of (str, str)
            Dataset types, and the collections in which they will be looked for.
        storage_classes : mapping of str to str, optional
            The storage classes that ours have for dataset types.
        """

    def show_runs(self, staging: Snapshot, runs: Sequence[str], chain: str | None) -> None:
        """Say what a push will be compared with.

        Parameters
        ----------
        staging : Snapshot
            Of the staging registry.
        runs : sequence of str
            RUN collections of staging.
        chain : str or None
            The chain to put them in front of.
        """

    def file_conflicts(self, plan: PushPlan, source: str) -> list[Conflict]:
        """Find what is in the way of the files of a push, or what of them it cannot hold.

        Parameters
        ----------
        plan : PushPlan
            What would be published, as its rows are.
        source : str
            Root of the datastore that the files are in.

        Returns
        -------
        list of Conflict
            Each with the way on, and about one file (``uri``) or a ``dataset_type``.
        """

    def publish(
        self,
        plan: PushPlan,
        push_id: bytes,
        staging: Repo,
        *,
        mode: Mode = ...,
        at: At = ...,
        on_progress: Callable[[int, int], None] | None = ...,
    ) -> PushResult:
        """Publish a plan that staging's journal has as begun, and note there that it is done.

        Parameters
        ----------
        plan : PushPlan
            With something to do, and without conflicts; its files are here as they were recorded.
        push_id : bytes
            Its id.
        staging : Repo
            Open for writing.
        mode : {"auto", "link", "copy"}, optional
            How artifacts get there.
        at : callable, optional
            Called between durable steps.
        on_progress : callable, optional
            Called with the numbers of artifacts done and in all.

        Returns
        -------
        PushResult
            What was done.
        """

    def close(self) -> None:
        """Let go of it."""


def open_upstream(root: files.Uri, *, writable: bool = False) -> Repo:
    """Open an upstream repository, whichever kind it is.

    Parameters
    ----------
    root : str or path
        Its root, its ``repo.yaml`` or ``butler.yaml``, or its database's URL.
    writable : bool, optional
        Whether a push will write to it.

    Returns
    -------
    Repo
        Ours, or one that stands for another system's.

    Raises
    ------
    NotFoundError
        If nothing is there.
    StorageError
        If it cannot be read.
    """
    from sync.butler.opening import BUTLER_FILE, is_butler

    where = place_of(root).removesuffix(f"/{BUTLER_FILE}")
    if not is_database_url(where) and is_butler(where):
        from sync.butler.upstream import ButlerUpstream

        return ButlerUpstream(where)
    return Repo.open(root, writable=writable)
