"""Tasks that print a lot: in linear time, with bounded memory, and logs of bounded size."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stage.execution.logs import QuantumLog
from stage.execution.run import run_graph
from stage.tasks.script import ScriptFailed, run_script
from tests.execution_lab import chain, make_lab

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000


def logged(script: str, folder: Path, limit: int = 2 * MEGABYTE) -> tuple[str, float]:
    """Run a script as a worker does; return its log and the seconds of CPU time that this process took."""
    folder.mkdir(exist_ok=True)
    log = QuantumLog(str(folder / "live.log"), limit=limit)
    before = time.process_time()
    with log.capturing():
        run_script(script, {}, folder, logging.getLogger("shell"))
    log.close()
    return log.text, time.process_time() - before


@pytest.mark.parametrize("script", ["seq 4000000", "head -c 30000000 /dev/zero | tr '\\0' x"])
def test_a_script_that_prints_30_megabytes_is_cut(tmp_path: Path, script: str) -> None:
    """In a few seconds, and the log and the file for those who watch stay near the limit."""
    text, seconds = logged(script, tmp_path / "work")

    assert len(text) < 2.1 * MEGABYTE
    assert "bytes left out" in text
    assert (tmp_path / "work" / "live.log").stat().st_size < 3.2 * MEGABYTE
    assert seconds < 10


def test_the_last_lines_of_a_flood_are_in_the_log_and_in_the_error(tmp_path: Path) -> None:
    """What a script said last matters most, and is there however much came before."""
    with pytest.raises(ScriptFailed, match="exit status 3: here is why"):
        logged("seq 1000000; echo here is why; exit 3", tmp_path / "work")
    text, _ = logged("seq 1000000; echo the end", tmp_path / "again", limit=MEGABYTE)

    assert text.splitlines()[0].endswith("shell: 1")
    assert text.splitlines()[-1].endswith("shell: the end")


def test_memory_does_not_grow_with_the_output(tmp_path: Path) -> None:
    """A process that runs a script of 100 MB of output stays small."""
    code = (
        "import logging, resource, sys; from pathlib import Path\n"
        "from stage.execution.logs import QuantumLog; from stage.tasks.script import run_script\n"
        "log = QuantumLog(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with log.capturing(): run_script(sys.argv[2], {}, Path(sys.argv[1]), logging.getLogger('shell'))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    script = "head -c 100000000 /dev/zero | tr '\\0' x | fold"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert int(done.stdout) * 1024 < 60 * MEGABYTE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


def test_prints_of_a_python_task_are_cut_too(tmp_path: Path) -> None:
    """The limit is a setting of the run; log and live file keep to it, in a worker process."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "flood:20000"}}), samples=2)
    run_graph(lab.staging, lab.graph_uri, processes=1, logs_dir=str(tmp_path / "logs"), log_limit=100_000)
    text = str(lab.get("double_log", batch=0, sample=0))
    sizes = [p.stat().st_size for p in (tmp_path / "logs").rglob("*.log")]

    assert lab.status()["succeeded"] == 5
    assert len(text) < 101_000
    assert "bytes left out" in text
    assert text.splitlines()[-1].partition("Z ")[2].startswith("stage: succeeded")
    assert max(sizes) < 160_000


def test_a_background_child_neither_holds_nor_floods_us(tmp_path: Path) -> None:
    """A script that leaves something printing for ever ends when it ends, and what it left is gone."""
    began = time.monotonic()
    logged(f"yes & echo $! > {tmp_path}/pid; sleep 0.2", tmp_path / "work")

    assert time.monotonic() - began < 20
    _gone(int((tmp_path / "pid").read_text()))


def test_a_script_does_not_outlive_the_process_that_runs_it(tmp_path: Path) -> None:
    """Kill -9 of a worker, or of everything above it, ends the script and all it has started."""
    code = (
        "import logging, sys; from pathlib import Path; from stage.tasks.script import run_script\n"
        "run_script('sleep 300 & echo $! > $PIDS; echo $$ >> $PIDS; wait', {'PIDS': sys.argv[2]}, Path(sys.argv[1]),"
        " logging.getLogger('shell'))"
    )
    pids = tmp_path / "pids"
    (tmp_path / "work").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "work", pids], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (pids.exists() and pids.read_text().count("\n") == 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pid in map(int, pids.read_text().split()):
        _gone(pid)


def _gone(pid: int) -> None:
    """See that a process ends within a moment; one that nobody has waited for yet has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")
