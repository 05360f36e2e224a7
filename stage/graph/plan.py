"""What a pipeline means for a graph: each dataset type's part in it, and which tasks belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, PipelineError
from registry.model.dataset_type import DatasetType
from stage.graph.layout import INIT_INPUT_ROLES, INIT_OUTPUT_ROLES, PACKAGES, ConnectionLayout
from sync.storage import formatter, storage_class

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from stage.graph.question import View
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["GraphPlan", "TaskGroup", "TypePlan", "check_types", "make_plan"]


@dataclass(frozen=True, slots=True)
class TypePlan:
    """One dataset type's part in a graph.

    Parameters
    ----------
    type : DatasetType
        Its definition by the pipeline.
    part : {"overall", "prerequisite", "made", "init", "overall-init"}
        Found before the data IDs are; found after pruning; made by quanta; made once a run; found once.
    constrains : bool
        Whether data IDs without such a dataset are of no use (an overall input that each of its readers requires).
    read : bool
        Whether some task reads it.
    """

    type: DatasetType
    part: str
    constrains: bool = False
    read: bool = False

    @property
    def name(self) -> str:
        """Name of the dataset type."""
        return self.type.name

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Its required dimensions."""
        return self.type.dimensions.required

    @property
    def role(self) -> str:
        """Its role as a graph states it."""
        if self.part in {"overall", "prerequisite", "overall-init"}:
            return "overall-input"
        if self.part == "init":
            return "init"
        return "intermediate" if self.read else "output"

    def storage(self) -> tuple[str, str]:
        """Return how planned datasets are stored.

        Returns
        -------
        formatter, extension : str
            Both empty for overall inputs.
        """
        if self.role == "overall-input":
            return "", ""
        name = storage_class(self.type.storage_class).formatter
        return name, formatter(name).extension


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks that share dataset types, so that their data IDs are asked for together.

    Parameters
    ----------
    nodes : tuple of TaskNode
        The tasks, in the pipeline's order.
    dimensions : DimensionGroup
        All dimensions of the tasks and their regular connections.
    """

    nodes: tuple[TaskNode, ...]
    dimensions: DimensionGroup

    @property
    def labels(self) -> str:
        """The tasks' labels, for messages."""
        return ", ".join(n.label for n in self.nodes)


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """What a pipeline means for a graph.

    Parameters
    ----------
    universe : DimensionUniverse
        Where dimensions are defined.
    nodes : tuple of TaskNode
        All tasks, in the pipeline's order.
    types : dict of str to TypePlan
        All dataset types: overall inputs, prerequisites, what quanta make, init datasets.
    groups : tuple of TaskGroup
        Connected tasks.
    """

    universe: DimensionUniverse
    nodes: tuple[TaskNode, ...]
    types: dict[str, TypePlan]
    groups: tuple[TaskGroup, ...]

    def of_part(self, *parts: str) -> list[TypePlan]:
        """Return the dataset types of some parts.

        Parameters
        ----------
        *parts : str
            Which.

        Returns
        -------
        list of TypePlan
            In order.
        """
        return [t for t in self.types.values() if t.part in parts]

    def task_dimensions(self, node: TaskNode) -> tuple[str, ...]:
        """Return the dimensions of a task's data IDs.

        Parameters
        ----------
        node : TaskNode
            The task.

        Returns
        -------
        tuple of str
            Its required dimensions.
        """
        return self.universe.group(node.dimensions).required


def connections_of(node: TaskNode) -> tuple[ConnectionLayout, ...]:
    """Return a task's connections as a graph names them.

    Parameters
    ----------
    node : TaskNode
        The task.

    Returns
    -------
    tuple of ConnectionLayout
        In the node's order.
    """
    return tuple(ConnectionLayout(c.name, c.role, c.dataset_type) for c in node.connections)


