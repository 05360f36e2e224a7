"""Bringing a bundle in: as a campaign, where there is none, or its runs into the campaign that it came from.

Runs come in by the merge that a push is: compared row by row, refused as a whole where the two sides disagree, and empty
where they agree. So importing twice changes nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import AlreadyExistsError, ConflictError, StorageError, UsageError
from registry.model.refs import id_text
from stage.campaign.bundling import DATA, GRAPH, PIPELINE, STAGING, BundleReport
from stage.campaign.files import allows_wal
from stage.campaign.layout import AFAR_FILE, Layout
from stage.campaign.repositories import open_staging
from stage.campaign.state import CampaignState, save_state

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from sync.bundle import Bundle
    from sync.plan import PushPlan
    from sync.repo import Repo

__all__ = ["make_campaign", "merge_bundle", "open_bundle"]


@contextmanager
def open_bundle(file: Path) -> Iterator[tuple[Bundle, CampaignState]]:
    """Open a bundle of a campaign.

    Parameters
    ----------
    file : Path
        The bundle.

    Yields
    ------
    bundle : Bundle
        Checked, closed afterwards.
    state : CampaignState
        The campaign's, when it was exported.

    Raises
    ------
    NotFoundError
        If there is no such file.
    IntegrityError
        If it is damaged.
    """
    from sync.bundle import Bundle

    with Bundle(file) as bundle:
        yield bundle, CampaignState.from_document(bundle.facts.get("state"), f"the state in {file}")


def make_campaign(bundle: Bundle, state: CampaignState, root: Path) -> BundleReport:
    """Make the campaign that a bundle holds.

    Parameters
    ----------
    bundle : Bundle
        Open.
    state : CampaignState
        Its state.
    root : Path
        The campaign directory: it must not exist, or be empty. It appears when it is whole.

    Returns
    -------
    BundleReport
        What was brought.

    Raises
    ------
    AlreadyExistsError
        If something is in the directory.
    IntegrityError
        If the bundle is damaged.
    StorageError
        If it cannot be written. In all cases nothing is left.
    """
    from registry.migrations.backup import copy_registry
    from sync.filesystem.durable import flush

    if (root / AFAR_FILE).exists():
        raise UsageError(
            "a bundle is not imported into a campaign that is kept at a URI",
            code="remote-campaign",
            hint="Import it into a local directory.",
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise AlreadyExistsError(
            f"{root} is not empty", code="directory-in-use", hint="Name a new directory, or the campaign that the bundle came from."
        )  # fmt: skip
    with _beside(root) as made:
        layout = Layout(made)
        graph = f"{state.name}.qg"
        for name in bundle.members:
            if name != STAGING:
                bundle.extract(name, made / (graph if name == GRAPH else name))
        with tempfile.TemporaryDirectory(prefix=".stage-", dir=made) as scratch:
            copy = Path(scratch) / STAGING
            bundle.extract(STAGING, copy)
            copy_registry(copy, layout.staging, wal=allows_wal(root.parent))
        layout.data.mkdir(exist_ok=True)
        save_state(_at_home(bundle, state, graph), layout.state)
        flush([str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()], str(made))
        if root.exists():
            root.rmdir()
        made.rename(root)
    return _report(
        bundle, state, len(bundle.members), sum(m.size for m in bundle.members.values()), is_new=True
    )


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    """Give a directory beside the final one, and take it away if it was not renamed; those of dead imports go too."""
    mine = f".{root.name}.stage-{socket.gethostname()}-"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for left in root.parent.glob(f"{mine}*"):
            if not _is_alive(left.name.removeprefix(mine).partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=f"{mine}{os.getpid()}-", dir=root.parent))
        made.chmod(0o777 & ~_umask())
    except OSError as exc:
        raise _cannot_make(root, exc) from exc
    try:
        yield made
    except OSError as exc:
        raise _cannot_make(root, exc) from exc
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _cannot_make(root: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"cannot make {root}: {exc.strerror or exc}", hint="Choose a directory where you may write."
    )


def _is_alive(pid: str) -> bool:
    """Tell whether a process of this machine may be alive."""
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _at_home(bundle: Bundle, state: CampaignState, graph: str) -> CampaignState:
    """Return the state with graph and pipeline where they are now."""
    if GRAPH in bundle.members:
        state = replace(state, quantum_graph=replace(state.quantum_graph, uri=graph))
    return replace(state, pipeline=PIPELINE) if _has_own_pipeline(bundle, state) else state


def _has_own_pipeline(bundle: Bundle, state: CampaignState) -> bool:
    named = (state.pipeline or "").partition("#")[0]
    return PIPELINE in bundle.members and Path(named).name == PIPELINE and "#" not in (state.pipeline or "")


def merge_bundle(change: Change, bundle: Bundle, theirs: CampaignState) -> BundleReport:
    """Bring the runs of a bundle into the campaign that it came from.

    Parameters
    ----------
    change : Change
        The change of that campaign that is being made; gets the runs that it lacks.
    bundle : Bundle
        Open.
    theirs : CampaignState
        The state in it.

    Returns
    -------
    BundleReport
        What was new.

    Raises
    ------
    ConflictError
        If it came from another campaign, or the two sides have something else under one name.
    IntegrityError
        If the bundle is damaged. In all cases nothing has changed.
    """
    from stage.campaign.pushing import campaign_info
    from sync.push import execute_push, plan_push
    from sync.repo import Repo

    layout = change.layout
    with (
        open_staging(layout, writable=True) as staging,
        tempfile.TemporaryDirectory(prefix=".stage-bundle-", dir=layout.root) as folder,
    ):
        _check_same(bundle, staging, change)
        scratch = Path(folder)
        bundle.extract(STAGING, scratch / STAGING)
        with Repo.attach(f"sqlite:///{scratch / STAGING}", str(scratch / "data"), writable=True) as brought:
            runs = tuple(bundle.facts["runs"])
            info = campaign_info(brought, theirs)
            plan = plan_push(brought, staging, runs, campaign=info, register_dataset_types=True)
            _extract_artifacts(bundle, plan, scratch)
            result = execute_push(plan, brought, staging)
        n_files = result.moved + _bring_beside(bundle, change, runs)
    change.state = _with_runs(change.state, [run for run in theirs.collections.runs if run in runs])
    return replace(_report(bundle, change.state, n_files, result.size_bytes), notes=_kept(plan))


def _kept(plan: PushPlan) -> tuple[str, ...]:
    """Say of quanta that were tried again elsewhere whose log stays."""
    n = plan.counts.get("dataset", {}).get("kept", 0)
    if not n:
        return ()
    text = f"{n:,} logs and metadata of quanta that were tried again elsewhere stay here as they are, of an earlier attempt"
    return (f"{text}; those of the last attempt are in the bundle alone",)


def _check_same(bundle: Bundle, staging: Repo, change: Change) -> None:
    ours = id_text(staging.registry.repo_id)
    if bundle.facts["id"] != ours:
        raise ConflictError(
            f"{bundle.path} came from campaign '{bundle.facts['campaign']}' ({bundle.facts['id']}), not from "
            f"'{change.state.name}' ({ours}) in {change.layout.root}",
            code="other-campaign",
            hint="Bring it into a new directory: 'stage bundle import FILE DIR'.",
        )


def _extract_artifacts(bundle: Bundle, plan: PushPlan, scratch: Path) -> None:
    """Unpack the files of what is new, and no others."""
    from sync.push import new_artifacts

    for uri in new_artifacts(plan)["uri"].tolist():
        if DATA + uri in bundle.members:  # what is not there is told by the push, with all that lack
            bundle.extract(DATA + uri, scratch / "data" / uri)


def _bring_beside(bundle: Bundle, change: Change, runs: tuple[str, ...]) -> int:
    """Unpack logs and job files of the runs that are not here."""
    wanted = tuple(f"{kind}/{run}/" for kind in ("logs", "submit") for run in runs)
    n = 0
    for name in bundle.members:
        target = change.layout.root / name
        if name.startswith(wanted) and not target.exists():
            bundle.extract(name, target)
            n += 1
    return n


def _with_runs(state: CampaignState, runs: list[str]) -> CampaignState:
    """Put runs that the stack lacks in front of its past ones, and note them as the campaign's own."""
    held = state.collections
    new = [run for run in runs if run not in held.runs]
    if not new:
        return state
    created = (*held.created, *(run for run in new if run not in held.created))
    return replace(state, collections=replace(held, past_runs=(*new, *held.past_runs), created=created))


def _report(
    bundle: Bundle, state: CampaignState, n_files: int, size_bytes: int, *, is_new: bool = False
) -> BundleReport:
    runs = tuple(bundle.facts["runs"])
    return BundleReport(str(bundle.path), state.name, runs, n_files, size_bytes, is_new=is_new)
