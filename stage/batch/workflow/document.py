"""Clusters and workflows as JSON documents."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from stage.batch.clustering.clusters import Clusters
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.workflow.model import JobSettings, Workflow

__all__ = ["clusters_document", "settings_document", "workflow_document"]


def clusters_document(table: QuantaTable, clusters: Clusters) -> dict[str, Any]:
    """Return clusters as JSON values.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    clusters : Clusters
        Which of them make a job together.

    Returns
    -------
    dict
        ``clusters``: for each its ``name``, ``label``, ``quanta`` (numbers), ``tags`` and ``parents`` (places in the
        list); ``labels``: how many clusters and quanta each has, by task.
    """
    values: list[dict[str, Any]] = [{} for _ in clusters.names]
    labels: dict[str, Any] = {}
    for place, label in enumerate(clusters.labels):
        mine = np.flatnonzero(clusters.label_of == place)
        tags = clusters.tags[place]
        for number, row in zip(mine.tolist(), tags.rows(np.arange(tags.n_rows)), strict=True):
            values[number] = dict(zip(tags.names, row, strict=True))
        tasks = np.bincount(
            table.task_of(clusters.quanta.take(mine).indices.astype(np.int64)), minlength=len(table.labels)
        )
        counts = {table.labels[t]: int(tasks[t]) for t in np.flatnonzero(tasks)}
        labels[label] = {"clusters": len(mine), "quanta": counts}
    found = [
        {"name": name, "label": clusters.labels[label], "quanta": quanta, "tags": tags, "parents": parents}
        for name, label, quanta, tags, parents in zip(
            clusters.names, clusters.label_of.tolist(), _lists(clusters.quanta), values, _lists(clusters.parents),
            strict=True,
        )
    ]  # fmt: skip
    return {"labels": labels, "clusters": found}


def workflow_document(workflow: Workflow) -> dict[str, Any]:
    """Return a workflow as JSON values.

    Parameters
    ----------
    workflow : Workflow
        The jobs.

    Returns
    -------
    dict
        ``name``; ``settings``, one a kind of job; ``jobs``: for each its ``name``, ``settings`` (a place in that list),
        ``quanta``, ``parents`` and ``values``; ``final`` and ``when_final``; ``attributes``.
    """
    names = list(workflow.values)
    columns = [list(workflow.values[n]) for n in names]
    values = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] if names else [{}] * workflow.n_jobs  # fmt: skip
    jobs = [
        {"name": name, "settings": kind, "quanta": quanta, "parents": parents, "values": given}
        for name, kind, quanta, parents, given in zip(
            workflow.names, workflow.settings_of.tolist(), _lists(workflow.quanta), _lists(workflow.parents), values,
            strict=True,
        )
    ]  # fmt: skip
    return {
        "name": workflow.name,
        "attributes": dict(workflow.attributes),
        "settings": [settings_document(s) for s in workflow.settings],
        "final": None if workflow.final is None else settings_document(workflow.final),
        "when_final": workflow.when_final.value,
        "jobs": jobs,
    }


def settings_document(settings: JobSettings) -> dict[str, Any]:
    """Return what jobs of a kind need as JSON values.

    Parameters
    ----------
    settings : JobSettings
        What they need.

    Returns
    -------
    dict
        What is set, by the names of the fields.
    """
    found = {k: v for k, v in asdict(settings).items() if v is not None and v not in ((), "")}
    for key in ("environment", "extra"):
        if key in found:
            found[key] = dict(found[key])
    return {**found, "kind": settings.kind.value}


def _lists(csr: Any) -> list[list[int]]:
    stops, flat = csr.indptr.tolist(), csr.indices.tolist()
    return [flat[a:b] for a, b in itertools.pairwise(stops)]
