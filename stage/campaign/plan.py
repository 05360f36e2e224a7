"""`plan_campaign`: what `stage run` with the same options would do with each quantum, and why; nothing is written.

What is run is decided by the functions that a run itself decides by: `stage.campaign.deciding.decide_run` for the RUN and its
graph, `stage.execution.resume.completed` for what of it is done. Here it is only said why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import ConflictError, NotFoundError, StageError
from stage.campaign.categories import check_category
from stage.campaign.change import Change
from stage.campaign.deciding import Decision, decide_run
from stage.campaign.discrepancy import begun_with
from stage.campaign.fetching import is_fetched
from stage.campaign.graphs import open_graph
from stage.campaign.lock import read_holder
from stage.campaign.plan_left_out import left_out
from stage.campaign.plan_outlook import CODES, REASONS, Outlook
from stage.campaign.plan_past import Records, past_runs
from stage.campaign.plan_reasons import is_begun_unrecorded, look_ahead, lost_outputs
from stage.campaign.plan_report import Plan, PlannedQuantum, PlanStep, PlanStop, PlanWay
from stage.campaign.repositories import lost_staging, open_staging
from stage.campaign.step_graphs import own_step_graph
from stage.campaign.steps import StepPlan

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.run_options import RunOptions
    from stage.campaign.state import CampaignState
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["plan_campaign"]


@dataclass
class _Look:
    """What was found out of a run that would be made."""

    outlooks: list[Outlook] = field(default_factory=list)
    steps: list[PlanStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_campaign(
    layout: Layout,
    state: CampaignState,
    options: RunOptions,
    *,
    task: str | Sequence[str] | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> Plan:
    """Say what a run would do.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, with a graph.
    options : RunOptions
        Of the run; none that build or refresh the graph.
    task : str or sequence of str, optional
        Tell only of quanta of these tasks.
    data_id : mapping, optional
        Tell only of quanta whose data IDs have these values.

    Returns
    -------
    Plan
        What would be done.

    Raises
    ------
    NotFoundError
        If there is no graph, no such task, or staging is lost.
    UsageError
        If the run would be refused for its options.
    StageError
        If graph or pipeline cannot be read.
    """
    open_graph(layout, state).close()
    if lost := lost_staging(layout):
        raise lost
    if check_category(options.skip_existing_in) == "INPUTS" and not layout.staging.is_file():
        raise NotFoundError(
            "what is done in the inputs cannot be told while the campaign has no staging registry",
            code="no-staging",
            hint="Make it: stage fetch.",
        )
    decided, stop = _decide(layout, state, options)
    if decided is None:
        return Plan("", False, (), lambda _: iter(()), stop)
    look = _look(layout, state, decided, options)
    if stop is None:
        stop = _check_begun(layout, decided, options)
    for outlook in look.outlooks:
        _choose(outlook, task, data_id)
    counts = [count for outlook in look.outlooks for count in outlook.counts()]

    def select(news: bool) -> Iterator[PlannedQuantum]:
        for outlook in look.outlooks:
            yield from outlook.select(news)

    runs = state.collections.runs
    return Plan(
        "" if decided.is_void else decided.run,
        decided.run not in runs,
        counts,
        select,
        stop,
        [change for outlook in look.outlooks for change in outlook.settings()],
        look.steps,
        [*decided.notes, *look.notes],
        decided.dropped.runs,
    )


# -- what would be run ----------------------------------------------------------------------------------------


def _decide(
    layout: Layout, state: CampaignState, options: RunOptions
) -> tuple[Decision | None, PlanStop | None]:
    """Decide as the run would; where that would be refused, as it would be with the graph as it was built."""
    try:
        return decide_run(Change(layout, state), options), None
    except ConflictError as error:
        ways = list(_ways(layout, state, options, error))
        stop = PlanStop(error.code, error.message, error.hint, ways)
    built = replace(options, use_qg_configs=True, use_task_configs=False)
    try:
        return decide_run(Change(layout, state), built), stop
    except ConflictError:
        return None, stop


def _ways(
    layout: Layout, state: CampaignState, options: RunOptions, error: ConflictError
) -> Iterator[PlanWay]:
    """Yield what could be given instead, and what would come of it."""
    as_built = replace(options, use_task_configs=False, use_qg_configs=True)
    tried: list[RunOptions] = []
    unknown: list[list[str]] = []
    if error.code == "graph-discrepant":
        # As the refusal has them: the words after the command.
        told = [text.split()[2:] for text in error.context.get("ways", ())]
        known = {"--use-qg-configs": as_built, "--use-task-configs": replace(options, use_task_configs=True)}
        tried = [others for word, others in known.items() if any(word in words for words in told)]
        unknown = [words for words in told if not known.keys() & set(words)]
    elif error.code == "graph-tasks-differ":
        current = state.collections.current_run
        is_begun = current is not None and begun_with(layout, current) is not None and not _begins(options)
        tried, unknown = [as_built], [["--rebuild", *(["--new-run"] if is_begun else [])]]
    elif error.code == "run-graph-differs":
        tried = [_anew(options)]
    yield from (_way(layout, state, others) for others in tried)
    asked = _words(replace(options, use_task_configs=False))
    yield from (PlanWay((*asked, *words)) for words in unknown)


def _begins(options: RunOptions) -> bool:
    return options.new_run or options.stack.replace or options.stack.restart


def _anew(options: RunOptions) -> RunOptions:
    return replace(options, new_run=True, continue_run=False)


def _words(options: RunOptions) -> tuple[str, ...]:
    """Return the options as they are typed."""
    given = {
        "--new-run": options.new_run,
        "--continue": options.continue_run,
        "--replace": options.stack.replace,
        "--restart": options.stack.restart,
        "--unstore": options.stack.unstore,
        "--purge": options.stack.purge,
        "--use-qg-configs": options.use_qg_configs,
        "--use-task-configs": options.use_task_configs,
        "--offline": options.graph.offline,
    }
    category = options.skip_existing_in.upper()
    return (
        *(w for w, is_given in given.items() if is_given),
        *(("--skip-existing-in", category) if category else ()),
    )


def _way(layout: Layout, state: CampaignState, options: RunOptions) -> PlanWay:
    words = _words(options)
    try:
        decided = decide_run(Change(layout, state), options)
    except StageError as error:
        if error.code == "run-graph-differs" and not _begins(options):
            return _way(layout, state, _anew(options))
        return PlanWay(words, problem=error.message)
    if stop := _check_begun(layout, decided, options):
        return PlanWay(words, problem=stop.message)
    totals = {"run": 0, "skip": 0, "blocked": 0}
    for outlook in _look(layout, state, decided, options).outlooks:
        for count in outlook.counts():
            totals[count.action] += count.n
    return PlanWay(words, totals)


def _check_begun(layout: Layout, decided: Decision, options: RunOptions) -> PlanStop | None:
    """Say why a run that was begun could not be gone on with."""
    from stage.execution.prep import check_prepared

    if decided.is_void or not layout.staging.is_file():
        return None
    try:
        with open_staging(layout) as staging:
            check_prepared(staging, decided.graph, task_path=(str(layout.root),))
    except StageError as error:
        return PlanStop(error.code, error.message, error.hint, [PlanWay(_words(_anew(options)))])
    return None


# -- why ------------------------------------------------------------------------------------------------------


def _look(layout: Layout, state: CampaignState, decided: Decision, options: RunOptions) -> _Look:
    """Find out what would be done with the quanta of all graphs of the run that there are."""
    look = _Look()
    if not layout.staging.is_file():
        look.outlooks.append(_without_staging(decided.graph))
        look.notes.append("staging is made, and what the graph needs is fetched from upstream first")
        return look
    holder = read_holder(layout.lock)
    if holder is not None:
        look.notes.append(f"the campaign is held by {holder}: what that does meanwhile is not foreseen")
    if not decided.is_void and not is_fetched(layout, decided.graph.wanted()):
        look.notes.append("not all that the graph reads is in staging: it is fetched from upstream first")
    with open_staging(layout) as staging:
        earlier = [run for run in state.collections.runs if run != decided.run]

        def outlook_of(graph: QuantumGraph) -> Outlook:
            return _outlook(layout, staging, graph, earlier, is_held=holder is not None)

        first = outlook_of(decided.graph)
        outlooks = [first]
        with staging.registry.read() as snapshot:
            gone = left_out(layout, snapshot, state, decided, options=options, earlier=earlier)
        outlooks += [gone] if gone is not None else []
        look.steps, more = _later_steps(layout, decided, first, outlook_of)
        look.outlooks += [*outlooks, *more]
    return look


def _outlook(
    layout: Layout, staging: Repo, graph: QuantumGraph, earlier: Sequence[str], *, is_held: bool
) -> Outlook:
    from stage.execution.resume import completed

    done = completed(staging, graph)
    with staging.registry.read() as snapshot:
        records, lost = Records.of(snapshot, graph), None
        fresh = ~done.mask & (records.status == 0)
        if fresh.any():
            lost = is_begun_unrecorded(layout, graph, records)
            fresh &= ~lost
        past = past_runs(layout, snapshot, earlier, graph, fresh)
        outlook = look_ahead(graph, done, records, past, lost, is_held=is_held)
        outlook.lost_outputs = lost_outputs(snapshot, outlook)
    return outlook


def _without_staging(graph: QuantumGraph) -> Outlook:
    every = np.ones(graph.n_quanta, dtype=np.bool_)
    reason = np.full(graph.n_quanta, CODES["new"], dtype=np.int8)
    return Outlook(graph, reason, every, np.full(graph.n_quanta, -1, dtype=np.int64))


def _later_steps(
    layout: Layout, decided: Decision, first: Outlook, outlook_of: Callable[[QuantumGraph], Outlook]
) -> tuple[list[PlanStep], list[Outlook]]:
    """Say what is known of the pipeline's steps, and of the quanta of those after the first."""
    plan = StepPlan.of(decided.graph.header)
    if not plan.labels:
        return [], []
    first.step = plan.labels[0]
    steps, outlooks = [PlanStep(1, plan.labels[0], True, "its graph is there")], []
    graphs, waits, is_known = [decided.graph], first.has("blocked"), True
    for number in range(2, len(plan.labels) + 1):
        label, before = plan.labels[number - 1], plan.labels[number - 2]
        own, stays = own_step_graph(layout, number, graphs) if is_known else (None, False)
        is_known = own is not None and stays
        if own is None or not is_known:
            when = f"{'built' if own is None else 'built again'} when '{before}' is done"
            steps.append(
                PlanStep(number, label, False, f"its graph is {when}; its quanta are not known before")
            )
            continue
        steps.append(PlanStep(number, label, True, "its graph is there"))
        graphs.append(own)
        outlook = outlook_of(own)
        outlook.step = label
        if waits:
            _hold_back(outlook)
        outlooks.append(outlook)
        waits = waits or outlook.has("blocked")
    return steps, outlooks


def _hold_back(outlook: Outlook) -> None:
    """Let all that is to be done wait for an earlier step."""
    waits = np.array([r.action != "skip" for r in REASONS], dtype=np.bool_)[outlook.reason]
    outlook.reason[waits] = CODES["earlier-step"]
    outlook.cause[waits] = -1


def _choose(outlook: Outlook, task: str | Sequence[str] | None, data_id: Mapping[str, Any] | None) -> None:
    """Tell only of some quanta; a task that only another step has is none of this one's."""
    from stage.graph.select import chosen_quanta

    if task is None and not data_id:
        return
    mask = np.zeros_like(outlook.chosen)
    mask[chosen_quanta(outlook.graph, None, task, data_id)] = True
    outlook.chosen &= mask
