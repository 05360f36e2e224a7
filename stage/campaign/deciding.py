"""What a run is going to be: decided here for `stage run`, which then does it, and for `stage plan`, which only tells it.

Nothing here writes anything, unless a graph is to be built or refreshed first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.errors import ConflictError
from stage.campaign.drop_report import DropReport
from stage.campaign.dropping import plan_drop
from stage.campaign.graph_choice import prepare_graph
from stage.campaign.repositories import open_staging
from stage.campaign.run_graph import graph_of_run, leave_out_done
from stage.campaign.stack import choose_run
from stage.campaign.stepping import later_left_out

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.run_options import RunOptions
    from stage.campaign.state import CampaignState
    from stage.graph.graph import QuantumGraph

__all__ = ["Decision", "decide_run", "taken_names"]


@dataclass(frozen=True)
class Decision:
    """What a run is going to be.

    Parameters
    ----------
    run : str
        The RUN.
    graph : QuantumGraph
        What it executes of.
    whole : QuantumGraph
        The same before what is done elsewhere was left out.
    is_new : bool
        Whether the graph is not the one that the run has on disk.
    skipped : mapping of str to int
        Task to number of quanta that are left out as done elsewhere.
    notes : sequence of str
        What has changed since the graph was built, and is no reason not to run it.
    dropped : DropReport
        Runs whose place it takes.
    is_void : bool
        Whether there is nothing to begin a run for, in no step.
    """

    run: str
    graph: QuantumGraph
    whole: QuantumGraph
    is_new: bool
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    dropped: DropReport = field(default_factory=lambda: DropReport(()))
    is_void: bool = False

    @property
    def is_less(self) -> bool:
        """Whether quanta are left out."""
        return self.graph is not self.whole


def decide_run(change: Change, options: RunOptions) -> Decision:
    """Decide which RUN is written, by which graph.

    Parameters
    ----------
    change : Change
        The change that would be made; its state gets the stack that the run would have.
    options : RunOptions
        Which RUN and which graph.

    Returns
    -------
    Decision
        What is to be done.

    Raises
    ------
    ConflictError
        If something differs from what it was, and no option says what to do then.
    StageError
        If it cannot be done.
    """
    before = change.state
    options.stack.check()
    change.state, run = choose_run(
        before,
        new_run=options.new_run,
        continue_run=options.continue_run,
        replace=options.stack.replace,
        restart=options.stack.restart,
        taken=taken_names(change),
    )
    runs = [name for name in before.collections.runs if name not in change.state.collections.runs]
    dropped = plan_drop(change.layout, runs, options.stack.mode)
    # After the stack has moved: what was the current run is searched by a graph that is built now.
    notes = [*_replaced_notes(before, dropped, options), *prepare_graph(change, options)]
    whole, is_new = graph_of_run(change, run, options)
    graph, skipped = leave_out_done(change, whole, options) if options.skip_existing_in else (whole, {})
    offline, is_empty = options.graph.offline, is_new and not graph.n_quanta
    later = later_left_out(change, graph, offline=offline) if is_empty else None
    if later is None:
        _check_reads_no(graph, dropped)
    skipped = {**skipped, **(later or {})}
    return Decision(run, graph, whole, is_new, skipped, notes, dropped, is_void=later is not None)


def _replaced_notes(before: CampaignState, dropped: DropReport, options: RunOptions) -> list[str]:
    if not options.stack.replace or before.collections.current_run is not None:
        return []
    return [f"there was no current run: '{dropped.runs[0]}', the newest past run, is replaced"]


def _check_reads_no(graph: QuantumGraph, dropped: DropReport) -> None:
    """Refuse to remove a run from which the graph reads."""
    read = [run for run in dropped.runs if run in graph.header.input_collections]
    if dropped.mode and read:
        raise ConflictError(
            f"the graph was built from run '{read[0]}', which is dropped and was to be removed",
            code="graph-reads-dropped",
            hint=f"Build it again (--rebuild), or leave --{dropped.mode} out.",
        )


def taken_names(change: Change) -> Callable[[str], bool]:
    """Tell which collection names are in use, in staging and by the campaign.

    Parameters
    ----------
    change : Change
        The change that is being made.

    Returns
    -------
    callable
        Takes a name.
    """
    c = change.state.collections
    used = {*c.created, *c.runs, *c.inputs, *((c.chain,) if c.chain else ())}
    if change.layout.staging.is_file():
        with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
            used |= {found.name for found in snapshot.collections()}
    return used.__contains__
