"""What columns the tables of a pipeline have, as far as that is known before anything runs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from stage.pipeline.construct import build_tasks

if TYPE_CHECKING:
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["check_columns", "column_names", "constructible", "known_columns"]


def column_names(schema: Any) -> tuple[str, ...] | None:
    """Return the names of the columns that a schema speaks of.

    Parameters
    ----------
    schema : object
        A schema or a table of pyarrow, a table of pandas or astropy, a mapping by name, or a list of names.

    Returns
    -------
    tuple of str or None
        In order; None if it is something else.
    """
    for attribute in ("column_names", "colnames", "names", "columns"):
        found = getattr(schema, attribute, None)
        if found is not None and not callable(found):
            return tuple(map(str, found))
    if isinstance(schema, Mapping):
        return tuple(map(str, schema))
    if isinstance(schema, list | tuple) and all(isinstance(name, str) for name in schema):
        return tuple(schema)
    return None


def known_columns(
    nodes: Sequence[TaskNode], init_inputs: Mapping[str, Any] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the columns of the tables that a pipeline makes.

    Parameters
    ----------
    nodes : sequence of TaskNode
        Its tasks, producers before consumers.
    init_inputs : mapping, optional
        Objects of the init inputs that none of them makes, by dataset type name.

    Returns
    -------
    dict of str to tuple of str
        By dataset type: what its output declares, or what the init output says that is its schema. A dataset type
        of which neither is known is absent.

    Notes
    -----
    Tasks are constructed only where an output names its schema.
    """
    made = [(n, c) for n in nodes for c in n.outputs if c.columns or c.schema]
    out = {c.dataset_type: c.columns for _, c in made if c.columns}
    asked = [(n, c) for n, c in made if c.schema and not c.columns]
    wanted = constructible(nodes, [n for n, _ in asked], init_inputs or {})
    store = build_tasks(wanted, init_inputs)[1] if wanted else {}
    for node, c in asked:
        names = column_names(store.get(node.connection(c.schema).dataset_type))
        if names is not None:
            out[c.dataset_type] = names
    return out


def constructible(
    nodes: Sequence[TaskNode], asked: Iterable[TaskNode], given: Container[str]
) -> list[TaskNode]:
    """Return tasks and those whose init outputs they need, as far as all of these are there.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks, producers before consumers.
    asked : iterable of TaskNode
        Those that are wanted.
    given : container of str
        Dataset types of init inputs that none of them makes, and that are there.

    Returns
    -------
    list of TaskNode
        In the order of `nodes`.
    """
    from stage.pipeline.order import producers  # what a task alone does not need, when it runs

    made = producers(nodes)
    needs: dict[str, set[str]] = {}
    for node in nodes:  # producers come first
        there: set[str] | None = {node.label}
        for c in node.init_inputs:
            maker = made[c.dataset_type][0].label if c.dataset_type in made else ""
            if maker in needs and there is not None:
                there |= needs[maker]
            elif c.dataset_type not in given:
                there = None
        if there is not None:
            needs[node.label] = there
    wanted = {label for node in asked for label in needs.get(node.label, ())}
    return [node for node in nodes if node.label in wanted]


def check_columns(nodes: Sequence[TaskNode]) -> None:
    """Refuse a table that lacks a column which one of its readers needs.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks, producers before consumers.

    Raises
    ------
    PipelineError
        If a column is missing (``missing-columns``); names both tasks. A table whose columns are not known passes.
    """
    readers = [(n, c) for n in nodes for c in (*n.inputs, *n.init_inputs) if c.columns]
    if not readers:
        return
    from stage.pipeline.order import producers  # what a task alone does not need, when it runs

    known, made = known_columns(nodes), producers(nodes)
    for node, c in readers:
        there = known.get(c.dataset_type)
        missing = [name for name in c.columns if there is not None and name not in there]
        if there is not None and missing:
            raise _missing(node, c, made[c.dataset_type][0], missing, there)


def _missing(
    node: TaskNode, c: ConnectionDef, maker: TaskNode, missing: Sequence[str], there: Sequence[str]
) -> PipelineError:
    return PipelineError(
        f"task '{node.label}' ({c.name}) needs of '{c.dataset_type}' {', '.join(missing)}, which task "
        f"'{maker.label}' does not give: it has {', '.join(there) or 'no columns'}",
        code="missing-columns",
        hint=nearest(missing[0], there),
    )
