"""The first stage: the campaign, its graph, and a RUN that is ready to be written.

A submission is of a campaign like any other: this is what ``stage build`` and ``stage prep`` do, in one change.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import ConflictError, NotFoundError, UsageError
from stage.batch.driving.locking import living_head
from stage.batch.layout import SubmitDir
from stage.batch.submission.generation_log import generation_log
from stage.batch.submission.handing import has_begun
from stage.batch.submission.identity import SubmitStage, load_identity
from stage.batch.submission.pass_through import build_options
from stage.campaign.campaign import Campaign
from stage.campaign.graph_options import GraphOptions
from stage.campaign.layout import DIRECTORY_VARIABLE
from stage.campaign.options import EditOptions
from stage.campaign.run_options import RunOptions, StackOptions
from sync.faults import At, no_fault

if TYPE_CHECKING:
    from stage.batch.submission.payload import Payload
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import Collections
    from stage.graph.graph import QuantumGraph

__all__ = ["AcquireOptions", "Acquired", "acquire", "half_begun", "look_ahead", "open_campaign"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcquireOptions:
    """Which RUN is begun or gone on with; as for ``stage run``.

    Parameters
    ----------
    new_run, continue_run, replace, restart : bool, optional
        One of these at most.
    unstore, purge : bool, optional
        What becomes of runs whose place it takes.
    finish : bool, optional
        Whether the RUN ends when all is done.
    extra_build : str, optional
        What is handed through to the building of the graph.
    """

    new_run: bool = False
    continue_run: bool = False
    replace: bool = False
    restart: bool = False
    unstore: bool = False
    purge: bool = False
    finish: bool | None = None
    extra_build: str = ""

    @property
    def says_which(self) -> bool:
        """Whether one of the ways to choose a RUN was given."""
        return self.new_run or self.continue_run or self.replace or self.restart


@dataclass(frozen=True, slots=True)
class Acquired:
    """What the first stage made.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    campaign_dir : pathlib.Path
        The campaign's.
    run : str
        The RUN.
    graph : QuantumGraph
        With that RUN.
    notes : sequence of str
        What a person may want to know.
    dropped : sequence of str
        Runs whose place it takes.
    """

    where: SubmitDir
    campaign_dir: Path
    run: str
    graph: QuantumGraph
    notes: Sequence[str] = ()
    dropped: Sequence[str] = field(default_factory=tuple)


def open_campaign(payload: Payload, campaign_dir: str | Path | None) -> tuple[Campaign, EditOptions]:
    """Open the campaign that a submission is of, or define the one that is to be made.

    Parameters
    ----------
    payload : Payload
        What the file says.
    campaign_dir : str or path, optional
        As given, or else as ``$STAGE_CAMPAIGN_DIR`` says: it is made there if there is none. Without either that of the
        working directory, and then what the file says.

    Returns
    -------
    campaign : Campaign
        Perhaps not saved yet.
    edits : EditOptions
        What the file changes of it.

    Raises
    ------
    ConflictError
        If there is one, of another repository.
    UsageError
        If there is none, and the file does not say enough to make one.
    """
    edits = _edits(payload)
    campaign_dir = campaign_dir or os.environ.get(DIRECTORY_VARIABLE)
    campaign = _there(campaign_dir) or (None if campaign_dir else _there(_own_directory(payload)))
    if campaign is None:
        return _define(payload, campaign_dir or payload.directory, edits), edits
    if not payload.is_of(campaign.state.repo):
        raise ConflictError(
            f"campaign '{campaign.state.name}' belongs to {campaign.state.repo}, not to {payload.repo} (butlerConfig)",
            code="repo-fixed",
            hint="Go to a campaign of that repository, or to a directory that is none: --campaign-dir DIR.",
        )
    if payload.names_output:
        edits["chain"] = payload.output
    return campaign, edits


def _own_directory(payload: Payload) -> Path | None:
    return payload.directory if payload.name or payload.campaign_dir else None


def _there(place: str | Path | None) -> Campaign | None:
    try:
        return Campaign.load(place)
    except NotFoundError as error:
        if error.code != "not-a-campaign":
            raise
        return None


def _edits(payload: Payload) -> EditOptions:
    """Return what a file says of a campaign's tasks and inputs; an imported graph says both itself."""
    edits: EditOptions = {}
    if payload.graph:
        return edits
    if payload.pipeline:
        edits["pipeline"] = payload.pipeline
    if payload.inputs:
        edits["input"] = payload.inputs
    return edits


