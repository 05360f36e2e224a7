"""Bringing into staging what a campaign's graph needs of upstream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from stage.campaign.graph_reports import FetchReport
from stage.campaign.graphs import open_graph
from stage.campaign.repositories import ensure_staging, open_staging, open_upstream

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.graph.graph import QuantumGraph
    from stage.graph.wanted import GraphWanted
    from sync.repo import Repo

__all__ = ["ensure_fetched", "fetch_graph", "fetch_wanted", "is_fetched"]


def fetch_graph(change: Change) -> FetchReport:
    """Fetch what the campaign's graph needs.

    Parameters
    ----------
    change : Change
        The change that is being made.

    Returns
    -------
    FetchReport
        What was brought.

    Raises
    ------
    NotFoundError
        If there is no graph, or upstream cannot be reached.
    """
    wanted = open_graph(change.layout, change.state).load().wanted()
    with open_upstream(change.state) as upstream:
        ensure_staging(change, upstream)
        return fetch_wanted(change.layout, upstream, wanted)


def fetch_wanted(layout: Layout, upstream: Repo, wanted: Any) -> FetchReport:
    """Bring rows from upstream into staging.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    upstream : Repo
        Where they are, open.
    wanted : GraphWanted
        Which.

    Returns
    -------
    FetchReport
        What was brought.
    """
    from sync.clone import execute_fetch, plan_fetch

    began = time.monotonic()
    with open_staging(layout, writable=True) as staging:
        plan = plan_fetch(upstream, staging, wanted)
        execute_fetch(plan, staging)
    datasets: dict[str, int] = {}
    for batch in plan.datasets:
        name = batch.dataset_type.name
        datasets[name] = datasets.get(name, 0) + batch.rows.n_rows
    return FetchReport(
        counts={kind: dict(classes) for kind, classes in plan.counts.items()},
        datasets=datasets,
        referred_bytes=plan.size_bytes,
        notes=[str(note) for note in plan.changed],
        seconds=time.monotonic() - began,
    )


def ensure_fetched(change: Change, graph: QuantumGraph) -> None:
    """Fetch what a graph needs, unless staging has its inputs (a fetch brings all or nothing).

    Parameters
    ----------
    change : Change
        The change that is being made.
    graph : QuantumGraph
        The graph.
    """
    wanted = graph.wanted()
    if is_fetched(change.layout, wanted):
        return
    with open_upstream(change.state) as upstream:
        ensure_staging(change, upstream)
        fetch_wanted(change.layout, upstream, wanted)


def is_fetched(layout: Layout, wanted: GraphWanted) -> bool:
    """Tell whether staging has what a graph needs.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    wanted : GraphWanted
        What that is.

    Returns
    -------
    bool
        Then upstream is not asked.
    """
    if not layout.staging.is_file():
        return False
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        return _is_fetched(snapshot, wanted)


def _is_fetched(snapshot: Snapshot, wanted: GraphWanted) -> bool:
    ids = set(wanted.dataset_ids)
    if len(snapshot.existing_ids(list(ids))) < len(ids):
        return False
    keys = {} if ids else wanted.records
    return all(snapshot.records(name, keys=rows).n_rows == rows.n_rows for name, rows in keys.items())
