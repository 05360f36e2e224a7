"""The order of a pipeline's tasks, and what their connections must agree on. Pure functions of nodes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from registry.errors import DataIdError, NotFoundError, PipelineError, UsageError
from registry.model.dataset_type import DatasetType
from stage.pipeline.node import ConnectionDef, TaskNode

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup, DimensionUniverse

__all__ = [
    "can_convert",
    "check_agreement",
    "check_dimensions",
    "check_storage_classes",
    "dataset_types",
    "overall_inputs",
    "producers",
    "sorted_nodes",
]

_Use = tuple[TaskNode, ConnectionDef]


def producers(nodes: Iterable[TaskNode]) -> dict[str, _Use]:
    """Return who makes each dataset type.

    Parameters
    ----------
    nodes : iterable of TaskNode
        A pipeline's tasks.

    Returns
    -------
    dict of str to (TaskNode, ConnectionDef)
        By dataset type name; init outputs and automatic outputs too.

    Raises
    ------
    PipelineError
        If two connections make the same; names both.
    """
    out: dict[str, _Use] = {}
    for node in nodes:
        for connection in node.connections:
            if not (connection.is_output or connection.is_init_output):
                continue
            other = out.setdefault(connection.dataset_type, (node, connection))
            if not _same(other, (node, connection)):
                raise PipelineError(
                    f"dataset type '{connection.dataset_type}' has two producers: {_said(other)} and "
                    f"{_said((node, connection))}",
                    code="two-producers",
                    hint=f"Rename one: -c {node.label}:connections.{connection.name}=otherName",
                )
    return out


def overall_inputs(nodes: Iterable[TaskNode]) -> dict[str, ConnectionDef]:
    """Return the dataset types that a pipeline reads and does not make.

    Parameters
    ----------
    nodes : iterable of TaskNode
        Its tasks.

    Returns
    -------
    dict of str to ConnectionDef
        The first connection that reads each, by dataset type name, in the tasks' order.
    """
    nodes = tuple(nodes)
    made = producers(nodes)
    reads = (c for n in nodes for c in n.connections if c.is_input or c.role == "init_input")
    out: dict[str, ConnectionDef] = {}
    for connection in reads:
        if connection.dataset_type not in made:
            out.setdefault(connection.dataset_type, connection)
    return out


def sorted_nodes(nodes: Sequence[TaskNode]) -> tuple[TaskNode, ...]:
    """Put producers before consumers, and equals in the order they are written.

    Parameters
    ----------
    nodes : sequence of TaskNode
        As written.

    Returns
    -------
    tuple of TaskNode
        In dependency order.

    Raises
    ------
    PipelineError
        If tasks depend on each other in a circle (which is printed), or two make the same dataset type.
    """
    made = producers(nodes)
    position = {node.label: i for i, node in enumerate(nodes)}
    needs: list[dict[int, str]] = [{} for _ in nodes]
    for i, node in enumerate(nodes):
        for connection in node.connections:
            if connection.dataset_type in made and (connection.is_input or connection.role == "init_input"):
                needs[i].setdefault(position[made[connection.dataset_type][0].label], connection.dataset_type)
    waiting = [len(n) for n in needs]
    users: list[list[int]] = [[] for _ in nodes]
    for i, found in enumerate(needs):
        for j in found:
            users[j].append(i)
    ready = [i for i, n in enumerate(waiting) if n == 0]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for user in users[i]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise _cycle_error(nodes, needs, set(range(len(nodes))) - set(order))
    return tuple(nodes[i] for i in order)


def _cycle_error(nodes: Sequence[TaskNode], needs: list[dict[int, str]], stuck: set[int]) -> PipelineError:
    """Walk back from a stuck task until one comes again: that is the circle."""
    path = [min(stuck)]
    while True:
        before = min(j for j in needs[path[-1]] if j in stuck)
        if before in path:
            circle = [before, *reversed(path[path.index(before) :])]
            break
        path.append(before)
    text = nodes[circle[0]].label
    for a, b in itertools.pairwise(circle):
        text += f" → ({needs[b][a]}) → {nodes[b].label}"
    return PipelineError(
        f"tasks depend on each other in a circle: {text}",
        code="pipeline-cycle",
        hint="Give the task that closes the circle another dataset type name.",
    )


def _same(a: _Use, b: _Use) -> bool:
    return (a[0].label, a[1].name) == (b[0].label, b[1].name)


def _said(use: _Use) -> str:
    return f"task '{use[0].label}' ({use[1].name})"


def _uses(nodes: Iterable[TaskNode]) -> dict[str, list[_Use]]:
    """Return all uses of each dataset type, its producer first."""
    nodes = tuple(nodes)
    made = producers(nodes)
    out: dict[str, list[_Use]] = {name: [use] for name, use in made.items()}
    for node in nodes:
        for connection in node.connections:
            uses = out.setdefault(connection.dataset_type, [])
            if not uses or not _same(uses[0], (node, connection)):
                uses.append((node, connection))
    return out


def check_agreement(
    nodes: Sequence[TaskNode], earlier: Mapping[str, frozenset[str]] = MappingProxyType({})
) -> None:
    """Check what can be checked without a universe: storage classes, prerequisites, dimensions as far as sure.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks.
    earlier : mapping of str to frozenset of str, optional
        By label, the dataset types that are there before the task's own graph is built: made by earlier steps.

    Raises
    ------
    PipelineError
        If two tasks use one dataset type differently; names both.
    """
    for name, (first, *others) in _uses(nodes).items():
        made = first[1].is_output or first[1].is_init_output
        for other in others:
            _check_readable(name, first, other, is_made=made)
            a, b = set(first[1].dimensions), set(other[1].dimensions)
            # One may leave out what the other's dimensions require, as an instrument: only a universe can tell.
            if not (a <= b or b <= a):
                raise _mismatch(
                    name,
                    "dimensions",
                    (first, _dims(first[1].dimensions)),
                    (other, _dims(other[1].dimensions)),
                )
            if name in earlier.get(other[0].label, ()):
                continue
            if made and other[1].role == "prerequisite":
                raise PipelineError(
                    f"'{name}' is a prerequisite of {_said(other)} but made by {_said(first)}",
                    code="prerequisite-produced",
                    hint="Declare it as Input, or put the task into a later step.",
                )
            if first[1].is_output and other[1].role == "init_input":
                raise PipelineError(
                    f"'{name}' is an init input of {_said(other)} but a quantum's output of {_said(first)}",
                    code="init-input-produced-late",
                )


def _check_readable(name: str, first: _Use, other: _Use, *, is_made: bool) -> None:
    """Refuse a storage class that the one of the other use cannot be read as."""
    a, b = first[1].storage_class, other[1].storage_class
    if a == b:
        return
    is_file = "shell" in {first[0].kind, other[0].kind}
    if can_convert(a, b, is_file=is_file) or (not is_made and can_convert(b, a, is_file=is_file)):
        return
    raise _mismatch(name, "storage class", (first, a), (other, b))


def can_convert(stored: str, wanted: str, *, is_file: bool = False) -> bool:
    """Tell whether what is stored in one storage class can be had in another.

    Parameters
    ----------
    stored, wanted : str
        The storage classes.
    is_file : bool, optional
        Whether it is had as a file, as by a script: its form has then to be the same.

    Returns
    -------
    bool
        Whether it can; no for a storage class that there is not.
    """
    from sync.storage import is_readable_as, storage_class

    try:
        same_form = storage_class(stored).formatter == storage_class(wanted).formatter
        return is_readable_as(stored, wanted) and (same_form or not is_file)
    except NotFoundError:  # named by `check_storage_classes`
        return False


def check_dimensions(nodes: Sequence[TaskNode], universe: DimensionUniverse) -> None:
    """Check dimensions against a universe.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks.
    universe : DimensionUniverse
        The repository's.

    Raises
    ------
    PipelineError
        If a dimension is unknown, two tasks give one dataset type other dimensions, or a connection's dimensions
        do not fit those of its task.
    """
    for node in nodes:
        own = _group(universe, node.dimensions, f"task '{node.label}'")
        for c in node.connections:
            group = _group(universe, c.dimensions, _said((node, c)))
            if not (c.is_input or c.is_output):
                continue
            if not c.multiple and not set(group.names) <= set(own.names):
                extra = ", ".join(n for n in group.required if n not in own)
                raise PipelineError(
                    f"{_said((node, c))}: one quantum (dimensions {own}) has many '{c.dataset_type}', which has {extra} too",
                    code="connection-dimensions",
                    hint="Declare it with multiple=True, or give the task that dimension.",
                )
            if c.is_output and not set(own.required) <= set(group.names):
                lacks = ", ".join(n for n in own.required if n not in group)
                raise PipelineError(
                    f"{_said((node, c))}: several quanta would write one '{c.dataset_type}', which lacks {lacks}",
                    code="connection-dimensions",
                    hint="Give the output all dimensions of its task.",
                )
    for name, (first, *others) in _uses(nodes).items():
        for other in others:
            a, b = universe.group(first[1].dimensions), universe.group(other[1].dimensions)
            if a != b:
                raise _mismatch(name, "dimensions", (first, str(a)), (other, str(b)))


def check_storage_classes(nodes: Sequence[TaskNode]) -> None:
    """Refuse storage classes that there are not.

    Parameters
    ----------
    nodes : sequence of TaskNode
        A pipeline's tasks.

    Raises
    ------
    PipelineError
        If a connection names one; offers the nearest.
    """
    from sync.storage import storage_class

    for use in ((n, c) for n in nodes for c in n.connections):
        try:
            storage_class(use[1].storage_class)
        except NotFoundError as exc:
            raise PipelineError(
                f"{_said(use)}: {exc.message}", code="unknown-storage-class", hint=exc.hint
            ) from exc


def _group(universe: DimensionUniverse, names: tuple[str, ...], who: str) -> DimensionGroup:
    try:
        return universe.group(names)
    except DataIdError as exc:
        raise PipelineError(f"{who}: {exc.message}", code="unknown-dimension", hint=exc.hint) from exc


def _dims(names: Iterable[str]) -> str:
    return "{" + ", ".join(names) + "}"


def _mismatch(name: str, what: str, *uses: tuple[_Use, str]) -> PipelineError:
    (first, ours), (other, theirs) = uses
    return PipelineError(
        f"'{name}' has {what} {ours} in {_said(first)} but {theirs} in {_said(other)}",
        code=f"{what.replace(' ', '-')}-mismatch",
        hint="Make the two declarations agree."
        if what != "storage class"
        else "Make the two declarations agree: there is no conversion between them.",
    )


def dataset_types(nodes: Iterable[TaskNode], universe: DimensionUniverse) -> dict[str, DatasetType]:
    """Return the dataset types of a pipeline as a registry knows them.

    Parameters
    ----------
    nodes : iterable of TaskNode
        Its tasks.
    universe : DimensionUniverse
        The repository's.

    Returns
    -------
    dict of str to DatasetType
        By name: as declared by who makes it, or else by who first reads it.

    Raises
    ------
    PipelineError
        If a name or a dimension is not usable.
    """
    out: dict[str, DatasetType] = {}
    for name, uses in _uses(nodes).items():
        c = uses[0][1]
        try:
            calibration = any(use[1].is_calibration for use in uses)
            out[name] = DatasetType(name, universe.group(c.dimensions), c.storage_class, calibration)
        except UsageError as exc:
            raise PipelineError(f"{_said(uses[0])}: {exc.message}", code=exc.code, hint=exc.hint) from exc
    return out
