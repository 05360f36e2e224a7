"""The two repositories of a campaign: its own staging, and the upstream, which only a push may change."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import ConflictError, NotFoundError, StorageError
from stage.campaign.files import allows_wal
from stage.campaign.layout import STATE_FILE
from stage.campaign.looking import look_at_inputs
from stage.campaign.outputs import align_outputs
from stage.campaign.unfinished import take_up

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.repo import Repo

__all__ = [
    "check_same_upstream", "ensure_staging", "lost_staging", "open_both", "open_staging", "open_upstream",
]  # fmt: skip

_log = logging.getLogger(__name__)
_MAY_NOT = frozenset({"not-permitted", "read-only"})
"""It was reached: it is this user who may not write it."""
_UPSTREAM_ID, _UPSTREAM_URI = "upstream.id", "upstream.uri"


@contextmanager
def open_upstream(
    state: CampaignState,
    *,
    writable: bool = False,
    layout: Layout | None = None,
    change: Change | None = None,
) -> Iterator[Repo]:
    """Open the upstream repository of a campaign.

    Parameters
    ----------
    state : CampaignState
        Names it.
    writable : bool, optional
        Only a push asks for that.
    layout : Layout, optional
        The campaign's paths, where its inputs will be asked for: another system's repository shows what was looked at.
    change : Change, optional
        A change that is being made, which may have a newer pipeline.

    Yields
    ------
    Repo
        Closed afterwards.

    Raises
    ------
    NotFoundError
        If nothing answers at its URI.
    """
    from sync.filesystem.files import redact
    from sync.upstream import open_upstream as open_any

    _log.info("opening upstream %s %s", redact(state.repo), "to write" if writable else "to read")
    try:
        repo = open_any(state.repo, writable=writable)
    except (NotFoundError, StorageError) as exc:
        if exc.code in _MAY_NOT:
            raise
        raise type(exc)(
            f"the upstream repository of campaign '{state.name}' cannot be reached: {exc.message}",
            code="upstream-unreachable",
            hint=_way_on(state.repo),
        ) from exc
    try:
        if layout is not None:
            look_at_inputs(layout, state, repo, change)
        yield repo
    finally:
        repo.close()


def _way_on(repo: str) -> str:
    """Say what helps where there is no repository."""
    if (Path(repo) / STATE_FILE).is_file():
        return "It is a campaign. Clone the repository that it was cloned from; what it has made gets there by 'stage push'."
    there = "" if "://" in repo else " If it was moved, a symbolic link at its old place leads to it."
    return f"Check its path, and that it is mounted.{there} What was cloned before can be used without it."


@contextmanager
def open_staging(layout: Layout, *, writable: bool = False) -> Iterator[Repo]:
    """Open the staging repository of a campaign.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    writable : bool, optional
        Whether rows and artifacts will be written.

    Yields
    ------
    Repo
        Closed afterwards.

    Raises
    ------
    NotFoundError
        If the campaign has none yet, or it is gone.
    """
    from sync.outputs import OUTPUTS_IN
    from sync.repo import Repo

    if not layout.staging.is_file():
        raise lost_staging(layout) or NotFoundError(
            f"campaign {layout.root} has no staging registry yet",
            code="no-staging",
            hint="It is made by the first 'stage build'.",
        )
    repo = Repo.attach(layout.staging_url, layout.data_root, writable=writable)
    if outputs := repo.registry.attribute(OUTPUTS_IN):
        from sync.outputs_store import OutputsStore

        repo.datastore = OutputsStore(outputs)
    try:
        yield repo
    finally:
        repo.close()


@contextmanager
def open_both(change: Change, *, offline: bool = False) -> Iterator[tuple[Repo | None, Repo]]:
    """Open the two repositories of a campaign to read them, and make its staging if it has none.

    Parameters
    ----------
    change : Change
        The change that is being made.
    offline : bool, optional
        Do without upstream; then staging must be there.

    Yields
    ------
    upstream : Repo or None
        None if offline.
    staging : Repo
        Both closed afterwards.

    Raises
    ------
    NotFoundError
        If upstream cannot be reached, or there is no staging to do without it.
    ConflictError
        If upstream is another repository than staging was cloned from.
    """
    if offline:
        with open_staging(change.layout) as staging:
            yield None, staging
        return
    with open_upstream(change.state, layout=change.layout, change=change) as upstream:
        ensure_staging(change, upstream)
        with open_staging(change.layout) as staging:
            yield upstream, staging


def lost_staging(layout: Layout) -> NotFoundError | None:
    """Make the error about a staging registry that was there once.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.

    Returns
    -------
    NotFoundError or None
        To be raised; None if the registry is there, or nothing was ever run with one.
    """
    if layout.staging.is_file() or not (_has_files(layout.data) or _has_files(layout.root / "submit")):
        return None
    return NotFoundError(
        f"the staging registry of campaign {layout.root} is gone: there is no {layout.staging.name}",
        code="staging-lost",
        hint=f"Put {layout.staging.name} back from a copy, or begin anew with 'stage clone'. "
        f"What was pushed is upstream; files of other runs are in {layout.data.name}/.",
    )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def ensure_staging(change: Change, upstream: Repo) -> None:
    """Make the staging registry of a campaign if it has none, bound to its upstream.

    Parameters
    ----------
    change : Change
        The change that is being made; removes the registry again if it fails.
    upstream : Repo
        The upstream, whose universe it gets.

    Raises
    ------
    ConflictError
        If there is one, and it was cloned from another repository, or has another universe.
    NotFoundError
        If the campaign has runs that only a registry which is gone knows of.
    """
    from registry.registry import Registry

    layout = change.layout
    if not layout.staging.is_file():
        if not (change.is_new and take_up(change, upstream.registry.repo_id.hex())):
            lost = lost_staging(layout)
            if lost is not None:
                raise lost
        _log.info("making the staging registry %s", layout.staging)
        change.creating(layout.staging)
        change.creating(layout.data)
        layout.data.mkdir(exist_ok=True)
        Registry.create(
            layout.staging_url,
            upstream.registry.universe,
            wal=allows_wal(layout.root),
            attributes={_UPSTREAM_ID: upstream.registry.repo_id.hex(), _UPSTREAM_URI: change.state.repo},
        ).close()
    else:
        with open_staging(layout) as staging:
            check_same_upstream(staging, upstream)
    align_outputs(change, upstream)


def check_same_upstream(staging: Repo, upstream: Repo) -> None:
    """Refuse an upstream that is not the one which staging was cloned from.

    Parameters
    ----------
    staging, upstream : Repo
        The two.

    Raises
    ------
    ConflictError
        If identity or universe differ.
    """
    cloned = staging.registry.attribute(_UPSTREAM_ID)
    found = upstream.registry.repo_id.hex()
    if cloned != found:
        raise ConflictError(
            f"upstream is not the repository that was cloned: cloned {cloned}, found {found}",
            code="upstream-replaced",
            hint="Put the right repository back in its place, or clone this one: stage clone.",
        )
    if staging.registry.universe != upstream.registry.universe:
        ours, theirs = staging.registry.universe, upstream.registry.universe
        raise ConflictError(
            f"the universe differs: ours {ours.name} {ours.version}, upstream {theirs.name} {theirs.version}",
            code="universe-differs",
            hint="Make a new campaign: stage clone.",
        )
