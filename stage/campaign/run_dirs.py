"""Runs shown in the campaign directory itself (``--run-dirs``): files of run ``camp/r1`` are found at ``<campaign>/r1``.

They are links. The datastore stays a directory that holds nothing but artifacts, so that whatever lists, checks or
empties it can never meet the campaign's own files; and the campaign can still be moved.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import ConflictError, UsageError
from stage.campaign.outputs import outputs_of
from sync.filesystem.uris import redact

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["check_run_dirs", "place_in_campaign", "show_runs"]

_log = logging.getLogger(__name__)
_KEPT = frozenset({"data", "logs", "submit", "pipeline.yaml", "report.html"})


def place_in_campaign(campaign: str, run: str) -> str:
    """Return where below its campaign's directory a run is shown.

    Parameters
    ----------
    campaign : str
        The campaign's name.
    run : str
        A RUN.

    Returns
    -------
    str
        What follows the campaign's name in the run's; the whole name where that is not a part of it.

    Examples
    --------
    >>> [place_in_campaign("camp", run) for run in ("camp/r1", "u/ann/camp/deep/r1", "other/r1", "camp")]
    ['r1', 'deep/r1', 'other/r1', 'camp']
    """
    parts = run.split("/")
    return "/".join(parts[parts.index(campaign) + 1 :] if campaign in parts[:-1] else parts)


def check_run_dirs(layout: Layout, state: CampaignState) -> None:
    """Refuse runs that cannot be shown, before anything is changed.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        What it is to be.

    Raises
    ------
    UsageError
        If their files are in a store to which there are no links.
    ConflictError
        If something else is there already, or will be.
    """
    if state.run_dirs and "://" in outputs_of(layout, state):
        raise UsageError(
            f"the files of runs go to {redact(outputs_of(layout, state))}, so there is nothing to link to",
            code="run-dirs-remote",
            hint="Give --run-dirs with a local place of outputs, or leave it out.",
        )
    for link, run in _wanted(layout, state).items():
        top = link.relative_to(layout.root).parts[0]
        is_kept = top in _KEPT or top.startswith((".", "staging.sqlite3"))
        if is_kept or not _is_free(link, _root(layout, state)):
            raise ConflictError(
                f"run '{run}' cannot be shown as {link}: that is something else's place",
                code="run-dir-taken",
                hint="Choose other names, as 'stage edit --next-run %c/%t', or have no such links: "
                "stage edit --no-run-dirs.",
            )


def show_runs(layout: Layout, state: CampaignState, names: Iterable[str]) -> None:
    """Make the links that the state asks for, and remove those that it does not.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        What it is now.
    names : iterable of str
        Runs that may have had links.
    """
    root, wanted = _root(layout, state), _wanted(layout, state)
    # There are no files of a run, or not any more: then there is nothing to show.
    wanted = {link: run for link, run in wanted.items() if (root / run).is_dir()}
    for link in {layout.root / place_in_campaign(state.name, name) for name in names} - wanted.keys():
        if _is_ours(link, root):
            _remove(layout, link)
    for link, run in wanted.items():
        if link.is_symlink():
            continue
        is_inside = root.is_relative_to(layout.root)
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(root / run, link.parent) if is_inside else root / run)
        except OSError as exc:
            _log.warning("run '%s' is not shown as %s: %s", run, link, exc.strerror or exc)


def _root(layout: Layout, state: CampaignState) -> Path:
    return Path(outputs_of(layout, state))


def _wanted(layout: Layout, state: CampaignState) -> dict[Path, str]:
    """Return the links that there are to be; of a run within another one that one's link is enough."""
    if not state.run_dirs:
        return {}
    places = {place_in_campaign(state.name, run): run for run in state.collections.runs}
    return {
        layout.root / place: run
        for place, run in places.items()
        if not any(above in places and f"{places[above]}/" in f"{run}/" for above in _above(place))
    }


def _above(place: str) -> Iterator[str]:
    while "/" in place:
        place = place.rpartition("/")[0]
        yield place


def _is_ours(link: Path, root: Path) -> bool:
    return link.is_symlink() and Path(os.path.normpath(link.parent / link.readlink())).is_relative_to(root)


def _is_free(link: Path, root: Path) -> bool:
    """Tell whether a link may be made, or is there."""
    if any(part.exists() and not part.is_dir() for part in link.parents):
        return False
    return _is_ours(link, root) or not os.path.lexists(link)


def _remove(layout: Layout, link: Path) -> None:
    link.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        for folder in link.parents:
            if folder == layout.root:
                break
            folder.rmdir()
