"""Whole runs on pilots of Parsl: the same as in a pool, with no database in sight; with more memory on a larger place."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stage.batch.driving.head import run_head
from stage.batch.driving.states import read_states
from stage.batch.engines.base import Cause, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.parsl.engine import ParslEngine
from stage.batch.workflow.file import save_workflow
from stage.batch.workflow.model import JobSettings, WhenRun, Workflow
from stage.execution.merge import merge_records
from stage.execution.run import run_graph
from tests.batch_lab import BatchLab, make_batch_lab
from tests.batch_world import make_workflow, submit_dir
from tests.clusters import Slurm
from tests.engine_cases import is_long
from tests.execution_lab import chain, make_lab
from tests.parsl_world import local_site, need_parsl

pytestmark = pytest.mark.service

PROGRAM = Path(sys.executable).with_name("stage")
ONE_BY_ONE = "clusterAlgorithm: single"
BY_TENS = """
cluster:
  both: {pipetasks: "double, shift", dimensions: batch, partitionDimensions: sample, partitionMaxSize: 10}
clusterAlgorithm: dimension
"""


@pytest.fixture(autouse=True)
def _parsl() -> None:
    need_parsl()


def by_program(batch: BatchLab) -> Workflow:
    """Let the jobs call the program that is installed, and leave the final job out."""
    settings = [
        replace(s, executable=str(PROGRAM), arguments=s.arguments.removeprefix("-m cli "))
        for s in batch.workflow.settings
    ]
    workflow = replace(batch.workflow, settings=settings, final=None, when_final=WhenRun.NEVER)
    save_workflow(workflow, batch.where.workflow)
    return workflow


def test_run_is_as_in_a_pool_with_no_database(tmp_path: Path) -> None:
    """Two hundred quanta, in the long form a thousand, give what a pool gives; no database is there meanwhile."""
    batches, samples = (10, 52) if is_long() else (2, 50)
    batch = make_batch_lab(
        tmp_path / "lab",
        batches=batches,
        samples=samples,
        engine="parsl",
        yaml=ONE_BY_ONE if is_long() else BY_TENS,
        **local_site(2),
    )
    workflow = by_program(batch)
    whole = make_lab(tmp_path / "pool", chain(), batches=batches, samples=samples)
    run_graph(whole.staging, whole.graph_uri, processes=2)
    lab = batch.lab
    lab.staging.close()
    away = {path: path.with_suffix(".away") for path in lab.root.glob("*.sqlite3")}
    for path, moved in away.items():
        path.rename(moved)

    result = run_head(batch.where)
    assert away
    assert {JobState.SUCCEEDED: workflow.n_jobs} == result.counts, read_states(batch.where).messages
    assert not any(path.exists() for path in away)
    for path, moved in away.items():
        moved.rename(path)
    lab = lab.reopen()
    merge_records(lab.staging, lab.graph, [batch.where.record(i) for i in range(workflow.n_jobs)])
    assert whole.checksums() == lab.checksums()
    assert {"succeeded": lab.graph.n_quanta} == lab.status()


EAT = "import sys; b = bytearray({0} << 20); b[::4096] = b'x' * len(b[::4096]); print('enough')"


def test_more_memory_is_found_on_a_larger_place(tmp_path: Path) -> None:
    """A job that dies for want of memory gets twice as much each time, and a place that has it once the common one lacks it."""
    where = submit_dir(tmp_path)
    eat = f'{sys.executable} -S -c "{EAT.format(400)}"'
    needs = {"memory_multiplier": 2.0, "request_memory_max": 1000, "number_of_retries": 3}
    workflow = make_workflow([eat], request_memory=150, **needs)
    site = local_site(1, memoryPerNode=1200, memoryPerWorker=300)
    engine = ParslEngine(EngineSettings("here", site, "run"))
    result = run_head(where, engine=engine, workflow=workflow)
    tries = [(a.memory_mb, a.cause) for a in read_states(where, workflow).history]

    assert {JobState.SUCCEEDED: 1} == result.counts
    assert [(150, Cause.MEMORY), (300, Cause.MEMORY), (600, Cause.NONE)] == tries
    assert {"places-1", "places-2"} == {p.name for p in where.engine.glob("parsl/000/places-*")}


@pytest.mark.skipif(not is_long(), reason="three pilots are waited for: long form only")
def test_pilots_that_do_not_come_up_are_told(tmp_path: Path) -> None:
    """Where pilots end before they have come up, jobs are not started, and the last words of a pilot are told."""
    where = submit_dir(tmp_path)
    engine = ParslEngine(EngineSettings("here", local_site(1, python="/no/such/python"), "run"))
    engine.open(where, {})
    log = where.job_log("task", "0", 0)
    try:
        engine.start([JobRequest(0, "0", 0, ("true",), log, JobSettings("task"))])
        event = _end_of(engine)
    finally:
        engine.close()

    assert (JobState.FAILED, Cause.START) == (event.state, event.cause)
    assert "no pilot has come up" in event.message
    assert "/no/such/python" in event.message


def _end_of(engine: ParslEngine) -> JobEvent:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for event in engine.poll(1.0):
            if event.state not in {JobState.RUNNING, JobState.PENDING}:
                return event
    raise TimeoutError


@pytest.mark.skipif(not is_long(), reason="a scheduler is started: long form only")
def test_pilots_come_through_slurm(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same jobs run on pilots that wait in the queue of a cluster; in the end none of them is left in it."""
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    where = submit_dir(tmp_path)
    workflow = make_workflow(["echo here $SLURM_JOB_ID"] * 20, {i: [i - 1] for i in range(1, 10)})
    site = {
        "provider": "slurm",
        "coresPerNode": 2,
        "walltime": "00:10:00",
        "address": "127.0.0.1",
        "heartbeatPeriod": 1,
        "heartbeatThreshold": 5,
        "strategyPeriod": 0.5,
        "providerOptions": {"exclusive": False},
    }
    result = run_head(where, engine=ParslEngine(EngineSettings("here", site, "run")), workflow=workflow)

    assert {JobState.SUCCEEDED: 20} == result.counts, read_states(where, workflow).messages
    assert where.job_log("task", "task_0", 0).read_text().split()[1].isdigit()
    until = time.monotonic() + 30
    while slurm.ask("squeue", "-h").strip():
        assert time.monotonic() < until
        time.sleep(0.2)
