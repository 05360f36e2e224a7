"""A butler repository of the field as an upstream: read through a mirror, published to through its own interface."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sync.butler.mirror import open_mirror
from sync.butler.scope import Scope
from sync.faults import At, no_fault
from sync.repo import Repo

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.plan import Conflict, PushPlan
    from sync.pushing.publishing import PushResult
    from sync.transfer import Mode

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

    def show_runs(self, staging: Snapshot, runs: Sequence[str], chain: str | None) -> None:
        """Show what a push will be compared with.

        Parameters
        ----------
        staging : Snapshot
            Of the staging registry.
        runs : sequence of str
            RUN collections of staging.
        chain : str or None
            The chain to put them in front of.
        """
        types = {t.name: t.storage_class for t in staging.dataset_types()}
        places = [(name, run) for name in types for run in runs]
        if chain is not None:
            # A chain is shown if something is looked for in it; of a type that there is not, nothing is read for it.
            places.append(("", chain))
        self.look_at(places, types)

    def file_conflicts(self, plan: PushPlan, source: str) -> list[Conflict]:
        """Find what it cannot hold of a push; names are its own, so that nothing can be in the way.

        Parameters
        ----------
        plan : PushPlan
            What would be published.
        source : str
            Root of the datastore that the files are in.

        Returns
        -------
        list of Conflict
            One a dataset type whose files nothing there can read.
        """
        del source
        from sync.butler.publish import own_conflicts

        return own_conflicts(plan)

    def publish(
        self,
        plan: PushPlan,
        push_id: bytes,
        staging: Repo,
        *,
        mode: Mode = "auto",
        at: At = no_fault,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> PushResult:
        """Write a plan into it.

        Parameters
        ----------
        plan : PushPlan
            With something to do, and without conflicts.
        push_id : bytes
            Its id.
        staging : Repo
            Open for writing.
        mode : {"auto", "link", "copy"}, optional
            How files get in.
        at : callable, optional
            Called between durable steps: those of `sync.butler.publish.publish`, then ``acknowledged``.
        on_progress : callable, optional
            Not called: that system takes in all files at once.

        Returns
        -------
        PushResult
            What was done.

        Raises
        ------
        TransferError
            If that system refuses something; its transaction is taken back.
        """
        del on_progress
        from sync.butler.pushing import publish_and_note

        return publish_and_note(plan, push_id, staging, self, mode=mode, at=at)
