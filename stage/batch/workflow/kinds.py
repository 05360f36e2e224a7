"""Kinds of jobs: those of one label that need the same, found by columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stage.batch.workflow.needs import GREATEST, SUMS, TaskNeeds, combined
from stage.graph.table import Csr, Ints, distinct, row_codes

if TYPE_CHECKING:
    from stage.batch.clustering.clusters import Clusters
    from stage.batch.clustering.quanta import QuantaTable

__all__ = ["Kinds", "kinds_of"]

_DECLARED = {"request_cpus": "cpus", "request_memory": "memory_mb", "request_walltime": "walltime_s"}
_MINUTE = 60


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The jobs of one label, as far as their needs go.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    tasks : tuple of int
        Places of the tasks of which any of them has quanta.
    quanta : Csr
        For each job its quanta.
    counts : numpy.ndarray of int64, shape (n_tasks, n_jobs)
        For each task and job, how many quanta it has.
    """

    table: QuantaTable
    tasks: tuple[int, ...]
    quanta: Csr
    counts: Ints

    def settle(
        self, needs: Sequence[TaskNeeds], own: Collection[str]
    ) -> tuple[npt.NDArray[np.int32], list[dict[str, Any]]]:
        """Find the kinds.

        Parameters
        ----------
        needs : sequence of TaskNeeds
            Of each task, as the settings say.
        own : collection of str
            What the label itself says, so that neither tasks nor what they declare counts.

        Returns
        -------
        kind_of : numpy.ndarray of int32
            For each job its kind.
        needs : list of dict
            For each kind greatest values and sums, by the names of `JobSettings`.
        """
        declared = {
            name: self._declared(field, needs, name)
            for name, field in _DECLARED.items()
            if name not in own and self._declares(field, needs, name)
        }
        left = [self._undeclared(n, task, declared) for n, task in zip(needs, self.tasks, strict=True)]
        sums = any(name in n.values for n in left for name in SUMS)
        columns = [c if sums else (c > 0).astype(np.int64) for c in self.counts]
        codes, bound = row_codes([*columns, *declared.values()], self.counts.shape[1])
        first, inverse = distinct(codes, bound)
        found = [self._one(left, declared, int(job)) for job in first]
        return inverse.astype(np.int32), found

    def _one(self, needs: Sequence[TaskNeeds], declared: Mapping[str, Ints], job: int) -> dict[str, Any]:
        values = combined(needs, self.counts[:, job].tolist())
        for name, column in declared.items():
            said, more = values.get(name) or 0, int(column[job])
            values[name] = max(said, more) if name in GREATEST else said + more
        return {k: v for k, v in values.items() if v} | {
            k: v for k, v in values.items() if v == 0 and k not in declared
        }

    def _declares(self, field: str, needs: Sequence[TaskNeeds], name: str) -> bool:
        pairs = zip(needs, self.tasks, strict=True)
        return any(name not in n.said and self._has(task, field) for n, task in pairs)

    def _has(self, task: int, field: str) -> bool:
        return bool(self.table.declared) and bool(np.any(getattr(self.table.declared[task], field)))

    def _declared(self, field: str, needs: Sequence[TaskNeeds], name: str) -> Ints:
        """Return for each job the greatest or the sum of what tasks declare, where the settings say nothing."""
        each = np.zeros(self.table.n_quanta, dtype=np.int64)
        for need, task in zip(needs, self.tasks, strict=True):
            if name not in need.said and self.table.declared:
                first, last = self.table.offsets[task : task + 2]
                each[first:last] = getattr(self.table.declared[task], field)
        values, rows = each[self.quanta.indices], self.quanta.rows()
        out = np.zeros(self.counts.shape[1], dtype=np.int64)
        if name in GREATEST:
            np.maximum.at(out, rows, values)
            return out
        np.add.at(out, rows, values)
        return -(-out // _MINUTE)

    def _undeclared(self, need: TaskNeeds, task: int, declared: Collection[str]) -> TaskNeeds:
        """Leave out what is the package's where the task itself says better."""
        replaced = {
            name
            for name in declared
            if name not in need.said and self.table.declared and np.all(getattr(self.table.declared[task], _DECLARED[name]))
        }  # fmt: skip
        return TaskNeeds({k: v for k, v in need.values.items() if k not in replaced}, need.said)


def kinds_of(table: QuantaTable, clusters: Clusters, jobs: Ints) -> Kinds:
    """Return the jobs of one label, as far as their needs go.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    clusters : Clusters
        All clusters.
    jobs : numpy.ndarray of int64
        Those of the label.

    Returns
    -------
    Kinds
        One column a job, in the same order.
    """
    quanta = clusters.quanta.take(jobs)
    task_of = table.task_of(quanta.indices.astype(np.int64))
    tasks = np.flatnonzero(np.bincount(task_of, minlength=len(table.labels)))
    place = np.zeros(len(table.labels), dtype=np.int64)
    place[tasks] = np.arange(len(tasks))
    flat = np.bincount(place[task_of] * len(jobs) + quanta.rows(), minlength=len(tasks) * len(jobs))
    return Kinds(table, tuple(tasks.tolist()), quanta, flat.reshape(len(tasks), len(jobs)))