def make_plan(nodes: Sequence[TaskNode], universe: DimensionUniverse) -> GraphPlan:
    """Work out what a pipeline means for a graph, without asking a registry.

    Parameters
    ----------
    nodes : sequence of TaskNode
        The tasks, producers before consumers.
    universe : DimensionUniverse
        Where dimensions are defined.

    Returns
    -------
    GraphPlan
        Dataset types and connected groups.

    Raises
    ------
    PipelineError
        If a prerequisite is made by a task of the pipeline.
    DataIdError
        If a dimension is unknown.
    """
    made: dict[str, ConnectionDef] = {}
    once: dict[str, ConnectionDef] = {}
    for node in nodes:
        made.update({c.dataset_type: c for c in node.connections if c.is_output})
        once.update({c.dataset_type: c for c in node.connections if c.role in INIT_OUTPUT_ROLES})
    readers: dict[str, list[ConnectionDef]] = {}
    for node in nodes:
        for c in node.connections:
            if c.is_input or c.role in INIT_INPUT_ROLES:
                readers.setdefault(c.dataset_type, []).append(c)
            if c.role == "prerequisite" and c.dataset_type in made:
                raise PipelineError(
                    f"task '{node.label}' has '{c.dataset_type}' as a prerequisite, and a task of this pipeline makes it",
                    code="prerequisite-made",
                    hint="Make the connection a regular input.",
                )
    types: dict[str, TypePlan] = {}
    for name, read in readers.items():
        if name not in made and name not in once:
            types[name] = _found_type(universe, read)
    order = {"overall": 0, "prerequisite": 1, "overall-init": 2}
    types = dict(sorted(types.items(), key=lambda item: order[item[1].part]))
    for name, c in made.items():
        types[name] = TypePlan(_dataset_type(universe, c), "made", read=name in readers)
    for name, c in once.items():
        types[name] = TypePlan(_dataset_type(universe, c), "init", read=name in readers)
    if PACKAGES not in types:
        types[PACKAGES] = TypePlan(DatasetType(PACKAGES, universe.empty, "Json"), "init")
    return GraphPlan(universe, tuple(nodes), types, _groups(nodes, universe))


def _found_type(universe: DimensionUniverse, read: list[ConnectionDef]) -> TypePlan:
    regular = [c for c in read if c.role == "input"]
    kind = _dataset_type(universe, (regular or read)[0])
    if regular:
        return TypePlan(kind, "overall", constrains=all(c.minimum > 0 for c in regular), read=True)
    part = "prerequisite" if any(c.role == "prerequisite" for c in read) else "overall-init"
    return TypePlan(kind, part, read=True)


def _dataset_type(universe: DimensionUniverse, c: ConnectionDef) -> DatasetType:
    return DatasetType(c.dataset_type, universe.group(c.dimensions), c.storage_class, c.is_calibration)


def _regular(node: TaskNode) -> Iterable[ConnectionDef]:
    return (c for c in node.connections if c.role == "input" or c.is_output)


def _groups(nodes: Sequence[TaskNode], universe: DimensionUniverse) -> tuple[TaskGroup, ...]:
    """Put tasks together that share a dataset type, directly or through others."""
    leader = list(range(len(nodes)))

    def find(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    first_with: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for c in _regular(node):
            other = find(first_with.setdefault(c.dataset_type, i))
            leader[max(find(i), other)] = min(find(i), other)
    members: dict[int, list[TaskNode]] = {}
    for i, node in enumerate(nodes):
        members.setdefault(find(i), []).append(node)
    groups = []
    for chosen in members.values():
        names = [d for node in chosen for d in node.dimensions]
        names += [d for node in chosen for c in _regular(node) for d in c.dimensions]
        groups.append(TaskGroup(tuple(chosen), universe.group(names)))
    return tuple(groups)


def check_types(plan: GraphPlan, view: View) -> None:
    """Compare the pipeline's dataset types with those that are registered.

    Parameters
    ----------
    plan : GraphPlan
        The pipeline's.
    view : View
        Where to look.

    Raises
    ------
    NotFoundError
        If an overall input or a prerequisite is not registered; offers the nearest name.
    PipelineError
        If a registered type has other dimensions or another storage class.
    """
    for kind in plan.types.values():
        try:
            registered = view.dataset_type(kind.name)
        except NotFoundError as exc:
            if kind.role != "overall-input":
                continue  # what the graph makes is registered when it is first written
            readers = [n.label for n in plan.nodes if any(c.dataset_type == kind.name for c in n.connections)]
            raise NotFoundError(
                f"dataset type '{kind.name}', which {', '.join(readers)} reads, is not registered in {view.name}",
                code="dataset-type-not-registered",
                hint=exc.hint,
            ) from exc
        wrong = _differences(kind.type, registered)
        if wrong:
            raise PipelineError(
                f"dataset type '{kind.name}' is not what the pipeline takes it for (pipeline against {view.name}): "
                + "; ".join(wrong),
                code="dataset-type-differs",
                hint="Change the connection, or give it the name of another dataset type.",
            )


def _differences(ours: DatasetType, registered: DatasetType) -> list[str]:
    # Whether a type is certified by validity is the keeper's choice, and no reader's.
    as_registered = DatasetType(ours.name, ours.dimensions, ours.storage_class, registered.is_calibration)
    return as_registered.differences(registered)
