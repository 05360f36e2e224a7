"""Pipelines with steps as submissions: one after the other, into one run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from book_campaign import make_campaign
from tiny_campaign import call

from stage.batch.facade import Batch
from stage.campaign.campaign import Campaign

if TYPE_CHECKING:
    import pytest


def test_steps_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The final job of a step builds the graph of the next and submits it: one run, a submission each, finished in the end."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    make_campaign(tmp_path, {"bees": "six seven"})
    clusters = (
        "{work: {pipetasks: shout, dimensions: book}, end: {pipetasks: 'gather, length', dimensions: book}}"
    )
    (tmp_path / "s.yaml").write_text(
        f"computeSite: local\nclusterAlgorithm: dimension\ncluster: {clusters}\n"
    )

    out = call("batch", "submit", "s.yaml", "--campaign-dir", "c", cwd=tmp_path).stdout

    assert out.startswith("note: step 1 of 3 'split': its final job submits the next\n")
    until = time.monotonic() + 300
    while Campaign.load(tmp_path / "c").state.collections.current_run:
        assert time.monotonic() < until, Batch().report(hist=1)
        time.sleep(0.1)
    runs = Batch().report(hist=1).runs
    assert [r.run.removeprefix(runs[0].run) for r in runs] == ["", "_step-2", "_step-3"]
    assert (
        "all steps are done"
        in call("batch", "submit", runs[2].submit_dir, "--next-step", cwd=tmp_path).stdout
    )
    assert (
        "was submitted already"
        in call("batch", "submit", runs[0].submit_dir, "--next-step", cwd=tmp_path).stdout
    )
    assert json.loads(call("log", "gather", "--json", cwd=tmp_path / "c").stdout)[0]["status"] == "succeeded"
