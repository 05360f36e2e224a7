"""Where a campaign's outputs go: into its own directory, or from the start into upstream's storage (``--outputs-in``).

The state file says where they are to go. Where they do go is in the staging registry, since the paths in its rows count from
there; the two are brought into line before anything is written, and never after.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import ConflictError, UsageError
from stage.campaign.layout import absolute_uri
from sync.repo_file import refuse_password

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.repo import Repo

__all__ = [
    "align_outputs", "begin_outputs", "check_outputs", "given_runs", "outputs_of", "refuse_given_run", "set_outputs",
]  # fmt: skip


def check_outputs(text: str) -> str | None:
    """Check where outputs are to go, as far as that can be done without looking.

    Parameters
    ----------
    text : str
        A directory, at any URI; empty for the campaign's own directory.

    Returns
    -------
    str or None
        Absolute; None for the campaign's own directory.

    Raises
    ------
    UsageError
        If it holds a password.
    """
    if not text:
        return None
    refuse_password(text, "URI of the outputs")
    return absolute_uri(text).rstrip("/")


def outputs_of(layout: Layout, state: CampaignState) -> str:
    """Return the root of a campaign's outputs, as its state says.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.

    Returns
    -------
    str
        An absolute path or URI.
    """
    return state.outputs_in or layout.data_root


def set_outputs(change: Change) -> None:
    """Bring where outputs go into line with the state, if staging is there by now and differs.

    Parameters
    ----------
    change : Change
        The change that is being made, its options applied.

    Raises
    ------
    StageError
        As for `align_outputs`.
    """
    from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream

    if not change.layout.staging.is_file():
        return
    with open_staging(change.layout) as staging:
        if _goes_to(staging) == change.state.outputs_in:
            return
        _refuse_late(change, staging)
    with open_upstream(change.state) as upstream:
        with open_staging(change.layout) as staging:
            check_same_upstream(staging, upstream)
        align_outputs(change, upstream)


def align_outputs(change: Change, upstream: Repo) -> None:
    """Make staging's files go where the state says; taken back if the change fails.

    Parameters
    ----------
    change : Change
        The change that is being made; its staging registry is there.
    upstream : Repo
        The upstream repository.

    Raises
    ------
    ConflictError
        If something was written already, or another campaign writes there.
    UsageError
        If upstream's readers would not find what is there, or nothing can be written there. In all cases all is as it was.
    """
    from registry.model.refs import new_id
    from stage.campaign.repositories import open_staging
    from sync import outputs
    from sync.outputs import OUTPUTS_CLAIM

    wanted = change.state.outputs_in
    with open_staging(change.layout) as staging:
        before, claim_id = _goes_to(staging), staging.registry.attribute(OUTPUTS_CLAIM) or ""
        if before == wanted:
            return
        _refuse_late(change, staging)
    new = new_id().hex() if wanted else ""
    if wanted:
        _check_place(change.layout, wanted, upstream)
        outputs.claim(wanted, outputs.Claim(new, change.state.name, str(change.layout.root)))
        change.undoing(lambda: outputs.release(wanted, new))
    _remember(change.layout, wanted, new)
    change.undoing(lambda: _remember(change.layout, before, claim_id))
    _move_binding(before or change.layout.data_root, wanted or change.layout.data_root)
    if before:
        old = outputs.Claim(claim_id, change.state.name, str(change.layout.root))
        change.undoing(lambda: outputs.claim(before, old))
        outputs.release(before, claim_id)


def _goes_to(staging: Repo) -> str | None:
    from sync.outputs import OUTPUTS_IN

    return staging.registry.attribute(OUTPUTS_IN) or None


def _check_place(layout: Layout, wanted: str, upstream: Repo) -> None:
    from sync.filesystem.files import local_path, redact
    from sync.outputs import place_upstream

    path = local_path(wanted)
    if path is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(layout.root)):
        raise UsageError(
            f"outputs cannot go to {path}: it is in the campaign's own directory, and goes with it",
            code="outputs-not-apart",
            hint="Leave --outputs-in out: by default outputs are here, and push links or copies them.",
        )
    if upstream.is_foreign:
        raise UsageError(
            f"outputs cannot go to {redact(wanted)}: upstream {redact(upstream.root)} is another system's, which takes files "
            f"in by itself",
            code="outputs-elsewhere",
            hint="Leave --outputs-in out.",
        )
    place_upstream(wanted, upstream.datastore.root)


def _refuse_late(change: Change, staging: Repo) -> None:
    """Refuse another place once something was written: rows name files by their paths below the old one."""
    from registry.model.collections import CollectionType
    from sync.fetching.binding import BINDING
    from sync.filesystem import files
    from sync.outputs import CLAIM_FILE

    own = (BINDING, CLAIM_FILE)
    root = staging.datastore.root
    written = [name for name in files.list_files(root) if name not in own]
    with staging.registry.read() as snapshot:
        known = {c.name for c in snapshot.collections(types=[CollectionType.RUN])}
    runs = [name for name in change.state.collections.created if name in known]
    if written or runs:
        what = f"run '{runs[0]}' was begun" if runs else f"{len(written):,} files were written"
        raise ConflictError(
            f"outputs of campaign '{change.state.name}' go to {files.redact(root)}, where {what}: that stays so",
            code="outputs-fixed",
            hint="Make another campaign: stage clone --outputs-in URI.",
        )


def _remember(layout: Layout, place: str | None, claim_id: str) -> None:
    from registry.model.columns import Columns
    from stage.campaign.repositories import open_staging
    from sync.outputs import OUTPUTS_CLAIM, OUTPUTS_IN

    rows = Columns.from_rows(("key", "value"), [(OUTPUTS_IN, place or ""), (OUTPUTS_CLAIM, claim_id)])
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        tx.insert_rows("repository", rows, on_existing="replace")


def _move_binding(before: str, now: str) -> None:
    """Take along what the datastore says of the campaign's inputs."""
    from sync.fetching.binding import BINDING
    from sync.filesystem import files

    if files.exists(files.join(before, BINDING)):
        files.copy(files.join(before, BINDING), files.join(now, BINDING), durable=True)


