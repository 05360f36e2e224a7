"""Cores and memory of quanta, with real workers: held to what they ask for, tried again with more, never too many."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.errors import UsageError
from stage.errors import ExecutionError
from stage.execution.allowance import Allowance
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.needs import machine_cores
from stage.execution.prep import prepare_run
from stage.execution.progress import RunSummary
from stage.execution.run import run_graph
from stage.execution.worker_process import thread_env
from stage.pipeline.pipeline import Pipeline
from tests.execution_lab import Lab, make_lab


def lab_of(root: Path, resources: dict[str, int], behave: dict[str, str], **options: Any) -> Lab:
    """Make a lab of one task that asks for resources."""
    root.mkdir(parents=True, exist_ok=True)
    config = {"behave": behave, **options.pop("config", {})}
    task = {"class": "tests.execution_tasks.StepTask", "config": config, "resources": resources}
    (root / "pipeline.yaml").write_text(yaml.safe_dump({"tasks": {"double": task}}))
    return make_lab(root / "lab", Pipeline.load(str(root / "pipeline.yaml")), **options)


def run(lab: Lab, **options: Any) -> RunSummary:
    """Run it with two workers, unless told otherwise."""
    return run_graph(lab.staging, lab.graph_uri, **{"processes": 2, **options})


def attempts(lab: Lab, sample: int) -> list[tuple[int, str, str]]:
    """Return number, status and message of each attempt at the quantum of a sample."""
    with lab.staging.registry.read() as snapshot:
        rows = snapshot.quanta([lab.graph.output_run], latest=False)
    found = rows.rows(("data_id", "attempt", "status", "message"))
    return sorted(tuple(rest) for data_id, *rest in found if f'"sample":{sample}}}' in data_id)


@pytest.mark.parametrize("how", ["memory", "hungry"])
def test_what_dies_of_memory_is_tried_again_with_more(tmp_path: Path, how: str) -> None:
    """Each failure says how much it had and what comes next; the others had enough, and were tried once."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": f"{how}:{600 << 20}"})
    summary = run(lab, allowance=Allowance(multiplier=2.0, maximum_mb=900))
    tried = attempts(lab, 1)

    assert summary.is_complete
    assert [(n, status) for n, status, _ in tried] == [(0, "failed"), (1, "failed"), (2, "succeeded")]
    assert tried[0][2].startswith("out of memory with 250 MB (the next attempt gets 500 MB): ")
    assert tried[1][2].startswith("out of memory with 500 MB (the next attempt gets 900 MB): ")
    assert [len(attempts(lab, s)) for s in (0, 2, 3)] == [1, 1, 1]
    assert lab.get("double_metadata", batch=0, sample=1)["memory_mb"] == 900
    assert "held to 900 MB of memory" in str(lab.get("double_log", batch=0, sample=1))


def test_at_the_most_there_is_one_attempt(tmp_path: Path) -> None:
    """Retries that are left do not help: it has had all that it may have."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": f"memory:{900 << 20}"})
    summary = run(lab, allowance=Allowance(multiplier=2.0, maximum_mb=500), retries=9)

    assert [f.message for f in summary.failures] == [
        "out of memory with 500 MB (that is the most that it may have: 500 MB): MemoryError"
    ]
    assert [n for n, _, _ in attempts(lab, 1)] == [0, 1]


def test_other_failures_keep_their_memory(tmp_path: Path) -> None:
    """A quantum that raises something else is tried as often as was asked for, with what it had."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": f"flaky:2,{tmp_path}/counter"})
    summary = run(lab, allowance=Allowance(multiplier=2.0))

    assert summary.is_complete
    assert [m for _, _, m in attempts(lab, 1)] == [
        "ValueError: attempt 1 fails", "ValueError: attempt 2 fails", "",
    ]  # fmt: skip
    assert lab.get("double_metadata", batch=0, sample=1)["memory_mb"] == 250


