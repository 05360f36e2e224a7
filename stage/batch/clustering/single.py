"""A job for each quantum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stage.batch.clustering.clusters import Clusters
from stage.batch.clustering.naming import fields_of, format_rows
from stage.graph.table import Column, Csr

if TYPE_CHECKING:
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

__all__ = ["single_clusters", "single_names"]


def single_clusters(table: QuantaTable, settings: Settings) -> Clusters:
    """Make a job of each quantum.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    settings : Settings
        The submission's: ``templateDataId``, ``useNodeIdInClusterName``, ``jobNameTemplate``.

    Returns
    -------
    Clusters
        Numbered as the quanta are.
    """
    counts = np.diff(table.offsets)
    names: list[str] = []
    for task in range(len(table.labels)):
        names += single_names(table, settings, task)
    return Clusters(
        table.labels,
        (False,) * len(table.labels),
        np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        names,
        Csr.one_each(table.n_quanta),
        table.dependencies,
        table.required,
    )


def single_names(
    table: QuantaTable, settings: Settings, task: int, rows: Sequence[int] | None = None
) -> list[str]:
    """Return what jobs of single quanta of one task are called.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    settings : Settings
        The submission's.
    task : int
        Place of the task.
    rows : sequence of int, optional
        Which of its quanta; all by default.

    Returns
    -------
    list of str
        One each.
    """
    label = table.labels[task]
    taken = table.required[task] if rows is None else table.required[task].take(np.asarray(rows))
    quanta = table.quanta_of(task) if rows is None else np.asarray(rows) + table.offsets[task]
    template = _template(settings, label)
    values: Mapping[str, Column | str] = {**taken.columns, "label": label}
    if "node_number" in fields_of(template):
        numbers = np.empty(len(quanta), dtype=object)
        numbers[:] = table.names(quanta)
        values = {**values, "node_number": numbers}
    return format_rows(template, values, len(quanta))


def _template(settings: Settings, label: str) -> str:
    """Return the template of a task's jobs; a data ID alone need not tell them apart, so the quantum's number comes first."""
    found, whole = settings.search("jobNameTemplate", pipetask=label, replace=False)
    if found and whole:
        return str(whole)
    found, data_id = settings.search("templateDataId", pipetask=label, replace=False)
    if not found:
        return "{node_number}"
    return ("{node_number}_{label}_" if settings.flag("useNodeIdInClusterName", pipetask=label, default=True) else "{label}_") + str(data_id)  # fmt: skip
