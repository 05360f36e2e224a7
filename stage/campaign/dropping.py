"""Runs that leave the stack: what goes with them, `pop` and `clean`.

The stack changes first, and then rows and files go. A process that dies in between leaves runs that are in no stack,
and `clean` removes what is left of them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import ConflictError, NotFoundError, UsageError
from registry.model.collections import CollectionType
from stage.campaign.driven import refuse_driven
from stage.campaign.drop_report import CleanReport, DropMode, DropReport
from stage.campaign.forgetting import forget_runs
from stage.campaign.outputs import given_runs
from stage.campaign.repositories import open_staging
from stage.campaign.stack import align_chain

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.administration.prune import PrunePlan
    from sync.repo import Repo

__all__ = [
    "clean_campaign",
    "execute_drop",
    "keep_chain",
    "plan_clean",
    "plan_drop",
    "plan_pop",
    "pop_campaign",
]

_log = logging.getLogger(__name__)


# -- dropping -------------------------------------------------------------------------------------------------


def plan_drop(layout: Layout, runs: Sequence[str], mode: DropMode) -> DropReport:
    """Say what is removed when runs leave the stack; nothing is changed.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    runs : sequence of str
        The runs.
    mode : {"", "unstore", "purge"}
        What becomes of them.

    Returns
    -------
    DropReport
        How much it would be.

    Raises
    ------
    NotFoundError
        If one of them is not in staging.
    ConflictError
        If one was pushed, or other collections hold datasets of it, and it was to be removed.
    BusyError
        If jobs execute one, and it was to be removed.
    """
    if not runs:
        return DropReport((), mode)
    if mode:
        refuse_driven(layout, runs)
    with open_staging(layout) as staging:
        with staging.registry.read() as snapshot:
            there = {c.name for c in snapshot.collections(types=[CollectionType.RUN])}
            pushed = _push_reasons(snapshot, given_runs(staging))
        if missing := [run for run in runs if run not in there]:
            raise NotFoundError(
                f"run '{missing[0]}' is not in staging",
                code="no-such-run",
                hint="See what is: stage query collections.",
            )
        if not mode:
            return DropReport(tuple(runs))
        for run in runs:
            if reason := pushed.get(run, {}).get(mode):
                raise ConflictError(
                    f"run '{run}' cannot be removed: {reason}", code="run-pushed", hint=_WAY_ON[mode]
                )
        plan = _prune_plan(staging, runs)
    return DropReport(tuple(runs), mode, plan.n_datasets, len(plan.uris), plan.size_bytes)


_WAY_ON = {
    "unstore": "Finish that first: stage push. Or drop it and keep its files.",
    "purge": "Give --unstore to remove its files only, or drop it and keep all.",
}


def _push_reasons(snapshot: Snapshot, given: Sequence[str] = ()) -> dict[str, Mapping[str, str]]:
    """Return for each run of which upstream knows why it may not be unstored or purged."""
    from sync import journal

    out: dict[str, Mapping[str, str]] = {}
    for entry in reversed(journal.entries(snapshot, "push")):
        if entry.state == journal.DONE:
            reasons = {"purge": "it was pushed, and staging has to know what upstream has of it"}
        else:
            reasons = dict.fromkeys(
                ("unstore", "purge"), "a push of it was broken off; give that up: stage push --abort"
            )
        out |= dict.fromkeys(entry.payload.get("runs", ()), reasons)
    upstreams = dict.fromkeys(("unstore", "purge"), "its files are upstream's, where they lie")
    return out | {run: upstreams for run in given if "unstore" not in out.get(run, {})}


def _prune_plan(staging: Repo, runs: Sequence[str]) -> PrunePlan:
    from sync.administration import prune

    plan = prune.plan_prune(staging, runs, mode="unstore")
    if plan.held_by:
        name, n = next(iter(plan.held_by.items()))
        raise ConflictError(
            f"datasets of {', '.join(runs)} are in '{name}' too ({n:,})",
            code="datasets-held",
            hint="Drop the runs and keep their files, or remove that collection first.",
            context={"held_by": dict(plan.held_by)},
        )
    return plan


def execute_drop(change: Change, runs: Sequence[str], mode: DropMode) -> None:
    """Remove what is left of runs that are in no stack any more.

    Parameters
    ----------
    change : Change
        The change that is being made; what it did so far is kept.
    runs : sequence of str
        The runs, as `plan_drop` was asked about them.
    mode : {"", "unstore", "purge"}
        What becomes of them.

    Raises
    ------
    StorageError
        If files cannot be removed; `clean` does what is left to do.
    """
    from sync.administration import prune, removal

    if not runs or not mode:
        return
    _log.info("removing %s of %s", "files" if mode == "unstore" else "all", ", ".join(runs))
    with open_staging(change.layout, writable=True) as staging:
        if mode == "unstore":
            prune.execute_prune(_prune_plan(staging, runs), staging)
            return
        removal.execute_removal(removal.plan_removal(staging, runs, unlink=True), staging)
    forget_runs(change, runs)


# -- the stack ------------------------------------------------------------------------------------------------


def keep_chain(change: Change) -> None:
    """Make the campaign's chain hold its stack; taken back if the change fails.

    Parameters
    ----------
    change : Change
        The change that is being made.
    """
    if not change.moves_stack:
        return
    # The state first: if this process is killed, the next command puts it back and the chain with it.
    change.save_now()
    held = align_chain(change.layout, change.state)
    if held is not None:
        chain = change.state.collections.chain
        change.undoing(lambda: _set_chain(change.layout, str(chain), held))


def _set_chain(layout: Layout, chain: str, children: Sequence[str]) -> None:
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        tx.set_chain(chain, list(children))


def plan_pop(layout: Layout, state: CampaignState, n: int, mode: DropMode) -> DropReport:
    """Say which runs leave the stack, and what of them is removed; nothing is changed.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    n : int
        How many of the past runs, after the current one.
    mode : {"", "unstore", "purge"}
        What becomes of them.

    Returns
    -------
    DropReport
        They.

    Raises
    ------
    UsageError
        If there are not that many.
    StageError
        If they cannot be dropped.
    """
    c = state.collections
    if n < 0 or n > len(c.past_runs):
        raise UsageError(
            f"cannot drop {n} past runs: there are {len(c.past_runs)}",
            code="no-run",
            hint="See them: stage status.",
        )
    runs = (*((c.current_run,) if c.current_run else ()), *c.past_runs[:n])
    if not runs:
        raise UsageError(
            "there is no current run to drop",
            code="no-run",
            hint=f"'stage pop 1' drops the newest past run, '{c.past_runs[0]}'."
            if c.past_runs
            else "Begin one: stage run.",
        )
    return plan_drop(layout, runs, mode)


def pop_campaign(change: Change, n: int, mode: DropMode) -> DropReport:
    """Drop runs from the top of the stack.

    Parameters
    ----------
    change : Change
        The change that is being made.
    n : int
        How many of the past runs, after the current one.
    mode : {"", "unstore", "purge"}
        What becomes of them.

    Returns
    -------
    DropReport
        What left.

    Raises
    ------
    UsageError
        If there are not that many.
    StageError
        If they cannot be dropped; all is as it was.
    """
    report = plan_pop(change.layout, change.state, n, mode)
    past = change.state.collections.past_runs[n:]
    change.state = change.state.with_collections(current_run=None, past_runs=past)
    keep_chain(change)
    change.keep()
    execute_drop(change, report.runs, mode)
    return report


# -- cleaning -------------------------------------------------------------------------------------------------


def plan_clean(layout: Layout, state: CampaignState, *, purge: bool) -> CleanReport:
    """Say what a cleaning would remove; nothing is changed.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    purge : bool
        Whether runs go altogether, not only their files.

    Returns
    -------
    CleanReport
        Not done.

    Raises
    ------
    ConflictError
        If other collections hold datasets of such a run.
    """
    c = state.collections
    dropped = [name for name in c.created if name not in {c.chain, *c.stack}]
    if not dropped or not layout.staging.is_file():
        return CleanReport()
    with open_staging(layout) as staging:
        with staging.registry.read() as snapshot:
            types = {found.name: found.type for found in snapshot.collections()}
            pushed = _push_reasons(snapshot, given_runs(staging))
        runs = [name for name in dropped if types.get(name) is CollectionType.RUN]
        fixed = [run for run in runs if "unstore" in pushed.get(run, {})]
        purged = [run for run in runs if purge and run not in pushed]
        unstored = [run for run in runs if run not in (*purged, *fixed)]
        plans = {run: _prune_plan(staging, [run]) for run in (*purged, *unstored)}
    unstored = [run for run in unstored if plans[run].uris]
    told = [plans[run] for run in (*purged, *unstored)]
    return CleanReport(
        unstored,
        purged,
        [name for name in dropped if types.get(name) is CollectionType.CHAINED],
        [name for name in dropped if name not in types],
        {run: reasons["purge"] for run, reasons in pushed.items() if run in (runs if purge else fixed)},
        sum(plan.n_datasets for plan in told),
        sum(len(plan.uris) for plan in told),
        sum(plan.size_bytes for plan in told),
    )


def clean_campaign(change: Change, *, purge: bool) -> CleanReport:
    """Remove what is left of collections that the campaign made and that are in no stack any more.

    Parameters
    ----------
    change : Change
        The change that is being made.
    purge : bool
        Whether runs go altogether, not only their files.

    Returns
    -------
    CleanReport
        What was removed.

    Raises
    ------
    StageError
        If something cannot be removed; the same command goes on from there.
    """
    plan = plan_clean(change.layout, change.state, purge=purge)
    execute_drop(change, plan.unstored, "unstore")
    if plan.chains:
        with open_staging(change.layout, writable=True) as staging, staging.registry.write() as tx:
            for name in plan.chains:
                tx.remove_collection(name, unlink=True)
    execute_drop(change, plan.purged, "purge")
    if plan.forgotten:
        _remove_leftovers(change, plan.forgotten)
    forget_runs(change, [*plan.chains, *plan.forgotten])
    return replace(plan, done=not plan.is_empty)


def _remove_leftovers(change: Change, names: Sequence[str]) -> None:
    """Remove files of runs whose rows are gone: whoever removed them was killed before it came to the files."""
    from sync.administration import orphans

    c = change.state.collections
    others = tuple(f"{name}/" for name in (*c.created, *c.stack) if name not in names)
    ours = tuple(f"{name}/" for name in names)
    with open_staging(change.layout, writable=True) as staging:
        found = orphans.plan_orphans(staging, older_than_s=0.0)
        left = [
            uri
            for uri in found.uris
            if uri.startswith(ours) and not any(uri.startswith(o) for o in others if o.startswith(ours))
        ]
        orphans.execute_orphans(replace(found, uris=left), staging)
