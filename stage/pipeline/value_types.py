"""Types of small values: declared by a connection, checked where they are written, and how a script says them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest

if TYPE_CHECKING:
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = [
    "PLAIN", "TYPES", "check_type", "check_types", "check_value", "text_of_value", "type_name", "value_of_text",
]  # fmt: skip

TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
"""What the value of a dataset may be declared to be."""

PLAIN = ("Json", "JsonZst", "Yaml")
"""Storage classes of plain values."""

_SHOWN = 60


def type_name(declared: str | type) -> str:
    """Return how a pipeline file calls a type.

    Parameters
    ----------
    declared : str or type
        A name, or one of Python's own types.

    Returns
    -------
    str
        Empty if nothing is declared.
    """
    return declared.__name__ if isinstance(declared, type) else declared


def check_type(name: str, storage_class: str, where: str) -> None:
    """Refuse a type that there is not, or that a dataset cannot have.

    Parameters
    ----------
    name : str
        The type.
    storage_class : str
        Of the dataset type.
    where : str
        The connection, for errors.

    Raises
    ------
    PipelineError
        If it is none of `TYPES`, or the datasets are not plain values (``bad-connection``).
    """
    if name not in TYPES:
        raise PipelineError(
            f"{where}: there is no type '{name}' of values; there are {', '.join(TYPES)}",
            code="bad-connection",
            hint=nearest(name, TYPES),
        )
    if storage_class not in PLAIN:
        raise PipelineError(
            f"{where}: a {storage_class} is no plain value that could be of type {name}",
            code="bad-connection",
            hint="Leave the type out, or declare the storage class Json.",
        )


def check_value(value: Any, name: str, where: str) -> None:
    """Refuse a value of another type than was declared.

    Parameters
    ----------
    value : object
        What is to be written.
    name : str
        One of `TYPES`; a whole number is a ``float``, too.
    where : str
        The task and its output, for errors.

    Raises
    ------
    PipelineError
        If it is another (``wrong-type``); names both types and the value.
    """
    kind = type(value)
    if kind is TYPES[name] or (name == "float" and kind is int) or (name == "list" and kind is tuple):
        return
    if isinstance(value, TYPES[name]) and kind is not bool:
        return
    raise PipelineError(
        f"{where} should be of type {name}, and is of type {kind.__name__}: {_short(value)}",
        code="wrong-type",
        hint=f"Give a value of type {name}, or declare type: {kind.__name__}."
        if kind.__name__ in TYPES
        else f"Give a value of type {name}.",
    )


def value_of_text(text: str, name: str, where: str) -> Any:
    """Read the value that a script has said.

    Parameters
    ----------
    text : str
        As it stands in a variable.
    name : str
        One of `TYPES`. ``str`` is taken as it is, all others are read as JSON has them.
    where : str
        The task and its output, for errors.

    Returns
    -------
    object
        Of that type.

    Raises
    ------
    PipelineError
        If it is not (``wrong-type``).
    """
    if name == "str":
        return text
    try:
        value = json.loads(text.strip(), parse_constant=_no_number)
        if name == "float" and type(value) is int:
            value = float(value)
    except (ValueError, OverflowError, RecursionError) as exc:
        raise PipelineError(
            f"{where} should be of type {name}, and is {_short(text)}",
            code="wrong-type",
            hint='Write it as JSON has it: 42, 1.5, true, [1, 2], {"a": 1}.',
        ) from exc
    check_value(value, name, where)
    return value


def _no_number(text: str) -> float:
    raise ValueError(text)


def text_of_value(value: Any) -> str:
    """Return a value as a script gets it.

    Parameters
    ----------
    value : object
        A plain value.

    Returns
    -------
    str
        Text as it is, all others as JSON has them.
    """
    return value if isinstance(value, str) else json.dumps(value)


def check_types(nodes: Sequence[TaskNode]) -> None:
    """Refuse a reader that wants values of another type than their maker gives.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks.

    Raises
    ------
    PipelineError
        If there is one (``type-mismatch``); names both tasks and types. Where one of them declares none, anything goes.
    """
    made = {c.dataset_type: (n, c) for n in nodes for c in n.outputs if c.type}
    for node, c in _readers(nodes):
        maker, output = made.get(c.dataset_type, (node, c))
        if output.type != c.type and (output.type, c.type) != ("int", "float"):
            raise PipelineError(
                f"task '{node.label}' ({c.name}) reads '{c.dataset_type}' as {c.type}, and task '{maker.label}' "
                f"makes it as {output.type}",
                code="type-mismatch",
                hint="Declare the same type on both sides, or leave the reader's out.",
            )


def _readers(nodes: Iterable[TaskNode]) -> Iterable[tuple[TaskNode, ConnectionDef]]:
    return ((n, c) for n in nodes for c in n.inputs if c.type)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
