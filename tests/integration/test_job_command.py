"""``stage exec`` as schedulers run it: a job of a submission, what it loads, how it ends, what it hands from quantum to quantum."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_campaign import ROOT

from cli.exit_codes import ExitCode
from cli.lean import exec_options
from stage.batch.workflow.file import save_workflow
from stage.batch.workflow.model import JobSettings, Workflow
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile
from stage.graph.table import Csr
from sync.filesystem import files
from sync.job_store import Intermediates, JobStore
from tests.execution_lab import Lab, chain, make_lab

RUN = "from cli.entry import run; run()"
DATABASES = ("sqlite3", "_sqlite3", "sqlalchemy", "psycopg", "alembic", "registry.sql", "registry.registry")


def workflow_of(lab: Lab, *quanta: list[int]) -> Path:
    """Save a workflow with one job for each list of quanta."""
    n = len(quanta)
    workflow = Workflow(
        "u_me_run",
        (JobSettings("job"),),
        [f"job_{i}" for i in range(n)],
        np.zeros(n, dtype=np.int32),
        _csr(quanta),
        _csr([[] for _ in quanta]),
    )
    path = lab.root / "workflow.jobs"
    save_workflow(workflow, path)
    return path


def _csr(rows: Any) -> Csr:
    indptr = np.concatenate(([0], np.cumsum([len(r) for r in rows]))).astype(np.int64)
    return Csr(indptr, np.array([v for r in rows for v in r], dtype=np.int64))


def command(*words: object, code: str = RUN) -> list[str]:
    """Return the command line of `stage exec`."""
    return [sys.executable, "-c", f"import sys; sys.argv[0] = 'stage'; {code}", "exec", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    """Return what a job's process gets."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Nine quanta in three tasks, prepared to run."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    return lab


