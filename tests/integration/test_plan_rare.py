"""Reasons of a plan that are rare: a file that was removed and is read again, a run that goes on, an earlier step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import keeping
from stage.campaign.campaign import Campaign
from stage.campaign.repositories import open_staging
from tests.integration.book_campaign import make_campaign
from tests.integration.tiny_campaign import ROOT, call, make_upstream

BROKEN = "STAGE_TEST_BROKEN"
STEPS = f"""
tasks:
  ready:
    dimensions: [book]
    inputs: {{text: {{dataset_type: text, storage_class: Text}}}}
    outputs: {{ready: {{dataset_type: ready, storage_class: Text}}}}
    shell: test -z "${{{BROKEN}:-}}" && cp "$text" "$ready"
  cut: {{class: steps_tasks.cut, config: {{connections.text: ready}}}}
  shout: steps_tasks.shout
steps:
  - {{label: split, tasks: [ready, cut]}}
  - {{label: work, tasks: [shout], dimensions: [book]}}
"""


def _lose(campaign: Campaign, dataset_type: str, where: str) -> None:
    """Let datasets of the newest run be known no more."""
    with open_staging(campaign.layout, writable=True) as staging:
        with staging.registry.read() as snapshot:
            rows = snapshot.datasets(dataset_type, [campaign.state.collections.runs[0]], where=where)
        assert rows.n_rows
        with staging.registry.write() as change:
            keeping.remove(change, rows["id"].tolist(), [], purge=True, refuse=lambda _: None)


def _reasons(campaign: Campaign) -> dict[tuple[str, str, str], int]:
    return {(c.task, c.action, c.reason): c.n for c in campaign.plan().counts}


def test_a_removed_file_that_is_read_again_is_made_again(tmp_path: Path) -> None:
    """Of an ephemeral type only what the quanta to be run read; the others count as done; the run does just that."""
    make_upstream(tmp_path)
    short = "imports: pipeline.yaml\ntasks:\n  clean: {ephemeral: clean}\n"
    (tmp_path / "short.yaml").write_text(short)
    call("clone", "upstream", "camp", "-p", "short.yaml", "-i", "net/raw", cwd=tmp_path)
    call("run", "-q", "-j0", "--no-finish", cwd=tmp_path / "camp")
    campaign = Campaign.load(tmp_path / "camp")
    _lose(campaign, "summary", "station = 'bex'")

    assert _reasons(campaign) == {
        ("clean", "run", "removed-needed"): 2, ("clean", "skip", "complete"): 4,
        ("summarise", "run", "output-missing"): 1, ("summarise", "skip", "complete"): 2,
        ("total", "skip", "complete"): 1,
    }  # fmt: skip
    assert "a file of it was removed and is read again" in call("plan", cwd=tmp_path / "camp").stdout
    assert campaign.run(processes=0).executed == 3


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A campaign that is in the middle of a run: one quantum sleeps, in another process."""
    make_upstream(tmp_path)
    tasks = tmp_path / "weather_tasks.py"
    slow = "import time, pathlib\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n    print("
    tasks.write_text(tasks.read_text().replace("print(", slow, 1))
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "run", "-q", "-j1"], cwd=tmp_path / "camp", stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "camp" / "logs").rglob("*.log")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield tmp_path / "camp"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_what_another_command_runs_is_told_as_that(running: Path) -> None:
    """A quantum that was begun by the command that holds the campaign is running; killed, the same quantum is lost."""
    plan: dict[str, Any] = json.loads(call("plan", "--json", cwd=running).stdout)
    found = {(c["task"], c["reason"]): c["n"] for c in plan["counts"]}

    assert found["clean", "running"] == 1
    assert found["clean", "new"] == 5
    assert any("the campaign is held by" in note for note in plan["notes"])


def test_later_steps_wait_for_what_is_blocked(tmp_path: Path) -> None:
    """Where an earlier step has quanta that rest on one that failed, nothing of a later one is begun, and that is said."""
    campaign = make_campaign(tmp_path, pipeline=STEPS)
    campaign.run(processes=0, finish=False)
    before = _reasons(campaign)

    assert {reason for _, _, reason in before} == {"complete"}
    for name in ("ready", "parts", "upper"):
        _lose(campaign, name, "book = 'ants'")
    os.environ[BROKEN] = "1"
    try:
        assert not campaign.run(processes=0, finish=False).complete
    finally:
        del os.environ[BROKEN]
    found = _reasons(campaign)

    assert found["ready", "run", "failed"] == 1
    assert found["cut", "blocked", "upstream-failed"] == 1
    assert found["shout", "blocked", "earlier-step"] >= 1
    assert not any(task == "shout" and action == "run" for task, action, _ in found)
    assert campaign.run(processes=0).complete
