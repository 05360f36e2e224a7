"""Whole runs on a real Slurm: the same as in a pool, with no database in sight; killed for memory, and with a lost node."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from stage.batch.driving.board import Board
from stage.batch.driving.head import HeadResult, run_head
from stage.batch.driving.journal import read_journal
from stage.batch.engines.base import Cause, EngineSettings, JobState
from stage.batch.engines.slurm.engine import SlurmEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.file import save_workflow
from stage.batch.workflow.model import WhenRun, Workflow
from stage.execution.merge import merge_records
from stage.execution.record_file import RecordFile
from stage.execution.run import run_graph
from stage.pipeline.pipeline import Pipeline
from tests.batch_lab import BatchLab, make_batch_lab
from tests.batch_world import make_workflow, submit_dir
from tests.clusters import Slurm, need_slurm, running_slurm
from tests.engine_cases import is_long
from tests.execution_lab import chain, make_lab
from tests.processes import process

pytestmark = pytest.mark.service

CLUSTERED = """
clusterAlgorithm: dimension
cluster:
  first: {pipetasks: double, dimensions: batch, partitionDimensions: sample, partitionMaxSize: 52}
  second: {pipetasks: shift, dimensions: batch, partitionDimensions: sample, partitionMaxSize: 52}
"""
TOGETHER = """
clusterAlgorithm: dimension
cluster: {all: {pipetasks: twin, dimensions: batch}}
"""
EAT = "import sys, time; b = bytearray({0} << 20); b[::4096] = b'x' * len(b[::4096]); print('enough')"


def attempts(where: SubmitDir, n_jobs: int) -> list[tuple[int, int, int, Cause]]:
    """Return of each attempt by the journal: the job, its attempt, its memory, and why it failed."""
    board = Board(n_jobs, history=True)
    for lines in read_journal(where.journal):
        board.replay(lines)
    return [(a.number, a.attempt, a.memory_mb, a.cause) for a in board.all_attempts()]


def drive(where: SubmitDir, workflow: Workflow | None = None) -> HeadResult:
    """Drive a workflow through Slurm to its end: a small one that is given, or the one that was prepared."""
    if workflow is None:
        return run_head(where)
    engine = SlurmEngine(EngineSettings("here", {"maxPollInterval": 0.5}, "u_me_run"))
    return run_head(where, engine=engine, workflow=workflow)


def prepared(batch: BatchLab, *, before: str = "") -> Workflow:
    """Leave the final job out, and let a line of shell come before what each job does."""
    settings = batch.workflow.settings
    if before:
        lines = [f"{before}; exec {s.executable} {s.arguments}" for s in settings]
        settings = [
            replace(s, executable="sh", arguments=f"-c {shlex.quote(line)}")
            for s, line in zip(settings, lines, strict=True)
        ]
    workflow = replace(batch.workflow, settings=settings, final=None, when_final=WhenRun.NEVER)
    save_workflow(workflow, batch.where.workflow)
    return workflow


@pytest.fixture
def _on_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the cluster that the test names the one that Slurm's programs talk to."""
    name = next(n for n in ("slurm", "slurm_memory", "slurm_nodes") if n in request.fixturenames)
    cluster: Slurm = request.getfixturevalue(name)
    for key, value in cluster.environment.items():
        monkeypatch.setenv(key, value)


@pytest.mark.usefixtures("_on_path")
def test_run_is_as_in_a_pool_with_no_database(slurm: Slurm, tmp_path: Path) -> None:
    """Two hundred quanta, in the long form a thousand, give what a pool gives; the database is not there meanwhile."""
    batches, samples = (10, 52) if is_long() else (2, 50)
    batch = make_batch_lab(
        tmp_path / "lab",
        batches=batches,
        samples=samples,
        engine="slurm",
        yaml=CLUSTERED,
        maxPollInterval=0.5,
    )
    workflow = prepared(batch)
    whole = make_lab(tmp_path / "pool", chain(), batches=batches, samples=samples)
    run_graph(whole.staging, whole.graph_uri, processes=2)
    batch.lab.staging.close()
    away = {path: path.with_suffix(".away") for path in batch.lab.root.glob("*.sqlite3")}
    for path, moved in away.items():
        path.rename(moved)

    result = run_head(batch.where)
    assert {JobState.SUCCEEDED: 3 * batches} == {JobState.SUCCEEDED: workflow.n_jobs} == result.counts
    assert away
    assert not any(path.exists() for path in away)
    for path, moved in away.items():
        moved.rename(path)
    lab = batch.lab.reopen()
    merge_records(lab.staging, lab.graph, [batch.where.record(i) for i in range(workflow.n_jobs)])
    assert whole.checksums() == lab.checksums()
    assert {"succeeded": 2 * batches * samples + batches} == lab.status()


@pytest.mark.usefixtures("_on_path")
def test_memory_grows_on_the_word_of_the_scheduler(slurm_memory: Slurm, tmp_path: Path) -> None:
    """A job that the kernel kills for memory, twice, is given twice as much each time, and then ends well."""
    where = submit_dir(tmp_path)
    eat = f'{sys.executable} -S -c "{EAT.format(150)}"'
    workflow = make_workflow(
        [eat, "exit 3"],
        request_memory=60,
        memory_multiplier=2.0,
        request_memory_max=1000,
        number_of_retries=2,
    )
    result = drive(where, workflow)

    assert {JobState.SUCCEEDED: 1, JobState.FAILED: 1} == result.counts
    found = attempts(where, 2)
    hungry = [(0, 0, 60, Cause.MEMORY), (0, 1, 120, Cause.MEMORY), (0, 2, 240, Cause.NONE)]
    assert hungry == [a for a in found if a[0] == 0]
    assert [(1, n, 60, Cause.EXIT) for n in range(3)] == [a for a in found if a[0] == 1]
    assert "enough\n" == where.job_log("task", "task_0", 2).read_text()


