"""The process pool with real processes: equal results, deaths, interrupts, resumption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from registry.errors import ConflictError
from stage.execution.executor import Interrupt, Work
from stage.execution.pool import ProcessPool, describe_exit
from stage.execution.progress import ProgressEvent, RunSummary
from stage.execution.run import run_graph
from stage.execution.settings import RunnerSettings
from stage.pipeline.pipeline import Pipeline
from tests.execution_lab import Lab, chain, make_lab

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
"""For processes whose workers import the tests' tasks: pytest's own path is not handed on."""


def run(lab: Lab, **options: object) -> RunSummary:
    """Run the lab's graph with two workers, unless told otherwise."""
    return run_graph(lab.staging, lab.graph_uri, **{"processes": 2, **options})  # type: ignore[arg-type]


def test_pool_and_single_process_give_the_same_datasets(tmp_path: Path) -> None:
    """Two workers and this process alone make the same datasets with the same checksums."""
    pooled = make_lab(tmp_path / "pool", batches=3, samples=5)
    single = make_lab(tmp_path / "single", batches=3, samples=5)
    summary = run(pooled)
    run(single, processes=0)

    assert summary.is_complete
    assert summary.total.succeeded == 33
    assert pooled.checksums() == single.checksums()
    assert {k: len(v) for k, v in pooled.datasets().items()} == {
        k: len(v) for k, v in single.datasets().items()
    }
    assert pooled.get("total", batch=1) == {"x": 4.0 * sum(range(10, 15)), "n": 5, "unit": "metre"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("kill", "worker process died: signal 9 (SIGKILL)"),
        ("segv", "worker process died: signal 11 (SIGSEGV)"),
        ("exit", "worker process died: exit code 3"),
        ("raise:bad", "ValueError: bad"),
        ("keyboard", "KeyboardInterrupt"),
    ],
)
def test_quantum_that_dies_fails_alone(tmp_path: Path, how: str, said: str) -> None:
    """However a quantum ends its worker, only it fails; what depends on it is blocked and names it."""
    lab = make_lab(tmp_path, chain(double={"behave": {"2": how}}), samples=5)
    with lab.staging.registry.read() as snapshot:
        assert snapshot.count_datasets().n_rows == 1
    summary = run(lab, logs_dir=str(tmp_path / "logs"))

    assert lab.status() == {"blocked": 2, "failed": 1, "succeeded": 8}
    assert {f.message for f in summary.failures} == {said}
    quanta = lab.quanta()
    assert quanta["double", '{"batch":0,"sample":2}'] == ("failed", 0, said)
    blocked = quanta["total", '{"batch":0}']
    assert blocked == ("blocked", 0, "blocked: double@{batch=0, sample=2} failed")
    log = str(lab.get("double_log", batch=0, sample=2))
    assert "sample 2 has x = 2" in log
    assert said in log
    assert lab.get("double_metadata", batch=0, sample=2)["status"] == "failed"
    assert len(lab.datasets()["doubled"]) == 4


def test_failed_quanta_run_again_and_only_they(tmp_path: Path) -> None:
    """Once the reason is gone, the same call runs what failed and what was blocked, as the next attempt."""
    flag = tmp_path / "flag"
    lab = make_lab(tmp_path / "lab", chain(double={"behave": {"1": f"needs:{flag}"}}))
    first = run(lab)
    flag.touch()
    second = run(lab.again())
    lab = lab.again()

    assert (first.total.failed, first.total.blocked) == (1, 2)
    assert (second.total.skipped, second.total.succeeded) == (6, 3)
    assert second.is_complete
    quanta = lab.quanta()
    assert quanta["double", '{"batch":0,"sample":1}'][:2] == ("succeeded", 1)
    assert quanta["shift", '{"batch":0,"sample":1}'][:2] == ("succeeded", 0)
    assert lab.get("double_metadata", batch=0, sample=1)["attempt"] == 1
    third = run(lab)
    assert third.total.skipped == third.total.total


def test_no_work_goes_down_the_chain(tmp_path: Path) -> None:
    """Consumers of what was not made have no work; a gather goes on with the rest, also in a later run."""
    flag = tmp_path / "flag"
    pipeline = chain(double={"behave": {"1": "no-work"}}, shift={"behave": {"3": f"needs:{flag}"}})
    lab = make_lab(tmp_path / "lab", pipeline)
    run(lab)

    assert lab.status() == {"blocked": 1, "failed": 1, "no-work": 2, "succeeded": 5}
    flag.touch()
    assert run(lab).is_complete
    assert lab.status() == {"no-work": 2, "succeeded": 7}
    assert lab.get("total", batch=0)["n"] == 3
    with lab.staging.registry.read() as snapshot:
        inputs = snapshot.quantum_inputs([lab.graph.output_run])
        total = lab.graph.quantum_ids([8])[0]
        assert sum(q == total for q in inputs["quantum_id"]) == 3
        assert all(inputs["was_read"])


