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

__all__ = [
    "align_chain", "choose_run", "finish_run", "forget_begun_runs", "set_campaign_chain", "take_back_run",
]  # fmt: skip


def choose_run(
    state: CampaignState,
    *,
    new_run: bool = False,
    continue_run: bool = False,
    replace: bool = False,
    restart: bool = False,
    taken: Callable[[str], bool],
) -> tuple[CampaignState, str]:
    """Decide which RUN is written to.

    Parameters
    ----------
    state : CampaignState
        The state before.
    new_run : bool, optional
        Begin a new one even if there is a current one, which becomes the newest past run.
    continue_run : bool, optional
        Where there is no current one, go on with the newest past run.
    replace : bool, optional
        Begin a new one in the place of the current one, or else of the newest past run.
    restart : bool, optional
        Begin a new one in the place of all.
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
        If more than one is asked for, or there is no run to go on with or to replace.
    """
    c = state.collections
    ways = {"--new-run": new_run, "--continue": continue_run, "--replace": replace, "--restart": restart}
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise UsageError(
            f"{given[0]} and {given[1]} contradict each other",
            code="contradicting-options",
            hint="Give one of them.",
        )
    if replace and not c.runs:
        raise UsageError("there is no run to replace", code="no-run", hint="Begin one: stage run.")
    if replace or restart:
        left = () if restart else c.runs[1:]
        return _begin_run(state.with_collections(current_run=None, past_runs=left), taken)
    if c.current_run is not None and not new_run:
        return state, c.current_run
    if not continue_run:
        return _begin_run(state.with_collections(past_runs=c.runs), taken)
    if not c.past_runs:
        raise UsageError("there is no run to continue", code="no-run", hint="Begin one: stage run.")
    run = c.past_runs[0]
    return state.with_collections(current_run=run, past_runs=c.past_runs[1:]), run


def _begin_run(state: CampaignState, taken: Callable[[str], bool]) -> tuple[CampaignState, str]:
    """Put a new RUN on top of the past ones."""
    c = state.collections
    name, counter = expand_run_name(c.next_run, campaign=state.name, counter=c.counter, taken=taken)
    return state.with_collections(current_run=name, counter=counter, created=_added(c.created, name)), name


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


def align_chain(layout: Layout, state: CampaignState) -> tuple[str, ...] | None:
    """Make the campaign's chain hold its stack, if there is such a chain in staging.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.

    Returns
    -------
    tuple of str or None
        What the chain held before; None if nothing had to be changed.
    """
    chain = state.collections.chain
    if chain is None or not layout.staging.is_file():
        return None
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        found = {c.name: c for c in snapshot.collections()}
    held = found.get(chain)
    wanted = [name for name in state.collections.stack if name in found]
    if held is None or held.type is not CollectionType.CHAINED or list(held.children) == wanted:
        return None
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        tx.set_chain(chain, wanted)
    return tuple(held.children)


def take_back_run(layout: Layout, run: str, chain: str) -> None:
    """Remove from staging a run that was begun in vain, when the state is as it was.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run, chain : str
        The new RUN and the new chain; empty if they were there before.
    """
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        there = {found.name for found in tx.collections()}
        for name in (chain, run):
            if name in there:
                tx.remove_collection(name, unlink=True)
    if layout.state.exists():
        align_chain(layout, load_state(layout.state))


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
    old = CampaignState.from_document(json.loads(before)).collections
    known = {*old.runs, *old.created}
    begun = [run for run in load_state(layout.state).collections.runs if run not in known]
    if not begun:
        return
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        # One that has quanta was prepared to the end: then its files would not be put back.
        for run in (c.name for c in tx.collections() if c.name in begun):
            if not tx.quanta([run]).n_rows:
                tx.remove_collection(run, unlink=True)