def begin_outputs(change: Change, staging: Repo, run: str) -> None:
    """Note that the files of a new run are made by this change: they go if it fails.

    Parameters
    ----------
    change : Change
        The change that is being made.
    staging : Repo
        The staging repository.
    run : str
        A RUN that is not there yet.
    """
    from sync.filesystem import files

    root = files.local_path(staging.datastore.root)
    if root is None:
        change.undoing(lambda: _remove_below(staging.datastore.root, run))
    elif not root.is_file():
        change.creating_tree(root / run)


def _remove_below(root: str, run: str) -> None:
    from sync.filesystem import files
    from sync.paths import safe_part

    place = files.join(root, "/".join(map(safe_part, run.split("/"))))
    for name in files.list_files(place):
        with contextlib.suppress(OSError):
            files.remove(files.join(place, name), missing_ok=True)


def refuse_given_run(root: str, run: str) -> None:
    """Refuse to go on with a run whose files are upstream's.

    Parameters
    ----------
    root : str
        Where its outputs go.
    run : str
        The RUN.

    Raises
    ------
    ConflictError
        If it was pushed from where it is.
    """
    from sync.outputs import refuse_given

    refuse_given(root, [run], "be gone on with")


def given_runs(staging: Repo) -> tuple[str, ...]:
    """Return the runs whose files are upstream's where they are.

    Parameters
    ----------
    staging : Repo
        The staging repository.

    Returns
    -------
    tuple of str
        None where outputs are in the campaign's own directory.
    """
    from sync.outputs import read_claim

    if _goes_to(staging) is None:
        return ()
    claim = read_claim(staging.datastore.root)
    return claim.given if claim is not None else ()
