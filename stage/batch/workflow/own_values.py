"""What is put into the command of each job and differs from job to job."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.batch.clustering.naming import fields_of, format_rows
from stage.batch.layout import SubmitDir
from stage.graph.table import Column

if TYPE_CHECKING:
    from stage.batch.clustering.clusters import Clusters
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

__all__ = ["own_values"]


def own_values(
    table: QuantaTable, clusters: Clusters, settings: Settings, names: Sequence[str], first: int
) -> dict[str, Sequence[Any]]:
    """Return some values of all jobs.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    clusters : Clusters
        The jobs.
    settings : Settings
        The submission's.
    names : sequence of str
        Which values: only what commands name is made.
    first : int
        How many jobs come before those of the clusters; they have nothing of the clusters'.

    Returns
    -------
    dict of str to sequence
        For each name one value a job.
    """
    n = first + clusters.n_clusters
    made: dict[str, Callable[[], Sequence[Any]]] = {
        "jobNumber": lambda: range(n),
        "recordFile": lambda: _records(n),
        "jobName": lambda: clusters.names,
        "qgraphNodeId": lambda: _nodes(table, clusters),
        "node_number": lambda: _first_nodes(table, clusters),
        "subDir": lambda: _directories(clusters, settings),
    }
    found: dict[str, Sequence[Any]] = {}
    for name in names:
        values = made[name]() if name in made else _dimension(clusters, name)
        found[name] = values if len(values) == n else [*[""] * first, *values]
    return found


def _records(n: int) -> list[str]:
    """Return where jobs write their records: below the directory of the submission, in which they begin."""
    where = SubmitDir(Path())
    # As `SubmitDir.record` has it, for very many at once.
    pattern = str(where.record(0)).replace("/0/0.", "/%d/%d.")
    return [pattern % (job // 1000, job) for job in range(n)]


def _nodes(table: QuantaTable, clusters: Clusters) -> list[str]:
    quanta = clusters.quanta.indices.astype(np.int64)
    names = table.names(quanta)
    if len(quanta) == clusters.n_clusters:
        return names
    stops = clusters.quanta.indptr.tolist()
    pairs = itertools.pairwise(stops)
    if table.ids is None:  # in the order of their numbers
        return [",".join(names[a:b]) for a, b in pairs]
    return [",".join(sorted(names[a:b])) for a, b in pairs]


def _first_nodes(table: QuantaTable, clusters: Clusters) -> list[str]:
    return table.names(clusters.quanta.indices[clusters.quanta.indptr[:-1]].astype(np.int64))


def _dimension(clusters: Clusters, name: str) -> list[Any]:
    """Return the values of a dimension by which jobs are told apart; those of other labels have none."""
    out = np.full(clusters.n_clusters, "", dtype=object)
    for place, tags in enumerate(clusters.tags):
        if name in tags.columns:
            values = tags.select([name]).decode()[name]
            out[clusters.label_of == place] = values.tolist()
    return out.tolist()


def _directories(clusters: Clusters, settings: Settings) -> list[str]:
    """Fill ``subDirTemplate``; parts that stand for nothing are left out."""
    out = np.full(clusters.n_clusters, "", dtype=object)
    for place, label in enumerate(clusters.labels):
        jobs = np.flatnonzero(clusters.label_of == place)
        where: dict[str, Any] = {"cluster" if clusters.sections[place] else "pipetask": label}
        template = str(settings.search("subDirTemplate", replace=False, default="{label}", **where)[1])
        values: dict[str, Column | str] = {**clusters.tags[place].columns, "label": label}
        parts = [p for p in template.split("/") if p and (p not in {".", ".."})]
        known = [p for p in parts if not fields_of(p) or any(f in values for f in fields_of(p))]
        texts = [[t.replace("/", "_") for t in format_rows(p, values, len(jobs))] for p in known]
        out[jobs] = ["/".join(filter(None, row)) for row in zip(*texts, strict=True)] if texts else label
    return out.tolist()
