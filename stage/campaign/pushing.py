"""Pushing a campaign's runs upstream: the only thing here that opens upstream to write."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, UsageError, nearest
from stage.campaign.outcomes import has_collection, planned_tasks, task_counts
from stage.campaign.reports import PushReport
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.plan import CampaignInfo
    from sync.pushing.asking import Asked
    from sync.repo import Repo
    from sync.transfer import Mode

__all__ = ["campaign_info", "push_campaign", "push_state", "runs_to_push"]


def campaign_info(staging: Repo, state: CampaignState) -> CampaignInfo:
    """Say which campaign pushes.

    Parameters
    ----------
    staging : Repo
        Its staging repository, whose identity is the campaign's.
    state : CampaignState
        Its state.

    Returns
    -------
    CampaignInfo
        For upstream's ledger.
    """
    from sync.plan import CampaignInfo

    return CampaignInfo(staging.registry.repo_id, state.name, state.doc, json.dumps(state.to_document()))


def runs_to_push(staging: Repo, state: CampaignState, asked: Sequence[str]) -> tuple[str, ...]:
    """Return the runs that a push is about.

    Parameters
    ----------
    staging : Repo
        The campaign's staging repository.
    state : CampaignState
        Its state.
    asked : sequence of str
        Runs named by the user.

    Returns
    -------
    tuple of str
        Those, or by default every run of the campaign in which something was done; newest first.

    Raises
    ------
    NotFoundError
        If a run that was named is none of the campaign's.
    """
    runs = state.collections.runs
    for name in asked:
        if name not in runs:
            raise NotFoundError(
                f"campaign '{state.name}' has no run '{name}'", code="no-such-run", hint=nearest(name, runs)
            )
    with staging.registry.read() as snapshot:
        there = [run for run in runs if has_collection(snapshot, run)]
        done = set(snapshot.quanta(there)["run"].tolist()) if there else set()
    return tuple(run for run in runs if (run in asked if asked else run in done))


def push_state(snapshot: Snapshot, run: str) -> str:
    """Tell from what staging noted of pushes whether a run has something to push.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    run : str
        A RUN in which something was done.

    Returns
    -------
    str
        ``pushed``; ``to push``; ``to push again`` if it changed since, or only a part of it went; ``push broken off``
        if a push has begun and its end is not known here.
    """
    from sync import journal

    entries = [e for e in journal.entries(snapshot, "push") if run in e.payload.get("runs", ())]
    if not entries:
        return "to push"
    if entries[0].state != journal.DONE:
        return "push broken off"
    # A push of chosen datasets only leaves something to push.
    whole = [
        e.payload.get("marks", {}).get(run)
        for e in entries
        if not (e.payload.get("dataset_types") or e.payload.get("where"))
    ]
    return "pushed" if snapshot.run_marks([run]).get(run) in whole else "to push again"


def _unfinished(layout: Layout, staging: Repo, runs: Sequence[str]) -> dict[str, int]:
    """Return the runs in which quanta have no outcome yet, and how many; staging alone does not know of those."""
    with staging.registry.read() as snapshot:
        counts = {run: task_counts(snapshot, run, planned_tasks(layout, run)) for run in runs}
    missing = {run: sum(c.get("missing", 0) for c in tasks.values()) for run, tasks in counts.items()}
    return {run: n for run, n in missing.items() if n}


def _as_typed(
    runs: Sequence[str],
    *,
    chain: str | None,
    dataset_type: Sequence[str],
    where: str | None,
    register_dataset_types: bool,
    only_complete: bool,
    strict_inputs: bool,
    replace_run: bool,
    on_conflict: Sequence[str],
    artifacts: str,
    upstream: str,
) -> Asked:
    """Return a push as its user would type it again."""
    from sync.pushing.asking import Asked

    words: list[str] = []
    repeated = [("--dataset-type", glob) for glob in dataset_type]
    repeated += [("--on-conflict", policy) for policy in on_conflict]
    way = artifacts if artifacts != "auto" else None
    for option, value in (("--chain", chain), ("--where", where), ("--artifacts", way), *repeated):
        words += [option, value] if value else []
    flags = {
        "--register-dataset-types": register_dataset_types,
        "--only-complete": only_complete,
        "--strict-inputs": strict_inputs,
        "--replace-run": replace_run,
    }
    return Asked(tuple(runs), (*words, *(flag for flag, given in flags.items() if given)), upstream=upstream)


def _mode(artifacts: str) -> Mode:
    for mode in ("auto", "link", "copy"):
        if artifacts == mode:
            return mode
    raise UsageError(
        f"artifacts cannot get upstream by '{artifacts}'",
        code="bad-artifacts",
        hint="Say auto, link or copy: stage push --artifacts copy.",
    )


def push_campaign(
    layout: Layout,
    state: CampaignState,
    runs: Sequence[str] = (),
    *,
    dry_run: bool = False,
    chain: str | None = None,
    dataset_type: Sequence[str] = (),
    where: str | None = None,
    register_dataset_types: bool = False,
    only_complete: bool = False,
    strict_inputs: bool = False,
    replace_run: bool = False,
    on_conflict: Sequence[str] = (),
    artifacts: str = "auto",
) -> PushReport:
    """Merge runs upstream, or say what that would do.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    runs : sequence of str, optional
        Which; by default all in which something was done.
    dry_run : bool, optional
        Only plan: upstream is opened read-only.
    chain : str, optional
        Upstream chain to put the runs at the front of.
    dataset_type : sequence of str, optional
        Globs of dataset types; all by default.
    where : str, optional
        Expression that chooses datasets by their data IDs.
    register_dataset_types : bool, optional
        Define upstream what it lacks.
    only_complete : bool, optional
        Leave out runs in which a quantum failed or is missing.
    strict_inputs : bool, optional
        Refuse the push where upstream will not have an input that was used.
    replace_run : bool, optional
        Let the newest run take the place of the campaign's run that is first in the chain.
    on_conflict : sequence of str, optional
        ``KIND=fail`` or ``KIND=skip``: what becomes of conflicts of a kind.
    artifacts : {"auto", "link", "copy"}, optional
        How files get upstream.

    Returns
    -------
    PushReport
        The plan, and whether it was carried out.

    Raises
    ------
    ConflictError
        If the two sides disagree; nothing was written.
    NotFoundError
        If a run does not exist, upstream cannot be reached, or an artifact is missing here.
    IntegrityError
        If an artifact is not what was recorded.
    """
    from sync.filesystem.files import redact
    from sync.push import PushResult, check_local, execute_push, plan_push

    began = time.monotonic()
    mode = _mode(artifacts)
    with (
        open_staging(layout, writable=not dry_run) as staging,
        open_upstream(state, writable=not dry_run) as upstream,
    ):
        check_same_upstream(staging, upstream)
        chosen = runs_to_push(staging, state, runs)
        left_out = _unfinished(layout, staging, chosen) if only_complete else {}
        plan = plan_push(
            staging,
            upstream,
            tuple(run for run in chosen if run not in left_out),
            dataset_types=tuple(dataset_type),
            where=where or "",
            register_dataset_types=register_dataset_types,
            chain=chain,
            only_complete=only_complete,
            strict_inputs=strict_inputs,
            replace_run=replace_run,
            on_conflict=tuple(on_conflict),
            mode=mode,
            campaign=campaign_info(staging, state),
            asked=_as_typed(
                runs, chain=chain, dataset_type=dataset_type, where=where, strict_inputs=strict_inputs,
                register_dataset_types=register_dataset_types, only_complete=only_complete, on_conflict=on_conflict,
                artifacts=mode, replace_run=replace_run, upstream=redact(state.repo),
            ),
        )  # fmt: skip
        result = PushResult(None)
        if not dry_run:
            result = execute_push(plan, staging, upstream, mode=mode)
        elif not plan.conflicts:
            check_local(plan, staging)
    return PushReport(
        result.plan or plan,
        dry_run,
        pushed=result.push_id is not None,
        seconds=time.monotonic() - began,
        left_out=left_out,
        locked_seconds=result.locked_s,
        adopted=result.moved if result.adopted else 0,
    )
