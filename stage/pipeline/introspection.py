"""All that can be known of a task without running it: what it is, what it reads and makes, what can be set, what it needs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from stage.pipeline.describe import ConnectionDoc, describe_connections, describe_settings

if TYPE_CHECKING:
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = ["SettingDoc", "TaskDoc", "describe_tasks"]


@dataclass(frozen=True)
class SettingDoc:
    """One setting of a task.

    Parameters
    ----------
    name : str
        Dotted, for a setting of a subtask.
    type : str
        As declared; empty where nothing is, as of a script's variables.
    value, default : object
        What it is, and what it would be if nobody had changed it; as JSON-like values.
    origin : str
        Where it was changed last; ``default`` if nowhere.
    constraints : sequence of str
        Such as ``gt=0``.
    doc : str
        What it means.
    """

    name: str
    type: str
    value: Any
    default: Any
    origin: str
    constraints: Sequence[str] = ()
    doc: str = ""


@dataclass(frozen=True)
class TaskDoc:
    """One task of a pipeline.

    Parameters
    ----------
    label, kind, target, version : str
        Its label; ``class``, ``function`` or ``shell``; ``module:name`` of its code, and the version of that.
    doc : str
        The docstring of its code.
    dimensions : sequence of str
        What identifies one quantum.
    connections : sequence of ConnectionDoc
        What it reads and makes.
    settings : sequence of SettingDoc
        What can be set.
    resources : mapping
        What one quantum needs: ``cpus``, ``memory_mb``, ``walltime_s``.
    hooks : sequence of str
        What its code decides quantum by quantum.
    """

    label: str
    kind: str
    target: str
    version: str
    doc: str
    dimensions: Sequence[str]
    connections: Sequence[ConnectionDoc]
    settings: Sequence[SettingDoc]
    resources: dict[str, Any]
    hooks: Sequence[str]

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {**asdict(self), "connections": [c._asdict() for c in self.connections]}


def describe_tasks(pipeline: Pipeline, label: str | None = None) -> list[TaskDoc]:
    """Return what there is to know of a pipeline's tasks.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline.
    label : str, optional
        Only this task.

    Returns
    -------
    list of TaskDoc
        Producers before consumers.

    Raises
    ------
    PipelineError
        If there is no such task.
    """
    nodes = list(pipeline.nodes)
    labels = [node.label for node in nodes]
    if label is not None and label not in labels:
        raise PipelineError(
            f"the pipeline has no task '{label}'", code="unknown-label", hint=nearest(label, labels)
        )
    connections = describe_connections(nodes)
    return [
        _task(pipeline, node, [c for c in connections if c.task == node.label])
        for node in nodes
        if label in (None, node.label)
    ]


def _task(pipeline: Pipeline, node: TaskNode, connections: Sequence[ConnectionDoc]) -> TaskDoc:
    from stage.pipeline.resolve import load_class

    task = load_class(pipeline.definition.tasks[node.label])
    known = {} if node.kind == "shell" else {field.name: field for field in task.ConfigClass.describe()}
    settings = []
    for s in describe_settings(pipeline, node.label):
        field = known.get(s.name)
        about = () if field is None else (field.constraints, field.doc)
        settings.append(
            SettingDoc(s.name, "" if field is None else field.type, s.value, s.default, s.origin, *about)
        )
    return TaskDoc(
        node.label, node.kind, node.target, node.version, _doc(node, task), node.dimensions, connections,
        settings, node.resources.to_document(), node.hooks,
    )  # fmt: skip


def _doc(node: TaskNode, task: type[Any]) -> str:
    """Return what the author says of a task; of a script, which has no docstring, nothing."""
    return "" if node.kind == "shell" else inspect.cleandoc(task.__doc__ or "")
