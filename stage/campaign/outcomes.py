"""What became of a run's quanta, task by task, as staging has it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError, NotFoundError, StageError
from registry.model.records import QuantumStatus
from stage.campaign.reports import Failure, TaskCounts
from stage.campaign.steps import run_graphs

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout

__all__ = ["by_data_id", "failures_of", "has_collection", "planned_tasks", "task_counts"]


def by_data_id(row: Sequence[Any]) -> tuple[str, list[Any]]:
    """Give the place of a quantum among others: by task, then by the values of its data ID, numbers as numbers.

    Parameters
    ----------
    row : sequence
        Begins with the task and the data ID as compact JSON.

    Returns
    -------
    tuple
        A key for sorting.

    Raises
    ------
    IntegrityError
        If the data ID is none.
    """
    try:
        return row[0], list(json.loads(row[1]).values())
    except (ValueError, AttributeError) as exc:
        raise IntegrityError(
            f"a quantum of '{row[0]}' has {row[1]!r:.60} where its data ID should be",
            hint="Restore staging.sqlite3 from a copy.",
        ) from exc


def has_collection(snapshot: Snapshot, name: str) -> bool:
    """Tell whether a collection exists.

    Parameters
    ----------
    snapshot : Snapshot
        Of a registry.
    name : str
        Its name.

    Returns
    -------
    bool
        Whether it does.
    """
    try:
        snapshot.collection(name)
    except NotFoundError:
        return False
    return True


def planned_tasks(layout: Layout, run: str) -> dict[str, int]:
    """Return how many quanta of each task a run is to have.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.

    Returns
    -------
    dict of str to int
        Label to number, in the pipeline's order; empty if the run's graph is gone.
    """
    from stage.graph.file.reader import GraphFile

    try:
        graphs = [GraphFile.open(str(path)) for path in run_graphs(layout, run)]
    except StageError:
        return {}
    return {t.label: t.n_quanta for graph in graphs for t in graph.layout.tasks}


def task_counts(snapshot: Snapshot, run: str, planned: Mapping[str, int]) -> TaskCounts:
    """Count a run's quanta by task and status.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    run : str
        The RUN.
    planned : mapping of str to int
        Label to number of quanta, as `planned_tasks` gives it.

    Returns
    -------
    mapping of str to mapping
        Label to status to number, the latest attempt of each quantum; ``missing`` for those without one.
    """
    counts: dict[str, dict[str, int]] = {label: {} for label in planned}
    if has_collection(snapshot, run):
        for task, status, n in snapshot.count_outcomes(run).rows(("task", "status", "n")):
            counts.setdefault(task, {})[status] = int(n)
    for label, total in planned.items():
        missing = total - sum(counts[label].values())
        if missing > 0:
            counts[label]["missing"] = missing
    return counts


def failures_of(snapshot: Snapshot, run: str, limit: int | None = None) -> tuple[list[Failure], int]:
    """List a run's failed quanta.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    run : str
        The RUN.
    limit : int, optional
        At most so many; all by default.

    Returns
    -------
    failures : list of Failure
        By task and data ID.
    n : int
        How many there are.
    """
    if not has_collection(snapshot, run):
        return [], 0
    names = ("task", "data_id", "message")
    rows = snapshot.quanta([run], status=[QuantumStatus.FAILED], names=names)
    listed = sorted(rows.rows(names), key=by_data_id)
    return [Failure(t, d, m or "") for t, d, m in listed[:limit]], len(listed)
