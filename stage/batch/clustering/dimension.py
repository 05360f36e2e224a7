"""Clusters by sections of the YAML: tasks that are put together, and the dimensions by which they are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from registry.errors import UsageError
from stage.batch.clustering.clusters import Clusters, members_of, parents_of, reordered
from stage.batch.clustering.grouping import Grouped, group_section
from stage.batch.clustering.order import label_order, settled_order
from stage.batch.clustering.sections import Section, read_sections
from stage.batch.clustering.single import single_names
from stage.graph.table import Table

if TYPE_CHECKING:
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

__all__ = ["dimension_clusters"]


def dimension_clusters(table: QuantaTable, settings: Settings) -> Clusters:
    """Group the quanta of chosen tasks by dimensions; all others are jobs of their own.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    settings : Settings
        The submission's, with sections of ``cluster``.

    Returns
    -------
    Clusters
        Numbered label by label.

    Raises
    ------
    UsageError
        If a section cannot be understood, a task is in two of them, a quantum lacks a dimension, or jobs would wait
        for each other in a circle.
    """
    sections = {s.label: s for s in read_sections(settings, table.labels)}
    label_of = dict(enumerate(table.labels))
    label_of |= {t: s.label for s in sections.values() for t in s.tasks}
    _check_labels(table, sections)
    labels = label_order(table.labels, table.task_edges, label_of)
    cluster_of = np.zeros(table.n_quanta, dtype=np.int64)
    kinds: list[npt.NDArray[np.int32]] = []
    names: list[str] = []
    tags: list[Table] = []
    for place, label in enumerate(labels):
        if label in sections:
            grouped = group_section(table, sections[label])
        else:
            grouped = _singles(table, settings, table.labels.index(label))
        cluster_of[grouped.quanta] = grouped.cluster_of + len(names)
        kinds.append(np.full(len(grouped.names), place, dtype=np.int32))
        names += grouped.names
        tags.append(grouped.tags)
    label_place = np.concatenate([np.zeros(0, dtype=np.int32), *kinds])
    made = Clusters(
        tuple(labels),
        tuple(label in sections for label in labels),
        label_place,
        names,
        members_of(cluster_of, len(names)),
        parents_of(table, cluster_of, len(names)),
        tuple(tags),
    )
    order = settled_order(made.parents, names)
    return made if order is None else reordered(made, order)


def _check_labels(table: QuantaTable, sections: Mapping[str, Section]) -> None:
    for section in sections.values():
        if section.label in table.labels and table.labels.index(section.label) not in section.tasks:
            raise UsageError(
                f"cluster '{section.label}' is called like a task that is not in it",
                code="bad-cluster",
                hint="Give the section of 'cluster' another name: reports group jobs by it.",
            )


def _singles(table: QuantaTable, settings: Settings, task: int) -> Grouped:
    quanta = table.quanta_of(task)
    names = single_names(table, settings, task)
    return Grouped(quanta, np.arange(len(quanta), dtype=np.int64), names, table.required[task])