def test_outputs_that_were_deleted_are_made_again(tmp_path: Path) -> None:
    """A quantum whose output is no longer registered is not complete."""
    lab = make_lab(tmp_path)
    run(lab, processes=0)
    with lab.staging.registry.write() as change:
        change.delete_datasets([lab.graph.quantum(8).outputs["total"][0].id])
    summary = run(lab, processes=0)

    assert (summary.total.skipped, summary.total.succeeded) == (8, 1)
    assert lab.get("total", batch=0)["n"] == 4


def test_progress_is_told_and_ends_complete(tmp_path: Path) -> None:
    """Events never go backwards, and the last one says that everything is done."""
    lab = make_lab(tmp_path, chain(double={"sleep": 0.05}), batches=2, samples=8)
    events: list[ProgressEvent] = []
    run(lab, on_progress=events.append)

    done = [e.total.done for e in events]
    assert done == sorted(done)
    assert events[-1].is_last
    assert events[-1].total.done == events[-1].total.total == 34
    assert events[-1].total.running == 0
    assert max(e.total.running for e in events) > 0


def test_timeout_fails_the_quantum_only(tmp_path: Path) -> None:
    """A quantum that takes too long is ended and fails; others are not held up."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "sleep:60"}}))
    start = time.monotonic()
    summary = run(lab, timeout_s=6.0)

    assert time.monotonic() - start < 40
    assert [f.message for f in summary.failures] == [
        "timed out: it ran for more than 6 s, the timeout of this run"
    ]
    assert summary.total.succeeded == 6


def test_fail_fast_begins_nothing_more(tmp_path: Path) -> None:
    """After the first failure nothing more is handed out, and the rest has no outcome."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "raise"}}), samples=50)
    summary = run(lab, processes=0, fail_fast=True)

    assert summary.total.failed == 1
    assert summary.total.left == 49 + 49
    assert not summary.is_complete


def test_interrupt_ends_cleanly_and_can_be_resumed(tmp_path: Path) -> None:
    """SIGINT to a running `run_graph` records what is done, says so, leaves no process, and the rest runs later."""
    lab = make_lab(tmp_path, chain(double={"sleep": 0.1}), samples=20)
    code = (
        "import sys; from tests.execution_lab import *; from stage.execution.run import run_graph;"
        f"s = Repo.attach('sqlite:///{tmp_path}/staging.sqlite3', '{tmp_path}/data', writable=True);"
        f"r = run_graph(s, '{lab.graph_uri}', processes=2, on_progress=lambda e: print(e.total.done, flush=True));"
        "print('interrupted', r.interrupted, r.total.done)"
    )
    lab.staging.close()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() not in {"0", "1", "2"}:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().split()
        assert process.wait(timeout=30) == 0

    assert rest[-3:-1] == ["interrupted", "True"]
    done = int(rest[-1])
    lab = lab.reopen()
    assert lab.status() == {"succeeded": done}
    assert 0 < done < 41
    assert not _workers_of(process.pid)
    summary = run(lab, processes=0)
    assert (summary.total.skipped, summary.is_complete) == (done, True)


