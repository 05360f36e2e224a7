"""Whether the collections that a graph was built from still hold what they held then.

Names that changed make a graph discrepant (`stage.campaign.discrepancy`). Content that moved on behind the names, as it
does every night in a collection that grows, is told and refuses nothing. What the campaign made itself, and pushed, never
counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from registry.errors import StageError
from stage.campaign.repositories import open_staging, open_upstream

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.graph.access import QuantumSource
    from sync.repo import Repo

__all__ = ["moved_inputs", "read_digests", "staleness_notes"]


def read_digests(
    state: CampaignState, graph: QuantumSource, upstream: Repo | None, staging: Repo | None
) -> dict[str, str]:
    """Digest what the collections of a graph hold of the dataset types that it reads.

    Parameters
    ----------
    state : CampaignState
        Says where the campaign searches.
    graph : QuantumGraph or GraphFile
        Says what it reads.
    upstream, staging : Repo or None
        Open; collections of one that is not there are left out.

    Returns
    -------
    dict of str to str
        Past run or input to digest; names of which there is no collection are absent.

    Notes
    -----
    One set-wise question to each side; no rows are read out.
    """
    c = state.collections
    kinds = [t.name for t in graph.layout.types if t.role == "overall-input"]
    return _digests(staging, c.past_runs, kinds, ()) | _digests(upstream, c.inputs, kinds, c.created)


def _digests(
    repo: Repo | None, names: Sequence[str], kinds: Sequence[str], own: Sequence[str]
) -> dict[str, str]:
    if repo is None or not names:
        return {}
    with repo.registry.read() as snapshot:
        # A run of the campaign that was pushed into an input is no news to it.
        return snapshot.content_digests(names, kinds, leave_out=frozenset(own))


def staleness_notes(
    layout: Layout, state: CampaignState, graph: QuantumSource, *, ask_upstream: bool = True
) -> list[str]:
    """Say which collections hold something else than when the graph was built or refreshed.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, with the digests that were taken then.
    graph : QuantumGraph or GraphFile
        Its graph.
    ask_upstream : bool, optional
        Whether to look at the inputs, which are upstream.

    Returns
    -------
    list of str
        A line a collection; none if upstream cannot be asked, but one that says so.
    """
    before = state.quantum_graph.digests
    c = state.collections
    if not before:
        return []
    notes: list[str] = []
    now: dict[str, str] = {}
    if ask_upstream and any(name in before for name in c.inputs):
        try:
            with open_upstream(state, layout=layout) as upstream:
                now |= read_digests(state, graph, upstream, None)
        except StageError as exc:
            notes.append(f"whether the inputs have changed is not known: {exc.message}")
            ask_upstream = False
    if layout.staging.is_file() and any(name in before for name in c.past_runs):
        with open_staging(layout) as staging:
            now |= read_digests(state, graph, None, staging)
    looked_at = [*c.past_runs, *(c.inputs if ask_upstream else ())]
    return [*notes, *_changes({n: before[n] for n in looked_at if n in before}, now)]


def moved_inputs(state: CampaignState, graph: QuantumSource, upstream: Repo) -> list[str]:
    """Say which inputs hold something else upstream than when the graph was built or refreshed.

    Parameters
    ----------
    state : CampaignState
        With the digests that were taken then.
    graph : QuantumGraph or GraphFile
        The campaign's.
    upstream : Repo
        Open.

    Returns
    -------
    list of str
        A line an input.
    """
    before = state.quantum_graph.digests
    known = {n: before[n] for n in state.collections.inputs if n in before}
    return _changes(known, read_digests(state, graph, upstream, None)) if known else []


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone = [f"'{name}' is there no more" for name in before if name not in now]
    other = [name for name in before if name in now and now[name] != before[name]]
    changed = [f"'{name}' has other content than when the graph was built" for name in other]
    return [*gone, *changed]