def test_a_worker_that_the_system_kills_counts_as_out_of_memory(tmp_path: Path) -> None:
    """SIGKILL that nobody here has sent is what running out of memory looks like from outside."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": f"die-first:{tmp_path}/died"})

    assert run(lab, allowance=Allowance(multiplier=2.0)).is_complete
    assert [m for _, _, m in attempts(lab, 1)] == [
        "out of memory with 250 MB (the next attempt gets 500 MB): worker process died: signal 9 (SIGKILL)", "",
    ]  # fmt: skip


def test_a_worker_that_we_kill_does_not(tmp_path: Path) -> None:
    """A quantum that took too long is tried again with the same memory."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": "sleep:60"})
    run(lab, allowance=Allowance(multiplier=2.0), timeout_s=4.0, retries=1)

    assert [m for _, _, m in attempts(lab, 1)] == [
        "timed out: it ran for more than 4 s, the timeout of this run"
    ] * 2


def test_memory_is_held_without_growing_too(tmp_path: Path) -> None:
    """A request alone is a limit; what is left of one quantum in a worker does not count against the next."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": f"memory:{600 << 20}"})
    summary = run(lab, processes=1)

    assert [f.message for f in summary.failures] == [
        "out of memory with 250 MB (no attempt is left): MemoryError"
    ]
    assert summary.total.succeeded == 3


def test_a_quantum_larger_than_the_machine_is_refused(tmp_path: Path) -> None:
    """The message names it, what it asks for and what there is; no run was made."""
    lab = lab_of(tmp_path, {"memory_mb": 4000}, {})
    with pytest.raises(
        UsageError, match=r"double@.* asks for 4,000 MB of memory, and 3,000 MB are there"
    ) as caught:
        run(lab, allowance=Allowance(3000))

    assert caught.value.code == "quantum-too-large"
    with lab.staging.registry.read() as snapshot:
        assert [c.name for c in snapshot.collections()] == ["inputs"]


@pytest.mark.skipif(machine_cores() < 2, reason="needs a machine with two cores")
def test_more_cores_than_are_to_be_used_become_all_of_these(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such quanta run one at a time, and that is said before."""
    lab = lab_of(tmp_path, {"cpus": 2}, {})

    assert run(lab, processes=1).is_complete
    assert "asks for 2 cores and gets 1" in caplog.text
    assert "so do 3 others" in caplog.text


def test_a_quantum_with_more_cores_than_the_machine_is_refused(tmp_path: Path) -> None:
    """The message names it, what it asks for and what there is; no run was made. A larger -j takes it."""
    cores = machine_cores() + 1
    lab = lab_of(tmp_path, {"cpus": cores}, {}, samples=2)
    with pytest.raises(
        UsageError, match=rf"double@.* asks for {cores} cores, and {cores - 1} are there"
    ) as caught:
        run(lab, processes=1)

    assert caught.value.code == "quantum-too-large"
    assert f"-j {cores}" in caught.value.hint
    with lab.staging.registry.read() as snapshot:
        assert [c.name for c in snapshot.collections()] == ["inputs"]
    assert run(lab, processes=cores).is_complete


@pytest.mark.parametrize(
    ("walltime_s", "timeout_s", "message"),
    [
        (4, None, "timed out: it ran for more than 4 s, the walltime_s that its task asks for"),
        (4, 30.0, "timed out: it ran for more than 4 s, the walltime_s that its task asks for"),
        (30, 4.0, "timed out: it ran for more than 4 s, the timeout of this run"),
    ],
)
def test_of_two_limits_of_time_the_smaller_counts(
    tmp_path: Path, walltime_s: int, timeout_s: float | None, message: str
) -> None:
    """A quantum is held to the time that its task asks for as to --timeout, and is told whose limit it was."""
    lab = lab_of(tmp_path, {"walltime_s": walltime_s}, {"1": "sleep:60"}, samples=2)
    summary = run(lab, processes=1, timeout_s=timeout_s)

    assert [f.message for f in summary.failures] == [message]
    assert summary.total.succeeded == 1


