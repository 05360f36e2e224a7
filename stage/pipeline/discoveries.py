"""Outputs that hold dimension records: whether the universe has such records, and whether anybody could use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, PipelineError, UsageError, nearest
from stage.pipeline.order import producers

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.pipeline.node import TaskNode
    from stage.pipeline.steps import Step

__all__ = ["check_discoveries"]


def check_discoveries(
    nodes: Sequence[TaskNode], steps: Sequence[Step], universe: DimensionUniverse, where: str
) -> None:
    """Refuse outputs of dimension records that could not be recorded, or come too late.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks, in dependency order.
    steps : sequence of Step
        Its steps.
    universe : DimensionUniverse
        The repository's.
    where : str
        The pipeline, for errors.

    Raises
    ------
    PipelineError
        If the universe has no such records (``unknown-dimension``, ``no-records``), or a task of the same step which
        depends on the one that finds them has quanta by them (``records-too-late``).
    """
    finds = {node.label: [c.records for c in node.connections if c.records] for node in nodes}
    if not any(finds.values()):
        return
    for label, elements in finds.items():
        for name in elements:
            _check_element(name, label, universe, where)
    home = {label: number for number, step in enumerate(steps) for label in step.tasks}
    behind: dict[str, set[str]] = {}  # by label, the finders of its own step that it depends on
    made = {name: use[0].label for name, use in producers(nodes).items()}
    for node in nodes:
        before = {made[c.dataset_type] for c in node.inputs if c.dataset_type in made}
        before = {label for label in before if home.get(label) == home.get(node.label)}
        found = set().union(*(behind[label] for label in before), (b for b in before if finds[b]))
        behind[node.label] = found
        _check_in_time(node, {label: finds[label] for label in found}, universe, where)


def _check_element(name: str, label: str, universe: DimensionUniverse, where: str) -> None:
    try:
        element = universe.element(name)
    except (NotFoundError, UsageError) as exc:
        raise PipelineError(
            f"{where}: task '{label}' finds records of '{name}', which the universe '{universe.name}' does not have",
            code="unknown-dimension",
            hint=nearest(name, universe.elements),
        ) from exc
    if not element.has_table:
        raise PipelineError(
            f"{where}: task '{label}' finds records of '{name}', which has none of its own",
            code="no-records",
            hint=f"It follows from {element.view_of}." if element.view_of else "Its values are computed.",
        )


def _check_in_time(
    node: TaskNode, found: Mapping[str, Sequence[str]], universe: DimensionUniverse, where: str
) -> None:
    own = universe.group(node.dimensions).names
    for label, elements in found.items():
        for name in elements:
            if name in own:
                raise PipelineError(
                    f"{where}: task '{node.label}' has a quantum for each {name}, and depends on '{label}', which only "
                    f"finds out which there are: their graph is built before",
                    code="records-too-late",
                    hint=f"Put '{node.label}' into a later step than '{label}'.",
                )
