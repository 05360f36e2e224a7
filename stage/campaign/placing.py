"""Putting a campaign's new graph in its place: the file, a drawing of it, and what is reported of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import StorageError
from stage.campaign.files import write_atomically
from stage.campaign.graphs import graph_report
from stage.campaign.layout import absolute_uri

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.graph_reports import GraphReport
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.graph.graph import QuantumGraph

__all__ = ["draw_graph", "graph_path", "place_graph"]


def graph_path(layout: Layout, state: CampaignState, write_qg: str | None = None) -> str:
    """Return where a new graph is to be written.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    write_qg : str, optional
        Where the user wants it.

    Returns
    -------
    str
        An absolute path or URI; by default ``<name>.qg`` in the campaign.
    """
    return absolute_uri(write_qg) if write_qg else str(layout.root / f"{state.name}.qg")


def place_graph(change: Change, graph: QuantumGraph, uri: str, qg_dot: str | None = None) -> GraphReport:
    """Write a graph, and a drawing of it, beside what is there now.

    Parameters
    ----------
    change : Change
        The change that is being made; puts local files in their places when it is done.
    graph : QuantumGraph
        The graph.
    uri : str
        Where it is to be.
    qg_dot : str, optional
        Where a drawing of it is to be.

    Returns
    -------
    GraphReport
        What it holds, and where it will be.

    Raises
    ------
    StorageError
        If one of them cannot be written.
    """
    written = str(_beside(change, uri))
    graph.save(written)
    if qg_dot:
        draw_graph(change, graph, qg_dot)
    return replace(graph_report(graph, written), uri=uri)


def draw_graph(change: Change, graph: QuantumGraph, uri: str) -> None:
    """Write a drawing of a graph in dot, beside what is there now.

    Parameters
    ----------
    change : Change
        The change that is being made; puts a local file in its place when it is done.
    graph : QuantumGraph
        The graph.
    uri : str
        Where it is to be.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    from stage.graph.drawing import draw

    write_atomically(_beside(change, absolute_uri(uri)), draw(graph, "dot").encode())


def _beside(change: Change, uri: str) -> Path:
    """Return a path to write to, in a directory that is there and goes again if the change fails."""
    if "://" not in uri:
        folder = Path(uri).parent
        change.creating_tree(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"cannot write {uri}: {exc.strerror or exc}", code="cannot-write") from exc
    return change.beside_uri(uri)
