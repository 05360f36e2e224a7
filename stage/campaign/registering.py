"""Registering the dataset types of a pipeline: a deliberate act, since names stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, NotFoundError, UsageError
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.layout import absolute_uri
from stage.campaign.repositories import ensure_staging, open_staging, open_upstream

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.registry import Snapshot
    from stage.campaign.change import Change
    from stage.graph.building.question import View
    from stage.pipeline.node import TaskNode

__all__ = ["RegisteredTypes", "register_campaign_types", "register_dataset_types"]


@dataclass(frozen=True)
class RegisteredTypes:
    """What became of a pipeline's dataset types.

    Parameters
    ----------
    new : sequence of str
        Those that were registered now.
    known : sequence of str
        Outputs that were registered already, with the same definition.
    inputs : sequence of str
        Overall inputs, which are what the pipeline takes them for.
    """

    new: Sequence[str]
    known: Sequence[str]
    inputs: Sequence[str]

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {name: list(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class _OneSide:
    """One registry as what a pipeline's dataset types are compared with."""

    snapshot: Snapshot
    name: str

    def dataset_type(self, name: str) -> DatasetType:
        return self.snapshot.dataset_type(name)

    def dataset_types(self, names: Sequence[str]) -> Mapping[str, DatasetType]:
        return self.snapshot.known_types(names)


def register_dataset_types(repo: str, pipeline: str) -> RegisteredTypes:
    """Register all intermediate and output dataset types of a pipeline in a repository.

    Parameters
    ----------
    repo : str
        Root of the repository.
    pipeline : str
        The pipeline's file; its ``#labels`` select tasks.

    Returns
    -------
    RegisteredTypes
        What is new.

    Raises
    ------
    NotFoundError
        If an overall input is not registered.
    PipelineError
        If the pipeline is wrong, or a registered type is not what it takes it for. Nothing was registered.
    """
    from stage.pipeline.pipeline import Pipeline
    from sync.repo import Repo

    read = Pipeline.load(pipeline if "://" in pipeline else absolute_uri(pipeline))
    read.check()
    with Repo.open(repo, writable=True) as opened, opened.registry.write() as change:
        return _register(read.nodes, _OneSide(change, opened.root), change)


def register_campaign_types(
    change: Change, *, use_qg_configs: bool = False, use_task_configs: bool = False
) -> RegisteredTypes:
    """Register the dataset types that a campaign writes in its staging registry.

    Parameters
    ----------
    change : Change
        The change that is being made.
    use_qg_configs : bool, optional
        Of a graph and a pipeline that differ, the graph says what they are.
    use_task_configs : bool, optional
        The pipeline says it.

    Returns
    -------
    RegisteredTypes
        What is new.

    Raises
    ------
    UsageError
        If the campaign has neither pipeline nor graph, or the options contradict each other.
    ConflictError
        If it has both and they differ.
    StageError
        As for `register_dataset_types`.
    """
    if use_qg_configs and use_task_configs:
        raise UsageError(
            "--use-qg-configs and --use-task-configs contradict each other", hint="Give one of them."
        )
    nodes = _nodes(change, use_qg_configs=use_qg_configs, use_task_configs=use_task_configs)
    from stage.graph.building.view import BuildView

    with open_upstream(change.state, layout=change.layout, change=change) as upstream:
        ensure_staging(change, upstream)
        with open_staging(change.layout) as staging, BuildView(upstream, staging) as view:
            _check(nodes, view, upstream.registry.universe)
    with open_staging(change.layout, writable=True) as staging, staging.registry.write() as tx:
        return _register(nodes, _OneSide(tx, "the staging repository"), tx, inputs_here=False)


def _nodes(change: Change, *, use_qg_configs: bool, use_task_configs: bool) -> Sequence[TaskNode]:
    """Choose who says what the dataset types are: the pipeline, or the graph."""
    from stage.campaign.discrepancy import find_discrepancy
    from stage.campaign.graph_choice import need_pipeline

    state = change.state
    if state.pipeline is None and state.quantum_graph.uri is None:
        raise UsageError(
            f"campaign '{state.name}' has neither a pipeline nor a graph", code="no-pipeline",
            hint="Give it a pipeline: stage edit -p URI.",
        )  # fmt: skip
    if use_task_configs:
        need_pipeline(state)
    if state.pipeline is None or use_qg_configs:
        return open_graph(change.layout, state, change).tasks
    if state.quantum_graph.uri is not None and not use_task_configs:
        found = find_discrepancy(change.layout, state, change)
        if found is not None and found.what == "pipeline":
            raise ConflictError(
                f"the graph is not what the pipeline says now; {found}", code="graph-discrepant",
                hint="Say whose dataset types: 'stage register-dataset-types --use-qg-configs' takes the graph's, "
                "'stage register-dataset-types --use-task-configs' the pipeline's.",
                context={"what": found.what, "detail": found.detail},
            )  # fmt: skip
    return load_pipeline(change.layout, state, change).nodes


def _check(nodes: Sequence[TaskNode], view: View, universe: Any) -> None:
    from stage.graph.building.plan import check_types, make_plan

    check_types(make_plan(nodes, universe), view)


def _register(
    nodes: Sequence[TaskNode], side: _OneSide, tx: Any, *, inputs_here: bool = True
) -> RegisteredTypes:
    """Register what is made, once everything that is registered already fits."""
    from stage.graph.building.plan import check_types, make_plan

    plan = make_plan(nodes, tx.universe)
    if inputs_here:
        check_types(plan, side)  # type: ignore[arg-type]  # all that it asks of a view
    made = [kind.type for kind in plan.types.values() if kind.role != "overall-input"]
    new: list[DatasetType] = []
    known: list[DatasetType] = []
    for kind in made:
        (known if _is_known(side, kind) else new).append(kind)
    for kind in new:
        tx.register_dataset_type(kind)
    inputs = [kind.name for kind in plan.types.values() if kind.role == "overall-input"]
    return RegisteredTypes(sorted(k.name for k in new), sorted(k.name for k in known), sorted(inputs))


def _is_known(side: _OneSide, kind: DatasetType) -> bool:
    try:
        side.dataset_type(kind.name)
    except NotFoundError:
        return False
    return True
