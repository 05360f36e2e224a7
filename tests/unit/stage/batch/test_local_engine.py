"""What is special about jobs on this machine: `stage.batch.engines.local`, `stage.batch.engines.leftovers`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import UsageError
from stage.batch.engines.base import Cause, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.leftovers import TAG, Guard, end_left_over
from stage.batch.engines.local import LocalEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings
from tests.batch_world import make_workflow, submit_dir


@pytest.fixture
def where(tmp_path: Path) -> SubmitDir:
    return submit_dir(tmp_path / "run")


@contextlib.contextmanager
def opened(where: SubmitDir, **options: object) -> Iterator[LocalEngine]:
    engine = LocalEngine(EngineSettings("here", {"cores": 2, "memory": 1000, **options}))
    engine.open(where, {})
    try:
        yield engine
    finally:
        engine.close()


def job(where: SubmitDir, number: int, script: str, **needs: object) -> JobRequest:
    settings = JobSettings("job", **needs)  # type: ignore[arg-type]
    log = where.root / f"{number}.out"
    return JobRequest(number, str(number), 0, ("sh", "-c", script), log, settings, settings.request_memory)


def ends_of(engine: LocalEngine, n: int) -> list[JobEvent]:
    found: list[JobEvent] = []
    until = time.monotonic() + 30
    while len(found) < n:
        assert time.monotonic() < until
        found += [e for e in engine.poll(1.0) if e.state not in {JobState.RUNNING, JobState.PENDING}]
    return found


def begun_order(where: SubmitDir) -> list[int]:
    return [int(line) for line in (where.root / "order").read_text().split()]


@pytest.mark.parametrize(
    ("needs", "most"),
    [({"request_cpus": 2}, 1), ({"request_cpus": 9}, 1), ({"request_memory": 600}, 1), ({}, 2)],
)
def test_no_more_at_once_than_there_is_room_for(where: SubmitDir, needs: dict[str, int], most: int) -> None:
    """Cores and memory are shared out by what jobs ask for; one that asks for more cores than there are has all."""
    # Each waits a while for as many as there may be, so that on a slow machine too they meet.
    script = (
        "touch at.$$; i=0; while n=$(ls at.* 2>&- | wc -l); test $n -lt MOST -a $i -lt 40; do sleep 0.05; i=$((i+1)); done; "
        "sleep 0.15; echo $n; rm at.$$"
    ).replace("MOST", str(most))
    with opened(where) as engine:
        engine.start([job(where, n, script, **needs) for n in range(4)])
        assert all(e.state == JobState.SUCCEEDED for e in ends_of(engine, 4))
    counts = [int((where.root / f"{n}.out").read_text()) for n in range(4)]

    assert most == max(counts)


def test_job_for_which_there_is_no_room_yet_is_overtaken_by_few(where: SubmitDir) -> None:
    """A job that needs the whole machine begins before all small ones behind it have."""
    with opened(where) as engine:
        small = [job(where, n, f"echo {n} >> order; sleep 0.01") for n in range(90)]
        large = job(where, 1000, "echo 1000 >> order", request_cpus=2)
        engine.start([*small[:2], large, *small[2:]])
        ends_of(engine, 91)
    place = begun_order(where).index(1000)

    assert 2 <= place <= 40


def test_more_memory_than_there_is_is_refused(where: SubmitDir) -> None:
    """Before anything is submitted, and for an attempt whose memory has grown too far."""
    with opened(where) as engine:
        with pytest.raises(UsageError, match="2,000 MB"):
            engine.prepare(make_workflow(["true"], request_memory=2000), where)
        (answer,) = engine.start([job(where, 0, "true", request_memory=2000)])

    assert isinstance(answer, JobEvent)
    assert (JobState.FAILED, Cause.START) == (answer.state, answer.cause)
    assert "2,000 MB" in answer.message


@pytest.mark.parametrize("options", [{"cores": 0}, {"cores": "many"}, {"memory": -1}, {"cores": True}])
def test_site_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    """An option that is no positive number is named, with its value."""
    with pytest.raises(UsageError) as caught:
        LocalEngine(EngineSettings("here", options))
    assert next(iter(options)) in str(caught.value)
    assert caught.value.hint


def test_ping_and_limit_say_what_there_is() -> None:
    """Cores by either name, memory as the site says."""
    engine = LocalEngine(EngineSettings("here", {"numberOfProcesses": "3", "memory": 5000}))

    assert "this machine: 3 cores, 5,000 MB" == engine.ping()
    assert (3, 5000) == (engine.capacity, engine.memory_limit_mb())


def test_last_line_of_its_log_says_why_a_job_failed(where: SubmitDir) -> None:
    """The message of a failure is its exit code and the last that it printed."""
    with opened(where) as engine:
        engine.start([job(where, 0, "echo first; echo 'the reason' >&2; exit 7")])
        (end,) = ends_of(engine, 1)

    assert "exit code 7: the reason" == end.message


def test_refused_memory_is_want_of_memory(where: SubmitDir) -> None:
    """A program that is refused what it asks for and says so died for want of memory, though it never had it."""
    script = f"{sys.executable} -S -c 'bytearray(1 << 30)'"
    with opened(where) as engine:
        engine.start([job(where, 0, script, request_memory=200)])
        (end,) = ends_of(engine, 1)

    assert (Cause.MEMORY, "MemoryError") == (end.cause, end.message.rpartition(" ")[2])


def test_memory_of_a_job_is_that_of_all_its_processes(where: SubmitDir) -> None:
    """Several processes that are each within the limit, and together are not, are ended."""
    eat = f"{sys.executable} -S -c 'b = b\"x\" * (60 << 20); import time; time.sleep(20)' & "
    with opened(where) as engine:
        engine.start([job(where, 0, eat * 3 + "wait", request_memory=100)])
        (end,) = ends_of(engine, 1)

    assert Cause.MEMORY == end.cause
    assert "of 100" in end.message


def test_what_a_job_leaves_running_ends_with_it(where: SubmitDir) -> None:
    """A process in the background of a job's group does not outlive the job."""
    with opened(where) as engine:
        engine.start([job(where, 0, "sleep 60 & echo $! > pid")])
        ends_of(engine, 1)
        time.sleep(0.05)

    assert not _lives(int((where.root / "pid").read_text()))