@pytest.mark.parametrize(("resources", "memory"), [({"cpus": 2}, None), ({"memory_mb": 600}, 1000)])
def test_no_two_run_at_a_time_that_do_not_fit(
    tmp_path: Path, resources: dict[str, int], memory: int | None
) -> None:
    """With room for one of them, each begins when the one before has ended, though there are two workers."""
    lab = lab_of(tmp_path, resources, {}, config={"sleep": 0.2})
    run(lab, allowance=Allowance(memory))
    with lab.staging.registry.read() as snapshot:
        rows = snapshot.quanta([lab.graph.output_run])
    spans = sorted(rows.rows(("started_ns", "finished_ns")))

    assert len(spans) == 4
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_a_worker_has_as_many_threads_as_its_quantum_has_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread unless a task asks for more; what the environment says counts before both."""
    for name in set(thread_env(1)) & {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}:
        monkeypatch.delenv(name, raising=False)

    def threads(name: str, resources: dict[str, int]) -> set[int]:
        told = tmp_path / f"{name}.txt"
        lab = lab_of(tmp_path / name, resources, {str(s): f"tell:{told}" for s in range(4)})
        assert run(lab).is_complete
        return {int(line.split()[0]) for line in told.read_text().splitlines()}

    (plain,) = threads("plain", {})
    (one,) = threads("one", {"memory_mb": 500})
    (two,) = threads("two", {"cpus": 2})
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    (held,) = threads("held", {"cpus": 2})

    assert (one - plain, two - plain, held - plain) == (0, 1, 0)


def test_workers_run_in_the_command_that_wraps_them(tmp_path: Path) -> None:
    """It is really around them, their outcomes come back through it, and each quantum's metadata names it."""
    told = tmp_path / "told.txt"
    lab = lab_of(tmp_path, {}, {"0": f"tell:{told}", "1": "kill", "2": "print"})
    wrap = "env WRAPPED=yes nice -n 3 {command}"
    summary = run(lab, wrap=wrap)

    assert (summary.total.succeeded, summary.total.failed) == (3, 1)
    assert told.read_text().split()[1:] == ["3", "yes"]
    assert lab.get("double_metadata", batch=0, sample=0)["wrapped_in"] == wrap
    assert "printed text" in str(lab.get("double_log", batch=0, sample=2))


def test_a_wrapper_may_find_its_own_python(tmp_path: Path) -> None:
    """With the arguments alone, the interpreter is what the wrapper finds: as in another environment."""
    script = tmp_path / "in-env"
    script.write_text(f'#!/bin/sh\nshift\nexec env WRAPPED=own {sys.executable} "$@"\n')
    script.chmod(0o755)
    told = tmp_path / "told.txt"
    lab = lab_of(tmp_path / "lab", {"memory_mb": 400}, {"0": f"tell:{told}"}, samples=1)

    assert run(lab, wrap=f"{script} python {{arguments}}").is_complete
    assert told.read_text().split()[2] == "own"


def test_a_wrapper_that_prints_is_told_of(tmp_path: Path) -> None:
    """Standard output is the worker's; what is mixed into it ends the run with an error, and does not hang."""
    script = tmp_path / "chatty"
    script.write_text('#!/bin/sh\necho "Welcome!"\nexec "$@"\n')
    script.chmod(0o755)
    lab = lab_of(tmp_path / "lab", {}, {}, samples=1)
    with pytest.raises(ExecutionError, match="the command that wraps it print something") as caught:
        run(lab, wrap=f"{script} {{command}}")

    assert caught.value.code == "worker-start-failed"


def test_jobs_go_by_the_same_rules(tmp_path: Path) -> None:
    """Without a database too: the record has each attempt, and says which died of memory."""
    lab = lab_of(tmp_path, {"memory_mb": 250}, {"1": f"memory:{400 << 20}"})
    prepare_run(lab.staging, lab.graph)
    record = tmp_path / "record.jsonl"
    summary = execute_job(
        lab.graph_uri, range(4), record, lab.store_root, processes=1, allowance=Allowance(multiplier=2.0)
    )
    merge_records(lab.staging, lab.graph, [record])

    assert summary.is_complete
    assert [m for _, _, m in attempts(lab, 1)] == [
        "out of memory with 250 MB (the next attempt gets 500 MB): MemoryError", "",
    ]  # fmt: skip
