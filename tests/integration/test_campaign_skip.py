"""A graph that leaves out what was done before, from the command to the outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_campaign import call, campaign_digest, make_upstream


@pytest.fixture
def camp(tmp_path: Path) -> Path:
    """A campaign of which all stations but one were done in a run; the last one has failed."""
    make_upstream(tmp_path)
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
    call("run", "-c", "clean:fail_on=bex", "--rebuild", cwd=tmp_path / "camp", code=3)
    return tmp_path / "camp"


def test_what_was_done_is_read_and_not_done_again(camp: Path) -> None:
    """The next run does what failed and what hangs on it; results are as of one run."""
    built = call("build", "-c", "clean:fail_on=nobody", "--skip-existing-in", "*camp*", cwd=camp).stdout
    assert "clean 2, summarise 1, total 1" in built
    assert "4 quanta executed" in call("run", "--new-run", "--use-qg-configs", cwd=camp).stdout
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}


def test_a_mistyped_collection_is_refused(camp: Path) -> None:
    """It would skip nothing; the campaign is as it was."""
    before = campaign_digest(camp)
    refused = call("build", "--skip-existing-in", "net/rww", cwd=camp, code=10)
    assert "net/rww" in refused.stderr
    assert campaign_digest(camp) == before
