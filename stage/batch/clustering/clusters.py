"""`Clusters`: which quanta make a job together, and which jobs wait for which. `cluster_quanta` asks an algorithm for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from registry.errors import UsageError, nearest
from registry.model.columns import unique_values
from stage.graph.table import Csr, Ints, Table

if TYPE_CHECKING:
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

__all__ = ["ALGORITHMS", "Clusters", "cluster_quanta", "members_of", "parents_of", "reordered"]

_FIELD = "lsst.ctrl.bps.quantum_clustering_funcs."
ALGORITHMS = {
    "single": "stage.batch.clustering.single:single_clusters",
    "dimension": "stage.batch.clustering.dimension:dimension_clusters",
    "dependency": "stage.batch.clustering.dependency:dependency_clusters",
}
"""What ``clusterAlgorithm`` may name, besides ``module:function`` of a user."""
_ALIASES = {
    f"{_FIELD}single_quantum_clustering": "single",
    f"{_FIELD}dimension_clustering": "dimension",
    "single_quantum": "single",
}


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Quanta grouped into jobs. A cluster is called by its number: one that waits for another has a higher one.

    Parameters
    ----------
    labels : tuple of str
        Names of the kinds: a task, or a section of ``cluster``.
    sections : tuple of bool
        For each label, whether it is a section of ``cluster``.
    label_of : numpy.ndarray of int32
        For each cluster the place of its label.
    names : list of str
        For each cluster its name; all differ.
    quanta : Csr
        For each cluster its quanta, in an order in which they can be run.
    parents : Csr
        For each cluster those that it waits for.
    tags : tuple of Table
        For each label, the values by which its clusters are told apart: one row a cluster, in the order of the clusters.
    """

    labels: tuple[str, ...]
    sections: tuple[bool, ...]
    label_of: npt.NDArray[np.int32]
    names: list[str]
    quanta: Csr
    parents: Csr
    tags: tuple[Table, ...]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.names)

    def tags_of(self, cluster: int) -> dict[str, Any]:
        """Return the values by which one cluster is told from others of its label.

        Parameters
        ----------
        cluster : int
            Its number.

        Returns
        -------
        dict of str to object
            Values of dimensions.
        """
        label = int(self.label_of[cluster])
        row = int(np.count_nonzero(self.label_of[:cluster] == label))
        table = self.tags[label]
        return dict(zip(table.names, table.row(row), strict=True))


Algorithm = Callable[["QuantaTable", "Settings"], Clusters]


def cluster_quanta(table: QuantaTable, settings: Settings) -> Clusters:
    """Group quanta into jobs as ``clusterAlgorithm`` says.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    settings : Settings
        The submission's.

    Returns
    -------
    Clusters
        Each quantum is in exactly one.

    Raises
    ------
    UsageError
        If there is no such algorithm, or the settings make no jobs that could be run.
    """
    name = str(settings.get("clusterAlgorithm") or "single")
    if ":" in name:
        from stage.pipeline.importing import extend_path

        extend_path([*table.search_path, str(Path.cwd())])
    clusters = _algorithm(name)(table, settings)
    _check_names(clusters.names)
    _check_whole(table, clusters, name)
    return clusters


def _algorithm(name: str) -> Algorithm:
    known = ALGORITHMS.get(_ALIASES.get(name, name), name if ":" in name else "")
    module, _, function = known.partition(":")
    try:
        found: Algorithm = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"clusterAlgorithm: there is no '{name}'" + (f" ({error})" if ":" in name else ""),
            code="unknown-algorithm",
            hint=nearest(name, ALGORITHMS) or f"There are {', '.join(ALGORITHMS)}; or name module:function.",
        ) from error
    return found


def parents_of(table: QuantaTable, cluster_of: Ints, n_clusters: int) -> Csr:
    """Return which clusters each one waits for: the image of what quanta wait for.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    cluster_of : numpy.ndarray of int64
        For each quantum its cluster.
    n_clusters : int
        How many there are.

    Returns
    -------
    Csr
        Rising, without repeats and without the cluster itself.
    """
    child = cluster_of[table.dependencies.rows()]
    parent = cluster_of[table.dependencies.indices]
    other = child != parent
    pairs = unique_values((child[other] << 32) | parent[other])
    return Csr.from_pairs(n_clusters, pairs >> 32, pairs & 0xFFFFFFFF)


def members_of(cluster_of: Ints, n_clusters: int) -> Csr:
    """Return the quanta of each cluster.

    Parameters
    ----------
    cluster_of : numpy.ndarray of int64
        For each quantum its cluster.
    n_clusters : int
        How many there are.

    Returns
    -------
    Csr
        Rising: quanta are numbered such that what is waited for comes first.
    """
    order = np.argsort(cluster_of, kind="stable")
    return Csr.from_pairs(n_clusters, cluster_of[order], order)


def reordered(clusters: Clusters, order: Ints) -> Clusters:
    """Return the same clusters with other numbers.

    Parameters
    ----------
    clusters : Clusters
        The clusters.
    order : numpy.ndarray of int64
        Their numbers in the new order.

    Returns
    -------
    Clusters
        Numbered from 0 in that order.
    """
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    parents = clusters.parents.take(order)
    pairs = np.sort((parents.rows() << 32) | rank[parents.indices])
    tags = []
    for place, table in enumerate(clusters.tags):
        mine = np.flatnonzero(clusters.label_of == place)
        tags.append(table.take(np.argsort(rank[mine])))
    return Clusters(
        clusters.labels,
        clusters.sections,
        clusters.label_of[order],
        [clusters.names[c] for c in order.tolist()],
        clusters.quanta.take(order),
        Csr.from_pairs(len(order), pairs >> 32, pairs & 0xFFFFFFFF),
        tuple(tags),
    )


def _check_whole(table: QuantaTable, clusters: Clusters, name: str) -> None:
    """Refuse what an algorithm, a user's for instance, has made of quanta that are then not run, or run twice."""
    times = np.bincount(clusters.quanta.indices, minlength=table.n_quanta)
    if np.any(times != 1):
        quantum = int(np.argmax(times != 1))
        raise UsageError(
            f"clusterAlgorithm '{name}' puts {table.describe(quantum)} into {times[quantum]} jobs",
            code="bad-clusters",
            hint="Each quantum belongs to one job.",
        )
    if np.any(clusters.parents.indices >= clusters.parents.rows()):
        raise UsageError(
            f"clusterAlgorithm '{name}' lets a job wait for a later one",
            code="bad-clusters",
            hint="Number jobs such that what is waited for comes first: stage.batch.clustering.order.settled_order.",
        )


def _check_names(names: list[str]) -> None:
    if "/" in "".join(names):
        name = next(n for n in names if "/" in n)
        raise UsageError(
            f"a job would be called '{name}', and the name of a job has no '/'",
            code="bad-job-name",
            hint="Leave the dimension that brings it out of templateDataId.",
        )
    if len(set(names)) < len(names):
        name = next(n for n, count in Counter(names).items() if count > 1)
        raise UsageError(
            f"two jobs would be called '{name}'",
            code="job-name-twice",
            hint="Let the template name all dimensions (templateDataId, clusterTemplate), or set useNodeIdInClusterName: true.",
        )
