"""The stack of a campaign's runs: which one is written to, and the collection that holds all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from registry.errors import UsageError
from registry.model.collections import CollectionType
from stage.campaign.naming import expand_run_name
from stage.campaign.repositories import open_staging
from stage.campaign.state import CampaignState, load_state
from stage.campaign.undo import state_before

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from sync.repo import Repo

__all__ = ["choose_run", "finish_run", "forget_begun_runs", "set_campaign_chain"]


def choose_run(
    state: CampaignState, *, new_run: bool, continue_run: bool, taken: Callable[[str], bool]
) -> tuple[CampaignState, str]:
    """Decide which RUN is written to.

    Parameters
    ----------
    state : CampaignState
        The state before.
    new_run : bool
        Begin a new one even if there is a current one, which becomes the newest past run.
    continue_run : bool
        Where there is no current one, go on with the newest past run.
    taken : callable
        Tells whether a collection of a name exists.

    Returns
    -------
    state : CampaignState
        With that run as the current one.
    run : str
        Its name.

    Raises
    ------
    UsageError
        If both are asked for, or there is no run to go on with.
    """
    c = state.collections
    if new_run and continue_run:
        raise UsageError("--new-run and --continue contradict each other", hint="Give one of them.")
    if continue_run and c.current_run is None:
        if not c.past_runs:
            raise UsageError("there is no run to continue", code="no-run", hint="Begin one: stage run.")
        state = state.with_collections(current_run=c.past_runs[0], past_runs=c.past_runs[1:])
    elif new_run or c.current_run is None:
        name, counter = expand_run_name(c.next_run, campaign=state.name, counter=c.counter, taken=taken)
        past = (c.current_run, *c.past_runs) if c.current_run else c.past_runs
        state = state.with_collections(
            current_run=name, past_runs=past, counter=counter, created=_added(c.created, name)
        )
    run = state.collections.current_run
    if run is None:
        raise UsageError("there is no current run", code="no-run")
    return state, run


def _added(names: tuple[str, ...], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*names, *more]))


def set_campaign_chain(staging: Repo, state: CampaignState) -> CampaignState:
    """Define the campaign's CHAINED collection as its stack (current_run, *past_runs, *inputs).

    Parameters
    ----------
    staging : Repo
        Open to write.
    state : CampaignState
        The state.

    Returns
    -------
    CampaignState
        With the chain among those created. Inputs of which nothing was fetched are left out of the chain.
    """
    c = state.collections
    if c.chain is None:
        return state
    with staging.registry.write() as tx:
        there = {found.name for found in tx.collections()}
        tx.register_collection(c.chain, CollectionType.CHAINED, state.doc)
        tx.set_chain(c.chain, [name for name in c.stack if name in there])
    return state.with_collections(created=_added(c.created, c.chain))


def finish_run(state: CampaignState) -> CampaignState:
    """Move the current run to the front of the past runs.

    Parameters
    ----------
    state : CampaignState
        The state.

    Returns
    -------
    CampaignState
        Without a current run; its stack is the same.
    """
    c = state.collections
    return state.with_collections(current_run=None, past_runs=c.runs)


def forget_begun_runs(layout: Layout) -> None:
    """Remove from staging the runs that a killed command had begun to prepare, before its files are put back.

    Parameters
    ----------
    layout : Layout
        The campaign's paths; its lock is held.
    """
    before = state_before(layout)
    if before is None or not layout.staging.is_file():
        return
    known = CampaignState.from_document(json.loads(before)).collections.runs
    begun = [run for run in load_state(layout.state).collections.runs if run not in known]
    if not begun:
        return
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        # One that has quanta was prepared to the end: then its files would not be put back.
        for run in (c.name for c in tx.collections() if c.name in begun):
            if not tx.quanta([run]).n_rows:
                tx.remove_collection(run, unlink=True)
