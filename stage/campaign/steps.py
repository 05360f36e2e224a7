"""The steps of a run: which there are, where their graphs lie, which are still to be built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import IntegrityError, StageError
from stage.campaign.layout import Layout

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.graph.layout import Header
    from stage.pipeline.node import TaskNode

__all__ = ["StepPlan", "built_nodes", "run_graphs", "step_graph_path", "steps_left"]


@dataclass(frozen=True)
class StepPlan:
    """What a graph says of the steps that it is one of.

    Parameters
    ----------
    labels : tuple of str
        All steps, in order; empty for a pipeline without.
    number : int
        Which of them the graph holds, from 1.
    pipeline : str
        The whole pipeline as it was when the first step's graph was built, in YAML.
    """

    labels: tuple[str, ...] = ()
    number: int = 1
    pipeline: str = ""

    @classmethod
    def of(cls, header: Header) -> StepPlan:
        """Read it from a graph's header.

        Parameters
        ----------
        header : Header
            Of any graph.

        Returns
        -------
        StepPlan
            Without labels for a graph that is no step.

        Raises
        ------
        IntegrityError
            If what it says cannot be read.
        """
        document = header.metadata.get("step")
        if not document:
            return cls()
        try:
            return cls(tuple(document["steps"]), int(document["number"]), str(document["pipeline"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise IntegrityError(f"what the graph says of its steps cannot be read: {exc}") from exc

    @property
    def label(self) -> str:
        """The step that the graph holds; empty for a graph that is no step."""
        return self.labels[self.number - 1] if self.labels else ""

    def said(self, number: int) -> str:
        """Word one of the steps.

        Parameters
        ----------
        number : int
            Which, from 1.

        Returns
        -------
        str
            As ``step 2 of 3 'work'``.
        """
        return f"step {number} of {len(self.labels)} '{self.labels[number - 1]}'"


def step_graph_path(layout: Layout, run: str, number: int) -> Path:
    """Return where the graph of one step of a run is.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN collection.
    number : int
        The step, from 1.

    Returns
    -------
    pathlib.Path
        ``submit/<run>/graph.qg`` for the first, ``graph.step-<n>.qg`` for those after it.
    """
    first = layout.run_graph(run)
    return first if number == 1 else first.with_name(f"{first.stem}.step-{number}{first.suffix}")


def run_graphs(layout: Layout, run: str) -> list[Path]:
    """Return the graphs of a run, as far as they are built.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN collection.

    Returns
    -------
    list of pathlib.Path
        One a step, in order; one for a pipeline without steps.
    """
    out: list[Path] = []
    while (path := step_graph_path(layout, run, len(out) + 1)).is_file():
        out.append(path)
    return out


def steps_left(layout: Layout, run: str) -> tuple[str, ...]:
    """Return the steps of a run whose graphs are still to be built.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN collection.

    Returns
    -------
    tuple of str
        Their labels; none if the run's graph is gone.
    """
    from stage.graph.file.reader import GraphFile

    paths = run_graphs(layout, run)
    try:
        return StepPlan.of(GraphFile.open(str(paths[0])).header).labels[len(paths) :] if paths else ()
    except StageError:
        return ()


def built_nodes(graph: QuantumSource) -> dict[str, TaskNode]:
    """Return the tasks of a graph, and those of the steps that are to follow it, as they were when it was built.

    Parameters
    ----------
    graph : QuantumSource
        A first step's graph, or any other.

    Returns
    -------
    dict of str to TaskNode
        By label.
    """
    from stage.pipeline.settle import definition_of_text, settle_nodes

    nodes = {node.label: node for node in graph.tasks}
    plan = StepPlan.of(graph.header)
    if plan.labels:
        whole = settle_nodes(definition_of_text(plan.pipeline, "the pipeline in the graph"))
        nodes = {**{node.label: node for node in whole}, **nodes}
    return nodes
