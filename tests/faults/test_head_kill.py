"""Heads that are killed at any moment, with whatever they run: the next one goes on, and all ends as if nothing had been."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from registry.errors import BusyError
from stage.batch.driving.starting import start_head
from stage.batch.driving.states import read_states
from stage.batch.engines.base import JobState
from stage.errors import ExecutionError
from stage.execution.run import run_graph
from sync.repo import Repo
from tests.batch_lab import BatchLab, make_batch_lab
from tests.execution_lab import Lab

KILLS = 100 if os.environ.get("STAGE_FAULTS") == "long" else 3
YAML = "cluster: {both: {pipetasks: 'double, shift', dimensions: batch}}\nclusterAlgorithm: dimension"


def start_again(batch: BatchLab) -> int:
    """Start a head; the lock of one that was just killed is free at once."""
    until = time.monotonic() + 30
    while True:
        try:
            return start_head(batch.where)
        except BusyError:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_killed_heads_lose_nothing_and_double_nothing(
    tmp_path: Path, survived: Callable[[str, str, int], None]
) -> None:
    """However often a head is killed, the datasets are those of one run, each quantum succeeded once."""
    rng = random.Random(7)
    batch = make_batch_lab(tmp_path / "lab", batches=2, samples=4, yaml=YAML, cores=2)
    whole = tmp_path / "whole"
    shutil.copytree(batch.lab.root, whole)
    staging = Repo.attach(f"sqlite:///{whole}/staging.sqlite3", whole / "data", writable=True)
    run_graph(staging, str(whole / "graph.qg"), processes=0)
    undisturbed = Lab(whole, staging, batch.lab.graph, str(whole / "graph.qg"))
    n_killed = 0
    while n_killed < KILLS:
        if read_states(batch.where, batch.workflow).is_ended:
            batch.where.journal.unlink()  # all over again, over what is there
        try:
            pid = start_again(batch)
        except ExecutionError as error:
            raise AssertionError(batch.where.head_log.read_text()) from error
        time.sleep(rng.uniform(0.0, 2.5))
        with contextlib.suppress(ProcessLookupError):  # it had come to its end
            os.kill(pid, signal.SIGKILL)
            n_killed += 1
        while read_states(batch.where, batch.workflow).head:
            time.sleep(0.01)
    start_again(batch)
    until = time.monotonic() + 120
    while not (found := read_states(batch.where, batch.workflow)).is_ended or found.head:
        assert time.monotonic() < until, batch.where.head_log.read_text()
        time.sleep(0.05)

    assert {JobState.SUCCEEDED: 4} == found.counts(), found.messages
    assert JobState.SUCCEEDED == found.state_of(-1)
    lab = batch.lab.again()
    assert undisturbed.checksums() == lab.checksums()
    with lab.staging.registry.read() as snapshot:
        rows = snapshot.quanta([lab.graph.output_run], latest=False)
    times = Counter(i for i, s in rows.rows(("id", "status")) if s == "succeeded")
    assert {1} == set(times.values())
    assert lab.graph.n_quanta == len(times)
    survived("kills", "head of a submission at random moments", n_killed)
