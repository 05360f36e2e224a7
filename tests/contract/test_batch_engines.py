"""What every engine that is told its jobs one by one does, whatever runs them: `stage.batch.engines.base`.

Its jobs are tiny commands. Most of the facts are of one handful of jobs, started at once by an engine that is opened
once, since some take seconds to open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from stage.batch.driving.board import Board
from stage.batch.driving.journal import Journal, read_journal
from stage.batch.driving.ledger import Ledger
from stage.batch.driving.walk import Walk
from stage.batch.engines.base import Cause, DrivenEngine, JobEvent, JobRequest, JobState
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings
from tests.batch_world import make_workflow, submit_dir
from tests.engine_cases import ENGINES, EngineCase, EngineLab
from tests.processes import answer, process

ENDS = {JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED}
GOOD, BAD, FIVE, SIGNALLED, HUNGRY, SLOW, ABSENT, CANCELLED, SET, LAST = range(1000, 1010)
EAT = "import sys; b = bytearray({0} << 20); b[::4096] = b'x' * len(b[::4096]); import time; time.sleep({1})"


@dataclass
class Facts:
    """What an engine said of a handful of jobs."""

    where: SubmitDir
    engine: DrivenEngine
    lab: EngineLab
    ends: dict[int, list[JobEvent]]
    is_closed: bool = False

    def close(self) -> None:
        """Close the engine, once."""
        if not self.is_closed:
            self.is_closed = True
            self.engine.close()

    def end(self, number: int) -> JobEvent:
        """Return the end of a job that was said once."""
        assert len(self.ends.get(number, ())) == 1, self.ends.get(number)
        return self.ends[number][0]

    def log(self, number: int) -> str:
        """Return what a job printed."""
        return self.where.job_log("fact", str(number), 2).read_text()


def request(where: SubmitDir, number: int, *command: str, attempt: int = 2, **needs: object) -> JobRequest:
    """Return an attempt of a job."""
    log = where.job_log("fact", str(number), attempt)
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = JobSettings("fact", executable=command[0], **needs)  # type: ignore[arg-type]
    return JobRequest(number, f"fact_{number}", attempt, command, log, settings, settings.request_memory)


def start(engine: DrivenEngine, requests: Sequence[JobRequest], ends: dict[int, list[JobEvent]]) -> None:
    """Give an engine jobs, and keep what it refuses at once."""
    for event in engine.start(requests):
        if isinstance(event, JobEvent):
            ends.setdefault(event.number, []).append(event)


def gather(
    engine: DrivenEngine, ends: dict[int, list[JobEvent]], wanted: Callable[[], bool], patience_s: float
) -> list[JobEvent]:
    """Poll until something is so; return all that was said, and sort out the ends."""
    until, said = time.monotonic() + patience_s, []
    while not wanted():
        assert time.monotonic() < until, f"only {ends} after {patience_s} s"
        for event in engine.poll(1.0):
            said.append(event)
            if event.state in ENDS:
                ends.setdefault(event.number, []).append(event)
    return said


@pytest.fixture(scope="module", params=ENGINES, ids=[c.name for c in ENGINES])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineLab]:
    case: EngineCase = request.param
    with case.service(tmp_path_factory.mktemp(f"service-{case.name}")) as made:
        yield made


@pytest.fixture(scope="module")
def facts(lab: EngineLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    where = submit_dir(tmp_path_factory.mktemp(f"run-{lab.name}"))
    engine = lab.make()
    found = Facts(where, engine, lab, {})
    assert not list(engine.open(where, {}))
    try:
        _run_all(found)
        yield found
    finally:
        found.close()


def _run_all(found: Facts) -> None:
    where, lab, engine = found.where, found.lab, found.engine
    python = sys.executable
    jobs = [
        request(where, GOOD, "sh", "-c", "echo out; echo err >&2; pwd"),
        request(where, BAD, "sh", "-c", "echo 'the reason'; exit 3"),
        request(where, FIVE, "sh", "-c", "exit 14"),
        request(where, SIGNALLED, "sh", "-c", "kill -SEGV $$"),
        request(where, ABSENT, "/no/such/program"),
        request(where, CANCELLED, "sh", "-c", "echo begun; sleep 60; echo never"),
        request(where, SET, "sh", "-c", "echo $COLOUR", environment=(("COLOUR", "green blue"),)),
    ]
    if lab.memory_mb is not None:
        eat = EAT.format(10 * lab.memory_mb, 5)
        jobs.append(request(where, HUNGRY, python, "-S", "-c", eat, request_memory=lab.memory_mb))
    if lab.walltime is not None:
        jobs.append(request(where, SLOW, "sleep", "60", request_walltime=lab.walltime))
    start(engine, jobs, found.ends)
    log = lab.runs_in(where) / where.job_log("fact", str(CANCELLED), 2).relative_to(where.root)
    gather(engine, found.ends, lambda: log.exists() and "begun" in log.read_text(), lab.patience_s)
    engine.cancel([CANCELLED])
    gather(engine, found.ends, lambda: {r.number for r in jobs} <= found.ends.keys(), lab.patience_s)


def test_success_is_told_once_with_its_exit_code(facts: Facts) -> None:
    """A job whose program ends well is SUCCEEDED, in its own attempt and with code 0."""
    end = facts.end(GOOD)

    assert (JobState.SUCCEEDED, Cause.NONE, 2, 0) == (end.state, end.cause, end.attempt, end.exit_code)


def test_what_a_job_prints_is_in_its_log(facts: Facts) -> None:
    """Output and errors are in the file that was asked for; the job's directory is the submission's, or its mirror."""
    assert ["out", "err", os.path.realpath(facts.lab.runs_in(facts.where))] == [
        os.path.realpath(line) if line.startswith("/") else line for line in facts.log(GOOD).splitlines()
    ]


@pytest.mark.parametrize(("number", "code"), [(BAD, 3), (FIVE, 14)])
def test_failure_has_its_exit_code(facts: Facts, number: int, code: int) -> None:
    """A program that ends with another code has failed for that, and the code is told as it was."""
    end = facts.end(number)

    assert (JobState.FAILED, Cause.EXIT, code) == (end.state, end.cause, end.exit_code)


def test_signal_is_a_failure(facts: Facts) -> None:
    """A program that a signal ends has failed; the signal is told as itself, or as shells tell it."""
    end = facts.end(SIGNALLED)

    assert (JobState.FAILED, Cause.EXIT) == (end.state, end.cause)
    assert end.exit_code in {-signal.SIGSEGV, 128 + signal.SIGSEGV}


def test_program_that_is_not_there_is_told(facts: Facts) -> None:
    """A job that cannot be started fails and says so: the engine's word, or the shell's code for it."""
    end = facts.end(ABSENT)

    assert end.state == JobState.FAILED
    assert end.cause == Cause.START or end.exit_code in {126, 127}, end


def test_environment_of_its_kind_is_set(facts: Facts) -> None:
    """Variables that jobs of a kind are to have are there, blanks and all."""
    facts.end(SET)

    assert facts.log(SET) == "green blue\n"


def test_memory_is_held_to(facts: Facts) -> None:
    """A job that takes more memory than it asked for fails, and the cause says so."""
    if facts.lab.memory_mb is None:
        pytest.skip(f"{facts.lab.name} holds no job to its memory here")
    end = facts.end(HUNGRY)

    assert (JobState.FAILED, Cause.MEMORY) == (end.state, end.cause), end


def test_time_is_held_to(facts: Facts) -> None:
    """A job that runs longer than it asked for is ended, and the cause says so."""
    if facts.lab.walltime is None:
        pytest.skip(f"the shortest time limit of {facts.lab.name} is too long to wait for")
    end = facts.end(SLOW)

    assert (JobState.FAILED, Cause.TIME) == (end.state, end.cause), end


def test_cancelled_job_ends_as_such(facts: Facts) -> None:
    """A job that is cancelled while it runs is DELETED, and does not go on."""
    end = facts.end(CANCELLED)

    assert (JobState.DELETED, Cause.CANCELLED) == (end.state, end.cause)
    assert "never" not in facts.log(CANCELLED)


def test_dependencies_are_kept(facts: Facts) -> None:
    """Fifty jobs in layers all succeed, each after all that it waits for."""
    n, wide = 50, 10
    parents = {i: [p for p in range((i // wide - 1) * wide, (i // wide) * wide) if (p + i) % 3 == 0] for i in range(wide, n)}  # fmt: skip
    checks = [
        "&& ".join([f"test -e done/{p} " for p in parents.get(i, [])] + [f"touch done/{i}"]) for i in range(n)
    ]
    done = facts.lab.runs_in(facts.where) / "done"
    done.mkdir()
    workflow = make_workflow(checks, parents)
    ledger = Ledger(facts.where, workflow, Board(n), Journal(facts.where.journal))
    walk = Walk(ledger, facts.engine)
    until = time.monotonic() + facts.lab.patience_s

    while not walk.is_over():
        assert time.monotonic() < until, ledger.board.counts()
        walk.give()
        walk.hear(facts.engine.poll(1.0))
    ledger.journal.close()

    assert {JobState.SUCCEEDED: n} == ledger.board.counts()
    assert n == len(list(done.iterdir()))
    assert 1 == ledger.board.begun[:-1].max()
    again = Board(n)
    for lines in read_journal(facts.where.journal):
        again.replay(lines)
    assert (ledger.board.state == again.state).all()


def test_lost_machine_is_told(facts: Facts) -> None:
    """A job whose machine or pilot is lost fails for that, or is run again by the engine itself: it is not forgotten."""
    if facts.lab.lose is None:
        pytest.skip(f"no machine of {facts.lab.name} can be lost here")
    marker = facts.lab.runs_in(facts.where) / "lost-began"
    start(facts.engine, [request(facts.where, LAST, "sh", "-c", f"touch {marker}; sleep 30")], facts.ends)
    gather(facts.engine, facts.ends, marker.exists, facts.lab.patience_s)
    facts.lab.lose(facts.engine, LAST)
    gather(facts.engine, facts.ends, lambda: LAST in facts.ends, facts.lab.patience_s)
    end = facts.end(LAST)

    assert (JobState.FAILED, Cause.NODE) == (end.state, end.cause), end


def test_new_head_finds_what_runs(lab: EngineLab, tmp_path: Path) -> None:
    """After the process that had an engine open is killed, a new one finds its jobs and hears their ends, or none goes on."""
    where = submit_dir(tmp_path / "run")
    marks = [tmp_path / "noted", tmp_path / "not-noted"]
    for mark in marks:
        mark.mkdir()
    with process(_old_head, lab, str(where.root), [str(m) for m in marks]) as (old, pipe):
        handle = answer(pipe)
        os.kill(old.pid, signal.SIGKILL)
        old.join(30)
    engine = lab.make()
    with _environment(lab):
        found = engine.open(where, {0: (1, handle)})
        try:
            _check_found(lab, engine, found, marks)
        finally:
            engine.close()


def _check_found(
    lab: EngineLab, engine: DrivenEngine, found: Sequence[tuple[int, int, str]], marks: Sequence[Path]
) -> None:
    ends: dict[int, list[JobEvent]] = {}
    if not engine.leaves:
        assert not list(found)
        # Whoever ran them is gone too: what they were to write last will never come.
        time.sleep(0.2)
        assert not any(_lives(m) for m in marks)
        return
    assert {(0, 1), (1, 1)} == {(n, attempt) for n, attempt, _ in found}
    for mark in marks:
        (mark / "go").touch()
    gather(engine, ends, lambda: {0, 1} <= ends.keys(), lab.patience_s)
    assert {0: [JobState.SUCCEEDED], 1: [JobState.SUCCEEDED]} == {
        n: [e.state for e in es] for n, es in ends.items()
    }


def _lives(mark: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        pid = int((mark / "pid").read_text())
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def _environment(lab: EngineLab) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(lab.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _old_head(lab: EngineLab, root: str, marks: list[str], pipe: object) -> None:
    """Open an engine, start two jobs that wait to be let go, tell the handle of the first, and wait to be killed."""
    os.environ.update(lab.environment)
    engine, where = lab.make(), SubmitDir(Path(root))
    engine.open(where, {})
    wait = "echo $$ > {0}/new; mv {0}/new {0}/pid; while ! test -e {0}/go; do sleep 0.05; done"
    jobs = [request(where, i, "sh", "-c", wait.format(mark), attempt=1) for i, mark in enumerate(marks)]
    handles = engine.start(jobs)
    while not all((Path(m) / "pid").exists() for m in marks):
        engine.poll(0.2)
    pipe.send(handles[0])  # type: ignore[attr-defined]
    time.sleep(120)


def test_nothing_is_left_of_it(facts: Facts) -> None:
    """After an engine is closed, none of its processes is left, dead or alive."""
    facts.close()
    until = time.monotonic() + 10
    while (left := _children()) and time.monotonic() < until:
        time.sleep(0.05)

    assert [] == left


def _children() -> list[str]:
    """Return the children of this process that are dead and not waited for, or that run a job of ours."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        for pid in (thread / "children").read_text().split():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text()
                command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                if stat.rpartition(")")[2].split()[0] == "Z" or "sleep" in command:
                    found.append(f"{pid} {stat.split()[1]} {command}")
    return found
