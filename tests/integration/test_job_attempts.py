"""A job that is started twice: processes that are stopped, killed and let go on; the last start counts, and all of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sync.job_store
from registry.errors import ConflictError
from registry.model.digest import digest_bytes
from stage.errors import SupersededError
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile, read_lines
from stage.execution.starts import newest, newest_of
from stage.pipeline.pipeline import Pipeline
from sync.filesystem import files
from tests.execution_lab import Lab, make_lab
from tests.stores import Bucket

SUPERSEDED = 12
TWINS = Pipeline.of(twin=("tests.attempt_tasks.TwinTask", {}))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Four quanta with two outputs each, prepared to run."""
    lab = make_lab(tmp_path, TWINS)
    prepare_run(lab.staging, lab.graph)
    return lab


def run_job(lab: Lab, attempt: int | None = None, **options: Any) -> None:
    """Run all quanta as one job."""
    execute_job(lab.graph_uri, range(4), lab.root / "r.jsonl", lab.store_root, attempt=attempt, **options)


def started(act: Callable[[], object]) -> int:
    """Do something in a process of its own; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        act()
        code = 0
    except SupersededError:
        code = SUPERSEDED
    finally:
        os._exit(code)


def attempt_of(lab: Lab, attempt: int, **environment: str) -> int:
    """Start an attempt in a process of its own."""

    def act() -> None:
        os.environ.update(environment)
        run_job(lab, attempt)

    return started(act)


def ended(pid: int) -> int:
    """Wait for the end of a process; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_until_stopped(pid: int) -> None:
    """Wait until a process has stopped itself."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def check_whole(lab: Lab) -> None:
    """Merge, and compare each file with its record and with the file that belongs to it."""
    merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"])
    assert lab.status() == {"succeeded": 4}
    for sample in range(4):
        both = [lab.get(name, batch=0, sample=sample) for name in ("left", "right")]
        assert both[0]["of"] == both[1]["of"]
        assert both[0]["x"] == -both[1]["x"]
    record = RecordFile.load(lab.root / "r.jsonl")
    for outcome in record.outcomes:
        for artifact in outcome.artifacts:
            data = (Path(lab.store_root) / artifact.uri).read_bytes()
            assert (artifact.size, artifact.checksum) == (len(data), digest_bytes(data))
    ids = {name: {c for _, c in rows.values()} for name, rows in lab.datasets().items()}
    assert ids["left"] == {a.checksum for o in record.outcomes for a in o.artifacts if "/left/" in a.uri}


def test_attempt_stopped_in_mid_quantum_cannot_win(lab: Lab) -> None:
    """Attempt 0 stops in its second quantum, attempt 1 runs to the end, attempt 0 goes on: all is attempt 1's."""
    late = attempt_of(lab, 0, TWIN_STOPS="1")
    wait_until_stopped(late)
    run_job(lab, 1)
    before = {p: p.read_bytes() for p in lab.root.rglob("*.js*")}
    os.kill(late, signal.SIGCONT)

    assert ended(late) == SUPERSEDED
    changed = {p.name for p in lab.root.rglob("*.js*") if p.read_bytes() != before.get(p)}
    assert changed == {"r.jsonl"}  # its own record, which nobody reads
    assert newest(lab.root / "r.jsonl") == (f"{lab.root}/r.jsonl.start-1", 1)
    found = RecordFile.load(lab.root / "r.jsonl")
    assert (found.attempt, found.start, len(found.outcomes)) == (1, 1, 4)
    assert sorted(o.attempt for o in found.outcomes) == [0, 1, 1, 1]  # one was complete before
    check_whole(lab)


