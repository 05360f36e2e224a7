"""Group the quanta of one section: columns in, numbers of clusters out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from registry.model.columns import Array
from stage.batch.clustering.following import follow
from stage.batch.clustering.naming import fields_of, format_rows
from stage.batch.clustering.sections import Section, bad_section
from stage.graph.table import Coded, Column, Ints, Table, code_column, distinct, row_codes

if TYPE_CHECKING:
    from stage.batch.clustering.quanta import QuantaTable

__all__ = ["Grouped", "group_section", "joined_column"]


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Quanta and their clusters, numbered from 0.

    Parameters
    ----------
    quanta, cluster_of : numpy.ndarray of int64
        The quanta, and for each its cluster.
    names : list of str
        Of the clusters.
    tags : Table
        The values by which they are told apart, a row each.
    """

    quanta: Ints
    cluster_of: Ints
    names: list[str]
    tags: Table


def group_section(table: QuantaTable, section: Section) -> Grouped:
    """Group the quanta of a section's tasks.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    section : Section
        What it says.

    Returns
    -------
    Grouped
        Its clusters, in the order of their first quanta.

    Raises
    ------
    UsageError
        If a quantum lacks a dimension, or more clusters would have to be made than may be.
    """
    quanta = np.concatenate([table.quanta_of(t) for t in section.tasks])
    wanted = tuple(dict.fromkeys((*section.dimensions, *section.partition)))
    by_task = {t: _columns(table, section, t, wanted) for t in section.tasks if table.count(t)}
    lacking = {t: [d for d in wanted if d not in c] for t, c in by_task.items()}
    own = [t for t in by_task if not lacking[t]]
    if not by_task:
        none = np.zeros(0, dtype=np.int64)
        return Grouped(none, none, [], Table(dict.fromkeys(section.dimensions, none), 0))
    if len(own) < len(by_task) and (not section.method or not own or section.partition):
        task = next(t for t in by_task if lacking[t])
        raise _missing(table, section, int(table.offsets[task]), lacking[task])
    having = Table(
        {d: joined_column([by_task[t][d] for t in own]) for d in wanted}, sum(table.count(t) for t in own)
    )
    numbers, names, tags = _named(section, having)
    cluster_of = np.full(len(quanta), -1, dtype=np.int64)
    cluster_of[np.isin(table.task_of(quanta), own)] = numbers
    if len(own) < len(by_task):
        follow(table, section, quanta, cluster_of, names)
        if np.any(cluster_of < 0):
            first = int(quanta[np.argmin(cluster_of)])
            raise _missing(table, section, first, lacking[int(table.task_of(np.array([first]))[0])])
    return Grouped(quanta, cluster_of, names, tags)


def _missing(table: QuantaTable, section: Section, quantum: int, dimensions: list[str]) -> Exception:
    how = " and nothing that it depends on in the cluster has" if section.method else ""
    return bad_section(
        section.label, f"{table.describe(quantum)} has no {', '.join(dimensions)}{how}; see equalDimensions"
    )


def _columns(table: QuantaTable, section: Section, task: int, wanted: tuple[str, ...]) -> dict[str, Column]:
    """Return the columns of a task for the section's dimensions, or for those that stand for them."""
    found: dict[str, Column] = {}
    for dimension in wanted:
        others = [b if a == dimension else a for a, b in section.equal if dimension in (a, b)]
        for name in (dimension, *others):
            column = table.column(task, name)
            if column is not None:
                found[dimension] = column
                break
    return found


def joined_column(columns: list[Column]) -> Column:
    """Put columns of one dimension one after another.

    Parameters
    ----------
    columns : list of Column
        At least one; they may be coded by different values.

    Returns
    -------
    Column
        Coded if they are texts.
    """
    if len(columns) == 1:
        return columns[0]
    if all(isinstance(c, Coded) for c in columns):
        coded = cast("list[Coded]", columns)
        if all(c.values is coded[0].values for c in coded):
            return Coded(np.concatenate([c.codes for c in coded]), coded[0].values)
        values = np.array(sorted({v for c in coded for v in c.values.tolist()}), dtype=object)
        codes = [np.searchsorted(values, c.values).astype(np.int32)[c.codes] for c in coded]
        return Coded(np.concatenate(codes), values)
    plain: list[Array] = [c.decode() if isinstance(c, Coded) else c for c in columns]
    if len({c.dtype.kind for c in plain}) == 1:
        return code_column(np.concatenate(plain))
    listed = [v for c in plain for v in c.tolist()]
    place = {v: i for i, v in enumerate(dict.fromkeys(listed))}
    distinct_values = np.empty(len(place), dtype=object)
    distinct_values[:] = list(place)
    return Coded(np.array([place[v] for v in listed], dtype=np.int32), distinct_values)


def _named(section: Section, having: Table) -> tuple[Ints, list[str], Table]:
    """Return for each row the number of its cluster; and the clusters' names and tags, in the order of their first rows."""
    told = [*section.dimensions, *(d for d in fields_of(section.template) if d in section.partition)]
    row, name_of, names = _by_name(section, having, list(dict.fromkeys(told)))
    tags = having.select(section.dimensions)
    if not section.partition:
        return name_of, names, tags.take(row)
    parts = _parts(section, having, len(names))
    codes, bound = row_codes([name_of, parts], having.n_rows)
    first, inverse = distinct(codes, bound)
    rank = np.argsort(np.argsort(first))
    first = np.sort(first)
    of, part = name_of[first].tolist(), parts[first].tolist()
    return rank[inverse], [f"{names[n]}_{p + 1:03d}" for n, p in zip(of, part, strict=True)], tags.take(first)


def _by_name(section: Section, having: Table, told: list[str]) -> tuple[Ints, Ints, list[str]]:
    """Rows of one name are one cluster: a template may leave dimensions out."""
    codes, bound = row_codes([having.columns[d] for d in told], having.n_rows)
    first, inverse = distinct(codes, bound)
    rank = np.argsort(np.argsort(first))
    first = np.sort(first)
    values: dict[str, Column | str] = {**having.select(told).take(first).columns, "label": section.label}
    texts = [n.replace("/", "_") for n in format_rows(section.template, values, len(first))]
    place: dict[str, int] = {}
    numbers = np.array([place.setdefault(n, len(place)) for n in texts], dtype=np.int64)
    found = np.full(len(place), -1, dtype=np.int64)
    found[numbers[::-1]] = first[::-1]
    return found, numbers[rank[inverse]], list(place)


def _parts(section: Section, having: Table, n_clusters: int) -> Ints:
    """Return for each row the part that its values of the partition's dimensions fall into, the same in all clusters."""
    codes, bound = row_codes([having.columns[d] for d in section.partition], having.n_rows)
    first, inverse = distinct(codes, bound)
    values = having.select(section.partition).rows(first)
    # As the field does it: sorted as texts.
    order = sorted(range(len(values)), key=lambda i: "_".join(map(str, values[i])))
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    if section.max_size:
        return (rank // section.max_size)[inverse]
    n_parts = int(section.max_clusters // n_clusters) if n_clusters else 1
    if n_parts < 1:
        raise bad_section(
            section.label, f"partitionMaxClusters is {section.max_clusters:g}, and there are {n_clusters} already"
        )  # fmt: skip
    sizes = np.full(n_parts, len(values) // n_parts)
    sizes[: len(values) % n_parts] += 1
    return np.repeat(np.arange(n_parts), sizes)[rank][inverse]
