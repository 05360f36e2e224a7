"""What a pipeline means for a graph: each dataset type's part in it, and which tasks belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, PipelineError
from registry.model.dataset_type import DatasetType
from stage.graph.layout import INIT_INPUT_ROLES, INIT_OUTPUT_ROLES, PACKAGES, ConnectionLayout
from stage.pipeline.order import can_convert
from sync.storage import formatter, storage_class

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from stage.graph.building.question import View
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["GraphPlan", "TaskGroup", "TypePlan", "check_types", "make_plan", "unregistered"]


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
    """Tasks of which one reads what another makes, so that their data IDs are asked for together.

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
    return tuple(
        ConnectionLayout(
            c.name,
            c.role,
            c.dataset_type,
            c.storage_class if c.is_input or c.role in INIT_INPUT_ROLES else "",
        )
        for c in node.connections
    )


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
    """Put tasks together of which one reads what the other makes, directly or through others."""
    leader = list(range(len(nodes)))

    def find(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    made = {c.dataset_type for node in nodes for c in node.connections if c.is_output}
    first_with: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for c in (c for c in _regular(node) if c.dataset_type in made):
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


def check_types(plan: GraphPlan, view: View) -> GraphPlan:
    """Compare the pipeline's dataset types with those that are registered.

    Parameters
    ----------
    plan : GraphPlan
        The pipeline's.
    view : View
        Where to look.

    Returns
    -------
    GraphPlan
        With the storage classes that are registered: who declares another one reads or writes it as that.

    Raises
    ------
    NotFoundError
        If an overall input is not registered; offers the nearest name. Of an optional one, and of a prerequisite,
        there just is none then.
    PipelineError
        If a registered type has other dimensions, or a storage class that there is no conversion for.
    """
    types, known = dict(plan.types), view.dataset_types(list(plan.types))
    for kind in plan.types.values():
        registered = known.get(kind.name)
        if registered is None:
            if kind.role != "overall-input" or not _is_needed(kind):
                continue  # what the graph makes is registered when it is first written
            raise _not_registered(plan, kind, view)
        _check_conversions(plan, kind.name, registered, view.name)
        # Whether a type is certified by validity is the keeper's choice, and no reader's.
        stored = replace(kind.type, storage_class=registered.storage_class)
        wrong = replace(stored, is_calibration=registered.is_calibration).differences(registered)
        if wrong:
            raise PipelineError(
                f"dataset type '{kind.name}' is not what the pipeline takes it for (pipeline against {view.name}): "
                + "; ".join(wrong),
                code="dataset-type-differs",
                hint="Change the connection, or give it the name of another dataset type.",
            )
        types[kind.name] = replace(kind, type=stored)
    return replace(plan, types=types)


def _not_registered(plan: GraphPlan, kind: TypePlan, view: View) -> NotFoundError:
    readers = [n.label for n in plan.nodes if any(c.dataset_type == kind.name for c in n.connections)]
    return NotFoundError(
        f"dataset type '{kind.name}', which {', '.join(readers)} reads, is not registered in {view.name}",
        code="dataset-type-not-registered",
        hint=_nearest_type(view, kind.name),
    )


def _is_needed(kind: TypePlan) -> bool:
    """Say whether tasks cannot do without; of a prerequisite that is asked quantum by quantum."""
    return kind.part != "prerequisite" and (kind.part != "overall" or kind.constrains)


def unregistered(view: View, dataset_type: str) -> str:
    """Say that a dataset type is not registered.

    Parameters
    ----------
    view : View
        Where to look.
    dataset_type : str
        Its name.

    Returns
    -------
    str
        A sentence that offers the nearest name; empty if it is registered.
    """
    if dataset_type in view.dataset_types([dataset_type]):
        return ""
    return f"The dataset type is not registered in {view.name}. {_nearest_type(view, dataset_type)}".rstrip()


def _nearest_type(view: View, dataset_type: str) -> str:
    """Return what is said of a dataset type that is not registered: the name that is nearest."""
    try:
        view.dataset_type(dataset_type)
    except NotFoundError as exc:
        return exc.hint
    return ""


def _check_conversions(plan: GraphPlan, name: str, registered: DatasetType, where: str) -> None:
    """Refuse a storage class that a registered dataset type cannot be read as, or written from."""
    stored = registered.storage_class
    for node in plan.nodes:
        for c in node.connections:
            if c.dataset_type != name or c.storage_class == stored:
                continue
            is_read = c.is_input or c.role in INIT_INPUT_ROLES
            from_, to = (stored, c.storage_class) if is_read else (c.storage_class, stored)
            if not can_convert(from_, to, is_file=node.kind == "shell"):
                raise PipelineError(
                    f"dataset type '{name}' is not what the pipeline takes it for (pipeline against {where}): "
                    f"storage class {c.storage_class} ('{c.name}' of task '{node.label}') against {stored}, and there "
                    "is no conversion between them",
                    code="dataset-type-differs",
                    hint="Change the connection, or give it the name of another dataset type.",
                )
