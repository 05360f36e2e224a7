"""What is checked of a graph that was made elsewhere before a campaign takes it over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from registry.errors import ConflictError, StageError
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_json
from registry.model.refs import id_text
from stage.graph.building.plan import connections_of, make_plan

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from registry.registry import Snapshot
    from stage.graph.access import QuantumSource
    from stage.graph.graph import QuantumGraph

__all__ = ["check_import", "check_inputs", "check_registered"]

_SHOWN = 5
_REBUILD = "Build a graph here: stage build."


def check_import(graph: QuantumSource, universe: DimensionUniverse) -> None:
    """Check that a graph fits a campaign's dimensions, and that its parts fit together.

    Parameters
    ----------
    graph : QuantumGraph or GraphFile
        The graph; none of its rows are looked at.
    universe : DimensionUniverse
        The campaign's.

    Raises
    ------
    ConflictError
        If it does not (``graph-foreign``): says what differs, with both values.
    """
    if graph.universe != universe:
        theirs, ours = (
            f"{u.name} {u.version} ({digest_json(dict(u.source))[7:15]})" for u in (graph.universe, universe)
        )
        raise _foreign(f"its dimension universe is {theirs}, and the campaign's is {ours}", _REBUILD)
    found = list(_misfits(graph))
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise _foreign("; ".join(found[:_SHOWN]) + more, _REBUILD)


def _foreign(what: str, hint: str, **context: object) -> ConflictError:
    return ConflictError(
        f"the graph cannot be taken over: {what}", code="graph-foreign", hint=hint, context=context
    )


def _misfits(graph: QuantumSource) -> Iterator[str]:
    """Yield where the tasks of a graph are not what its rows were made by."""
    labels = [task.label for task in graph.layout.tasks]
    if labels != [node.label for node in graph.tasks]:
        yield f"it has rows of {', '.join(labels)} and tasks {', '.join(n.label for n in graph.tasks)}"
        return
    try:
        plan = make_plan(graph.tasks, graph.universe)
    except StageError as error:
        yield str(error)
        return
    for task, node in zip(graph.layout.tasks, graph.tasks, strict=True):
        if task.dimensions != plan.task_dimensions(node):
            yield f"quanta of '{node.label}' have {', '.join(task.dimensions) or 'no dimensions'}"
        if [c[:3] for c in task.connections] != [c[:3] for c in connections_of(node)]:
            yield f"the connections of '{node.label}' are not those of its quanta"
    for kind in graph.layout.types:
        planned = plan.types.get(kind.name)
        if planned is None:
            yield f"no task reads or makes its dataset type '{kind.name}'"
        elif kind.dimensions != planned.dimensions:
            yield f"datasets of '{kind.name}' have {', '.join(kind.dimensions) or 'no dimensions'}"


def check_registered(graph: QuantumSource, snapshot: Snapshot) -> None:
    """Compare a graph's dataset types with those that are registered.

    Parameters
    ----------
    graph : QuantumGraph or GraphFile
        The graph.
    snapshot : Snapshot
        Where; types that are not registered there are passed over.

    Raises
    ------
    ConflictError
        If a type has other dimensions or another storage class there (``graph-foreign``).
    """
    registered = {kind.name: kind for kind in snapshot.dataset_types()}
    found = []
    for kind in graph.layout.types:
        theirs = registered.get(kind.name)
        if theirs is None:
            continue
        # Whether a type is certified by validity is the keeper's choice, and no reader's.
        group = graph.universe.group(kind.dimensions)
        ours = DatasetType(kind.name, group, kind.storage_class, theirs.is_calibration)
        found += [f"dataset type '{kind.name}': {text}" for text in ours.differences(theirs)]
    if found:
        raise _foreign(f"it is not what is registered here; {'; '.join(found[:_SHOWN])}", _REBUILD)


def check_inputs(graph: QuantumGraph, sides: Mapping[str, Snapshot]) -> None:
    """Check that all datasets that a graph has found are where it has found them.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    sides : mapping of str to Snapshot
        The campaign's repositories by side, ``upstream`` and ``staging``; what was found on a side that is not there is
        passed over.

    Raises
    ------
    ConflictError
        If some are not (``graph-foreign``): says how many of which type, and which is the first.

    Notes
    -----
    One question a side.
    """
    ids: dict[str, dict[bytes, str]] = {side: {} for side in sides}
    for rows in graph.type_rows:
        if rows.found is not None:
            found = rows.found.select(("id", "origin")).decode()
            for side in sides:
                mine = found["id"][found["origin"] == side].tolist()
                ids[side].update(dict.fromkeys((i for i in mine if i is not None), rows.layout.name))
    for side, snapshot in sides.items():
        there = snapshot.existing_ids(list(ids[side]))
        lacking = [i for i in ids[side] if i not in there]
        if lacking:
            counts: dict[str, int] = {}
            for i in lacking:
                counts[ids[side][i]] = counts.get(ids[side][i], 0) + 1
            told = ", ".join(f"{n} of '{name}'" for name, n in counts.items())
            where = "upstream does not hold" if side == "upstream" else "this campaign has not made"
            raise _foreign(
                f"it reads {len(lacking)} datasets that {where}: {told}; the first is {id_text(lacking[0])}",
                "Look them up here (--refresh), or build a graph: stage build.",
                n_datasets=len(lacking), missing=counts,
            )  # fmt: skip
