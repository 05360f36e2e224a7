"""Columns of the tables that a task has made, compared with those that it has said they would have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from registry.errors import PipelineError
from stage.pipeline.columns import column_names

if TYPE_CHECKING:
    from stage.pipeline.node import ConnectionDef
    from stage.pipeline.task import Task

__all__ = ["check_written"]

_SHOWN = 8

_schemas: WeakKeyDictionary[Task, dict[str, tuple[str, ...] | None]] = WeakKeyDictionary()
"""What the init outputs of a task say, asked once: they are fixed when it is constructed."""


def check_written(task: Task, pairs: Sequence[tuple[Any, Any]], outputs: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a table without a column that its output has promised.

    Parameters
    ----------
    task : Task
        Who has made it.
    pairs : sequence of (object, ref)
        What is to be written.
    outputs : mapping
        Refs by connection.

    Raises
    ------
    PipelineError
        If a column is missing, or there is one that its schema does not have (``wrong-columns``). Nothing was written.
    """
    for c in task.connections.by_role("output"):
        if c.schema or c.columns:
            refs = outputs.get(c.name, ())
            _check(task, c, (value for value, ref in pairs if any(ref is r for r in refs)))


def _check(task: Task, connection: ConnectionDef, values: Iterable[Any]) -> None:
    promised = connection.columns or _schema(task, connection)
    for value in values if promised else ():
        there = column_names(value)
        if there is None or promised is None:
            continue
        missing = [c for c in promised if c not in there]
        strange = [] if connection.columns else [c for c in there if c not in promised]
        if missing or strange:
            raise _refusal(task, connection, missing, strange)


def _schema(task: Task, connection: ConnectionDef) -> tuple[str, ...] | None:
    known = _schemas.setdefault(task, {})
    if connection.name not in known:
        known[connection.name] = column_names(task.checked_init_outputs()[connection.schema])
    return known[connection.name]


def _refusal(task: Task, connection: ConnectionDef, missing: list[str], strange: list[str]) -> PipelineError:
    said = f"init output '{connection.schema}' says" if connection.schema else "connection declares"
    what = [f"lacks {_listed(missing)}"] if missing else []
    what += [f"has {_listed(strange)} besides"] if strange else []
    return PipelineError(
        f"output '{connection.name}' of task '{task.name}' has not the columns that its {said}: "
        f"it {' and '.join(what)}",
        code="wrong-columns",
        hint="Let run() return these columns, or let the task declare those that it has.",
        context={"missing": missing, "unexpected": strange},
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
