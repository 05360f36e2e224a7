"""Whether a campaign's graph is still what would be built now, and if not, which part differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import ConflictError, StageError
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.layout import Layout
from stage.campaign.sources import known_fingerprint
from stage.campaign.state import CampaignState

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.graph.file import GraphFile
    from stage.pipeline.pipeline import Pipeline

__all__ = ["Discrepancy", "check_graph_current", "find_discrepancy", "is_run_of"]


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """How a graph differs from what the campaign would build now.

    Parameters
    ----------
    what : str
        ``pipeline`` or ``inputs``.
    detail : str
        Which part, with both values.
    """

    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


def find_discrepancy(
    layout: Layout, state: CampaignState, change: Change | None = None
) -> Discrepancy | None:
    """Compare the campaign's graph with what would be built now.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, with a graph.
    change : Change, optional
        A change that is being made, which may have newer files.

    Returns
    -------
    Discrepancy or None
        None if pipeline and names of the input collections are those that the graph was built from.
        Runs made from that very graph do not count.

    Raises
    ------
    StageError
        If graph or pipeline cannot be read.
    """
    graph = open_graph(layout, state, change)
    entry = state.quantum_graph
    if state.pipeline is not None and not _is_known_same(layout, state, change):
        pipeline = load_pipeline(layout, state, change)
        if pipeline.fingerprint != entry.pipeline_fingerprint:
            return Discrepancy("pipeline", _pipeline_detail(pipeline, graph))
    own = [run for run in state.collections.past_runs if is_run_of(layout, run, graph)]
    now = tuple(c for c in state.collections.graph_inputs if c not in own)
    built = tuple(c for c in entry.collections or () if c not in own)
    if state.collections.inputs and now != built:
        then = ", ".join(built) or "(imported)"
        return Discrepancy(
            "inputs", f"the graph was built from {then}; the campaign now has {', '.join(now)}"
        )
    return None


def _is_known_same(layout: Layout, state: CampaignState, change: Change | None) -> bool:
    """Tell whether the pipeline is that of the graph because nothing that it was made from has changed.

    Who is about to change something looks at the pipeline itself.
    """
    built = state.quantum_graph.pipeline_fingerprint
    return change is None and built is not None and built == known_fingerprint(layout, state)


def is_run_of(layout: Layout, run: str, graph: GraphFile) -> bool:
    """Tell whether a run was made from a graph.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN of the campaign.
    graph : GraphFile
        The graph.

    Returns
    -------
    bool
        False also if the run's own graph is gone.
    """
    from stage.graph.file import GraphFile

    try:
        own = GraphFile.open(str(layout.run_graph(run))).header
    except StageError:
        return False
    # Retargeting changes id and RUN only; the moment of building stays.
    return own.created_ns == graph.header.created_ns


def _pipeline_detail(pipeline: Pipeline, graph: GraphFile) -> str:
    """Name the tasks and settings in which a pipeline differs from a graph's."""
    ours = {node.label: node for node in pipeline.nodes}
    built = {node.label: node for node in graph.tasks}
    added = [f"task '{label}' is new" for label in ours.keys() - built.keys()]
    removed = [f"task '{label}' is gone" for label in built.keys() - ours.keys()]
    changed = []
    for label in sorted(ours.keys() & built.keys()):
        mine, theirs = ours[label], built[label]
        if mine.fingerprint == theirs.fingerprint:
            continue
        keys = sorted(k for k in {*mine.config, *theirs.config} if mine.config.get(k) != theirs.config.get(k))
        settings = [f"{label}:{k} was {theirs.config.get(k)!r}, is {mine.config.get(k)!r}" for k in keys]
        if mine.version != theirs.version:
            settings.append(f"{label}: version was {theirs.version or '-'}, is {mine.version or '-'}")
        changed += settings or [f"{label}: its code, dimensions or connections changed"]
    return (
        "; ".join([*sorted(added), *sorted(removed), *changed])
        or "the graph was imported, or the pipeline's order changed"
    )


def check_graph_current(layout: Layout, state: CampaignState, change: Change | None = None) -> None:
    """Refuse a graph that may be out of date.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, with a graph.
    change : Change, optional
        A change that is being made, which may have newer files.

    Raises
    ------
    ConflictError
        If pipeline or inputs differ; says which, how, and the ways on.
    """
    found = find_discrepancy(layout, state, change)
    if found is not None:
        raise ConflictError(
            f"the graph is not what the campaign would build now; {found}",
            code="graph-discrepant",
            hint="Build it again (--rebuild), or run it as it was built (--use-qg-configs).",
            context={"what": found.what, "detail": found.detail},
        )