def _define(payload: Payload, directory: str | Path, edits: EditOptions) -> Campaign:
    """Define a campaign that is not there yet, whose runs are called as the field calls them."""
    payload.check_whole()
    if payload.output:
        edits["chain"] = payload.output
    return Campaign.init(payload.repo, directory, **edits)


def acquire(
    payload: Payload, campaign_dir: str | Path | None, options: AcquireOptions, *, at: At = no_fault
) -> Acquired:
    """Build the graph and make a RUN ready to be written, as ``stage run`` does before it executes anything.

    Parameters
    ----------
    payload : Payload
        What the file says.
    campaign_dir : str or path, optional
        Which campaign; see `open_campaign`.
    options : AcquireOptions
        Which RUN.
    at : callable, optional
        Called with the name of each step that is done.

    Returns
    -------
    Acquired
        What was made; the campaign is let go.

    Raises
    ------
    ConflictError
        If the RUN that would be gone on with was submitted already, or was begun with another graph.
    StageError
        If it cannot be made; the campaign is as it was.
    """
    from stage.campaign.running import prepare_campaign

    campaign, edits = open_campaign(payload, campaign_dir)
    began = time.monotonic()
    with generation_log() as log:
        with _changed(campaign, edits, payload, options) as (change, wanted):
            prepared = prepare_campaign(change, wanted)
            _check_graph(prepared.graph)
            at("run-made")
        at("run-kept")
        _log.info("quanta: %s", ", ".join(f"{n} {task}" for task, n in prepared.graph.counts().items()))
        _log.info("made run %s ready in %.1f s", prepared.name, time.monotonic() - began)
        where = SubmitDir(campaign.layout.submit(prepared.name))
        log.keep_as(where.generation_log)
    root, notes = campaign.layout.root, tuple(prepared.notes)
    return Acquired(where, root, prepared.name, prepared.graph, notes, tuple(prepared.dropped.runs))


def look_ahead(
    payload: Payload, campaign_dir: str | Path | None, options: AcquireOptions, folder: Path
) -> Acquired:
    """Say what `acquire` would make; all of it goes into another directory, and nothing else is written.

    Parameters
    ----------
    payload, campaign_dir, options
        As for `acquire`.
    folder : pathlib.Path
        Where the graph goes: an empty directory.

    Returns
    -------
    Acquired
        With the directory that the submission would have.

    Raises
    ------
    StageError
        As for `acquire`.
    """
    from stage.campaign.deciding import decide_run

    campaign, edits = open_campaign(payload, campaign_dir)
    out: list[Acquired] = []
    with _changed(campaign, edits, payload, options, dry_run=True) as (change, wanted):
        decided = decide_run(change, wanted)
        _check_graph(decided.graph)
        decided.graph.save(str(SubmitDir(folder).graph))
        where = SubmitDir(campaign.layout.submit(decided.run))
        root, notes = campaign.layout.root, tuple(decided.notes)
        out.append(Acquired(where, root, decided.run, decided.graph, notes, tuple(decided.dropped.runs)))
    return out[0]


@contextmanager
def _changed(
    campaign: Campaign,
    edits: EditOptions,
    payload: Payload,
    options: AcquireOptions,
    *,
    dry_run: bool = False,
) -> Iterator[tuple[Change, RunOptions]]:
    """Change a campaign as a file says, up to where the RUN is chosen; afterwards names of runs are what they were."""
    graph, more = build_options(options.extra_build, payload.data_query)
    all_edits: EditOptions = {**edits, **more}
    with campaign._changing("batch submit", all_edits, dry_run=dry_run) as change:  # noqa: SLF001 - as its verbs do
        pattern = _pattern(payload) if change.is_new else change.state.collections.next_run
        named = bool(payload.output_run) and (change.is_new or payload.names_run)
        chosen = replace(options, new_run=options.new_run or _names_another(change, payload, options))
        taken_up = _taken_up(change.state.collections, chosen)
        if taken_up:
            _check_not_begun(SubmitDir(change.layout.submit(taken_up)), taken_up)
        elif named:
            change.state = change.state.with_collections(next_run=payload.output_run)
        if payload.graph and not taken_up:
            from stage.campaign.adopting import import_graph

            import_graph(change, payload.graph, replace(graph, data_query=None))
        yield change, _run_options(change, chosen, graph)
        change.state = change.state.with_collections(next_run=pattern)


