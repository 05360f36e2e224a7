"""Whether a campaign's graph is still what would be built now, and if not, which part differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

__all__ = [
    "Discrepancy", "begun_with", "check_graph_current", "find_discrepancies", "find_discrepancy", "is_run_of", "ways_on",
]  # fmt: skip

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


def ways_on(
    found: Sequence[Discrepancy], state: CampaignState, command: str = "run", *, is_begun: bool = False
) -> dict[str, str]:
    """Say what can be typed about a graph that is not what would be built now.

    Parameters
    ----------
    found : sequence of Discrepancy
        How it differs.
    state : CampaignState
        The campaign's.
    command : {"run", "prep"}, optional
        What was to be done.
    is_begun : bool, optional
        Whether the current run was begun: another graph, or other settings, need a new one.

    Returns
    -------
    dict of str to str
        Command line to what it does; those that cannot help here are left out.
    """
    runs = command == "run"
    fits, inputs = all(one.same_labels for one in found), bool(state.collections.inputs)
    anew = " --new-run" if is_begun else ""
    settings = anew if any(one.what == "pipeline" for one in found) else ""
    rebuild = f"stage run --rebuild{anew}" if runs else "stage build"
    refresh = f"stage run --refresh{settings}" if runs else "stage qg refresh"
    ways = {
        rebuild: (inputs and state.pipeline is not None, "builds it again: always right"),
        refresh: (inputs and fits, "takes the same quanta, on what the collections hold now"),
        f"stage {command} --use-task-configs{settings}": (
            fits and any(one.what == "pipeline" for one in found),
            "takes the same quanta and inputs, with the settings of the pipeline",
        ),
        f"stage {command} --use-qg-configs": (True, "takes it as it was built"),
    }
    return {text: meaning for text, (helps, meaning) in ways.items() if helps}


def find_discrepancies(
    layout: Layout, state: CampaignState, change: Change | None = None
) -> tuple[Discrepancy, ...]:
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
    tuple of Discrepancy
        Of the pipeline, and of the names of the input collections. Runs made from that very graph do not count, nor do
        those that it was built to leave out; and a current run that was begun with the pipeline's settings goes on with
        them.

    Raises
    ------
    StageError
        If graph or pipeline cannot be read.
    """
    graph = open_graph(layout, state, change)
    found = (_of_pipeline(layout, state, change, graph), _of_inputs(layout, state, graph))
    return tuple(one for one in found if one is not None)


def _of_pipeline(
    layout: Layout, state: CampaignState, change: Change | None, graph: GraphFile
) -> Discrepancy | None:
    if state.pipeline is None or _is_known_same(layout, state, change):
        return None
    pipeline = load_pipeline(layout, state, change).first
    built = state.quantum_graph.pipeline_fingerprint
    if pipeline.fingerprint == built or _is_run_with(layout, state, graph, pipeline):
        return None
    return _pipeline_differs(pipeline, graph, is_imported=built is None)


def _of_inputs(layout: Layout, state: CampaignState, graph: GraphFile) -> Discrepancy | None:
    known = graph.header.metadata.get("skip_existing_in", ())
    own = [
        run
        for run in state.collections.runs
        if any(fnmatchcase(run, name) for name in known) or is_run_of(layout, run, graph)
    ]
    collections = state.quantum_graph.collections
    now = [name for name in state.collections.graph_inputs if name not in own]
    built = [name for name in collections or () if name not in own]
    if not state.collections.inputs or now == built:
        return None
    has = f"the campaign now has {', '.join(now)}"
    if collections is None:
        return Discrepancy("inputs", f"the graph was imported, not built from these collections; {has}")
    which = "; ".join(_moves(built, now))
    return Discrepancy("inputs", f"the graph was built from {', '.join(built) or '(none)'}; {has} ({which})")


def _moves(built: Sequence[str], now: Sequence[str]) -> Iterable[str]:
    """Say which collections came, which went, and which are searched at another place."""
    changes = {
        "added": [name for name in now if name not in built],
        "removed": [name for name in built if name not in now],
    }
    both = ([name for name in names if name in other] for names, other in ((now, built), (built, now)))
    changes["moved"] = [name for name, was in zip(*both, strict=True) if name != was]
    return (f"{what} {', '.join(names)}" for what, names in changes.items() if names)


def find_discrepancy(
    layout: Layout, state: CampaignState, change: Change | None = None
) -> Discrepancy | None:
    """Return the first way in which a graph differs from what would be built now.

    Parameters
    ----------
    layout, state, change
        As for `find_discrepancies`.

    Returns
    -------
    Discrepancy or None
        None if it does not.
    """
    return next(iter(find_discrepancies(layout, state, change)), None)


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
    # Either may be an extension of the other: the campaign can go back to the graph that it extended.
    ours, theirs = ({g.header.created_ns, *g.header.metadata.get("extends", ())} for g in (own, graph))
    return own.header.created_ns in theirs or graph.header.created_ns in ours


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


def check_graph_current(
    layout: Layout, state: CampaignState, change: Change | None = None, *, command: str = "run"
) -> None:
    """Refuse a graph that may be out of date.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, with a graph.
    change : Change, optional
        A change that is being made, which may have newer files.
    command : {"run", "prep"}, optional
        What is to be done with it.

    Raises
    ------
    ConflictError
        If pipeline or inputs differ; says which, how, and the ways on.
    """
    found = find_discrepancies(layout, state, change)
    if not found:
        return
    run = state.collections.current_run
    is_begun = run is not None and begun_with(layout, run) is not None
    ways = ways_on(found, state, command, is_begun=is_begun)
    said = "; ".join(f"'{text}' {meaning}" for text, meaning in ways.items())
    raise ConflictError(
        "the graph is not what the campaign would build now; " + "; ".join(map(str, found)),
        code="graph-discrepant",
        hint=f"Say which counts: {said}.",
        context={
            "what": found[0].what,
            "detail": found[0].detail,
            "same_labels": all(one.same_labels for one in found),
            "differences": [{"what": one.what, "detail": one.detail} for one in found],
            "ways": list(ways),
        },
    )
