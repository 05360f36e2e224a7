"""Tests of `stage.batch.workflow.file`: what is written is read, by few reads, and damage is named."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError
from stage.batch.workflow.file import JobsFile, find_job, load_workflow, read_job, save_workflow
from stage.batch.workflow.model import JobKind, JobSettings, WhenRun, Workflow
from stage.batch.workflow.values import PerKind
from stage.graph.table import Csr
from sync.filesystem import files


def workflow(n_jobs: int) -> Workflow:
    """Return jobs of two kinds, each of which waits for the one before it."""
    kind_of = (np.arange(n_jobs) % 2).astype(np.int32)
    kinds = (
        JobSettings("a", JobKind.INIT, "run", "{x} {n}", request_memory=0, environment=(("A", "b"),), extra=(("k", 1),)),
        JobSettings("b", memory_multiplier=1.5, retry_unless_exit=(1, 2), preemptible=False),
    )  # fmt: skip
    quanta = Csr(np.arange(n_jobs + 1) * 3, np.arange(3 * n_jobs, dtype=np.int32))
    counts = np.minimum(np.arange(n_jobs), 1)
    parents = Csr(np.concatenate([[0], np.cumsum(counts)]), np.arange(max(n_jobs - 1, 0), dtype=np.int32))
    names = [f"job é {n}" for n in range(n_jobs)]
    values = {"n": range(n_jobs), "x": PerKind(["p", None], kind_of), "t": [f"t{n}" for n in range(n_jobs)]}
    return Workflow(
        "run", kinds, names, kind_of, quanta, parents, values, JobSettings("finalJob"), WhenRun.ALWAYS, {"operator": "me"}
    )  # fmt: skip


def told(found: Workflow) -> list[object]:
    """Return all that a workflow says."""
    return [
        found.name, tuple(found.settings), list(found.names), found.settings_of.tolist(), found.quanta.indices.tolist(),
        found.quanta.indptr.tolist(), found.parents.indices.tolist(), {k: list(v) for k, v in found.values.items()},
        found.final, found.when_final, found.attributes,
    ]  # fmt: skip


@pytest.mark.parametrize("n_jobs", [0, 1, 5000])
def test_what_is_saved_is_loaded(n_jobs: int, tmp_path: Path) -> None:
    """Every part of a workflow comes back, of none, one, and many jobs."""
    path = tmp_path / "workflow.jobs"
    assert save_workflow(workflow(n_jobs), path) == path.stat().st_size
    assert told(load_workflow(path)) == told(workflow(n_jobs))


def test_the_same_workflow_makes_the_same_bytes(tmp_path: Path) -> None:
    """Writing it again changes nothing."""
    for name in ("a", "b"):
        save_workflow(workflow(300), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("n_jobs", [100, 100_000])
def test_a_job_reads_little(n_jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a store a job needs three reads at most, of a few kilobytes, however many jobs there are."""
    uri = f"memory://flow/{n_jobs}.jobs"
    save_workflow(workflow(n_jobs), uri)
    reads: list[int] = []
    plain = files.read_range

    def counted(source: files.Uri, start: int, length: int) -> bytes:
        reads.append(length)
        return plain(source, start, length)

    monkeypatch.setattr(files, "read_range", counted)
    number = n_jobs - 7
    settings, name, quanta = read_job(uri, number)

    assert (settings.label, name) == ("b", f"job é {number}")
    assert quanta == [3 * number, 3 * number + 1, 3 * number + 2]
    assert len(reads) <= 3
    assert sum(reads) < 150_000


def test_jobs_are_found_by_name(tmp_path: Path) -> None:
    """A name leads to its number; one that is not there is an error, as is a number too large."""
    path = tmp_path / "w"
    save_workflow(workflow(4000), path)
    assert find_job(path, "job é 3999") == 3999
    with pytest.raises(NotFoundError, match="no job 'x'"):
        find_job(path, "x")
    with pytest.raises(NotFoundError, match="no job 4000"):
        read_job(path, 4000)
    with pytest.raises(NotFoundError):
        read_job(tmp_path / "nosuch", 0)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    """Any other file, one that was cut off, and one of a later form: each says what it is."""
    path = tmp_path / "w"
    save_workflow(workflow(50), path)
    data = path.read_bytes()
    for content, code in [(b"", "not-a-workflow"), (b"x" * 500, "not-a-workflow"), (data[:-9], "workflow-truncated")]:  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(IntegrityError) as caught:
            read_job(path, 0)
        assert caught.value.code == code


def test_damage_is_found_wherever_it_is(tmp_path: Path) -> None:
    """A changed byte is an error of ours or changes nothing that is read: never another answer, never a traceback."""
    path = tmp_path / "w"
    save_workflow(workflow(1500), path)
    data, right = path.read_bytes(), told(load_workflow(path))
    chance = random.Random(5)
    found = 0
    for _ in range(300):
        place = chance.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(changed))
        try:
            assert told(load_workflow(path)) == right
        except (IntegrityError, SchemaVersionError):
            found += 1
    assert found > 250


def test_reading_a_job_imports_little(tmp_path: Path) -> None:
    """Neither a database nor YAML is imported by what a job reads its part with."""
    path = tmp_path / "w"
    save_workflow(workflow(3), path)
    code = (
        "import sys; from stage.batch.workflow.file import read_job; read_job(sys.argv[1], 1);"
        "print([m for m in ('sqlalchemy', 'sqlite3', 'yaml', 'fsspec', 'pydantic', 'stage.batch.config') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_open_file_tells_its_kinds(tmp_path: Path) -> None:
    """What all jobs of a kind share stands once, in the header."""
    path = tmp_path / "w"
    save_workflow(workflow(10), path)
    assert [s.label for s in JobsFile(path).settings] == ["a", "b"]
