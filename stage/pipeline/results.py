"""What a task gives, compared with what it declares: errors name the connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from stage.pipeline.struct import Struct
from stage.pipeline.value_types import check_value

if TYPE_CHECKING:
    from stage.pipeline.connections import Connections

__all__ = ["check_init_outputs", "check_result", "paired_result"]


def check_result(task: str, connections: Connections, result: Any) -> dict[str, Any]:
    """Return what `run` returned as a dict, compared with the connections.

    Parameters
    ----------
    task : str
        The task's name.
    connections : Connections
        Its connections.
    result : Struct or mapping or None
        What it returned.

    Returns
    -------
    dict
        By output connection; optional ones that are None are left out.

    Raises
    ------
    PipelineError
        If a required output is missing, or a name is no output.
    """
    declared = {c.name: c for c in connections.by_role("output")}
    if result is None and not any(c.minimum for c in declared.values()):
        result = {}
    if not isinstance(result, Struct | Mapping):
        raise PipelineError(
            f"run() of task '{task}' returned a {type(result).__name__}, not a Struct",
            code="wrong-result",
            hint=f"Return Struct({', '.join(f'{n}=…' for n in declared)}).",
        )
    fields = result.as_dict() if isinstance(result, Struct) else dict(result)
    for name in fields:
        if name not in declared:
            raise PipelineError(
                f"run() of task '{task}' returned '{name}', which is no output connection",
                code="unknown-output",
                hint=nearest(name, declared),
            )
    for name, connection in declared.items():
        if fields.get(name) is None and connection.minimum:
            raise PipelineError(
                f"run() of task '{task}' returned no '{name}' (dataset type {connection.dataset_type})",
                code="missing-output",
                hint="Return it, declare it with minimum=0, or raise NoWorkFound.",
            )
    return {name: value for name, value in fields.items() if value is not None}


def paired_result(
    task: str, connections: Connections, result: Any, outputs: Mapping[str, Sequence[Any]]
) -> list[tuple[Any, Any]]:
    """Return each object that `run` returned with its ref.

    Parameters
    ----------
    task : str
        The task's name.
    connections : Connections
        Its connections.
    result : Struct or mapping or None
        What it returned.
    outputs : mapping
        Refs by connection; a connection that is not there is not wanted.

    Returns
    -------
    list of (object, ref)
        In declared order of what was returned.

    Raises
    ------
    PipelineError
        If a required output is missing, there are more or other ones, or a value is not of the declared type.
    """
    declared = {c.name: c for c in connections.by_role("output")}
    pairs: list[tuple[Any, Any]] = []
    for name, value in check_result(task, connections, result).items():
        refs = outputs.get(name, ())
        values = list(value) if declared[name].multiple else [value] * len(refs)
        if len(values) != len(refs):
            raise PipelineError(
                f"task '{task}' returned {len(values)} '{name}', planned were {len(refs)}",
                code="wrong-output-count",
            )
        if kind := declared[name].type:
            for one in values:
                check_value(one, kind, f"output '{name}' of task '{task}'")
        pairs += zip(values, refs, strict=True)
    return pairs


def check_init_outputs(task: str, connections: Connections, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's init outputs, compared with the connections.

    Parameters
    ----------
    task : str
        The task's name.
    connections : Connections
        Its connections.
    given : mapping
        What its `init_outputs` returned.

    Returns
    -------
    dict
        One object an init output connection, in declared order.

    Raises
    ------
    PipelineError
        If one is missing, or a name is no init output.
    """
    declared = [c.name for c in connections.by_role("init_output")]
    for name in [*given, *declared]:
        if (name in given) != (name in declared):
            has = "gives" if name in given else "lacks"
            raise PipelineError(
                f"init_outputs() of task '{task}' {has} '{name}'; declared are: {', '.join(declared) or 'none'}",
                code="wrong-init-outputs",
            )
    return {name: given[name] for name in declared}
