"""A real graph as jobs of this machine, driven by a head: `stage.batch.driving` with `stage.batch.engines.local`."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from stage.batch.driving.head import run_head
from stage.batch.driving.restart import restart
from stage.batch.driving.starting import start_head, stop_head
from stage.batch.driving.states import read_states
from stage.batch.engines.base import Cause, JobState
from stage.execution.run import run_graph
from sync.repo import Repo
from tests.batch_lab import BatchLab, make_batch_lab
from tests.execution_lab import Lab, chain

BY_BATCH = "cluster: {both: {pipetasks: 'double, shift', dimensions: batch}}\nclusterAlgorithm: dimension"


def pooled(batch: BatchLab, root: Path) -> Lab:
    """Return a copy of a laboratory whose graph the process pool has run."""
    shutil.copytree(batch.lab.root, root)
    staging = Repo.attach(f"sqlite:///{root}/staging.sqlite3", root / "data", writable=True)
    found = Lab(root, staging, batch.lab.graph, str(root / "graph.qg"))
    run_graph(staging, found.graph_uri, processes=2)
    return found


def wait_for_end(batch: BatchLab, patience_s: float = 120.0) -> None:
    until = time.monotonic() + patience_s
    while not (found := read_states(batch.where, batch.workflow)).is_ended or found.head:
        assert time.monotonic() < until, batch.where.head_log.read_text()
        time.sleep(0.1)


def test_jobs_give_the_same_datasets_as_the_pool(tmp_path: Path) -> None:
    """63 quanta in six jobs, by a head in the background and with its final job, are what the pool makes of them."""
    batch = make_batch_lab(tmp_path / "lab", batches=3, samples=10, yaml=BY_BATCH, cores=2)
    whole = pooled(batch, tmp_path / "pool")
    pid = start_head(batch.where)
    assert read_states(batch.where).head is not None
    wait_for_end(batch)
    lab, found = batch.lab.again(), read_states(batch.where)

    assert pid != os.getpid()
    assert {JobState.SUCCEEDED: 6} == found.counts()
    assert JobState.SUCCEEDED == found.state_of(-1)
    assert lab.checksums() == whole.checksums()
    ids = [
        {k: {d: i for d, (i, _) in rows.items()} for k, rows in one.datasets().items()}
        for one in (lab, whole)
    ]
    assert ids[0] == ids[1]
    assert {"succeeded": 63} == lab.status()


def test_memory_doubles_until_the_job_has_enough(tmp_path: Path) -> None:
    """A task that needs twice and twice again what was asked for fails twice for want of memory, then succeeds."""
    needs = "requestMemory: 250\nmemoryMultiplier: 2\nrequestMemoryMax: 900\n"
    pipeline = chain(double={"behave": {"1": "memory:600000000"}})
    batch = make_batch_lab(tmp_path / "lab", pipeline, batches=1, samples=2, yaml=needs + BY_BATCH, cores=1)
    result = run_head(batch.where)
    tries = [(a.memory_mb, a.state, a.cause) for a in read_states(batch.where).history if a.number == 0]

    assert result.is_success, read_states(batch.where).messages
    short = (JobState.FAILED, Cause.MEMORY)
    assert [(250, *short), (500, *short), (900, JobState.SUCCEEDED, Cause.NONE)] == tries
    assert {"succeeded": 5} == batch.lab.again().status()


def test_failure_prunes_and_a_restart_goes_on(tmp_path: Path) -> None:
    """A quantum that fails leaves what waits for it undone, what is done is merged all the same; a restart does the rest."""
    marker = tmp_path / "go"
    pipeline = chain(shift={"behave": {"1": f"needs:{marker}"}})
    batch = make_batch_lab(tmp_path / "lab", pipeline, batches=1, samples=2, yaml=BY_BATCH, cores=2)
    first = run_head(batch.where)
    merged = batch.lab.again().status()
    marker.touch()
    count = restart(batch.where, {"requestMemory": 3000})
    second = run_head(batch.where)

    assert {JobState.FAILED: 1, JobState.PRUNED: 1} == first.counts
    assert JobState.SUCCEEDED == first.final
    assert (3, 1) == (merged["succeeded"], merged["failed"])
    assert 2 == count
    assert second.is_success
    assert {"succeeded": 5} == batch.lab.again().status()


@pytest.mark.parametrize("cancel", [False, True])
def test_head_is_told_to_end(tmp_path: Path, cancel: bool) -> None:
    """A head that is told to leave can be gone on with; one that is to cancel ends all, merges, and says so."""
    pipeline = chain(double={"sleep": 30.0})
    batch = make_batch_lab(tmp_path / "lab", pipeline, batches=1, samples=2, yaml=BY_BATCH, cores=1)
    start_head(batch.where)
    while not read_states(batch.where, batch.workflow).counts().get(JobState.RUNNING):
        time.sleep(0.05)

    assert stop_head(batch.where, cancel)
    found = read_states(batch.where, batch.workflow)
    assert found.head is None
    assert (cancel, cancel) == (found.is_cancelled, found.is_ended)
    if cancel:
        assert {JobState.DELETED: 2} == found.counts()
        assert JobState.SUCCEEDED == found.state_of(-1)
    assert not _tagged(batch)


def _tagged(batch: BatchLab) -> list[str]:
    """Return the processes of jobs of a submission."""
    from stage.batch.engines.leftovers import TAG

    wanted = f"{TAG}={batch.where.root}#".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [path.parent.name] * (wanted in path.read_bytes())
        except OSError:
            continue
    return found