@pytest.mark.parametrize("call", range(1, 5))
def test_attempt_stopped_on_the_point_of_publishing_cannot_win(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Stopped after it was told that it may write, and before it has: of what is there by then nothing is overwritten."""
    calls = 0
    create = sync.job_store.create

    def stopping(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGSTOP)
        return create(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("sync.job_store.create", stopping)
        late = attempt_of(lab, 0)
    wait_until_stopped(late)
    run_job(lab, 1)
    os.kill(late, signal.SIGCONT)

    assert ended(late) == SUPERSEDED
    check_whole(lab)


def test_newer_attempt_stopped_over_leftovers_still_wins(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have half of a quantum's files out when the older one goes on first: what counts is the newer one's, whole."""
    create = sync.job_store.create

    def stopping(uri: str, parts: Any) -> Any:
        done = create(uri, parts)
        if "/left/" in uri:
            os.kill(os.getpid(), signal.SIGSTOP)
        return done

    def stopping_over(uri: str, data: bytes, **options: Any) -> None:
        written(uri, data, **options)
        if "/left/" in uri:
            os.kill(os.getpid(), signal.SIGSTOP)

    written = sync.job_store.files.write_bytes
    pids = []
    for attempt in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr("sync.job_store.create", stopping)
            patch.setattr("sync.job_store.files.write_bytes", stopping_over)
            pids.append(attempt_of(lab, attempt))
        wait_until_stopped(pids[-1])
    os.kill(pids[0], signal.SIGCONT)
    assert ended(pids[0]) == SUPERSEDED
    for _ in range(4):
        os.kill(pids[1], signal.SIGCONT)
        status = os.waitpid(pids[1], os.WUNTRACED)[1]
        if not os.WIFSTOPPED(status):
            break

    assert os.waitstatus_to_exitcode(status) == 0
    check_whole(lab)


def test_attempts_that_race_end_as_one(lab: Lab, tmp_path: Path) -> None:
    """Thirty times two attempts run freely: the later one ends well, and its record and the files agree."""
    for turn in range(30):
        again = make_lab(tmp_path / str(turn), TWINS) if turn % 10 == 0 else lab
        if turn % 10 == 0:
            prepare_run(again.staging, again.graph)
            lab = again
        for p in (Path(lab.store_root) / "u/me/run").rglob("*.json"):
            if "config" not in p.name and "packages" not in p.name:
                p.unlink()
        for p in lab.root.glob("r.jsonl*"):
            p.unlink()
        pids = [attempt_of(lab, n) for n in (0, 1)]
        codes = [ended(p) for p in pids]

        assert codes[0] in {0, SUPERSEDED}
        assert codes[1] == 0
        assert RecordFile.load(lab.root / "r.jsonl").attempt == 1
        check_files(lab)


def check_files(lab: Lab) -> None:
    """Compare each file with the record."""
    outcomes = RecordFile.load(lab.root / "r.jsonl").outcomes
    assert [o.status for o in outcomes] == ["succeeded"] * 4
    for outcome in outcomes:
        found = {a.uri: (Path(lab.store_root) / a.uri).read_bytes() for a in outcome.artifacts}
        assert {a.checksum for a in outcome.artifacts} == set(map(digest_bytes, found.values()))
        texts = {json.loads(d)["of"] for u, d in found.items() if "/left/" in u or "/right/" in u}
        assert len(texts) == 1


def test_attempt_killed_between_its_outputs_leaves_a_record_of_what_it_did(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with one of two outputs out: the record has the quantum before; the next attempt replaces the half."""
    create = sync.job_store.create

    def killing(uri: str, parts: Any) -> Any:
        if (
            "/right/" in uri
            and "_1_" in uri.rpartition("/")[2]
            and uri.rpartition("/")[2].startswith("right_0_1")
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        return create(uri, parts)

    with monkeypatch.context() as patch:
        patch.setattr("sync.job_store.create", killing)
        killed = attempt_of(lab, 0)
    assert ended(killed) == -signal.SIGKILL
    left = RecordFile.load(lab.root / "r.jsonl")

    assert [(o.ordinal, o.status) for o in left.outcomes] == [(0, "succeeded")]
    assert merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"]).n_merged == 1
    run_job(lab, 1)
    check_whole(lab)


def test_scheduler_that_starts_the_same_attempt_again_is_fenced_too(lab: Lab) -> None:
    """A requeue tells the job the same number of attempts: of its starts the later one counts."""
    late = attempt_of(lab, 0, TWIN_STOPS="0")
    wait_until_stopped(late)
    run_job(lab, 0)
    os.kill(late, signal.SIGCONT)

    assert ended(late) == SUPERSEDED
    assert RecordFile.load(lab.root / "r.jsonl").start == 1
    check_whole(lab)


def test_attempt_that_begins_after_a_later_one_runs_nothing(lab: Lab) -> None:
    """Attempt 0 comes out of the queue when attempt 1 is done: it is refused before it has done anything."""
    run_job(lab, 1)
    before = sorted(lab.root.rglob("*"))
    with pytest.raises(
        SupersededError, match="attempt 0 of this job comes too late: attempt 1 began"
    ) as caught:
        run_job(lab, 0)

    assert caught.value.code == "job-superseded"
    assert sorted(lab.root.rglob("*")) == before
    check_whole(lab)


def test_start_that_is_killed_at_once_keeps_what_was_recorded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after its claim, before it has looked at anything: its record has what the start before it did."""
    run_job(lab, 0)

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr("stage.execution.job._look_back", die)
        killed = attempt_of(lab, 1)
    assert ended(killed) == -signal.SIGKILL
    assert RecordFile.load(lab.root / "r.jsonl").start == 1
    check_whole(lab)


def test_two_jobs_never_share_a_record_file(lab: Lab) -> None:
    """A record file that another job of the graph has begun is refused by both names."""
    run_job(lab, job="first")
    with pytest.raises(ConflictError, match="is of job 'first', not of 'second'") as caught:
        run_job(lab, job="second")

    assert caught.value.code == "record-of-other-job"


def test_pool_of_an_older_attempt_ends_too(lab: Lab) -> None:
    """Worker processes of an attempt that was superseded write nothing either."""

    def act() -> None:
        os.environ["TWIN_STOPS"] = "3"
        run_job(lab, 0, processes=1)

    late = started(act)
    deadline = time.monotonic() + 30
    while not (stopped := stopped_children(late)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run_job(lab, 1)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)

    assert ended(late) == SUPERSEDED
    check_whole(lab)


def stopped_children(of: int) -> list[int]:
    """Return the stopped processes below one."""
    parents: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(words[1]), words[0]
    below = {of}
    for _ in range(4):
        below |= {pid for pid, (parent, _) in parents.items() if parent in below}
    return [pid for pid in below if parents.get(pid, (0, ""))[1] == "T"]


def test_newest_of_a_directory_chooses_one_file_a_job() -> None:
    """Of a list of files those of the last starts are chosen, whatever the order."""
    names = ["0/1.jsonl.start-10", "0/1.jsonl", "0/1.jsonl.start-9", "0/2.jsonl", "0/3.jsonl.start-x"]

    assert newest_of(names) == ["0/1.jsonl.start-10", "0/2.jsonl", "0/3.jsonl.start-x"]


@pytest.mark.service
def test_attempts_on_an_object_store_are_fenced_by_its_conditional_requests(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph, outputs and record on S3: an attempt that stands between look and request overwrites nothing there."""
    lab = make_lab(tmp_path, TWINS, samples=2)
    graph, record, store = bucket.uri("graph.qg"), bucket.uri("records/0/0.jsonl"), bucket.uri("data")
    files.copy(lab.graph_uri, graph)
    for path in Path(lab.store_root).rglob("*.json"):
        files.copy(path, f"{store}/{path.relative_to(lab.store_root)}")
    create = sync.job_store.create

    def meanwhile(uri: str, parts: Any) -> Any:
        patch.undo()
        execute_job(graph, range(2), record, store, attempt=1)
        return create(uri, parts)

    with monkeypatch.context() as patch:
        patch.setattr("sync.job_store.create", meanwhile)
        with pytest.raises(SupersededError):
            execute_job(graph, range(2), record, store, attempt=0)
    found = RecordFile.load(record)

    assert (found.attempt, found.start, [o.status for o in found.outcomes]) == (1, 1, ["succeeded"] * 2)
    assert RecordFile.parse(record, *read_lines(record)).attempt == 0
    for artifact in (a for o in found.outcomes for a in o.artifacts):
        assert files.checksum(f"{store}/{artifact.uri}") == (artifact.size, artifact.checksum)
