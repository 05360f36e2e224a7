"""`make_workflow`: clusters and settings in, jobs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stage.batch.memory import SCALED_RETRIES, limited
from stage.batch.workflow.commands import Command, command_of, file_values
from stage.batch.workflow.final import final_of
from stage.batch.workflow.kinds import Kinds, kinds_of
from stage.batch.workflow.model import JobKind, JobSettings, Workflow
from stage.batch.workflow.needs import Place, place_of, section_needs, shared, task_needs
from stage.batch.workflow.ordering import ordered
from stage.batch.workflow.own_values import own_values
from stage.batch.workflow.values import PerKind
from stage.graph.table import Csr

if TYPE_CHECKING:
    from stage.batch.clustering.clusters import Clusters
    from stage.batch.clustering.quanta import QuantaTable
    from stage.batch.config.settings import Settings

__all__ = ["INIT", "make_workflow"]

INIT = "pipetaskInit"
"""Name and label of the job before all others."""
_ATTRIBUTES = {
    "operator": "operator", "project": "project", "campaign": "campaign", "payload": "payloadName", "site": "computeSite",
}  # fmt: skip


def make_workflow(
    table: QuantaTable,
    clusters: Clusters,
    settings: Settings,
    *,
    files: Mapping[str, str] | None = None,
    late_environment: bool = False,
    within_limit: bool = True,
    limits: Mapping[str, int] = {},
) -> Workflow:
    """Make jobs of clusters.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    clusters : Clusters
        Which of them make a job together.
    settings : Settings
        The submission's.
    files : mapping of str to str, optional
        What stands for ``qgraphFile``, ``graphFile`` and ``workflowFile`` in commands; by default where they are.
    late_environment : bool, optional
        Whether variables of the environment in commands are marked (``<ENV:NAME>``) for an engine that puts them in on
        the machine of a job.
    within_limit : bool, optional
        Whether memory grows no further than ``memoryLimit``, where that is set, or else `limits`.
    limits : mapping of str to int, optional
        By site, the most memory that a job can get there, in megabytes.

    Returns
    -------
    Workflow
        The jobs, with the one before all others if ``runInit`` is set, in the order that ``ordering`` asks for. The
        final job is none of them, also where it runs only after success.

    Raises
    ------
    UsageError
        If the settings make no jobs that could be run; nothing was written.
    """
    clusters = ordered(table, clusters, settings)
    maker = _Maker(
        table, clusters, settings, file_values(settings, files), late=late_environment, limits=limits
    )
    workflow = maker.make(with_init=settings.flag("runInit"))
    final, when = final_of(settings, maker.files)
    if within_limit:
        workflow = replace(workflow, settings=tuple(limited(s, maker.limit(s)) for s in workflow.settings))
        final = final and limited(final, maker.limit(final))
    name = settings.text("uniqProcName")
    attributes = {key: settings.text(setting) for key, setting in _ATTRIBUTES.items()}
    return replace(workflow, name=name, final=final, when_final=when, attributes=attributes)


class _Maker:
    def __init__(
        self,
        table: QuantaTable,
        clusters: Clusters,
        settings: Settings,
        files: dict[str, str],
        *,
        late: bool,
        limits: Mapping[str, int],
    ) -> None:
        self.limits, self.site = limits, settings.text("computeSite")
        self.table, self.clusters, self.settings, self.files, self.late = (
            table,
            clusters,
            settings,
            files,
            late,
        )
        self.sections = settings.search("cluster")[1] or {}
        self.made: list[JobSettings] = []
        self.commands: list[Command] = []

    def make(self, *, with_init: bool) -> Workflow:
        clusters = self.clusters
        if with_init:
            self.init()
        first = len(self.made)
        settings_of = np.zeros(first + clusters.n_clusters, dtype=np.int32)
        for place in range(len(clusters.labels)):
            jobs = np.flatnonzero(clusters.label_of == place)
            if len(jobs):
                before = len(self.made)
                settings_of[first + jobs] = before + self.label(place, kinds_of(self.table, clusters, jobs))
        same = dict.fromkeys(n for c in self.commands for n in c.values)
        values: dict[str, Any] = {
            n: PerKind([c.values.get(n, "") for c in self.commands], settings_of) for n in same
        }
        own = dict.fromkeys(n for c in self.commands for n in c.own)
        values |= own_values(self.table, clusters, self.settings, tuple(own), first)
        names, quanta, parents = clusters.names, clusters.quanta, clusters.parents
        if with_init:
            names = [INIT, *names]
            quanta = Csr(np.concatenate([[0], quanta.indptr]), quanta.indices)
            parents = _after_first(parents)
        return Workflow("", tuple(self.made), names, settings_of, quanta, parents, values)

    def init(self) -> None:
        """Make the job that comes before all others."""
        at = place_of(self.settings, pipetask=INIT)
        command = self.command(INIT, at, [INIT], {}, ())
        values = {k: v for k, v in task_needs(self.settings, at).values.items() if v is not None}
        self.made.append(JobSettings(INIT, JobKind.INIT, command.executable, command.arguments, **values))
        self.commands.append(command)

    def label(self, place: int, kinds: Kinds) -> npt.NDArray[np.int32]:
        """Make the settings of one label's jobs; return for each job which of these it has."""
        label = self.clusters.labels[place]
        given: Mapping[str, Any] = self.sections.get(label, {}) if self.clusters.sections[place] else {}
        tasks = [self.table.labels[t] for t in kinds.tasks]
        at = self.place(place, tasks)
        own = section_needs(self.settings, at, given)
        needs = [task_needs(self.settings, Place(t, "", at.site, at.cloud), own) for t in tasks]
        same = shared(label, tasks, needs)
        command = self.command(label, at, tasks, given, self.clusters.tags[place].names)
        kind_of, found = kinds.settle(needs, own)
        for kind in found:
            values = {**kind, **same, **own}
            if values.get("memory_multiplier") is not None and values.get("number_of_retries") is None:
                values["number_of_retries"] = SCALED_RETRIES
            values = {k: v for k, v in values.items() if v is not None}
            self.made.append(
                JobSettings(label, JobKind.PAYLOAD, command.executable, command.arguments, **values)
            )
            self.commands.append(command)
        return kind_of

    def place(self, place: int, tasks: Sequence[str]) -> Place:
        label = self.clusters.labels[place]
        if self.clusters.sections[place]:
            return place_of(self.settings, cluster=label)
        return place_of(self.settings, pipetask=tasks[0] if len(tasks) == 1 else "")

    def limit(self, made: JobSettings) -> int | None:
        site = made.compute_site or self.site
        said = self.settings.integer("memoryLimit", site=site, cloud=made.compute_cloud or "")
        return self.limits.get(site) if said is None else said

    def command(
        self, label: str, at: Place, tasks: Sequence[str], given: Mapping[str, Any], dimensions: Sequence[str]
    ) -> Command:
        return command_of(
            self.settings, label, at, tasks, given=given, files=self.files, dimensions=dimensions,
            late_environment=self.late, graph_id=self.table.graph_id,
        )  # fmt: skip


def _after_first(parents: Csr) -> Csr:
    """Put one in front for which all wait that wait for nothing."""
    free = np.diff(parents.indptr) == 0
    counts = np.concatenate([[0], np.where(free, 1, np.diff(parents.indptr))])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.zeros(int(indptr[-1]), dtype=np.int32)
    # Whoever waits for something keeps its place; the others wait for number 0.
    indices[~np.repeat(np.concatenate([[False], free]), counts)] = parents.indices + 1
    return Csr(indptr, indices)
