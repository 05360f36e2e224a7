"""Which dataset types of a run are ephemeral: by the pipeline, by what a person says, and by who still needs them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from registry.errors import ConflictError
from stage.campaign.steps import built_nodes

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.run_options import RunOptions
    from stage.execution.progress import Removed
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["PUSH_FIRST", "choose_ephemeral", "may_remove", "remove_merged"]

PUSH_FIRST = (
    "nothing ephemeral was removed: a push of this run was broken off; finish it ('stage push') first"
)


def choose_ephemeral(graph: QuantumGraph, options: RunOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say which dataset types of one graph of a run are ephemeral.

    Parameters
    ----------
    graph : QuantumGraph
        Of a run, or of one of its steps: what later steps read stays.
    options : RunOptions
        What a person says of it.

    Returns
    -------
    types : tuple of str
        Their names.
    notes : tuple of str
        What stays although a task says that it is ephemeral.

    Raises
    ------
    UsageError
        If one that a person names has to stay, or is none of any step.
    """
    from stage.execution.ephemeral import ephemeral_types

    labels = {node.label for node in graph.tasks}
    others = [node for label, node in built_nodes(graph).items() if label not in labels]
    made = {c.dataset_type for node in others for c in node.outputs}
    here = graph.layout.type_index

    def ours(patterns: Sequence[str]) -> list[str]:
        """Leave out what is about other steps."""
        return [p for p in patterns if _matches(p, here) or not _matches(p, made)]

    return ephemeral_types(
        graph,
        ours(options.ephemeral),
        ours(options.keep),
        needed={c.dataset_type for node in others for c in node.inputs},
    )


def _matches(pattern: str, names: Sequence[str] | set[str] | dict[str, int]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def remove_merged(staging: Repo, graph: QuantumGraph, options: RunOptions) -> tuple[Removed, tuple[str, ...]]:
    """Remove the ephemeral files of a run whose quanta jobs have done, as far as all that read them is recorded.

    Jobs themselves remove nothing: none of them knows what the others have read.

    Parameters
    ----------
    staging : Repo
        Writable; the records of the jobs are in it.
    graph : QuantumGraph
        What they ran.
    options : RunOptions
        What a person says of it.

    Returns
    -------
    removed : Removed
        What went.
    notes : tuple of str
        What stays, and why.
    """
    from stage.execution.ephemeral import Ephemerals
    from stage.execution.progress import Removed
    from stage.execution.resume import completed

    types, notes = choose_ephemeral(graph, options)
    if not types:
        return Removed(), notes
    going = Ephemerals(staging, graph, types, completed(staging, graph))
    with staging.registry.read() as snapshot:
        if not may_remove(snapshot, graph.output_run):
            return Removed(), (*notes, PUSH_FIRST)
        try:
            going.check_held(snapshot)
        except ConflictError as error:
            return Removed(), (*notes, f"nothing ephemeral was removed: {error.message}")
    with staging.registry.write() as change:
        uris = going.begin(change)
    going.remove(uris)
    going.end()
    return going.removed, notes


def may_remove(snapshot: Snapshot, run: str) -> bool:
    """Tell whether files of a run may go: not while a push of it is broken off, which needs them all.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    run : str
        The RUN.

    Returns
    -------
    bool
        Whether they may.
    """
    from sync import journal

    last = next((e for e in journal.entries(snapshot, "push") if run in e.payload.get("runs", ())), None)
    return last is None or last.state == journal.DONE
