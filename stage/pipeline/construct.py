"""Constructing the tasks of a pipeline in order, and comparing two pipelines. Functions of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError
from stage.pipeline.node import ConnectionDef, TaskNode
from stage.pipeline.settings import differences

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = ["build_tasks", "diff_nodes"]


def build_tasks(
    nodes: Iterable[TaskNode], init_inputs: Mapping[str, Any] | None = None
) -> tuple[dict[str, Task], dict[str, Any]]:
    """Construct tasks in order, each with the init outputs of those before it, in memory.

    Parameters
    ----------
    nodes : iterable of TaskNode
        In dependency order.
    init_inputs : mapping, optional
        Objects of the init inputs that none of them makes, by dataset type name.

    Returns
    -------
    tasks : dict of str to Task
        By label.
    init_outputs : dict of str to object
        What they give, by dataset type name; configs included.

    Raises
    ------
    PipelineError
        If an init input is not there, or code cannot be imported.
    """
    store: dict[str, Any] = dict(init_inputs or {})
    classes: dict[str, str] = {}
    tasks: dict[str, Task] = {}
    made: dict[str, Any] = {}
    for node in nodes:
        for c in node.init_inputs:
            if c.dataset_type not in store:
                raise PipelineError(
                    f"task '{node.label}': init input '{c.name}' ({c.dataset_type}) is not there",
                    code="missing-init-input",
                )
        task = node.build(
            {
                c.name: _read_as(c, store[c.dataset_type], classes.get(c.dataset_type))
                for c in node.init_inputs
            }
        )
        given = task.checked_init_outputs()
        made |= {
            c.dataset_type: given[c.name] if c.name in given else dict(node.config) for c in node.init_outputs
        }
        store |= made
        classes |= {c.dataset_type: c.storage_class for c in node.init_outputs}
        tasks[node.label] = task
    return tasks, made


def _read_as(connection: ConnectionDef, obj: Any, made_as: str | None) -> Any:
    """Return an init input as its reader declares it."""
    if made_as in {None, connection.storage_class}:
        return obj
    from sync.storage import convert

    return convert(obj, connection.storage_class)


def diff_nodes(ours: Iterable[TaskNode], theirs: Iterable[TaskNode]) -> list[str]:
    """Say how the tasks of two pipelines, or of a pipeline and a graph, differ.

    Parameters
    ----------
    ours, theirs : iterable of TaskNode
        In any order.

    Returns
    -------
    list of str
        One text a difference, ours first; empty if all fingerprints agree.
    """
    a, b = {n.label: n for n in ours}, {n.label: n for n in theirs}
    out = [f"{label}: only ours" for label in a if label not in b]
    out += [f"{label}: only theirs" for label in b if label not in a]
    for label in (n for n in a if n in b and a[n].fingerprint != b[n].fingerprint):
        out += _diff(label, a[label], b[label])
    return out


def _diff(label: str, ours: TaskNode, theirs: TaskNode) -> list[str]:
    pairs = (
        ("code", ours.target, theirs.target),
        ("version", ours.version or "unknown", theirs.version or "unknown"),
        ("dimensions", ", ".join(ours.dimensions), ", ".join(theirs.dimensions)),
    )
    out = [f"{label}: {what}: {a!r} against {b!r}" for what, a, b in pairs if a != b]
    settings = (d._replace(name=ours.typed_name(d.name)) for d in differences(ours.config, theirs.config))
    out += [f"{label}:{d}" for d in settings]
    a, b = {c.name: c for c in ours.connections}, {c.name: c for c in theirs.connections}
    for name in dict.fromkeys([*a, *b]):
        mine, yours = (c[name].to_document() if name in c else {} for c in (a, b))
        changed = [k for k in {**mine, **yours} if k != "doc" and mine.get(k) != yours.get(k)]
        if not mine or not yours:
            out.append(f"{label}: connection '{name}': only {'ours' if mine else 'theirs'}")
        else:
            out += [f"{label}: connection '{name}': {k} {mine[k]!r} against {yours[k]!r}" for k in changed]
    return out
