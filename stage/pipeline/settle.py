"""`PipelineDefinition` → nodes: all tasks settled, in order, and compared with each other."""

from __future__ import annotations

from stage.pipeline.contracts import check_contracts
from stage.pipeline.definition import PipelineDefinition
from stage.pipeline.importing import extend_path
from stage.pipeline.node import TaskNode
from stage.pipeline.order import check_agreement, sorted_nodes
from stage.pipeline.overrides import mapping_of, read_yaml
from stage.pipeline.prefix import settled
from stage.pipeline.resolve import load_class, node_of
from stage.pipeline.steps import check_cover, check_step_order, earlier_outputs

__all__ = ["definition_of_text", "settle_nodes"]


def settle_nodes(definition: PipelineDefinition) -> tuple[TaskNode, ...]:
    """Settle all tasks of a pipeline.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline as it is written.

    Returns
    -------
    tuple of TaskNode
        In dependency order.

    Raises
    ------
    PipelineError
        If code cannot be imported, a setting is not right, tasks or steps do not fit together, or a contract is broken.
    """
    extend_path(definition.search_path)
    definition = settled(definition)
    steps = definition.steps if len(definition.steps) > 1 else ()
    check_cover(steps, definition.tasks, definition.where)
    found = sorted_nodes([node_of(label, definition) for label in definition.tasks])
    check_agreement(found, earlier_outputs(steps, found))
    check_step_order(steps, found, definition.where)
    if definition.contracts:
        configs = {
            n.label: load_class(definition.tasks[n.label]).ConfigClass.from_document(n.config) for n in found
        }
        check_contracts(definition.contracts, configs, definition.parameters)
    return found


def definition_of_text(text: str, where: str) -> PipelineDefinition:
    """Read a pipeline that was written by `stage.pipeline.write.definition_yaml`.

    Parameters
    ----------
    text : str
        YAML.
    where : str
        What it is called in errors.

    Returns
    -------
    PipelineDefinition
        As it was.

    Raises
    ------
    PipelineError
        If it is no pipeline.
    """
    from stage.pipeline.load import read_definition

    return read_definition(mapping_of(read_yaml(text, where), where), where)