def _pattern(payload: Payload) -> str:
    """Return how further runs of a new campaign are called: as this one, at their time."""
    has_time = payload.timestamp and payload.timestamp in payload.output_run
    return payload.output_run.replace(payload.timestamp, "%t") if has_time else "%c/%t"


def _names_another(campaign: Campaign | Change, payload: Payload, options: AcquireOptions) -> bool:
    """Tell whether a file names another RUN than the current one."""
    current = campaign.state.collections.current_run
    if options.says_which or not payload.names_run or current is None:
        return False
    return not payload.names(current) or (
        current != payload.output_run and not _is_unfinished(campaign.layout, current)
    )


def _is_unfinished(layout: Layout, run: str) -> bool:
    """Tell whether a RUN waits to be submitted, as a command that was killed leaves it, or its jobs are going on."""
    from stage.campaign.outcomes import planned_tasks, task_counts
    from stage.campaign.repositories import open_staging

    where = SubmitDir(layout.submit(run))
    if where.identity.is_file():
        return not load_identity(where).has_done(SubmitStage.SUBMIT) or living_head(where) is not None
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        counts = task_counts(snapshot, run, planned_tasks(layout, run))
    return {status for found in counts.values() for status in found} <= {"missing"}


def half_begun(
    payload: Payload, campaign_dir: str | Path | None, options: AcquireOptions
) -> SubmitDir | None:
    """Find a submission whose jobs have begun, but not what noted that: its command was killed.

    Parameters
    ----------
    payload, campaign_dir, options
        As for `acquire`.

    Returns
    -------
    SubmitDir or None
        Its directory, if the RUN that would be gone on with is of such a one.
    """
    campaign = _there(campaign_dir) or (None if campaign_dir else _there(_own_directory(payload)))
    if campaign is None or _names_another(campaign, payload, options):
        return None
    where = SubmitDir(campaign.layout.submit(_taken_up(campaign.state.collections, options)))
    if not where.identity.is_file():
        return None
    known = load_identity(where)
    return where if has_begun(where, known) and not known.has_done(SubmitStage.SUBMIT) else None


def _taken_up(runs: Collections, options: AcquireOptions) -> str:
    """Return the RUN that is gone on with; empty if one is begun."""
    if options.new_run or options.replace or options.restart:
        return ""
    return runs.current_run or (runs.past_runs[0] if options.continue_run and runs.past_runs else "")


def _check_not_begun(where: SubmitDir, run: str) -> None:
    if not where.identity.is_file():
        return
    known = load_identity(where)
    if has_begun(where, known):
        raise ConflictError(
            f"run '{run}' was submitted already, as {known.id}",
            code="already-submitted",
            hint=f"How far it is: 'stage batch report --id {known.id}'. What failed begins again: "
            f"'stage batch restart --id {known.id}'. For another run: --new-run, or --replace.",
        )


def _run_options(change: Change, options: AcquireOptions, graph: GraphOptions) -> RunOptions:
    """Return how the RUN is made; the graph is built anew unless it was imported."""
    entry = change.state.quantum_graph
    builds = entry.uri is None or entry.collections is not None
    return RunOptions(
        new_run=options.new_run,
        continue_run=options.continue_run,
        finish=options.finish,
        rebuild=builds,
        graph=graph if builds else GraphOptions(offline=graph.offline),
        stack=StackOptions(options.replace, options.restart, options.unstore, options.purge),
    )


def _check_graph(graph: QuantumGraph) -> None:
    """Refuse what no jobs can be made of."""
    if not graph.n_quanta:
        raise UsageError(
            "the graph has no quanta, so there are no jobs to submit",
            code="empty-graph",
            hint="Ask why: stage build --explain, with the same query.",
        )
