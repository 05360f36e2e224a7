"""Calling tasks' own code while a graph is built: tasks constructed once, failures named, columns checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, PipelineError, StageError
from registry.model.columns import Columns
from stage.graph.building.found import find_datasets
from stage.graph.table import Coded, Table
from stage.pipeline.columns import constructible
from stage.pipeline.construct import build_tasks
from stage.pipeline.struct import NoWorkFound

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan
    from stage.graph.building.question import Place, View
    from stage.pipeline.task import Task

__all__ = ["as_columns", "as_table_like", "called", "data_id_text", "hook_tasks", "wrong_answer"]


def hook_tasks(plan: GraphPlan, view: View, path: Sequence[Place]) -> dict[str, Task]:
    """Construct the tasks that override a hook, and those whose init outputs they need.

    Parameters
    ----------
    plan : GraphPlan
        What the pipeline means.
    view : View
        Where init inputs are that no task makes.
    path : sequence of Place
        The search path.

    Returns
    -------
    dict of str to Task
        By label.

    Raises
    ------
    NotFoundError
        If such an init input is not there.
    PipelineError
        If code cannot be imported.
    """
    hooked = [n for n in plan.nodes if n.hooks]
    outside = {k.name: k for k in plan.of_part("overall-init")}
    wanted = constructible(plan.nodes, hooked, outside)
    given = {}
    for node in wanted:
        for c in node.init_inputs:
            if c.dataset_type in outside and c.dataset_type not in given:
                found = find_datasets(view, outside[c.dataset_type], path, Table({}, 1)).found
                if not found.n_rows:
                    raise NotFoundError(
                        f"task '{node.label}' cannot be constructed: there is no '{c.dataset_type}' "
                        f"for its init input '{c.name}' in {', '.join(p.collection for p in path) or 'no collection'}",
                        code="missing-init-input",
                        hint="Add the collection that holds it to the inputs.",
                    )
                given[c.dataset_type] = view.load(found.decode(), c.storage_class)
    return build_tasks(wanted, given)[0]


def called(
    label: str, hook: str, function: Callable[..., Any], *args: Any, about: Mapping[str, Any] | None = None
) -> Any:
    """Call a task's own code.

    Parameters
    ----------
    label : str
        The task.
    hook : str
        What is called.
    function : callable
        It.
    *args : object
        For it.
    about : mapping, optional
        The data ID that it is about.

    Returns
    -------
    object
        What it returned.

    Raises
    ------
    NoWorkFound
        If it says so.
    PipelineError
        If it fails (``hook-failed``); errors of ours pass as they are.
    """
    try:
        return function(*args)
    except (NoWorkFound, StageError):
        raise
    except Exception as exc:
        said = f"{type(exc).__name__}: {exc}".rstrip(": ")
        raise PipelineError(
            f"task '{label}': {hook} failed{f' for {data_id_text(about)}' if about is not None else ''}: {said}",
            code="hook-failed",
        ) from exc


def data_id_text(data_id: Mapping[str, Any]) -> str:
    """Return a data ID as messages show it.

    Parameters
    ----------
    data_id : mapping
        Its values.

    Returns
    -------
    str
        In braces.
    """
    return "{" + ", ".join(f"{k}={v}" for k, v in data_id.items()) + "}"


def wrong_answer(label: str, hook: str, text: str, hint: str = "") -> PipelineError:
    """Return the error for an answer that makes no sense.

    Parameters
    ----------
    label : str
        The task.
    hook : str
        What was called.
    text : str
        What is wrong with the answer.
    hint : str, optional
        What to do.

    Returns
    -------
    PipelineError
        With code ``wrong-hook-answer``.
    """
    return PipelineError(f"task '{label}': {hook} {text}", code="wrong-hook-answer", hint=hint)


def as_columns(label: str, hook: str, given: Any, names: Sequence[str], what: str) -> Columns:
    """Return columns that a hook gave, compared with those there should be.

    Parameters
    ----------
    label, hook : str
        Who gave them.
    given : mapping of str to sequence
        The columns.
    names : sequence of str
        The columns there should be.
    what : str
        What they are, for errors.

    Returns
    -------
    Columns
        In the order of `names`; others are left out.

    Raises
    ------
    PipelineError
        If it is no mapping, lacks a column, or columns are of unequal length.
    """
    if not isinstance(given, Mapping):
        raise wrong_answer(label, hook, f"gave a {type(given).__name__} for {what}, not columns by name")
    for name in names:
        if name not in given:
            has = ", ".join(map(str, given)) or "none"
            raise wrong_answer(label, hook, f"gave {what} without a column '{name}' (it has {has})")
    columns = {name: _plain_array(given[name]) for name in names}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise wrong_answer(label, hook, f"gave {what} of unequal length: {shown}")
    return Columns(columns)


def _plain_array(values: Any) -> Any:
    """Return a column in a form of ours: 64-bit integers, objects for texts."""
    if not isinstance(values, np.ndarray):
        return list(values)
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    return values.astype(object) if values.dtype.kind in "US" else values


def as_table_like(label: str, hook: str, columns: Columns, model: Table, what: str) -> Table:
    """Return data IDs as a table, refusing values of another type than the candidates have.

    Parameters
    ----------
    label, hook : str
        Who gave them.
    columns : Columns
        The data IDs.
    model : Table
        Candidates of the same dimensions.
    what : str
        What they are, for errors.

    Returns
    -------
    Table
        Columns of `model`.

    Raises
    ------
    PipelineError
        If a value is of another type; names the first such row.
    """
    for name in model.names:
        column = model.columns[name]
        is_text = isinstance(column, Coded) or column.dtype == object
        wanted = str if is_text else int
        values = columns[name]
        if model.n_rows and (values.dtype != np.int64 or is_text):
            wrong = next((i for i, v in enumerate(values.tolist()) if type(v) is not wanted), None)
            if wrong is not None:
                value = values.tolist()[wrong]
                raise wrong_answer(
                    label,
                    hook,
                    f"gave {what} whose row {wrong} has {name}={value!r}, which is no {_KINDS[wanted]}",
                )
    return Table.of(columns.select(model.names)) if model.names else Table({}, columns.n_rows)


_KINDS: dict[type, str] = {str: "text", int: "whole number"}
