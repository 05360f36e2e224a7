"""`TaskDefinition` → `TaskNode`: code imported, config settled, connections named, and each checked."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from registry.errors import PipelineError, nearest
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections
from stage.pipeline.definition import PipelineDefinition, TaskDefinition, fill_parameters
from stage.pipeline.importing import code_version, load_task_class, split_target
from stage.pipeline.late_resources import HOOK, check_late, is_late_hook, split_hints
from stage.pipeline.node import TaskNode, automatic_connections
from stage.pipeline.resources import Resources
from stage.pipeline.task import Task

__all__ = [
    "changes_of",
    "check_interface",
    "check_lookups",
    "hooks_of",
    "load_class",
    "lookup_of",
    "make_node",
    "node_of",
]

_SHELL = "stage.tasks.shell:ShellTask"
_HOOKS = ("adjust_quantum", "define_quanta")


def node_of(label: str, definition: PipelineDefinition) -> TaskNode:
    """Settle one task of a pipeline.

    Parameters
    ----------
    label : str
        Which.
    definition : PipelineDefinition
        The pipeline; directories of user modules must be on the path.

    Returns
    -------
    TaskNode
        With its whole config and its connections.

    Raises
    ------
    PipelineError
        If its code cannot be imported, a setting is not right, or its declarations do not fit together.
    """
    task = definition.tasks[label]
    task_class = load_class(task)
    changes = [fill_parameters(change, definition.parameters, where) for where, change in changes_of(task)]
    try:
        node = make_node(label, task_class, task_class.ConfigClass.from_changes(*changes))
        hints = fill_parameters(task.resources, definition.parameters, task.where)
        known, late = split_hints(hints)
        node = replace(
            node,
            resources=node.resources.changed(known),
            late=_late(node, known, late),
            units=task.units or node.units,
        )
        return replace(node, ephemeral=_ephemeral(node, task.ephemeral or ()))
    except PipelineError as exc:
        source = _source(task, exc.context.get("setting", ""))
        raise PipelineError(f"{source}: {exc.message}", code=exc.code, hint=exc.hint) from exc


def _late(node: TaskNode, known: Mapping[str, Any], late: Mapping[str, str]) -> Mapping[str, str]:
    """Return the resources of a task that follow from inputs; what the pipeline file says counts before the code."""
    inputs = [c.name for c in node.inputs]
    for name, text in late.items():
        node.resources.changed({name: 1})
        check_late(name, text, inputs)
    return late if late or known else node.late


def _ephemeral(node: TaskNode, names: Sequence[str]) -> tuple[str, ...]:
    """Return the outputs that are ephemeral; each has to be one whose file a run can do without."""
    able = {c.name: c for c in node.by_role("output")}
    for name in names:
        if name not in able:
            raise PipelineError(
                f"task '{node.label}' has no output '{name}' that could be ephemeral",
                code="bad-ephemeral",
                hint=nearest(name, able),
            )
        if able[name].records:
            raise PipelineError(
                f"output '{name}' of task '{node.label}' holds dimension records that later graphs are built from, "
                "so it cannot be ephemeral",
                code="bad-ephemeral",
            )
    return tuple(dict.fromkeys(names))


def _source(task: TaskDefinition, setting: str) -> str:
    """Say in which file and task something is wrong, and where the setting was last changed if elsewhere."""
    for where, changes in reversed(changes_of(task)):
        if where != task.where and setting and _mentions(changes, setting.split(".")):
            return f"{task.where} ({where})"
    return task.where


def _mentions(changes: Any, names: list[str]) -> bool:
    if not names or not isinstance(changes, Mapping):
        return True
    return names[0] in changes and _mentions(changes[names[0]], names[1:])


def load_class(task: TaskDefinition) -> type[Task]:
    """Import the class of a task.

    Parameters
    ----------
    task : TaskDefinition
        As it is written.

    Returns
    -------
    type
        A subclass of `Task`.

    Raises
    ------
    PipelineError
        If it cannot be imported.
    """
    return load_task_class(_SHELL if task.shell is not None else task.target, task.where)


def changes_of(task: TaskDefinition) -> list[tuple[str, Mapping[str, Any]]]:
    """Return a task's changes of settings, with where they are written.

    Parameters
    ----------
    task : TaskDefinition
        As it is written.

    Returns
    -------
    list of (str, mapping)
        In order. The settings that a shell task's author declares are its variables.
    """
    changes = [(o.where, o.changes) for o in task.changes]
    if task.shell is None:
        return changes
    out: list[tuple[str, Mapping[str, Any]]] = [(task.where, task.shell)]
    variables: dict[str, Any] = {}
    for where, change in changes:
        # A mapping is replaced whole: each has those before it too, which it does not change.
        variables = {**variables, **{k: v for k, v in change.items() if k != "connections"}}
        named = {"connections": change["connections"]} if "connections" in change else {}
        out.append((where, {"variables": variables, **named}))
    return out


def make_node(label: str, task_class: type[Task], config: Config) -> TaskNode:
    """Settle a task whose class and config are known.

    Parameters
    ----------
    label : str
        Its label.
    task_class : type
        Importable by its module and qualified name.
    config : Config
        Of the class's `ConfigClass`.

    Returns
    -------
    TaskNode
        Ready for a graph.

    Raises
    ------
    PipelineError
        If the declarations do not fit together.
    """
    owner = f"task '{label}'"
    _refuse_nested_connections(owner, config)
    connections = task_class.connections_for(config, owner=owner)
    check_interface(owner, task_class, connections)
    check_lookups(owner, task_class, connections)
    target = f"{task_class.__module__}:{task_class.__qualname__}"
    if "<locals>" in target:
        raise PipelineError(
            f"{owner}: {target} is defined inside a function, where workers cannot find it",
            code="not-importable",
        )
    return TaskNode(
        label=label,
        kind=cast("Literal['class', 'function', 'shell']", task_class.kind),
        target=target,
        config=config.to_document(),
        dimensions=connections.dimensions,
        connections=(*connections.defs, *automatic_connections(label, connections.dimensions)),
        version=code_version(split_target(target)[0]),
        hooks=hooks_of(task_class),
        resources=_resources_of(owner, task_class),
        late={HOOK: "resources"} if is_late_hook(task_class) else {},
        units=task_class.units,
    )


def hooks_of(task_class: type[Task]) -> tuple[str, ...]:
    """Return the hooks that a task class overrides.

    Parameters
    ----------
    task_class : type
        The task.

    Returns
    -------
    tuple of str
        Of ``adjust_quantum``, ``define_quanta``, ``resources``.
    """
    found = [h for h in _HOOKS if getattr(task_class, h) is not getattr(Task, h)]
    is_asked = not isinstance(task_class.resources, Resources) and not is_late_hook(task_class)
    return (*found, "resources") if is_asked else tuple(found)


def _resources_of(owner: str, task_class: type[Task]) -> Resources:
    """Return what holds where no method says otherwise: the nearest class attribute."""
    if not isinstance(task_class.resources, Resources) and not callable(task_class.resources):
        raise PipelineError(
            f"{owner}: resources of {task_class.__name__} is {task_class.resources!r}",
            code="bad-resources",
            hint="Write resources = Resources(memory_mb=...), or a method resources(self, data_id).",
        )
    declared = (vars(base).get("resources") for base in task_class.__mro__)
    return next(r for r in declared if isinstance(r, Resources))


def check_lookups(owner: str, task_class: type[Task], connections: Connections) -> None:
    """Refuse lookup functions that are not there.

    Parameters
    ----------
    owner : str
        Who it is, for errors.
    task_class : type
        The task.
    connections : Connections
        Its connections.

    Raises
    ------
    PipelineError
        If a prerequisite names one that neither the class nor its module has.
    """
    for c in connections.by_role("prerequisite"):
        if not isinstance(c.lookup, str):  # the function itself could not be named in a graph
            raise PipelineError(
                f"{owner}: '{c.name}' is looked up by {c.lookup!r}, and not by the name of a function",
                code="unknown-lookup",
                hint="Write the name, as lookup='nearest', of a function of the module or a static method of the task.",
            )
        if c.lookup and lookup_of(task_class, c.lookup) is None:
            names = [*vars(task_class), *vars(sys.modules[task_class.__module__])]
            raise PipelineError(
                f"{owner}: '{c.name}' is looked up by '{c.lookup}', which is neither a static method of "
                f"{task_class.__name__} nor a function of its module",
                code="unknown-lookup",
                hint=nearest(c.lookup, [n for n in names if not n.startswith("__")]),
            )


def lookup_of(task_class: type[Task], name: str) -> Callable[..., Any] | None:
    """Return the function that looks a prerequisite up.

    Parameters
    ----------
    task_class : type
        The task.
    name : str
        As its connection says.

    Returns
    -------
    callable or None
        A static method of the class, else a function of its module; None if there is neither.
    """
    found = getattr(task_class, name, None) or getattr(sys.modules[task_class.__module__], name, None)
    return found if callable(found) else None


def check_interface(owner: str, task_class: type[Task], connections: Connections) -> None:
    """Compare the parameters of `run` with the input connections.

    Parameters
    ----------
    owner : str
        Who it is, for errors.
    task_class : type
        The task.
    connections : Connections
        Its connections.

    Raises
    ------
    PipelineError
        If `run` is not there, lacks a parameter for an input, or wants one that is no input.
    """
    if task_class.run_quantum is not Task.run_quantum:
        return
    if task_class.run is Task.run:
        raise PipelineError(f"{owner}: {task_class.__name__} has no run()", code="no-run")
    parameters = dict(list(inspect.signature(task_class.run).parameters.items())[1:])
    inputs = [c.name for c in connections.by_role("input", "prerequisite")]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in inputs:
        if name not in parameters:
            raise PipelineError(
                f"{owner}: run() of {task_class.__name__} has no parameter for its input '{name}'",
                code="run-signature",
                hint=nearest(name, parameters),
            )
    for name, parameter in parameters.items():
        given = name in inputs or name == "data_id" or parameter.kind is parameter.VAR_POSITIONAL
        if not given and parameter.default is parameter.empty:
            raise PipelineError(
                f"{owner}: run() of {task_class.__name__} wants '{name}', which is no input connection",
                code="run-signature",
                hint=nearest(name, [*inputs, "data_id"]),
            )


def _refuse_nested_connections(owner: str, config: Config, above: str = "") -> None:
    """Refuse dataset type names in a subtask's config: they would have no effect."""
    for name in type(config).model_fields:
        inner = getattr(config, name)
        if isinstance(inner, Config):
            if inner.connections:
                raise PipelineError(
                    f"{owner}: subtask '{above}{name}' has connections set; only the task itself reads and writes",
                    code="unknown-connection",
                    hint=f"Set connections.{next(iter(inner.connections))} of the task.",
                )
            _refuse_nested_connections(owner, inner, f"{above}{name}.")
