"""Pictures of clusters and workflows in the language of dot; where there are too many, of their labels with counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Array
from stage.batch.workflow.model import WhenRun
from stage.graph.table import Csr, Ints

if TYPE_CHECKING:
    from stage.batch.clustering.clusters import Clusters
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.workflow.model import Workflow

__all__ = ["MOST_NODES", "draw_clusters", "draw_workflow"]

MOST_NODES = 60
"""Pictures of more jobs than this cannot be read: then a label is one node."""


def draw_clusters(table: QuantaTable, clusters: Clusters, most: int = MOST_NODES) -> str:
    """Draw clusters.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    clusters : Clusters
        Which of them make a job together.
    most : int, optional
        How many are drawn one by one.

    Returns
    -------
    str
        For dot: each cluster with the tasks of its quanta; or, of more than `most`, each label with counts.
    """
    if clusters.n_clusters <= most:
        texts = [
            f"{name}\\n{_tasks(table, clusters.quanta.of(n).astype(np.int64))}"
            for n, name in enumerate(clusters.names)
        ]
        return _picture("clusters", texts, clusters.parents.indices, clusters.parents.rows())
    n_quanta = np.bincount(
        clusters.label_of, weights=np.diff(clusters.quanta.indptr), minlength=len(clusters.labels)
    )
    return _by_label(
        "clusters",
        clusters.labels,
        clusters.label_of.astype(np.int64),
        clusters.parents,
        n_quanta,
        word="cluster",
    )


def draw_workflow(workflow: Workflow, most: int = MOST_NODES) -> str:
    """Draw a workflow.

    Parameters
    ----------
    workflow : Workflow
        The jobs.
    most : int, optional
        How many are drawn one by one.

    Returns
    -------
    str
        For dot: each job with its label and number of quanta; or, of more than `most`, each label with counts.
    """
    sizes = np.diff(workflow.quanta.indptr)
    labels = list(dict.fromkeys(s.label for s in workflow.settings))
    place = np.array([labels.index(s.label) for s in workflow.settings], dtype=np.int64)
    label_of = place[workflow.settings_of] if workflow.n_jobs else np.zeros(0, dtype=np.int64)
    final = None
    if workflow.final is not None:
        final = f"{workflow.final.label}\\n{'after success' if workflow.when_final is WhenRun.SUCCESS else 'always'}"
    if workflow.n_jobs <= most:
        rows = zip(workflow.names, label_of.tolist(), sizes.tolist(), strict=True)
        texts = [
            f"{name}\\n{labels[label]}, {_count(size, 'quantum', 'quanta')}" for name, label, size in rows
        ]
        return _picture("workflow", texts, workflow.parents.indices, workflow.parents.rows(), final)
    n_quanta = np.bincount(label_of, weights=sizes, minlength=len(labels))
    return _by_label("workflow", labels, label_of, workflow.parents, n_quanta, word="job", final=final)


def _tasks(table: QuantaTable, quanta: Ints) -> str:
    counts = np.bincount(table.task_of(quanta), minlength=len(table.labels))
    return ", ".join(f"{table.labels[t]}: {counts[t]}" for t in np.flatnonzero(counts))


def _by_label(
    name: str,
    labels: Sequence[str],
    label_of: Ints,
    parents: Csr,
    n_quanta: Ints,
    *,
    word: str,
    final: str | None = None,
) -> str:
    counts = np.bincount(label_of, minlength=len(labels))
    texts = [
        f"{label}\\n{_count(int(n), word, f'{word}s')}, {_count(int(q), 'quantum', 'quanta')}"
        for label, n, q in zip(labels, counts, n_quanta, strict=True)
    ]
    before, after = label_of[parents.indices], label_of[parents.rows()]
    pairs = np.unique(before * len(labels) + after)
    return _picture(name, texts, pairs // len(labels), pairs % len(labels), final)


def _picture(name: str, texts: Sequence[str], before: Array, after: Array, final: str | None = None) -> str:
    lines = [f"digraph {name} {{", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  n{n} [label={_quoted(text)}];" for n, text in enumerate(texts)]
    pairs = list(zip(np.asarray(before).tolist(), np.asarray(after).tolist(), strict=True))
    lines += [f"  n{a} -> n{b};" for a, b in pairs]
    if final is not None:
        ends = set(range(len(texts))) - {a for a, b in pairs if a != b}
        lines += [f"  final [label={_quoted(final)}, style=dashed];", *(f"  n{n} -> final [style=dashed];" for n in sorted(ends))]  # fmt: skip
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
