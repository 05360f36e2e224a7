"""One function for all pictures: of a pipeline or a graph, in any of the forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from registry.errors import UsageError, nearest
from stage.graph.access import QuantumSource
from stage.graph.drawing.dot import dot
from stage.graph.drawing.mermaid import mermaid
from stage.graph.drawing.model import Drawing
from stage.graph.drawing.pictures import collapsed, expanded, of_nodes, shown_types
from stage.graph.drawing.svg import svg
from stage.graph.drawing.text import text

if TYPE_CHECKING:
    from stage.graph.file.reader import GraphFile
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline

__all__ = ["FORMATS", "draw"]

FORMATS: Mapping[str, Callable[[Drawing], str]] = {"dot": dot, "mermaid": mermaid, "svg": svg, "text": text}
"""How a drawing is written, by the name of the form."""


def draw(
    subject: QuantumGraph | GraphFile | Pipeline,
    format: str,  # noqa: A002 - the option's name
    *,
    status: Mapping[int, str] | None = None,
    task_status: Mapping[str, Mapping[str, int]] | None = None,
    max_nodes: int = 200,
    title: str = "",
) -> str:
    """Draw a pipeline or a graph.

    Parameters
    ----------
    subject : QuantumGraph, GraphFile or Pipeline
        What to draw. Of a graph file nothing but the header is read, unless the graph is small.
    format : {"dot", "mermaid", "svg", "text"}
        Form of the picture.
    status : mapping of int to str, optional
        What became of quanta, by ordinal: ``done``, ``running``, ``failed``, ``blocked``, ``pending``, ``skipped``
        or ``no work``; those that are not in it are pending. Without it no status is shown.
    task_status : mapping of str to mapping, optional
        Of a pipeline: task to status to number of quanta.
    max_nodes : int, optional
        A graph with more quanta and datasets than these is drawn task by task, with counts.
    title : str, optional
        What stands above a pipeline.

    Returns
    -------
    str
        The picture: the text of a file that needs no other.

    Raises
    ------
    UsageError
        If there is no such form (``unknown-format``).
    PipelineError
        If the pipeline cannot be put in order.
    """
    if format not in FORMATS:
        raise UsageError(
            f"no form of picture '{format}'", code="unknown-format", hint=nearest(format, FORMATS)
        )
    if not isinstance(subject, QuantumSource):
        heading = title or subject.description.split("\n")[0] or "Pipeline"
        return FORMATS[format](of_nodes(subject.nodes, heading, task_status))
    return FORMATS[format](_of_graph(subject, status, max_nodes))


def _of_graph(subject: QuantumGraph | GraphFile, status: Mapping[int, str] | None, max_nodes: int) -> Drawing:
    from stage.graph.file.reader import GraphFile

    shown = shown_types(subject)
    n_nodes = subject.n_quanta + sum(t.n_datasets for t in subject.layout.types if t.name in shown)
    if n_nodes > max_nodes:
        return collapsed(subject, status)
    return expanded(subject.load() if isinstance(subject, GraphFile) else subject, status)
