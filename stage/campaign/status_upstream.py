"""What has moved upstream since a campaign fetched from it; upstream is only read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import StageError
from stage.campaign.building import graph_of_now, open_view
from stage.campaign.change import Change
from stage.campaign.graphs import open_graph
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream
from stage.campaign.staleness import staleness_notes
from stage.campaign.status_report import UpstreamStatus
from stage.graph.building.relate import match_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.graph.building.view import BuildView
    from stage.graph.graph import QuantumGraph
    from sync.plan import FetchPlan
    from sync.repo import Repo

__all__ = ["upstream_status"]

_CHANGED = ("changed", "conflicting")


def upstream_status(layout: Layout, state: CampaignState) -> UpstreamStatus:
    """Compare upstream with what the campaign has of it.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.

    Returns
    -------
    UpstreamStatus
        What moved; what could not be found out is in its ``problem``.
    """
    try:
        with open_upstream(state) as upstream:
            return _compare(layout, state, upstream)
    except StageError as exc:
        return UpstreamStatus(problem=exc.message)


def _compare(layout: Layout, state: CampaignState, upstream: Repo) -> UpstreamStatus:
    with upstream.registry.read() as snapshot:
        known = {c.name for c in snapshot.collections()}
    out = UpstreamStatus(
        collections=[f"'{name}' is there no more" for name in state.collections.inputs if name not in known],
        runs={run: run in known for run in state.collections.runs},
    )
    if not layout.staging.is_file() or state.quantum_graph.uri is None:
        return out
    try:
        graph = open_graph(layout, state).load()
        notes = staleness_notes(layout, state, graph)
        out = replace(out, collections=list(dict.fromkeys([*out.collections, *notes])))
        with open_staging(layout) as staging:
            check_same_upstream(staging, upstream)
            out = _with_rows(out, graph, upstream, staging)
            if out.collections:
                with open_view(state, upstream, staging) as view:
                    return replace(out, datasets=_datasets(Change(layout, state), graph, view))
    except StageError as exc:
        return replace(out, problem=exc.message)
    return out


def _with_rows(out: UpstreamStatus, graph: QuantumGraph, upstream: Repo, staging: Repo) -> UpstreamStatus:
    """Compare the rows that the graph needs: as a fetch would, which is not made."""
    from sync.clone import plan_fetch

    wanted: Any = graph.wanted()
    plan = plan_fetch(upstream, staging, wanted)
    notes = [str(note) for note in plan.changed] + [str(conflict) for conflict in plan.conflicts]
    return replace(out, records=_records(plan), notes=notes)


def _records(plan: FetchPlan) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for kind, classes in plan.counts.items():
        what, _, name = kind.partition(" ")
        if what != "record":
            continue
        counts = {"new": classes.get("new", 0), "changed": sum(classes.get(c, 0) for c in _CHANGED)}
        if any(counts.values()):
            out[name] = counts
    return out


def _datasets(change: Change, graph: QuantumGraph, view: BuildView) -> Mapping[str, Mapping[str, int]]:
    """Look up what the graph reads, and build it in memory as it would be now."""
    from stage.graph.changing.refind import find_again, plan_of

    path = view.search_path(change.state.collections.graph_inputs)
    again = find_again(graph, view, plan_of(graph), path)
    now = graph_of_now(change, view) if change.state.pipeline is not None else graph
    out: dict[str, dict[str, int]] = {}
    for name in again.resolved:
        counts: dict[str, Any] = {
            "new": _n_new(graph, now, name),
            "replaced": again.replaced.get(name, 0),
            "removed": again.unresolved.get(name, 0),
        }
        if any(counts.values()):
            out[name] = counts
    return out


def _n_new(graph: QuantumGraph, now: QuantumGraph, name: str) -> int:
    """Count the datasets of a type that a graph built now would read and this one does not."""
    if name not in now.layout.type_index:
        return 0
    theirs = now.type_rows[now.layout.type_index[name]].table
    ours = graph.type_rows[graph.layout.type_index[name]].table
    return int(np.count_nonzero(match_rows(theirs, ours, theirs.names) < 0))
