"""Reports of runs: figures from the registry, requests and a picture from their graphs, and a page of all that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, StageError, nearest
from registry.model.records import QuantumStatus
from stage.campaign.log_choice import chosen_by_query
from stage.campaign.steps import run_graphs
from stage.report.resources import Asked, resources_of, resources_yaml
from stage.report.summary import RunReport, summarise
from stage.report.times import times_of

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.report.picture import Picture

__all__ = ["Selection", "asked_of", "drawings_of", "make_report", "report_page"]


@dataclass(frozen=True)
class Selection:
    """Which quanta a report is about.

    Parameters
    ----------
    task : str or None
        Only of this task.
    glob : str
        Only of tasks whose labels fit.
    data_query : str
        Only those whose data IDs fulfil this expression.
    """

    task: str | None = None
    glob: str = "*"
    data_query: str = ""

    def of(self, snapshot: Snapshot, runs: Sequence[str]) -> Columns:
        """Return the last attempts at these quanta.

        Parameters
        ----------
        snapshot : Snapshot
            Of the registry that has the runs.
        runs : sequence of str
            RUN collections.

        Returns
        -------
        Columns
            `registry.model.records.QUANTUM`.

        Raises
        ------
        NotFoundError
            If there is no such run, or none of them has quanta of that task.
        """
        quanta = snapshot.quanta(list(runs), task=self.task)
        if self.task is not None and not quanta.n_rows:
            known = {t for run in runs for t in snapshot.count_outcomes(run)["task"].tolist()}
            raise NotFoundError(
                f"no quantum of a task '{self.task}' is recorded in {', '.join(runs)}",
                code="no-such-task",
                hint=nearest(self.task, known),
            )
        if self.glob != "*":
            wanted = [t for t in sorted(set(quanta["task"].tolist())) if fnmatchcase(t, self.glob)]
            quanta = quanta.take(np.isin(quanta["task"].astype(str), wanted))
        return chosen_by_query(snapshot, quanta, self.data_query) if self.data_query.strip() else quanta


def make_report(
    snapshot: Snapshot,
    runs: Sequence[str],
    selection: Selection,
    asked: Mapping[str, Asked] | None = None,
    *,
    times: bool = False,
) -> RunReport:
    """Add up what became of runs.

    Parameters
    ----------
    snapshot : Snapshot
        Of the registry that has them.
    runs : sequence of str
        RUN collections.
    selection : Selection
        Which quanta.
    asked : mapping of str to Asked, optional
        What each task asked for: then that is held against what was used.
    times : bool, optional
        Whether to measure times.

    Returns
    -------
    RunReport
        The figures.
    """
    quanta = selection.of(snapshot, runs)
    report = summarise(quanta, tuple(runs))
    labels = [t.task for t in report.tasks]
    if times:
        found, slowest = times_of(quanta, labels)
        report = replace(report, times=found, slowest=slowest)
    if asked is not None:
        failures = snapshot.quanta(list(runs), status=[QuantumStatus.FAILED], latest=False)
        failures = failures.take(np.isin(failures["id"], quanta["id"])) if failures.n_rows else failures
        used = resources_of(quanta, failures, asked, labels)
        report = replace(report, resources=used, resources_yaml=resources_yaml(used))
    return report


def asked_of(layout: Layout, runs: Sequence[str]) -> dict[str, Asked]:
    """Return what the tasks of runs asked for, as their graphs say.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    runs : sequence of str
        RUN collections; what is said first counts.

    Returns
    -------
    dict of str to Asked
        By task; without those whose graphs are not there any more.
    """
    from stage.graph.file.reader import GraphFile

    out: dict[str, Asked] = {}
    for path in (path for run in runs for path in run_graphs(layout, run)):
        try:
            with GraphFile.open(str(path)) as graph:
                for node in graph.tasks:
                    out.setdefault(node.label, Asked(node.resources, "resources" in node.hooks))
        except StageError:
            continue
    return out


def drawings_of(layout: Layout, runs: Sequence[str]) -> list[str]:
    """Draw the graphs of runs task by task.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    runs : sequence of str
        RUN collections.

    Returns
    -------
    list of str
        SVG; of graphs that can be read.
    """
    from stage.graph.drawing import draw
    from stage.graph.file.reader import GraphFile

    out = []
    for path in (path for run in runs for path in run_graphs(layout, run)):
        try:
            with GraphFile.open(str(path)) as graph:
                out.append(draw(graph, "svg", max_nodes=0))
        except StageError:
            continue
    return list(dict.fromkeys(out))


def report_page(
    report: RunReport,
    title: str,
    drawings: Sequence[str],
    facts: Mapping[str, str] | None,
    pictures: Sequence[Picture | Any],
) -> bytes:
    """Write a report as one page.

    Parameters
    ----------
    report : RunReport
        The figures.
    title : str
        Its heading.
    drawings : sequence of str
        SVG of graphs.
    facts : mapping of str to str or None
        Further lines.
    pictures : sequence of Picture
        Further pictures.

    Returns
    -------
    bytes
        HTML that needs no other file.
    """
    from stage.report.html import render

    return render(report, title, facts=facts, pictures=pictures, drawings=drawings).encode()
