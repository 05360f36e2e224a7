"""Whether a campaign's graph is still what would be built now, and if not, which part differs."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from registry.errors import ConflictError, StageError
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.layout import Layout
from stage.campaign.sources import known_fingerprint
from stage.campaign.state import CampaignState
from stage.campaign.steps import built_nodes

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.graph.file.reader import GraphFile
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = ["Discrepancy", "begun_with", "check_graph_current", "find_discrepancy", "is_run_of"]

_MAX_TOLD = 200
"""A change of a setting that takes more characters is not quoted: scripts are settings too."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """How a graph differs from what the campaign would build now.

    Parameters
    ----------
    what : str
        ``pipeline`` or ``inputs``.
    detail : str
        Which part, with both values.
    same_labels : bool
        Whether the pipeline still has the tasks that the graph has, and no others.
    """

    what: str
    detail: str
    same_labels: bool = True

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"

    @property
    def ways(self) -> str:
        """What can be done about it."""
        if not self.same_labels:
            return "Build the graph again (--rebuild), or run it as it was built (--use-qg-configs)."
        if self.what == "pipeline":
            return (
                "Build the graph again (--rebuild), or, if the settings make no other quanta, run it with the new ones "
                "(--use-task-configs, or --refresh to look up its datasets again too) or the old ones "
                "(--use-qg-configs)."
            )
        return (
            "Build the graph again (--rebuild), look up the datasets of the one there is (--refresh), or run it as it "
            "was built (--use-qg-configs)."
        )


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
        None if pipeline and names of the input collections are those that the graph was built from. Runs made from
        that very graph do not count, nor do those that it was built to leave out; and a current run that was begun
        with the pipeline's settings goes on with them.

    Raises
    ------
    StageError
        If graph or pipeline cannot be read.
    """
    graph = open_graph(layout, state, change)
    entry = state.quantum_graph
    if state.pipeline is not None and not _is_known_same(layout, state, change):
        pipeline = load_pipeline(layout, state, change).first
        is_same = pipeline.fingerprint == entry.pipeline_fingerprint
        if not is_same and not _is_run_with(layout, state, graph, pipeline):
            return _pipeline_differs(pipeline, graph, is_imported=entry.pipeline_fingerprint is None)
    known = graph.header.metadata.get("skip_existing_in", ())
    own = [
        run
        for run in state.collections.runs
        if any(fnmatchcase(run, name) for name in known) or is_run_of(layout, run, graph)
    ]
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


def _is_run_with(layout: Layout, state: CampaignState, graph: GraphFile, pipeline: Pipeline) -> bool:
    """Tell whether the current run was begun with this graph and the pipeline's own settings."""
    run = state.collections.current_run
    begun = None if run is None else begun_with(layout, run)
    return (
        begun is not None
        and _is_same_graph(begun, graph)
        and begun.header.pipeline_fingerprint == pipeline.fingerprint
    )


def begun_with(layout: Layout, run: str) -> GraphFile | None:
    """Open the graph that a run executes.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN of the campaign.

    Returns
    -------
    GraphFile or None
        None if it is gone, or there never was one.
    """
    from stage.graph.file.reader import GraphFile

    try:
        return GraphFile.open(str(layout.run_graph(run)))
    except StageError:
        return None


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
        Also if the graph has been extended since; not if the run's own graph is gone.
    """
    own = begun_with(layout, run)
    return own is not None and _is_same_graph(own, graph)


def _is_same_graph(own: GraphFile, graph: GraphFile) -> bool:
    # Retargeting and refreshing change id, RUN and rows; the moment of building stays.
    header = graph.header
    return own.header.created_ns in (header.created_ns, *header.metadata.get("extends", ()))


def _pipeline_differs(pipeline: Pipeline, graph: GraphFile, *, is_imported: bool) -> Discrepancy:
    """Name the tasks and settings in which a pipeline differs from a graph's."""
    ours = {node.label: node for node in (pipeline.whole or pipeline).nodes}
    built = built_nodes(graph)
    parts = [f"task '{label}' is new" for label in sorted(ours.keys() - built.keys())]
    parts += [f"task '{label}' is gone" for label in sorted(built.keys() - ours.keys())]
    for label in sorted(ours.keys() & built.keys()):
        if ours[label].fingerprint != built[label].fingerprint:
            parts += _settings(ours[label], built[label])
    detail = "; ".join(parts) or ("" if is_imported else "the order of its tasks changed")
    if is_imported:
        detail = "the graph was imported" + (f", and {detail}" if detail else ", not built from this one")
    return Discrepancy("pipeline", detail, ours.keys() == built.keys())


def _settings(mine: TaskNode, theirs: TaskNode) -> list[str]:
    from stage.pipeline.settings import differences

    label = mine.label
    found = []
    for name, was, now in differences(theirs.config, mine.config):
        told = f"was {was!r}, is {now!r}"
        found.append(f"{label}:{mine.typed_name(name)} {told if len(told) < _MAX_TOLD else 'changed'}")
    if mine.version != theirs.version:
        found.append(f"{label}: version was {theirs.version or '-'}, is {mine.version or '-'}")
    return found or [f"{label}: its code, dimensions or connections changed"]


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
            hint=found.ways,
            context={"what": found.what, "detail": found.detail},
        )
