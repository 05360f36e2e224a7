"""Runs that are killed at any moment lose nothing but what was not recorded, and the same call finishes them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from stage.execution.record import Recorder
from stage.execution.resume import completed
from stage.execution.run import run_graph
from sync.filesystem.names import is_aside
from tests.execution_lab import Lab, chain, make_lab

ROUNDS = 25 if os.environ.get("STAGE_FAULTS") == "long" else 2
"""How often each thing is killed; more often in the long form, ``make faults``."""

_RUN = (
    "import sys; from sync.repo import Repo; from stage.execution.run import run_graph;"
    "s = Repo.attach(f'sqlite:///{sys.argv[1]}/staging.sqlite3', f'{sys.argv[1]}/data', writable=True);"
    "print('begin', flush=True);"
    "tell = lambda e: print('some' if e.total.succeeded else 'none', flush=True);"
    "kinds = tuple(filter(None, sys.argv[3].split(',')));"
    "r = run_graph(s, f'{sys.argv[1]}/graph.qg', processes=int(sys.argv[2]), on_progress=tell, ephemeral=kinds);"
    "print(r.is_complete)"
)


def start(root: Path, processes: int, ephemeral: str = "") -> subprocess.Popen[str]:
    """Run the lab's graph in a process of its own, with a directory of its own for temporary files."""
    arguments = [sys.executable, "-c", _RUN, str(root), str(processes), ephemeral]
    (root / "tmp").mkdir(exist_ok=True)
    # Workers import the tests' tasks: pytest's own path is not handed on to them.
    path = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(root / "tmp")}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


def check(lab: Lab, undisturbed: Lab) -> None:
    """Compare a finished run with one that nobody disturbed."""
    assert lab.checksums() == undisturbed.checksums()
    found = {name: set(rows) for name, rows in lab.datasets().items()}
    assert found == {name: set(rows) for name, rows in undisturbed.datasets().items()}
    with lab.staging.registry.read() as snapshot:
        rows = snapshot.quanta([lab.graph.output_run], latest=False)
        links = snapshot.quantum_outputs([lab.graph.output_run]).n_rows
        inputs = snapshot.quantum_inputs([lab.graph.output_run]).n_rows
    times = Counter(i for i, s in rows.rows(("id", "status")) if s == "succeeded")
    assert set(times.values()) == {1}
    assert len(times) == lab.graph.n_quanta
    with undisturbed.staging.registry.read() as snapshot:
        assert links == snapshot.quantum_outputs([lab.graph.output_run]).n_rows
        assert inputs == snapshot.quantum_inputs([lab.graph.output_run]).n_rows
    for name, found_rows in lab.datasets().items():
        with lab.staging.registry.read() as snapshot:
            ids = [i for i, _ in found_rows.values()]
            artifacts = snapshot.datasets_by_id(ids, artifacts=True)[name]
        for uri, size in artifacts.rows(("uri", "size")):
            assert uri is None or (Path(lab.store_root) / uri).stat().st_size == size


def test_head_killed_at_random_moments(tmp_path: Path) -> None:
    """Kill -9 of the head, again and again: the last run ends where an undisturbed one does, each quantum once."""
    pipeline = chain(double={"sleep": 0.004}, shift={"sleep": 0.004})
    lab = make_lab(tmp_path / "killed", pipeline, batches=5, samples=30)
    undisturbed = make_lab(tmp_path / "undisturbed", pipeline, batches=5, samples=30)
    run_graph(undisturbed.staging, undisturbed.graph_uri, processes=2)
    lab.staging.close()
    rng = random.Random(20261121)
    progress = []
    for i in range(ROUNDS):
        with start(lab.root, 2) as process:
            assert process.stdout is not None
            process.stdout.readline()
            # In every other round not while the workers are still starting, however slow the machine is.
            while i % 2 and process.stdout.readline() == "none\n":
                pass
            time.sleep(rng.uniform(0.2, 1.8))
            process.kill()
        with lab.reopen().staging as staging:
            progress.append(int(completed(staging, lab.graph).mask.sum()))
    assert progress == sorted(progress)
    assert progress[-1] > 0
    with start(lab.root, 2) as process:
        assert process.communicate()[0].split()[-1] == "True"

    check(lab.reopen(), undisturbed)


