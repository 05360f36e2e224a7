"""What a run does with the graph there is: tables of data IDs, graphs without quanta."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_campaign import call, campaign_digest, make_upstream

from stage.graph.drawing import draw
from stage.graph.graph import QuantumGraph


@pytest.fixture
def camp(tmp_path: Path) -> Path:
    """Return a campaign whose graph was built with a table of data IDs that lies in it."""
    make_upstream(tmp_path)
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
    (tmp_path / "camp" / "own.csv").write_text("station\naar\n")
    call("build", "--data-id-table", "own.csv", cwd=tmp_path / "camp")
    return tmp_path / "camp"


def test_another_table_is_never_ignored(camp: Path) -> None:
    """As with ``-d``: a graph that was built with another table of data IDs is not run silently."""
    (camp / "other.csv").write_text("station\nbex\n")
    before = campaign_digest(camp)
    said = call("run", "-j0", "--data-id-table", "other.csv", cwd=camp, code=12).stderr

    assert (
        "was built with the table of data IDs 'own.csv', not with the table of data IDs 'other.csv'" in said
    )
    assert "--rebuild" in said
    said = call("run", "-j0", "--data-id-table", "", cwd=camp, code=12).stderr
    assert "not without a table of data IDs" in said
    assert before == campaign_digest(camp)
    assert "4 quanta executed" in call("run", "-j0", "--data-id-table", "own.csv", cwd=camp).stdout


def test_the_same_table_is_known_from_any_directory(camp: Path) -> None:
    """A graph is extended with its own table, however that is named."""
    words = ("build", "--extend-qg", "--campaign-dir", "camp", "--data-id-table", "camp/own.csv")
    assert "graph   " in call(*words, cwd=camp.parent).stdout


def test_a_table_without_rows_is_told(camp: Path) -> None:
    """An empty table leaves nothing, and that is what is said."""
    (camp / "none.csv").write_text("station\n")
    said = call("build", "--data-id-table", "none.csv", cwd=camp, code=2).stderr
    assert "the table has no data IDs" in said


def test_a_table_and_a_query_that_exclude_each_other_are_both_named(camp: Path) -> None:
    """No value is called unknown that is only left out by the other."""
    said = call("build", "-d", "station = 'bex'", cwd=camp, code=2).stderr
    assert "that the expression or the data ID chooses is among the 1 of the table" in said


def test_a_graph_without_quanta_begins_no_run(camp: Path) -> None:
    """Neither ``run`` nor ``prep`` makes an empty RUN of it."""
    call("run", "-j0", cwd=camp)
    call("qg", "refresh", "--trim-existing-in", "CAMPAIGN", "--allow-empty", cwd=camp)
    before = campaign_digest(camp)

    assert "nothing left to run, so none was begun" in call("run", "-j0", cwd=camp).stdout
    assert "the graph has no quanta" in call("prep", cwd=camp, code=2).stderr
    assert before == campaign_digest(camp)


def test_a_second_pipeline_is_added_not_taken_instead(camp: Path) -> None:
    """Where both have a task, it is said what ``-p`` does, and nothing changes."""
    before = campaign_digest(camp)
    said = call("build", "-p", f"{camp.parent}/pipeline.yaml#clean", cwd=camp, code=2).stderr

    assert "is added to the pipeline there is" in said
    assert "another campaign" in said
    assert before == campaign_digest(camp)


def test_one_quantum_is_counted_in_the_singular(camp: Path) -> None:
    """A picture of a small graph is worded as a report of it."""
    graph = QuantumGraph.load(camp / "camp.qg")
    assert "1 quantum of 3 tasks\n" in draw(graph.select(labels="total"), "text")


def test_a_search_that_finds_nothing_says_so(camp: Path) -> None:
    """Instead of a table without rows."""
    said = call("qg", "show", "--data-id", "station=bex", cwd=camp).stdout
    assert said == "no quantum of the graph is about these\n"


def test_a_quote_within_a_string_has_a_way(camp: Path) -> None:
    """The command line has no bind values, but a table."""
    said = call("build", "-d", "station = 'a''b'", cwd=camp, code=2).stderr
    assert "or in a table of data IDs" in said


def test_hints_name_options_as_they_are_typed(camp: Path) -> None:
    """What may be allowed is named as the option of the command."""
    call("run", "-j0", cwd=camp)
    said = call("qg", "refresh", "--trim-existing-in", "CAMPAIGN", cwd=camp, code=2).stderr
    assert "(--allow-empty)" in said
