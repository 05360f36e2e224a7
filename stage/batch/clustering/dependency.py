"""Clusters by following dependencies: a quantum joins the job of those that it depends on, up to a size or a duration.

A quantum joins a cluster only if all that it depends on is there, so a cluster waits for nothing but what its first quanta
wait for, and no circle can come about. Clusters are cut where they would grow too large: what does not fit makes further
clusters, which wait for the one that is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from registry.errors import UsageError
from registry.model.columns import unique_values
from registry.model.digest import digest_short
from stage.batch.clustering.clusters import Clusters, members_of, parents_of
from stage.batch.clustering.following import span_of
from stage.batch.clustering.single import single_names
from stage.graph.table import Csr, Ints, distinct, row_codes

if TYPE_CHECKING:
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

Floats = npt.NDArray[np.float64]

__all__ = ["dependency_clusters"]

_LONGEST_LABEL = 80


def dependency_clusters(table: QuantaTable, settings: Settings) -> Clusters:
    """Group quanta with what depends on them alone.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    settings : Settings
        The submission's: ``maxQuanta``, ``maxMinutes`` (by each task's ``requestWalltime``, or what it declares).

    Returns
    -------
    Clusters
        Labelled by the tasks that they have, joined by ``+``; named as jobs of their first quanta are.

    Raises
    ------
    UsageError
        If neither limit is given, or nothing says how long a task takes.
    """
    most, minutes = settings.integer("maxQuanta"), settings.integer("maxMinutes")
    if not (most or minutes):
        raise UsageError(
            "clusterAlgorithm 'dependency' has no limit",
            code="no-cluster-limit",
            hint="Set maxQuanta (quanta of a job), maxMinutes (its estimated duration), or both.",
        )
    cost = np.zeros((2, table.n_quanta))
    limits = np.full(2, np.inf)
    if most:
        cost[0], limits[0] = 1.0, most
    if minutes:
        cost[1], limits[1] = _minutes(table, settings), minutes
    cluster_of, n_clusters = _grown(table, cost, limits)
    return _labelled(table, settings, cluster_of, n_clusters)


def _minutes(table: QuantaTable, settings: Settings) -> Ints:
    out = np.zeros(table.n_quanta, dtype=np.int64)
    for task, label in enumerate(table.labels):
        declared = table.declared[task].walltime_s if table.declared else 0
        known = settings.integer("requestWalltime", pipetask=label)
        seconds = known * 60 if known else declared
        if table.count(task) and not np.all(np.asarray(seconds) > 0):
            raise UsageError(
                f"nothing says how long a quantum of '{label}' takes, so maxMinutes cannot be kept",
                code="no-duration",
                hint=f"Set pipetask.{label}.requestWalltime, in minutes.",
            )
        out[table.offsets[task] : table.offsets[task + 1]] = -(-np.asarray(seconds) // 60)
    return out


def _grown(table: QuantaTable, cost: Floats, limits: Floats) -> tuple[Ints, int]:
    """Deal the quanta to clusters, task by task: all of a task's at once."""
    cluster_of = np.full(table.n_quanta, -1, dtype=np.int64)
    used = np.zeros((2, 0))
    for task in range(len(table.labels)):
        mine = table.quanta_of(task)
        low, high = span_of(table.dependencies.take(mine), cluster_of)
        follows = (low == high) & (high >= 0)
        order = np.argsort(high[follows], kind="stable")
        joining, wanted = mine[follows][order], high[follows][order]
        fits, part = _dealt(wanted, used[:, wanted], cost[:, joining], limits)
        cluster_of[joining[fits]] = wanted[fits]
        # What no longer fits makes clusters of its own, parts of what was to go into one that is full.
        first, place = distinct(*row_codes([wanted[~fits], part[~fits]], int(np.count_nonzero(~fits))))
        cluster_of[joining[~fits]] = used.shape[1] + place
        alone = mine[~follows]
        n = used.shape[1] + len(first) + len(alone)
        cluster_of[alone] = np.arange(n - len(alone), n)
        new = np.array([np.bincount(cluster_of[mine], c, n) for c in cost[:, mine]], dtype=np.float64)
        new[:, : used.shape[1]] += used
        used = new
    return cluster_of, used.shape[1]


def _dealt(wanted: Ints, used: Floats, cost: Floats, limits: Floats) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Say which of the quanta that want into a cluster fit; and for the others, into which part of the rest they go.

    Quanta of one cluster stand together. They are of one task, so they cost about the same, and parts have equal numbers.
    """
    if not len(wanted):
        return np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64)
    begins = np.flatnonzero(np.diff(wanted, prepend=-1))
    counts = np.diff(np.append(begins, len(wanted)))
    total = np.cumsum(cost, axis=1)
    upto = total - np.repeat((total - cost)[:, begins], counts, axis=1)
    fits = np.all(used + upto <= limits[:, None], axis=0)
    rank = np.arange(len(wanted)) - np.repeat(begins + np.add.reduceat(fits, begins), counts)
    with np.errstate(divide="ignore"):
        most = np.min(limits // np.max(cost, axis=1))
    size = max(int(min(most, len(wanted))), 1)
    return fits, np.maximum(rank, 0) // size


def _labelled(table: QuantaTable, settings: Settings, cluster_of: Ints, n_clusters: int) -> Clusters:
    """Give the clusters labels by their tasks, and names by their first quanta."""
    quanta = members_of(cluster_of, n_clusters)
    task_of = table.task_of(np.arange(table.n_quanta))
    pairs = unique_values(cluster_of * len(table.labels) + task_of)
    of, task = np.divmod(pairs, len(table.labels))
    tasks = Csr.from_pairs(n_clusters, of, task)
    kinds: dict[bytes, int] = {}
    label_of = np.array([kinds.setdefault(tasks.of(c).tobytes(), len(kinds)) for c in range(n_clusters)])
    labels = [_label([table.labels[t] for t in np.frombuffer(k, np.int32)]) for k in kinds]
    first = quanta.indices[quanta.indptr[:-1]].astype(np.int64)
    names = np.empty(n_clusters, dtype=object)
    tags = []
    for task_place in range(len(table.labels)):
        mine = np.flatnonzero(task_of[first] == task_place)
        rows = first[mine] - table.offsets[task_place]
        names[mine] = single_names(table, settings, task_place, rows)
    for place, key in enumerate(kinds):
        mine = np.flatnonzero(label_of == place)
        begins = int(np.frombuffer(key, np.int32)[0])
        tags.append(table.required[begins].take(first[mine] - table.offsets[begins]))
    return Clusters(
        tuple(labels),
        (False,) * len(labels),
        label_of.astype(np.int32),
        names.tolist(),
        quanta,
        parents_of(table, cluster_of, n_clusters),
        tuple(tags),
    )


def _label(tasks: list[str]) -> str:
    label = "+".join(tasks)
    if len(label) <= _LONGEST_LABEL:
        return label
    return f"{tasks[0]}+{len(tasks) - 2}+{tasks[-1]}.{digest_short(label.encode()).hex()[:6]}"
