"""Changed copies of a pipeline's definition: settings, parameters, tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from stage.pipeline.definition import Override, PipelineDefinition, TaskDefinition, check_label
from stage.pipeline.importing import extend_path
from stage.pipeline.overrides import nested, parse_setting, parse_value
from stage.pipeline.prefix import settled
from stage.pipeline.resolve import node_of

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = ["add_task", "change_task", "set_parameter", "set_text", "set_value"]

_SCALARS = (bool, int, float)


def change_task(
    definition: PipelineDefinition, label: str, changes: Mapping[str, Any], where: str
) -> PipelineDefinition:
    """Change settings of a task, and make sure at once that they are right.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline.
    label : str
        The task.
    changes : mapping
        Names to values; names may be dotted.
    where : str
        Where they come from, for errors.

    Returns
    -------
    PipelineDefinition
        A changed copy.

    Raises
    ------
    PipelineError
        If there is no such task or setting, or a value is not right.
    """
    _check_label(definition, label)
    changed = definition.tasks[label].changed(Override(where, nested(changes)))
    out = replace(definition, tasks={**definition.tasks, label: changed})
    extend_path(out.search_path)
    node_of(label, settled(out))
    return out


def set_text(definition: PipelineDefinition, text: str) -> PipelineDefinition:
    """Apply ``label:name.sub=value``, the value in YAML.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline.
    text : str
        As given on a command line.

    Returns
    -------
    PipelineDefinition
        A changed copy.

    Raises
    ------
    PipelineError
        If it is not of that form, there is no such setting, or the value is not right.
    """
    label, name, written = parse_setting(text)
    value = parse_value(written)
    try:
        return set_value(definition, label, name, value)
    except PipelineError as exc:
        if exc.code != "bad-setting" or not isinstance(value, _SCALARS):
            raise
        # ``label:name=5`` for a setting that is text: YAML alone cannot know.
        try:
            return set_value(definition, label, name, written)
        except PipelineError:
            raise exc from None


def set_value(definition: PipelineDefinition, label: str, name: str, value: Any) -> PipelineDefinition:
    """Change one setting, or one of the pipeline's parameters.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline.
    label : str
        The task, or ``parameters``.
    name : str
        Dotted name.
    value : object
        The value.

    Returns
    -------
    PipelineDefinition
        A changed copy.

    Raises
    ------
    PipelineError
        If there is no such task, setting or parameter, or the value is not right.
    """
    if label == "parameters":
        return set_parameter(definition, name, value, "the pipeline")
    _check_label(definition, label)
    return change_task(definition, label, {name: value}, f"-c {label}:{name}")


def set_parameter(definition: PipelineDefinition, name: str, value: Any, who: str) -> PipelineDefinition:
    """Change one of a pipeline's parameters.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline.
    name : str
        The parameter.
    value : object
        Its value.
    who : str
        What has it, for errors.

    Returns
    -------
    PipelineDefinition
        A changed copy.

    Raises
    ------
    PipelineError
        If there is no such parameter.
    """
    _check_known(name, definition.parameters, f"{who} has no parameter", "unknown-parameter")
    return replace(definition, parameters={**definition.parameters, name: value})


def add_task(definition: PipelineDefinition, label: str, target: type[Task] | str) -> PipelineDefinition:
    """Add a task.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline.
    label : str
        Its label; new.
    target : type or str
        A task class, a function with ``@task``, or ``"module.Class"``.

    Returns
    -------
    PipelineDefinition
        A changed copy.

    Raises
    ------
    PipelineError
        If the label is taken or not usable.
    """
    check_label(label, "the pipeline")
    if label in definition.tasks or label in definition.subsets:
        raise PipelineError(f"the pipeline has a '{label}' already", code="label-taken")
    if not isinstance(target, str):
        task_class = getattr(target, "task_class", target)
        target = f"{task_class.__module__}:{task_class.__qualname__}"
    return replace(
        definition, tasks={**definition.tasks, label: TaskDefinition(target, where=f"task '{label}'")}
    )


def _check_label(definition: PipelineDefinition, label: str) -> None:
    _check_known(label, definition.tasks, "the pipeline has no task", "unknown-label")


def _check_known(name: str, known: Any, said: str, code: str) -> None:
    if name not in known:
        raise PipelineError(f"{said} '{name}'", code=code, hint=nearest(name, known))
