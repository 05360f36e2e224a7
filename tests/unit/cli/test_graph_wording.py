"""How a graph is told to a person."""

from __future__ import annotations

from cli.wording import build_lines, graph_lines
from stage.campaign.reports import BuildReport, GraphReport

LEFT_OUT = ({"task": "warp", "dataset_type": "calexp", "dropped": 3, "of": 88},)


def report() -> GraphReport:
    """A graph that leaves quanta out."""
    return GraphReport(uri="c.qg", id="x", tasks={"warp": 85}, left_out=LEFT_OUT)


def test_showing_a_graph_says_what_was_left_out() -> None:
    """Quanta without a required input are counted, with the dataset type that they lack."""
    assert "left out 3 of 88 warp quanta: no calexp" in list(graph_lines(report()))


def test_building_a_graph_says_what_was_left_out() -> None:
    """The build tells it at once, before anything runs."""
    lines = list(build_lines(BuildReport(report(), 0.1, None)))

    assert lines == ["graph   1 task, 85 quanta (warp 85)   0.1 s", "left out 3 of 88 warp quanta: no calexp"]