def test_cancelled_jobs_that_wait_never_begin(where: SubmitDir) -> None:
    """A job for which there was no room yet is deleted without a trace."""
    with opened(where, cores=1) as engine:
        engine.start([job(where, 0, "sleep 0.2"), job(where, 1, "touch begun")])
        engine.cancel([1])
        ends = {e.number: e.state for e in ends_of(engine, 2)}

    assert {0: JobState.SUCCEEDED, 1: JobState.DELETED} == ends
    assert not (where.root / "begun").exists()


def test_job_that_does_not_end_when_asked_is_killed(where: SubmitDir) -> None:
    """A program that does not listen has five seconds, whatever it has started."""
    with opened(where) as engine:
        engine.start([job(where, 0, "trap '' TERM; touch begun; sleep 60; sleep 60")])
        while not (where.root / "begun").exists():
            engine.poll(0.05)
        process = engine._running[0]
        engine.cancel([0])
        process._kill_at = time.monotonic() + 0.2
        (end,) = ends_of(engine, 1)

    assert JobState.DELETED == end.state


def test_guard_ends_what_is_left_when_its_parent_is_killed(where: SubmitDir) -> None:
    """Also what a job has started outside its own group ends with a killed parent, without any new head."""
    code = (
        "import sys, time; from pathlib import Path; from tests.unit.stage.batch.test_local_engine import *;"
        "w = SubmitDir(Path(sys.argv[1])); e = LocalEngine(EngineSettings('here', {'cores': 2})); e.open(w, {});"
        "e.start([job(w, 0, 'setsid sleep 61 & echo $! > other; echo $$ > own; sleep 60')]); time.sleep(60)"
    )
    root = str(Path(__file__).parents[4])
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(where.root)], env={**os.environ, "PYTHONPATH": root}
    )
    files = [where.root / "other", where.root / "own"]
    until = time.monotonic() + 30
    while not all(f.exists() and f.read_text().strip() for f in files):
        assert time.monotonic() < until
        time.sleep(0.02)
    pids = [int(f.read_text()) for f in files]
    assert all(map(_lives, pids))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 10
    while any(map(_lives, pids)):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_guard_that_is_dismissed_ends_nothing(where: SubmitDir) -> None:
    """When all is well, what carries the tag goes on: it may be another engine's of the same submission."""
    tag = f"{where.root}#"
    with subprocess.Popen(["sleep", "20"], env={**os.environ, TAG: f"{tag}7.0"}) as process:
        Guard(tag).dismiss()
        assert process.poll() is None
        assert 1 == end_left_over(tag)
        assert -signal.SIGKILL == process.wait(5)


def test_other_submissions_are_left_alone(where: SubmitDir) -> None:
    """What carries the tag of a submission whose name begins the same is not ended."""
    with subprocess.Popen(["sleep", "20"], env={**os.environ, TAG: f"{where.root}2#7.0"}) as process:
        assert 0 == end_left_over(f"{where.root}#")
        assert process.poll() is None
        process.kill()


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
