"""What there is to know about the tasks of a pipeline: connections with their schemas, settings with their origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.errors import PipelineError, nearest
from stage.pipeline.columns import known_columns
from stage.pipeline.overrides import nested
from stage.pipeline.resolve import changes_of

if TYPE_CHECKING:
    from stage.pipeline.definition import TaskDefinition
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = ["ConnectionDoc", "SettingOrigin", "describe_connections", "describe_settings"]


class ConnectionDoc(NamedTuple):
    """One connection of one task, in words.

    Parameters
    ----------
    task, name, role : str
        Which.
    dataset_type, storage_class : str
        What it is.
    dimensions : tuple of str
        As declared.
    options : tuple of str
        What is not as usual: ``multiple``, ``minimum=2``, ``deferred``, ``calibration``, ``lookup=function``.
    columns : tuple of str
        Of an input, those that it needs; of an output, those that it has, as far as that is known before anything runs.
    doc : str
        What its author says.
    """

    task: str
    name: str
    role: str
    dataset_type: str
    storage_class: str
    dimensions: tuple[str, ...]
    options: tuple[str, ...]
    columns: tuple[str, ...]
    doc: str


class SettingOrigin(NamedTuple):
    """One setting of one task, and where its value comes from.

    Parameters
    ----------
    name : str
        Dotted, for a setting of a subtask.
    value, default : object
        What it is, and what it would be if nobody had changed it; as JSON-like values.
    origin : str
        The file, or where else it was last changed; ``default`` if nowhere.
    """

    name: str
    value: Any
    default: Any
    origin: str


def describe_connections(
    nodes: Sequence[TaskNode], init_inputs: Mapping[str, Any] | None = None
) -> list[ConnectionDoc]:
    """Return what there is to know about each connection that tasks declare.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks, producers before consumers.
    init_inputs : mapping, optional
        Objects of init inputs that no task makes, by dataset type name: some schemas follow from them.

    Returns
    -------
    list of ConnectionDoc
        Task by task, in declared order; without automatic connections.
    """
    known = known_columns(nodes, init_inputs)
    out = []
    for node in nodes:
        for c in node.connections:
            if c.name.startswith("_"):
                continue
            options = [name for name in ("multiple", "deferred") if getattr(c, name)]
            options += [f"minimum={c.minimum}"] if c.minimum != 1 else []
            options += ["calibration"] if c.is_calibration else []
            options += [f"lookup={c.lookup}"] if c.lookup else []
            options += [f"type={c.type}"] if c.type else []
            columns = c.columns or (known.get(c.dataset_type, ()) if c.is_output else ())
            out.append(
                ConnectionDoc(
                    node.label,
                    c.name,
                    c.role,
                    c.dataset_type,
                    c.storage_class,
                    c.dimensions,
                    tuple(options),
                    columns,
                    c.doc,
                )
            )
    return out


def describe_settings(pipeline: Pipeline, label: str) -> list[SettingOrigin]:
    """Return each setting of a task with its value, its default and where it was changed.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline.
    label : str
        The task.

    Returns
    -------
    list of SettingOrigin
        In declared order. Those of a script are its variables; by default they are what the file that has the script
        says.

    Raises
    ------
    PipelineError
        If there is no such task.
    """
    if label not in pipeline.definition.tasks:
        raise PipelineError(
            f"the pipeline has no task '{label}'", code="unknown-label", hint=nearest(label, pipeline.labels)
        )
    task = pipeline.definition.tasks[label]
    if task.shell is not None:
        return _of_script(task, pipeline.node(label).config["variables"])
    now = _leaves(pipeline.node(label).config)
    changes = changes_of(task)
    before = _defaults(pipeline, label)
    origins: dict[str, str] = {}
    for where, change in changes:
        for name in _leaves(nested(change)):
            origins.update({n: where for n in now if n == name or n.startswith(f"{name}.")})
    return [SettingOrigin(n, v, before.get(n), origins.get(n, "default")) for n, v in now.items()]


def _of_script(task: TaskDefinition, variables: Mapping[str, Any]) -> list[SettingOrigin]:
    before: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for change in task.changes:
        origins |= dict.fromkeys(change.changes, change.where)
        if change.where == task.where:
            before |= change.changes
    return [SettingOrigin(n, v, before.get(n), origins[n]) for n, v in variables.items()]


def _defaults(pipeline: Pipeline, label: str) -> dict[str, Any]:
    """Return the settings that the task's class has; nothing where some must be given."""
    from stage.pipeline.resolve import load_class

    try:
        return _leaves(load_class(pipeline.definition.tasks[label]).ConfigClass().to_document())
    except PipelineError:
        return {}


def _leaves(document: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            out |= _leaves(value, f"{above}{name}.")
        else:
            out[f"{above}{name}"] = value
    return out