def test_workers_killed_at_random_moments(tmp_path: Path) -> None:
    """Kill -9 of workers while they run costs one quantum each time; a later run makes up for them."""
    pipeline = chain(double={"sleep": 0.02}, shift={"sleep": 0.02})
    lab = make_lab(tmp_path / "killed", pipeline, batches=2, samples=25)
    undisturbed = make_lab(tmp_path / "undisturbed", pipeline, batches=2, samples=25)
    run_graph(undisturbed.staging, undisturbed.graph_uri, processes=2)
    stop = threading.Event()
    killed = 0

    def killer() -> None:
        nonlocal killed
        rng = random.Random(7)
        while not stop.wait(rng.uniform(0.7, 1.5)) and killed < ROUNDS - 1:
            pids = _children(os.getpid())
            if pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(pids), signal.SIGKILL)
                    killed += 1

    thread = threading.Thread(target=killer)
    thread.start()
    summary = run_graph(lab.staging, lab.graph_uri, processes=2)
    stop.set()
    thread.join()

    assert summary.total.failed <= killed
    assert summary.total.left == 0
    # Where what forks workers was killed before them, nobody can tell any more how they ended.
    assert all("signal 9" in f.message or "exit code 255" in f.message for f in summary.failures)
    lab = lab.again()
    assert run_graph(lab.staging, lab.graph_uri, processes=2).is_complete
    check(lab, undisturbed)


@pytest.mark.parametrize("ephemeral", ["", "doubled,shifted"])
def test_heads_and_workers_killed_leave_nothing(tmp_path: Path, ephemeral: str) -> None:
    """Whoever is killed when, the last run ends where an undisturbed one does; no process and no temporary file is left."""
    pipeline = chain(double={"behave": {"3": "scratch"}, "sleep": 0.004}, shift={"sleep": 0.004})
    lab = make_lab(tmp_path / "killed", pipeline, batches=4, samples=30)
    undisturbed = make_lab(tmp_path / "undisturbed", pipeline, batches=4, samples=30)
    kinds = tuple(filter(None, ephemeral.split(",")))
    run_graph(undisturbed.staging, undisturbed.graph_uri, processes=2, ephemeral=kinds)
    lab.staging.close()
    rng = random.Random(len(ephemeral))
    for i in range(ROUNDS):
        with start(lab.root, 2, ephemeral) as process:
            assert process.stdout is not None
            while process.stdout.readline() == "none\n" and i % 2:
                pass
            time.sleep(rng.uniform(0.0, 1.2))
            workers = _children(process.pid)
            if workers and i % 3:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(workers), signal.SIGKILL)
                time.sleep(rng.uniform(0.0, 0.2))
            process.kill()
    with start(lab.root, 2, ephemeral) as process:
        last = process.communicate()[0].split()[-1]
    # A worker that was killed costs its quantum one attempt; the next run makes up for it.
    if last != "True":
        with start(lab.root, 2, ephemeral) as process:
            assert process.communicate()[0].split()[-1] == "True"

    check(lab.reopen(), undisturbed)
    assert _tree(Path(lab.store_root)) == _tree(Path(undisturbed.store_root))
    assert list((lab.root / "tmp").iterdir()) == []
    assert _workers_of(lab.root) == []


def _tree(root: Path) -> set[str]:
    """Return the data files of a run, by type and data ID.

    A failed attempt's log and metadata are not among them, nor what a killed writer had not given its name yet: no reader
    sees that, and ``fsck --repair`` removes it.
    """
    files = (p for p in root.rglob("*") if p.is_file() and not is_aside(p.name))
    found = (p.relative_to(root) for p in files if "_failed-" not in p.name)
    return {f"{p.parent}/{p.name[:-42]}" if len(p.name) > 42 else str(p) for p in found}


def _workers_of(root: Path) -> list[str]:
    """Return the processes that still have something to do with a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={root}/tmp".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
    return found


def test_recorder_that_cannot_write_stops_the_run(tmp_path: Path) -> None:
    """When outcomes cannot be recorded the run ends with that error, and a later run finishes."""
    lab = make_lab(tmp_path, chain(double={"sleep": 0.01}), batches=2, samples=10)
    broken = make_lab(tmp_path / "other")
    broken.staging.close()
    (tmp_path / "other" / "staging.sqlite3").write_bytes(b"not a database" * 100)
    error = None
    try:
        with Recorder(broken.staging, lab.graph) as recorder:
            time.sleep(0.3)
            from stage.execution.outcome import QuantumOutcome

            recorder.add(QuantumOutcome(0, "succeeded"))
    except Exception as caught:  # noqa: BLE001 - whichever it is, it must come out
        error = caught

    assert error is not None
    assert run_graph(lab.staging, lab.graph_uri, processes=0).is_complete


def _children(pid: int) -> list[int]:
    """Return the worker processes of a process, and what it forks them from."""
    nurseries = _offspring(pid, b"stage.execution.nursery")
    forked = [child for nursery in nurseries for child in _offspring(nursery, b"stage.execution.nursery")]
    return [*nurseries, *forked, *_offspring(pid, b"stage.execution.process")]


def _offspring(pid: int, words: bytes) -> list[int]:
    """Return the children of a process whose command line has some words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == pid and words in command:
                found.append(int(entry.name))
    return found
