"""What a campaign's graph would read if it were built now; upstream is only read, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError, UsageError
from stage.campaign.building import graph_of_now, open_view
from stage.campaign.change import Change
from stage.campaign.staleness import moved_inputs
from stage.graph.building.relate import match_rows
from stage.graph.wanted import GraphWanted

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["Newer", "look_again"]


@dataclass(frozen=True)
class Newer:
    """What a graph built now would read.

    Parameters
    ----------
    wanted : GraphWanted
        What the graph reads and what one that is built now would, together; of a graph whose inputs have not moved, its
        datasets alone.
    collections : sequence of str
        Inputs that hold something else than when the graph was built, a line each; and why no graph can be built of them.
    datasets : mapping of str to mapping
        Dataset type to how many the graph would read that it does not (``new``), that take the place of others
        (``replaced``), and that are there no more (``removed``).
    """

    wanted: GraphWanted
    collections: Sequence[str] = ()
    datasets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def look_again(
    layout: Layout, state: CampaignState, graph: QuantumGraph, upstream: Repo, staging: Repo
) -> Newer:
    """Look up what a graph reads as if it were built now.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    graph : QuantumGraph
        Its graph.
    upstream, staging : Repo
        Open.

    Returns
    -------
    Newer
        Without a look at a single dataset if no input has moved; else the graph is built again, in memory.
    """
    before = graph.wanted()
    moved = moved_inputs(state, graph, upstream)
    if not moved:
        return Newer(GraphWanted(before.dataset_ids, {}, before.dataset_types, before.collections))
    from stage.graph.changing.refind import find_again, plan_of

    change = Change(layout, state)
    with open_view(state, upstream, staging) as view:
        again = find_again(graph, view, plan_of(graph), view.search_path(state.collections.graph_inputs))
        now = graph
        if state.pipeline is not None:
            # What is lacking is no reason to leave all else as it was.
            try:
                now = graph_of_now(change, view)
            except (NotFoundError, UsageError) as exc:
                moved = [*moved, f"no graph can be built of them now: {exc.message}"]
    counts = {
        name: {
            "new": _n_new(graph, now, name), "replaced": again.replaced.get(name, 0),
            "removed": again.unresolved.get(name, 0),
        }
        for name in again.resolved
    }  # fmt: skip
    return Newer(
        _united(before, again.graph.wanted(), now.wanted()), moved,
        {name: found for name, found in counts.items() if any(found.values())},
    )  # fmt: skip


def _n_new(graph: QuantumGraph, now: QuantumGraph, name: str) -> int:
    """Count the datasets of a type that a graph built now would read and this one does not."""
    if name not in now.layout.type_index:
        return 0
    theirs = now.type_rows[now.layout.type_index[name]].table
    ours = graph.type_rows[graph.layout.type_index[name]].table
    return int(np.count_nonzero(match_rows(theirs, ours, theirs.names) < 0))


def _united(*parts: GraphWanted) -> GraphWanted:
    from sync.closure import merge_keys

    universe = parts[0].dataset_types[0].dimensions.universe
    ids = dict.fromkeys(i for part in parts for i in part.dataset_ids)
    types = {t.name: t for part in reversed(parts) for t in part.dataset_types}
    names = dict.fromkeys(name for part in parts for name in part.collections)
    return GraphWanted(
        list(ids), merge_keys(universe, [part.records for part in parts]), list(types.values()), list(names)
    )