def test_memory_is_understood_where_slurm_itself_looks_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no control groups hold jobs, and Slurm ends them as merely FAILED, its words say that it was for memory."""
    need_slurm()
    if not is_long():
        pytest.skip("it takes Slurm seconds to look (STAGE_FAULTS=long)")
    where = submit_dir(tmp_path)
    eat = f'{sys.executable} -S -c "{EAT.format(150)}; time.sleep(5)"'
    workflow = make_workflow(
        [eat], request_memory=60, memory_multiplier=4.0, request_memory_max=1000, number_of_retries=2
    )
    with running_slurm(memory="slurm") as cluster:
        for key, value in cluster.environment.items():
            monkeypatch.setenv(key, value)
        result = drive(where, workflow)

    assert {JobState.SUCCEEDED: 1} == result.counts
    assert [(0, 0, 60, Cause.MEMORY), (0, 1, 240, Cause.NONE)] == attempts(where, 1)


@pytest.mark.usefixtures("_on_path")
def test_lost_node_and_its_zombie_double_nothing(slurm_nodes: Slurm, tmp_path: Path) -> None:
    """A node's daemon is killed in mid-job: Slurm runs the job again elsewhere, the old process goes on; one counts."""
    pipeline = Pipeline.of(twin=("tests.attempt_tasks.TwinTask", {}))
    batch = make_batch_lab(
        tmp_path, pipeline, batches=1, samples=4, engine="slurm", yaml=TOGETHER, maxPollInterval=0.5
    )
    lab, where, first = batch.lab, batch.where, tmp_path / "first"
    # The first start stops itself in its second quantum, and is let go when the other is done.
    who = f"echo $$ $SLURMD_NODENAME > {first}/who"
    prepared(batch, before=f"mkdir {first} 2>/dev/null && export TWIN_STOPS=1 && {who}")
    with process(_drive_elsewhere, str(where.root), slurm_nodes.environment, None) as (head, pipe):
        zombie, node = _when_stopped(first / "who")
        slurm_nodes.kill_node(node)
        if not is_long():
            # As an operator does; the controller itself takes half a minute to find out.
            slurm_nodes.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        assert pipe.poll(120)
        assert {JobState.SUCCEEDED: 1} == pipe.recv()
        head.join(30)
    slurm_nodes.start_node(node)
    slurm_nodes.ask("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
    files = {p: p.read_bytes() for p in Path(lab.store_root).rglob("*.json")}
    os.kill(zombie, signal.SIGCONT)
    _wait_for_end(zombie)

    assert 1 == len(list(where.root.glob("engine/arrays/*/jobs")))
    assert files == {p: p.read_bytes() for p in Path(lab.store_root).rglob("*.json")}
    merge_records(lab.staging, lab.graph, [where.record(0)])
    assert {"succeeded": 4} == lab.status()
    for sample in range(4):
        assert lab.get("left", batch=0, sample=sample)["of"] == lab.get("right", batch=0, sample=sample)["of"]
    assert 1 == RecordFile.load(where.record(0)).start
    assert 8 == len([p for p in files if {"left", "right"} & set(p.parts)])


@pytest.mark.usefixtures("_on_path")
def test_head_that_is_killed_loses_and_doubles_nothing(slurm: Slurm, tmp_path: Path) -> None:
    """A head is killed while jobs run and others wait for them in Slurm; the next one goes on, and each job runs once."""
    where = submit_dir(tmp_path)
    (where.root / "ran").mkdir()
    n = 24
    parents = {i: [i - 8] for i in range(8, n)}
    scripts = [
        f"{f'test -e ran/{i - 8} && ' if i >= 8 else ''}sleep 0.5 && echo once >> ran/{i}" for i in range(n)
    ]
    workflow = make_workflow(scripts, parents)
    with process(_drive_elsewhere, str(where.root), slurm.environment, workflow) as (head, _):
        until = time.monotonic() + 60
        while not (where.root / "ran" / "3").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(head.pid, signal.SIGKILL)
        head.join(30)

    result = drive(where, workflow)
    assert {JobState.SUCCEEDED: n} == result.counts
    assert {"once\n"} == {(where.root / "ran" / str(i)).read_text() for i in range(n)}
    assert {0} == {attempt for _, attempt, _, _ in attempts(where, n)}


def _drive_elsewhere(
    root: str, environment: Mapping[str, str], workflow: Workflow | None, pipe: object
) -> None:
    os.environ.update(environment)
    pipe.send(drive(SubmitDir(Path(root)), workflow).counts)  # type: ignore[attr-defined]


def _when_stopped(who: Path) -> tuple[int, str]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if who.exists() and who.read_text():
            pid, node = who.read_text().split()
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return int(pid), node
        time.sleep(0.05)
    raise TimeoutError("the first start did not stop")


def _wait_for_end(pid: int) -> None:
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
