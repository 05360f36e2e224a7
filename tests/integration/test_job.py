"""Batch jobs: quanta run from the graph file alone, with no database that could be opened."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.outcome import QuantumOutcome
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile
from stage.execution.run import run_graph
from tests.execution_lab import chain, make_lab


def test_jobs_without_any_database_then_a_merge_equal_a_run(tmp_path: Path) -> None:
    """With the database moved away three jobs in processes of their own run a graph; merged, all is as by a run."""
    lab = make_lab(tmp_path / "jobs", batches=2, samples=3)
    prepare_run(lab.staging, lab.graph)
    lab.staging.close()
    database = tmp_path / "jobs" / "staging.sqlite3"
    hidden = [p.rename(tmp_path / p.name) for p in database.parent.glob("staging.sqlite3*")]
    slices = [range(5), range(5, 6), range(6, 14)]
    code = (
        "import sys; from stage.execution.job import execute_job;"
        "r = execute_job(sys.argv[1], eval(sys.argv[2]), sys.argv[3], sys.argv[4]);"
        "print(r.is_complete, sorted({'sqlalchemy', 'sqlite3'} & set(sys.modules)))"
    )
    for i, ordinals in enumerate(slices):
        arguments = [lab.graph_uri, repr(ordinals), str(tmp_path / f"{i}.jsonl.zst"), lab.store_root]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "True []"
        assert not database.exists()
    for p in hidden:
        p.rename(database.parent / p.name)
    lab = lab.reopen()
    records = [tmp_path / f"{i}.jsonl.zst" for i in range(3)]
    random.Random(3).shuffle(records)
    result = merge_records(lab.staging, lab.graph, records)
    whole = make_lab(tmp_path / "pool", batches=2, samples=3)
    run_graph(whole.staging, whole.graph_uri, processes=0)

    assert (result.n_records, result.n_quanta, result.n_merged) == (3, 14, 14)
    assert lab.checksums() == whole.checksums()
    assert lab.status() == whole.status() == {"succeeded": 14}
    assert {k: len(v) for k, v in lab.datasets().items()} == {k: len(v) for k, v in whole.datasets().items()}
    assert run_graph(lab.staging, lab.graph_uri, processes=0).total.skipped == 14


def test_job_sees_what_other_jobs_left_out(tmp_path: Path) -> None:
    """Inputs that another job's quanta did not make are absent; inputs still to come block."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "no-work"}}))
    prepare_run(lab.staging, lab.graph)
    early = execute_job(lab.graph_uri, [8], tmp_path / "early", lab.store_root)
    execute_job(lab.graph_uri, range(4), tmp_path / "first", lab.store_root)
    execute_job(lab.graph_uri, range(4, 8), tmp_path / "second", lab.store_root)
    last = execute_job(lab.graph_uri, [8], tmp_path / "last", lab.store_root)

    assert early.total.blocked == 1
    outcome = RecordFile.load(tmp_path / "early").outcomes[0]
    assert outcome.message == "blocked: shifted is not there, and shift@{batch=0, sample=0} is not complete"
    assert [o.status for o in RecordFile.load(tmp_path / "second").outcomes].count("no-work") == 1
    assert last.total.succeeded == 1
    merge_records(lab.staging, lab.graph, [tmp_path / n for n in ("last", "second", "early", "first")])
    assert lab.status() == {"no-work": 2, "succeeded": 7}
    assert lab.get("total", batch=0)["n"] == 3


def test_job_with_processes_and_failures_records_all(tmp_path: Path) -> None:
    """A job of two workers survives one of them; its record names what failed and what was blocked."""
    lab = make_lab(tmp_path, chain(double={"behave": {"1": "kill"}}))
    prepare_run(lab.staging, lab.graph)
    summary = execute_job(
        lab.graph_uri, range(9), tmp_path / "r.jsonl", lab.store_root, processes=2, job="all", attempt=1
    )
    record = RecordFile.load(tmp_path / "r.jsonl")

    assert (summary.total.failed, summary.total.blocked, summary.total.succeeded) == (1, 2, 6)
    assert (record.job, record.run, record.graph_id) == ("all", "u/me/run", lab.graph.id)
    assert {o.attempt for o in record.outcomes} == {1}


def test_job_of_an_unknown_quantum_runs_nothing(tmp_path: Path) -> None:
    """A quantum that the graph lacks is a NotFoundError, and no record is written."""
    lab = make_lab(tmp_path)
    with pytest.raises(NotFoundError, match="no quantum 99"):
        execute_job(lab.graph_uri, [0, 99], tmp_path / "r", lab.store_root)

    assert not (tmp_path / "r").exists()


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good record file of two outcomes."""
    path = tmp_path_factory.mktemp("record") / "r.jsonl"
    outcomes = (QuantumOutcome(0, "succeeded", message="é"), QuantumOutcome(1, "failed", message="a\u2028b"))
    RecordFile(bytes(16), "u/run", "job", outcomes).save(path)
    return path


def test_record_file_survives_in_both_forms(record: Path, tmp_path: Path) -> None:
    """Plain and compressed files give back what was saved."""
    found = RecordFile.load(record)
    found.save(tmp_path / "r.jsonl.zst")

    assert found == RecordFile.load(tmp_path / "r.jsonl.zst")
    assert [o.message for o in found.outcomes] == ["é", "a\u2028b"]
    assert record.read_bytes().count(b"\n") == 4


@pytest.mark.parametrize("cut", [1, 5, 40, 200])
def test_cut_off_record_file_is_refused_by_name(record: Path, tmp_path: Path, cut: int) -> None:
    """Without its last bytes a record file is refused, whatever is left of it."""
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(record.read_bytes()[:-cut])
    with pytest.raises(IntegrityError, match=r"damaged\.jsonl is refused") as caught:
        RecordFile.load(damaged)

    assert caught.value.code == "bad-record-file"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        b"\x00" * 100,
        b"\x28\xb5\x2f\xfdxxxx",
        b'{"checksum":1}\n',
        b'[1]\n{"checksum":"x","count":0}\n',
    ],
)
def test_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Anything else is refused without a traceback of ours."""
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="foreign is refused"):
        RecordFile.load(path)


def test_changed_and_newer_record_files_are_refused(record: Path, tmp_path: Path) -> None:
    """A changed line is found by the checksum; another version by its number."""
    changed = tmp_path / "changed"
    changed.write_bytes(record.read_bytes().replace(b"failed", b"faiked"))
    with pytest.raises(IntegrityError, match="changed after it was written"):
        RecordFile.load(changed)
    lines = record.read_bytes().splitlines()
    newer = tmp_path / "newer"
    newer.write_bytes(
        b"\n".join([json.dumps({**json.loads(lines[0]), "version": 9}).encode(), *lines[1:]]) + b"\n"
    )
    with pytest.raises(SchemaVersionError):
        RecordFile.load(newer)


def test_compressed_record_that_is_cut_off_is_refused(record: Path, tmp_path: Path) -> None:
    """A compressed file without its end is refused."""
    path = tmp_path / "r.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(record.read_bytes())[:-10])
    with pytest.raises(IntegrityError, match="decompressed"):
        RecordFile.load(path)
