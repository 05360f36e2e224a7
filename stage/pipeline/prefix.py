"""A pipeline imported under a prefix: its labels, its parameters and the dataset types made within are renamed.

Labels and parameters are renamed at once. Which dataset types are made within only the tasks' code can tell, so that
this waits until the code is imported anyway: `settled` then writes the new names as settings of connections.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from registry.errors import PipelineError
from stage.pipeline.definition import (
    Contract,
    Override,
    PipelineDefinition,
    Scope,
    TaskDefinition,
    check_label,
    fill_parameters,
)
from stage.pipeline.node import Role

__all__ = ["settled", "with_prefix"]

_PARAMETER = re.compile(r"parameters\.(?=[A-Za-z_]\w*\Z)")
_AUTOMATIC = ("metadata", "log", "config")
_MADE: tuple[Role, ...] = ("output", "init_output")
_READ: tuple[Role, ...] = ("input", "prerequisite", "init_input")


def with_prefix(definition: PipelineDefinition, prefix: str, where: str) -> PipelineDefinition:
    """Put a prefix before all that a pipeline calls its own.

    Parameters
    ----------
    definition : PipelineDefinition
        The imported pipeline.
    prefix : str
        Letters, digits and underscores.
    where : str
        The importing file, for errors.

    Returns
    -------
    PipelineDefinition
        With labels, subsets, steps and parameters renamed, and a note that the dataset types are to be (see `settled`).

    Raises
    ------
    PipelineError
        If labels cannot begin so.
    """
    check_label(prefix, f"{where}, prefix")
    tasks = _renamed(definition.tasks, prefix)
    scopes = [Scope(s.prefix, prefix + s.full, _renamed(s.tasks, prefix)) for s in definition.scopes]
    return replace(
        definition,
        parameters={prefix + name: value for name, value in definition.parameters.items()},
        tasks=tasks,
        subsets={
            prefix + name: (tuple(prefix + label for label in labels), doc)
            for name, (labels, doc) in definition.subsets.items()
        },
        contracts=tuple(_contract(c, prefix) for c in definition.contracts),
        steps=tuple(
            replace(s, label=prefix + s.label, tasks=tuple(prefix + label for label in s.tasks))
            for s in definition.steps
        ),
        scopes=(*scopes, Scope(prefix, prefix, tasks)),
    )


def _renamed(tasks: Mapping[str, TaskDefinition], prefix: str) -> dict[str, TaskDefinition]:
    return {
        prefix + label: replace(
            task,
            overrides=_prefixed(task.overrides, prefix),
            instruments={name: _prefixed(changes, prefix) for name, changes in task.instruments.items()},
            shell=_mentions(task.shell, prefix),
            resources=_mentions(task.resources, prefix),
        )
        for label, task in tasks.items()
    }


def _prefixed(overrides: tuple[Override, ...], prefix: str) -> tuple[Override, ...]:
    return tuple(Override(o.where, _mentions(o.changes, prefix)) for o in overrides)


def _mentions(value: Any, prefix: str) -> Any:
    """Rename the parameters that a setting refers to."""
    if isinstance(value, Mapping):
        return {k: _mentions(v, prefix) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_mentions(v, prefix) for v in value]
    return _PARAMETER.sub(f"parameters.{prefix}", value, count=1) if isinstance(value, str) else value


class _Names(ast.NodeTransformer):
    """Renames labels and parameters in an expression."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return node if node.id == "parameters" else ast.Name(self.prefix + node.id, node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        if isinstance(node.value, ast.Name) and node.value.id == "parameters":
            return ast.Attribute(node.value, self.prefix + node.attr, node.ctx)
        return ast.Attribute(self.visit(node.value), node.attr, node.ctx)


def _contract(contract: Contract, prefix: str) -> Contract:
    tree = ast.parse(contract.expression.strip(), mode="eval").body  # checked when its file was read
    return replace(contract, expression=ast.unparse(_Names(prefix).visit(tree)))


def settled(definition: PipelineDefinition) -> PipelineDefinition:
    """Rename the dataset types that pipelines imported under a prefix make.

    Parameters
    ----------
    definition : PipelineDefinition
        Any pipeline; directories of user modules must be on the path.

    Returns
    -------
    PipelineDefinition
        Without scopes: the names are settings of the tasks' connections, before those that importing files change.

    Raises
    ------
    PipelineError
        If code cannot be imported, or a setting is not right.
    """
    if not definition.scopes:
        return definition
    tasks = dict(definition.tasks)
    outer = [dict(scope.tasks) for scope in definition.scopes]
    for number, scope in enumerate(definition.scopes):
        inner = outer[number]
        for label, names in _names(scope, inner, definition.parameters).items():
            override = Override(f"prefix {scope.prefix}", {"connections": names})
            place = len(inner[label].overrides)
            for known in (*outer[number + 1 :], tasks):
                if label in known and _is_changed_copy(known[label], inner[label]):
                    known[label] = _inserted(known[label], place, override)
    return replace(definition, tasks=tasks, scopes=())


def _is_changed_copy(task: TaskDefinition, of: TaskDefinition) -> bool:
    """Tell whether an importing file has only added settings; another task in its place has its own names."""
    same = (task.target, task.shell) == (of.target, of.shell)
    return same and task.overrides[: len(of.overrides)] == of.overrides


def _inserted(task: TaskDefinition, place: int, override: Override) -> TaskDefinition:
    return replace(task, overrides=(*task.overrides[:place], override, *task.overrides[place:]))


def _names(
    scope: Scope, tasks: Mapping[str, TaskDefinition], parameters: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Return for each task of a scope the new names of its connections, templates still in them."""
    from stage.pipeline.resolve import changes_of, load_class

    found = {}
    for label, task in tasks.items():
        changes = [fill_parameters(change, parameters, where) for where, change in changes_of(task)]
        try:
            task_class = load_class(task)
            config = task_class.ConfigClass.from_changes(*changes)
            found[label] = config, task_class.connections_for(config, owner=f"task '{label}'")
        except PipelineError as exc:
            raise PipelineError(f"{task.where}: {exc.message}", code=exc.code, hint=exc.hint) from exc
    plain = [label.removeprefix(scope.full) for label in tasks]
    made = {f"{label}_{what}" for label in plain for what in _AUTOMATIC}
    made |= {c.dataset_type for _, known in found.values() for c in known.by_role(*_MADE)}
    out: dict[str, dict[str, str]] = {}
    for label, (config, known) in found.items():
        names = {
            c.name: scope.prefix + config.connections.get(c.name, known.declared[c.name].dataset_type)
            for c in known.by_role(*_MADE, *_READ)
            if c.dataset_type in made
        }
        if names:
            out[label] = names
    return out
