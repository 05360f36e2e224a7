"""A butler repository of the field as an upstream: read through a mirror, published to through its own interface."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sync.butler.mirror import open_mirror
from sync.butler.scope import Scope
from sync.faults import At, no_fault
from sync.repo import Repo

if TYPE_CHECKING:
    from sync.butler.publish import Published
    from sync.plan import Conflict, PushPlan

__all__ = ["ButlerUpstream", "mirror_folder"]


def mirror_folder(root: str) -> Path:
    """Return where the mirror of a repository is kept.

    Parameters
    ----------
    root : str
        The repository's root.

    Returns
    -------
    Path
        Below ``$STAGE_CACHE_DIR``, or the user's own cache directory.
    """
    base = os.environ.get("STAGE_CACHE_DIR")
    if base is None:
        base = f"{os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'}/stage"
    return Path(base).absolute() / "mirrors" / hashlib.blake2b(root.encode(), digest_size=12).hexdigest()


class ButlerUpstream(Repo):
    """A butler repository: what was looked at before, as it is now.

    Parameters
    ----------
    root : str
        Its root.
    folder : Path, optional
        Where its mirror is kept; `mirror_folder` by default.

    Raises
    ------
    StorageError
        If it cannot be read, or the mirror cannot be written.
    UsageError
        If the packages that read it are not installed, or its dimensions are none that ours have.
    """

    is_foreign = True

    def __init__(self, root: str, folder: Path | None = None) -> None:
        self._folder = mirror_folder(root) if folder is None else folder
        shown = open_mirror(root, self._folder, Scope())
        super().__init__(root, shown.registry, shown.datastore)

    def look_at(self, searches: Iterable[tuple[str, str]], storage_classes: Mapping[str, str] = {}) -> None:
        """Show more of it, as it is now.

        Parameters
        ----------
        searches : iterable of (str, str)
            Dataset types, and the collections in which they will be looked for.
        storage_classes : mapping of str to str, optional
            The storage classes that ours have for dataset types.
        """
        shown = open_mirror(self.root, self._folder, Scope(frozenset(searches), dict(storage_classes)))
        self.registry.close()
        super().__init__(self.root, shown.registry, shown.datastore)

    def own_conflicts(self, plan: PushPlan) -> list[Conflict]:
        """Find what it cannot hold of a push.

        Parameters
        ----------
        plan : PushPlan
            What would be published.

        Returns
        -------
        list of Conflict
            Each with the way on.
        """
        from sync.butler.publish import own_conflicts

        return own_conflicts(plan)

    def publish(
        self, plan: PushPlan, push_id: bytes, source: str, *, mode: str = "auto", at: At = no_fault
    ) -> Published:
        """Write a plan into it.

        Parameters
        ----------
        plan : PushPlan
            Without conflicts.
        push_id : bytes
            Its id.
        source : str
            Root of the datastore that the artifacts are in.
        mode : {"auto", "link", "copy"}, optional
            How files get in.
        at : callable, optional
            Called between durable steps.

        Returns
        -------
        Published
            What was done.

        Raises
        ------
        TransferError
            If that system refuses something; its transaction is taken back.
        """
        from sync.butler.publish import publish

        done = publish(plan, push_id, source, self.root, mode=mode, at=at)
        self.look_at(())
        return done