def test_job_of_a_submission_runs_by_number_and_name_without_any_database_module(lab: Lab) -> None:
    """Two jobs are read from the workflow file; neither process has a database module; merged, all quanta are there."""
    path = workflow_of(lab, [0, 1, 4, 5], [2, 3, 6, 7, 8])
    found = f"sorted(set({DATABASES!r}) & set(sys.modules))"
    code = f"import atexit; atexit.register(lambda: print('loaded', {found}, file=sys.stderr)); {RUN}"
    for job in ("0", "job_1"):
        words = [
            lab.graph_uri,
            "--workflow",
            path,
            "--job",
            job,
            "--attempt",
            2,
            "--record",
            lab.root / f"{job}.jsonl",
        ]
        done = subprocess.run(
            command(*words, "--datastore", lab.store_root, code=code),
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr.rpartition("loaded ")[2]) == (0, "[]\n")
        record = RecordFile.load(lab.root / f"{job}.jsonl")
        assert (record.job, record.attempt) == (f"job_{job[-1]}", 2)
    merge_records(lab.staging, lab.graph, [lab.root / "0.jsonl", lab.root / "job_1.jsonl"])

    assert lab.status() == {"succeeded": 9}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--job", "7"], "no job 7"),
        (["--job", "job_x"], "job_x"),
        ([], "both have to be said"),
        (["--job", "0", "--quanta", "1"], "is said twice"),
    ],
)
def test_job_that_is_not_there_is_refused(lab: Lab, words: list[str], told: str) -> None:
    """A job that the submission lacks, or half of what names one, is an error; nothing is recorded."""
    path = workflow_of(lab, [0])
    done = subprocess.run(
        command(lab.graph_uri, "--workflow", path, "--record", lab.root / "r", "--datastore", lab.store_root, *words),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode in {ExitCode.USAGE, ExitCode.NOT_FOUND}
    assert told in done.stderr
    assert not (lab.root / "r").exists()


def test_words_that_need_the_program_are_left_to_it() -> None:
    """What a batch system writes is read at once; help, short forms, repeats and bad numbers are not."""
    good = ["g.qg", "--workflow", "w", "--job", "17", "--attempt", "0", "--record", "r", "-j", "0", "--force"]

    assert exec_options(good) == {
        "graph": "g.qg", "workflow": "w", "job": "17", "attempt": 0, "record": "r", "processes": 0, "force": True,
    }  # fmt: skip
    for words in (
        ["--help"], [*good, "-h"], [*good, "--job", "2"], ["g", "h"], ["g", "--attempt", "x"], ["g", "--attempt"],
        ["g", "--attempt=1"], ["g", "--record", "--job"], [], ["g", "--memory", "-4"], ["g", "--dump-env"], ["g", "--record", "\udc80"],
    ):  # fmt: skip
        assert exec_options(words) is None


def test_out_of_memory_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """In process, with --memory: one quantum asks for more and ends the job with 14; with a failure of another kind it is 3."""
    for behave, expected in (
        ({"1": "memory:600000000"}, 14),
        ({"1": "memory:600000000", "2": "raise:no"}, 3),
    ):
        lab = make_lab(tmp_path / str(expected), chain(double={"behave": behave}))
        prepare_run(lab.staging, lab.graph)
        record = lab.root / "r.jsonl"
        done = subprocess.run(
            command(
                lab.graph_uri, "--quanta", "all", "--record", record, "--datastore", lab.store_root, "-j", 0, "--memory", 400, "--json"
            ),
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode == expected, done.stderr
        assert json.loads(done.stdout)["out_of_memory"] == (expected == ExitCode.OUT_OF_MEMORY)
        assert [o.ordinal for o in RecordFile.load(record).outcomes if o.out_of_memory] == [1]


def test_sigterm_ends_a_job_with_what_is_done_recorded(tmp_path: Path) -> None:
    """At the scheduler's time limit: exit code 130, the quanta that ended are recorded, the same command goes on."""
    flag = tmp_path / "slow"
    lab = make_lab(tmp_path, chain(double={"behave": {"2": f"slow-first:{flag}"}}))
    prepare_run(lab.staging, lab.graph)
    words = command(
        lab.graph_uri,
        "--quanta",
        "0-3",
        "--record",
        tmp_path / "r.jsonl",
        "--datastore",
        lab.store_root,
        "-j",
        0,
    )
    job = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for(flag.exists)
    running = RecordFile.load(tmp_path / "r.jsonl")
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=30)

    assert [o.ordinal for o in running.outcomes] == [0, 1]
    assert job.returncode == ExitCode.INTERRUPTED
    assert [o.ordinal for o in RecordFile.load(tmp_path / "r.jsonl").outcomes] == [0, 1]
    again = subprocess.run(words, env=environment(), capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert merge_records(lab.staging, lab.graph, [tmp_path / "r.jsonl"]).n_merged == 4


def wait_for(what: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_quanta_run_together_one_by_one_and_in_a_pool_give_the_same(tmp_path: Path) -> None:
    """One job of all, a job for each quantum, and a job with workers: the same datasets, bytes and links."""
    results = []
    for name, slices, processes in (
        ("together", [range(9)], 0),
        ("one-by-one", [[i] for i in range(9)], 0),
        ("pool", [range(9)], 2),
    ):
        lab = make_lab(tmp_path / name)
        prepare_run(lab.staging, lab.graph)
        records = [lab.root / f"{i}.jsonl" for i in range(len(slices))]
        for record, ordinals in zip(records, slices, strict=True):
            execute_job(lab.graph_uri, ordinals, record, lab.store_root, processes=processes)
        merge_records(lab.staging, lab.graph, records)
        with lab.staging.registry.read() as snapshot:
            links = [
                snapshot.quantum_inputs([lab.graph.output_run]),
                snapshot.quantum_outputs([lab.graph.output_run]),
            ]
        n_read = sum(links[0]["was_read"].tolist())
        found = {k: v for k, v in lab.checksums().items() if not k.endswith("_config")}
        results.append((found, lab.status(), n_read, [rows.n_rows for rows in links]))

    assert results[0] == results[1] == results[2]
    assert results[0][1] == {"succeeded": 9}


def test_what_quanta_hand_each_other_is_not_read_from_files(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one job only overall inputs and init inputs are read; one quantum at a time reads the others too."""
    read: list[str] = []
    real = files.read_bytes

    def noting(uri: Any) -> bytes:
        read.append(str(uri))
        return real(uri)

    monkeypatch.setattr("sync.fsspec_store.files.read_bytes", noting)
    execute_job(lab.graph_uri, range(9), lab.root / "r.jsonl", lab.store_root)

    assert not [uri for uri in read if "/doubled/" in uri or "/shifted/" in uri]
    assert len([uri for uri in read if "/number/" in uri]) == 4


def store_with(tmp_path: Path, readers: dict[str, int], limit: int = 1000) -> JobStore:
    """Return a datastore that keeps some files in memory."""
    return JobStore(tmp_path, lambda: None, Intermediates(readers, limit))


@pytest.mark.parametrize(
    ("storage_class", "obj"),
    [
        ("Json", {"a": (1, 2), "b": [1.5, None]}),
        ("Text", "é\r\nline"),
        ("Bytes", b"\x00\xff"),
        ("NumpyArray", np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        ("NumpyArray", np.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")])),
        ("NumpyArrayZst", np.float32([1, 2])),
        ("NumpyArray", np.arange(8)[::2]),
    ],
)
def test_what_is_kept_in_memory_is_what_reading_the_file_would_give(
    tmp_path: Path, storage_class: str, obj: Any
) -> None:
    """Of each kind: type, values and layout are those of the file, the file is there, and changes reach nobody else."""
    store = store_with(tmp_path, {JobStore(tmp_path, lambda: None).predict("x", storage_class): 2})
    artifact = store.put(obj, storage_class, "x")
    assert store.intermediates is not None
    assert artifact.uri in store.intermediates
    if isinstance(obj, np.ndarray):
        obj[0] = 0  # the task goes on to use what it gave away
    first: Any = store.get(artifact, storage_class)
    from_file: Any = JobStore(tmp_path, lambda: None).get(artifact, storage_class)

    assert (tmp_path / artifact.uri).is_file()
    assert type(first) is type(from_file)
    if isinstance(from_file, np.ndarray):
        assert (first.dtype, first.flags.fnc, first.flags.writeable) == (
            from_file.dtype,
            from_file.flags.fnc,
            True,
        )
        assert first.tobytes() == from_file.tobytes()
        first[...] = 0
    else:
        assert first == from_file
        if isinstance(first, dict):
            first["a"].append("changed")
    second: Any = store.get(artifact, storage_class)
    assert (
        np.asarray(second).tobytes() == np.asarray(from_file).tobytes()
        if isinstance(second, np.ndarray)
        else second == from_file
    )


def test_intermediates_are_bounded_and_go_with_their_last_reader(tmp_path: Path) -> None:
    """Beyond the limit the oldest goes; what nobody in the job reads is not kept; the last reader lets go of it."""
    store = store_with(tmp_path, {"a.bin": 1, "b.bin": 2, "big.bin": 1}, limit=10)
    kept = store.intermediates
    assert kept is not None
    for name, data in (("a", b"12345"), ("b", b"123456"), ("c", b"1"), ("big", b"x" * 11)):
        store.put(data, "Bytes", name)

    assert [n for n in ("a.bin", "b.bin", "c.bin", "big.bin") if n in kept] == ["b.bin"]
    assert kept.size == 6
    kept.was_read("b.bin")
    assert "b.bin" in kept
    kept.was_read("b.bin")
    assert ("b.bin" in kept, kept.size) == (False, 0)
    for name in ("a", "big"):
        assert len((tmp_path / f"{name}.bin").read_bytes()) in {5, 11}
