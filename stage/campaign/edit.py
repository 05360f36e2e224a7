"""Editing a campaign's definition: pure where it is about state, text in and out where it is about the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from registry.errors import ConflictError, UsageError
from registry.model.collections import check_collection_name
from stage.campaign.input_options import check_artifacts, check_cache_size
from stage.campaign.naming import check_campaign_name, check_pattern
from stage.campaign.options import EditOptions
from stage.campaign.outputs import check_outputs
from stage.campaign.state import CampaignState, Collections
from sync.repo_file import refuse_password

__all__ = [
    "check_upstream_uri",
    "edit_collections",
    "edit_definition",
    "merge_inputs",
    "new_state",
    "split_names",
]


def check_upstream_uri(uri: str) -> str:
    """Refuse an upstream URI that holds a password: the state file is no place for one.

    Parameters
    ----------
    uri : str
        The URI.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If it names a password.
    """
    refuse_password(uri, "upstream URI")
    return uri


def split_names(values: Sequence[str]) -> tuple[str, ...]:
    """Return the collections named by repeated options, each of which may hold several.

    Parameters
    ----------
    values : sequence of str
        Texts with names separated by commas.

    Returns
    -------
    tuple of str
        Each name once, at its first place.

    Raises
    ------
    UsageError
        If one is no collection name.
    """
    names = [n.strip() for v in values for n in v.split(",") if n.strip()]
    return tuple(dict.fromkeys(check_collection_name(n) for n in names))


def merge_inputs(old: Sequence[str], new: Sequence[str], *, prepend: bool) -> tuple[str, ...]:
    """Return the inputs after an edit.

    Parameters
    ----------
    old, new : sequence of str
        Those there are, those given.
    prepend : bool
        Whether `new` goes before `old` (moving what is there already) or replaces it.

    Returns
    -------
    tuple of str
        In search order.
    """
    return tuple(dict.fromkeys([*new, *(old if prepend else ())]))


def edit_definition(state: CampaignState, options: EditOptions) -> CampaignState:
    """Apply the options that say what a campaign is.

    Parameters
    ----------
    state : CampaignState
        As it is.
    options : EditOptions
        ``campaign_name``, ``campaign_docs``, ``run_dirs``, ``artifacts``, ``outputs_in``,
        ``cache_size``; others are ignored.

    Returns
    -------
    CampaignState
        As it is to be.

    Raises
    ------
    ConflictError
        If what is fixed would change.
    """
    name = options.get("campaign_name")
    if name and name != state.name:
        if state.collections.created:
            raise ConflictError(
                f"campaign '{state.name}' has made collections, so its name is fixed",
                code="name-fixed",
                hint="Make another campaign: stage clone.",
            )
        # A chain named after the campaign by default follows its name.
        if state.collections.chain == state.name:
            state = state.with_collections(chain=name)
        state = replace(state, name=check_campaign_name(name))
    if "campaign_docs" in options:
        state = replace(state, doc=options["campaign_docs"])
    if "run_dirs" in options:
        state = replace(state, run_dirs=options["run_dirs"])
    if "artifacts" in options:
        state = replace(state, artifacts=check_artifacts(options["artifacts"]))
    if "outputs_in" in options:
        state = replace(state, outputs_in=check_outputs(options["outputs_in"]))
    if "cache_size" in options:
        state = replace(state, cache_size=check_cache_size(options["cache_size"]))
    return state


def edit_collections(state: CampaignState, options: EditOptions) -> CampaignState:
    """Apply the options about collections.

    Parameters
    ----------
    state : CampaignState
        As it is.
    options : EditOptions
        ``input``, ``prepend_inputs``, ``chain``, ``no_chain``, ``next_run``, ``set_counter``; others are ignored.

    Returns
    -------
    CampaignState
        As it is to be. A past run that is named as an input is a past run no more.

    Raises
    ------
    UsageError
        If options contradict each other, or a name is none.
    """
    c = state.collections
    given = split_names(options.get("input", ()))
    if options.get("prepend_inputs") and not given:
        raise UsageError("--prepend-inputs needs collections to prepend", hint="Name them with -i.")
    if given:
        inputs = merge_inputs(c.inputs, given, prepend=bool(options.get("prepend_inputs")))
        if c.current_run in inputs:
            raise UsageError(
                f"run '{c.current_run}' is the current one; it cannot be an input",
                hint="Finish it first: stage run --finish.",
            )
        if c.chain in inputs:
            raise UsageError(f"chain '{c.chain}' is the campaign's own; it cannot be an input")
        state = state.with_collections(
            inputs=inputs, past_runs=tuple(r for r in c.past_runs if r not in given)
        )
    if options.get("chain") and options.get("no_chain"):
        raise UsageError("--chain and --no-chain contradict each other", hint="Give one of them.")
    if options.get("chain"):
        state = state.with_collections(chain=check_collection_name(options["chain"]))
    if options.get("no_chain"):
        state = state.with_collections(chain=None)
    if options.get("next_run"):
        state = state.with_collections(next_run=check_pattern(options["next_run"]))
    counter = options.get("set_counter")
    if counter is not None:
        if counter < 0:
            raise UsageError(f"the counter cannot be {counter}", hint="It is a whole number, 0 or more.")
        state = state.with_collections(counter=counter)
    return state


def new_state(repo: str, name: str) -> CampaignState:
    """Return the state of a campaign in which nothing was set yet.

    Parameters
    ----------
    repo : str
        URI of the upstream repository.
    name : str
        The campaign's name.

    Returns
    -------
    CampaignState
        With default names of collections.

    Raises
    ------
    UsageError
        If the name is none, or the URI holds a password.
    """
    return CampaignState(check_campaign_name(name), check_upstream_uri(repo), Collections(chain=name))
