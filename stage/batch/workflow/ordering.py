"""Groups of jobs that run one after another although nothing they read says so: sections of ``ordering``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from registry.errors import UsageError
from registry.model.columns import unique_values
from stage.batch.clustering.clusters import reordered
from stage.batch.clustering.following import span_of
from stage.batch.clustering.grouping import joined_column
from stage.batch.clustering.order import settled_order
from stage.batch.clustering.sections import comma_list, equal_pairs, named_sections
from stage.graph.table import Column, Csr, Ints, distinct, row_codes

if TYPE_CHECKING:
    from stage.batch.clustering.clusters import Clusters
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

__all__ = ["ordered"]

_MOST_EDGES = 20_000_000


def ordered(table: QuantaTable, clusters: Clusters, settings: Settings) -> Clusters:
    """Let jobs wait for others as ``ordering`` asks.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    clusters : Clusters
        The jobs.
    settings : Settings
        The submission's. Each section of ``ordering`` names ``labels`` (tasks and clusters) and ``dimensions``; their jobs
        make a group for each value, and those of a group wait for all of the group before it.

    Returns
    -------
    Clusters
        The same ones, with more to wait for; numbered anew where that is needed.

    Raises
    ------
    UsageError
        If a section cannot be understood, or jobs would wait for each other in a circle.
    """
    for name, given in named_sections(settings, "ordering").items():
        clusters = _with(table, clusters, name, given)
    return clusters


def _bad(name: str, why: str, hint: str = "See docs/batch-config.md.") -> UsageError:
    return UsageError(f"ordering '{name}': {why}", code="bad-ordering", hint=hint)


class _Section(NamedTuple):
    name: str
    given: Mapping[str, Any]


def _with(table: QuantaTable, clusters: Clusters, name: str, given: Mapping[str, Any]) -> Clusters:
    noop = str(given.get("implementation", "group")) == "noop"
    if not noop and str(given.get("blocking", False)).lower() not in {"true", "yes", "1"}:
        raise _bad(
            name,
            "a failure in one group would let the next ones begin all the same, and no engine here does that",
            "Set 'blocking: true': what comes after a group that failed is then not begun.",
        )
    labels = comma_list(given.get("labels"))
    places = [p for p, label in enumerate(clusters.labels) if label in labels]
    jobs = np.flatnonzero(np.isin(clusters.label_of, places))
    if not len(jobs):
        return clusters
    group_of = np.full(clusters.n_clusters, -1, dtype=np.int64)
    _group(table, clusters, _Section(name, given), places, group_of)
    rows, waits_for = _edges(clusters, jobs, group_of, name)
    child, parent = clusters.parents.rows(), clusters.parents.indices.astype(np.int64)
    pairs = unique_values((np.concatenate([child, rows]) << 32) | np.concatenate([parent, waits_for]))
    parents = Csr.from_pairs(clusters.n_clusters, pairs >> 32, pairs & 0xFFFFFFFF)
    made = replace(clusters, parents=parents)
    order = settled_order(parents, clusters.names)
    return made if order is None else reordered(made, order)


def _group(
    table: QuantaTable,
    clusters: Clusters,
    section: _Section,
    places: list[int],
    group_of: Ints,
) -> None:
    """Say which group each job is in; the groups are numbered in the order of their values."""
    name, given = section
    dimensions = comma_list(given.get("dimensions"))
    equal = equal_pairs(f"ordering.{name}", given.get("equalDimensions"))
    method = str(given.get("findDependencyMethod") or "")
    own: dict[int, dict[str, Column]] = {}
    for place in places:
        columns = _columns(table, clusters, place, dimensions, equal)
        lacking = [d for d in dimensions if d not in columns]
        if not lacking:
            own[place] = columns
        elif method not in {"source", "sink"}:
            raise _bad(name, f"jobs of '{clusters.labels[place]}' have no {', '.join(lacking)}")
    if not own:
        raise _bad(name, f"no jobs have {', '.join(dimensions)}")
    jobs = np.concatenate([np.flatnonzero(clusters.label_of == p) for p in own])
    codes, bound = row_codes([joined_column([c[d] for c in own.values()]) for d in dimensions], len(jobs))
    group_of[jobs] = distinct(codes, bound)[1]
    lists = clusters.parents if method == "source" else _children(clusters.parents)
    for place in places if method == "source" else reversed(places):
        mine = np.flatnonzero(clusters.label_of == place)
        mine = mine[group_of[mine] < 0]
        low, high = span_of(lists.take(mine), group_of)
        wrong = (low < high) | (high < 0)
        if np.any(wrong):
            raise _bad(
                name, f"{clusters.names[int(mine[np.argmax(wrong)])]} belongs to no group, or to several"
            )
        group_of[mine] = high


def _columns(
    table: QuantaTable,
    clusters: Clusters,
    place: int,
    dimensions: list[str],
    equal: tuple[tuple[str, str], ...],
) -> dict[str, Column]:
    tags = clusters.tags[place].columns
    task = None if clusters.sections[place] else clusters.labels[place]
    found: dict[str, Column] = {}
    for dimension in dimensions:
        others = [b if a == dimension else a for a, b in equal if dimension in (a, b)]
        for name in (dimension, *others):
            column = tags.get(name)
            if column is None and task in table.labels:
                column = table.column(table.labels.index(task), name)
            if column is not None:
                found[dimension] = column
                break
    return found


def _children(parents: Csr) -> Csr:
    order = np.argsort(parents.indices, kind="stable")
    indices = parents.indices[order].astype(np.int64)
    return Csr.from_pairs(len(parents.indptr) - 1, indices, parents.rows()[order])


def _edges(clusters: Clusters, jobs: Ints, group_of: Ints, name: str) -> tuple[Ints, Ints]:
    """Let those that begin a group wait for those that end the one before: the others follow from that."""
    child, parent = clusters.parents.rows(), clusters.parents.indices
    inside = (group_of[child] == group_of[parent]) & (group_of[child] >= 0)
    begins = np.ones(clusters.n_clusters, dtype=np.bool_)
    ends = begins.copy()
    begins[child[inside]] = False
    ends[parent[inside]] = False
    n = int(group_of.max()) + 1
    order = jobs[np.argsort(group_of[jobs], kind="stable")]
    first, last = order[begins[order]], order[ends[order]]
    n_first, n_last = (np.bincount(group_of[some], minlength=n) for some in (first, last))
    if int((n_first[1:] * n_last[:-1]).sum()) > _MOST_EDGES:
        raise _bad(
            name, "its groups are too large", "Put their quanta into fewer jobs: clusterAlgorithm: dimension."
        )
    at_last = np.concatenate([[0], np.cumsum(n_last)])
    later = first[group_of[first] > 0]
    groups = group_of[later] - 1
    lists = Csr(at_last, last.astype(np.int32)).take(groups)
    return later[lists.rows()], lists.indices.astype(np.int64)