def test_interrupt_in_a_single_process_drops_the_quantum(tmp_path: Path) -> None:
    """In this process Ctrl-C ends the running quantum at once, and it has no outcome."""
    lab = make_lab(tmp_path, chain(double={"behave": {"2": f"interrupt:{os.getpid()}"}}))
    start = time.monotonic()
    summary = run(lab, processes=0)

    assert time.monotonic() - start < 10
    assert summary.interrupted
    assert sum(lab.status().values()) == summary.total.done
    assert ("double", '{"batch":0,"sample":2}') not in lab.quanta()


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    """After kill -9 of the parent its workers, in the middle of a quantum, are gone within seconds."""
    lab = make_lab(tmp_path, chain(double={"sleep": 60}))
    code = (
        "from tests.execution_lab import *; from stage.execution.run import run_graph;"
        f"s = Repo.attach('sqlite:///{tmp_path}/staging.sqlite3', '{tmp_path}/data', writable=True);"
        f"run_graph(s, '{lab.graph_uri}', processes=2, logs_dir='{tmp_path}/logs')"
    )
    lab.staging.close()
    process = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT)
    while len(list((tmp_path / "logs").glob("*/*.log"))) < 2:
        time.sleep(0.05)
    workers = _workers_of(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(_is_alive(w) for w in workers) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert len(workers) == 2
    assert not [w for w in workers if _is_alive(w)]


def test_other_config_in_the_same_run_runs_nothing(tmp_path: Path) -> None:
    """A run is not continued with another config."""
    lab = make_lab(tmp_path / "a")
    run(lab, processes=0)
    other = make_lab(tmp_path / "b", chain(double={"factor": 5.0}))
    with pytest.raises(ConflictError, match="factor"):
        run_graph(lab.staging, other.graph_uri, processes=0)


def test_workers_see_one_thread_and_no_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thread settings are there before imports, and a module of the working directory shadows nothing."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "print"}}))
    (tmp_path / "hostile").mkdir()
    for name in ("registry", "sync", "numpy", "json"):
        (tmp_path / "hostile" / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path / "hostile")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    summary = run(lab, processes=1)

    assert summary.is_complete
    assert "PRINT" in str(lab.get("double_log", batch=0, sample=0))
    assert "stdout: printed text" in str(lab.get("double_log", batch=0, sample=0))


def test_functions_scripts_and_modules_beside_the_pipeline_run_in_workers(tmp_path: Path) -> None:
    """A function in a module beside the pipeline file, then a shell script; hostile neighbours shadow nothing."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "sync.py").write_text("raise SystemExit('shadowed')")
    (home / "my_tasks_beside.py").write_text(
        "from stage.pipeline.connections import Input, Output\n"
        "from stage.tasks.function import task\n"
        "ins, outs = {'value': Input('number', 'Json')}, {'more': Output('more', 'Json')}\n"
        "@task(dimensions=('batch', 'sample'), inputs=ins, outputs=outs)\n"
        "def add(value, step: int = 1):\n"
        "    return {'x': value['x'] + step}\n"
    )
    (home / "pipeline.yaml").write_text(
        "tasks:\n"
        "  add: {class: my_tasks_beside.add, config: {step: 5}}\n"
        "  copy:\n"
        "    shell: |\n"
        "      echo working on $STAGE_SAMPLE\n"
        "      cp $more $copied\n"
        "    dimensions: [batch, sample]\n"
        "    inputs: {more: {dataset_type: more, storage_class: Json}}\n"
        "    outputs: {copied: {dataset_type: copied, storage_class: Json}}\n"
    )
    lab = make_lab(tmp_path / "lab", Pipeline.load(home / "pipeline.yaml"), samples=3)
    summary = run(lab)

    assert summary.failures == []
    assert [lab.get("copied", batch=0, sample=s) for s in range(3)] == [{"x": 5}, {"x": 6}, {"x": 7}]
    assert "working on 2" in str(lab.get("copy_log", batch=0, sample=2))


def test_pool_gives_way_to_a_request_from_another_thread(tmp_path: Path) -> None:
    """An end can be asked for without a signal; the pool ends within its grace."""
    lab = make_lab(tmp_path, chain(double={"sleep": 30}))
    run_before = time.monotonic()
    from stage.execution.prep import prepare_run

    prepare_run(lab.staging, lab.graph)
    before = lab.graph.dependencies()
    outcomes: list[object] = []
    work = Work(before.indptr, before.indices, outcomes.append)
    with Interrupt() as interrupt:
        threading.Timer(1.5, interrupt.request).start()
        ended = ProcessPool(RunnerSettings(lab.graph_uri, lab.store_root), 2, grace_s=0.5).execute(
            work, interrupt
        )

    assert not ended
    assert outcomes == []
    assert work.scheduler.n_running == 0
    assert time.monotonic() - run_before < 15


@pytest.mark.parametrize(
    ("status", "text"), [(3, "exit code 3"), (-9, "signal 9 (SIGKILL)"), (-77, "signal 77")]
)
def test_ends_of_processes_have_names(status: int, text: str) -> None:
    """Exit codes and signals are told apart, known or not."""
    assert describe_exit(status) == text


def _workers_of(pid: int) -> list[int]:
    """Return the workers of a process: its children, and those of its nursery in the place of that."""
    children = _children(pid)
    return [worker for child in children for worker in _children(child) or [child]]


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat[1]) == pid and stat[0] != "Z":
                found.append(int(entry.name))
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
