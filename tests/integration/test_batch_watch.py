"""`stage batch watch`: submissions whose head is gone get another one, each once, and what cannot is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, make_upstream

from stage.batch.driving.locking import living_head
from stage.batch.engines.leftovers import end_left_over
from stage.batch.facade import Batch
from stage.batch.reporting.watching import Watcher
from stage.batch.submission.index import IndexEntry, add_entry, find_entry

YAML = """
pipelineYaml: pipeline.yaml
operator: ada
computeSite: here
payload: {payloadName: weather, butlerConfig: upstream, inCollection: net/raw, dataQuery: ""}
clusterAlgorithm: dimension
cluster:
  byStation: {pipetasks: "clean, summarise", dimensions: station}
runQuantumCommand: "/bin/sh slowly {stageCommand} exec {graphFile} --workflow {workflowFile} --job {jobNumber} --attempt {attempt} --record {recordFile}"
site:
  here: {wmsServiceClass: local, cores: 1}
"""
SLOWLY = 'while test -e HERE/gate; do sleep 0.05; done; exec "$@"'


@pytest.fixture
def going(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexEntry:
    """A submission that is going on, and does not end before `gate` is removed."""
    make_upstream(tmp_path)
    (tmp_path / "weather.yaml").write_text(YAML.replace("slowly", str(tmp_path / "slowly")))
    (tmp_path / "slowly").write_text(SLOWLY.replace("HERE", str(tmp_path)))
    (tmp_path / "gate").touch()
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Batch().submit("weather.yaml")
    return find_entry("1")


def kill_head(entry: IndexEntry) -> None:
    """Kill the head of a submission, and what it had started."""
    await_that(entry.where.journal.exists)
    head = living_head(entry.where)
    assert head is not None
    os.kill(head.pid, signal.SIGKILL)
    await_that(lambda: living_head(entry.where) is None)
    end_left_over(f"{entry.where.root}#")


def await_that(wanted: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_submission_whose_head_was_killed_goes_on_to_its_end(going: IndexEntry, tmp_path: Path) -> None:
    """It gets one new head, whoever looks how often; its end is told once."""
    watcher = Watcher(interval_s=1)
    assert watcher.look() == [], "it has a head"
    kill_head(going)

    said = json.loads(call("batch", "watch", "--once", "--json", cwd=tmp_path).stdout)
    assert (said["what"], said["run_id"], said["submit_dir"]) == ("driven", 1, going.submit_dir)
    assert watcher.look() == []
    (tmp_path / "gate").unlink()
    await_that(lambda: Batch().status(id="1").state == "SUCCEEDED")

    (ended,) = watcher.look()
    assert (ended.what, ended.message) == ("ended", "SUCCEEDED")
    assert watcher.look() == []
    assert call("batch", "watch", "--once", cwd=tmp_path).stdout == ""


def test_as_a_service_it_drives_what_is_killed_until_it_is_ended(going: IndexEntry, tmp_path: Path) -> None:
    """Without --once it goes on looking; SIGTERM ends it with 130, and the submission goes on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "batch", "watch", "--interval", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        kill_head(going)
        assert process.stdout is not None
        assert "driven: nobody drove it; a new head goes on\n" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert living_head(going.where) is not None
    (tmp_path / "gate").unlink()
    await_that(lambda: Batch().status(id="1").state == "SUCCEEDED")


def test_what_can_get_no_head_is_told_and_tried_less_often(going: IndexEntry, tmp_path: Path) -> None:
    """The command ends with 3 and says why; a service does not try it at each look; mended, it goes on."""
    kill_head(going)
    journal = going.where.journal.read_bytes()
    going.where.workflow.rename(going.where.root / "away")

    assert "failed: " in call("batch", "watch", "--once", cwd=tmp_path, code=3).stdout
    watcher = Watcher(interval_s=1000)
    assert [e.what for e in watcher.look()] == ["failed"]
    assert watcher.look() == [], "the same is not told again"

    (going.where.root / "away").rename(going.where.workflow)
    assert going.where.journal.read_bytes().startswith(journal)
    (tmp_path / "gate").unlink()
    assert [e.what for e in Watcher().look()] == ["driven"]
    await_that(lambda: Batch().status(id="1").state == "SUCCEEDED")


def test_of_another_machine_it_is_said_where_to_watch(going: IndexEntry) -> None:
    """What was submitted elsewhere, and has no head, is left alone; that is said once. What others submitted is not seen."""
    from dataclasses import replace

    kill_head(going)
    add_entry(replace(going, id=0, host="login7"))
    watcher = Watcher()

    assert [(e.what, "login7" in e.message) for e in watcher.look()] == [("elsewhere", True)]
    assert watcher.look() == []
    add_entry(replace(going, id=0, user="somebody"))
    assert Watcher().look() == []
