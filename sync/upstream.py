"""What an upstream is: a state that answers in columns, files that can be found, and a place where a plan is published.

A repository of ours is one, and keeps all promises. Another system's is one through an adapter, which says which of
them weaken: see ``docs/design/upstream.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from sync.repo import Repo
from sync.repo_file import is_database_url, place_of

if TYPE_CHECKING:
    from registry.registry import Registry
    from sync.datastore import Datastore
    from sync.filesystem import files
    from sync.plan import Conflict, PushPlan

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

    def own_conflicts(self, plan: PushPlan) -> list[Conflict]:
        """Find what it cannot hold of a push, though others could.

        Parameters
        ----------
        plan : PushPlan
            What would be published.

        Returns
        -------
        list of Conflict
            Each with the way on.
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
