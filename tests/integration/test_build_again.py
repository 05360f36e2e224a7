"""Build, run, add a task, build again: the next graph is built on a run that was never pushed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream, tree_digest

CLEAN = "description: First step.\ntasks:\n  clean: weather_tasks.clean\n"
REST = "description: The rest.\ntasks:\n  summarise: weather_tasks.summarise\n  total: weather_tasks.total\n"


@pytest.fixture
def camp(tmp_path: Path) -> Path:
    """A campaign that has cleaned all readings in its first run."""
    make_upstream(tmp_path)
    (tmp_path / "clean.yaml").write_text(CLEAN)
    (tmp_path / "rest.yaml").write_text(REST)
    call("clone", "upstream", "camp", "-p", "clean.yaml", "-i", "net/raw", cwd=tmp_path)
    call("run", cwd=tmp_path / "camp")
    return tmp_path / "camp"


def test_a_task_that_is_added_reads_what_the_first_run_made(camp: Path) -> None:
    """Its input type is registered in staging alone; upstream stays as it is."""
    before = tree_digest(camp.parent / "upstream")
    call("edit", "-p", "../rest.yaml", cwd=camp)
    assert "summarise 3, total 1" in call("build", cwd=camp).stdout
    call("run", "--new-run", cwd=camp)
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    assert tree_digest(camp.parent / "upstream") == before


def test_the_next_graph_can_be_built_offline(camp: Path) -> None:
    """All that it needs is in staging, so upstream may be away; what is not there is said to be upstream perhaps."""
    call("edit", "-p", "../rest.yaml", cwd=camp)
    upstream = camp.parent / "upstream"
    upstream.rename(camp.parent / "away")
    assert "summarise 3, total 1" in call("build", "--offline", cwd=camp).stdout
    refused = call("build", "--offline", "-d", "month = 190001", cwd=camp, code=2).stderr
    assert "offline" in refused
