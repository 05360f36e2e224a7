"""What comes home from another machine: checked, and nowhere but where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from registry.model.digest import digest_bytes
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.fetching import Ended, Fetcher
from stage.batch.engines.ssh.home import Home
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.translating import FarRun
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings, Workflow
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.record_file import RecordFile
from stage.graph.table import Csr
from tests.ssh_world import need_sshd, running_sshd

DATA = b"what it made"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    need_sshd()
    root = tmp_path_factory.mktemp("fetching")
    with running_sshd(root) as machine, Connection(SshOptions.from_section(machine.section())) as made:
        made.open()
        yield made


def home_at(root: Path) -> Home:
    """Return a submission of one job with one quantum."""
    one, none = (Csr(np.array([0, n], dtype=np.int64), np.arange(n, dtype=np.int32)) for n in (1, 0))
    workflow = Workflow("run", [JobSettings("job")], ["job_0"], np.zeros(1, dtype=np.int32), one, none)
    where = SubmitDir(root / "submit")
    where.engine.mkdir(parents=True)
    return Home(where, None, workflow, str(root / "data"))


@pytest.mark.parametrize(
    ("name", "recorded", "said"),
    [
        ("run/made.txt", DATA, ""),
        ("run/made.txt", b"something else", "run/made.txt has come home with"),
        ("../../outside.txt", DATA, "which is no name below the datastore"),
        ("/tmp/outside.txt", DATA, "which is no name below the datastore"),
    ],
)
def test_what_comes_is_what_was_recorded_and_where(
    connection: Connection, tmp_path: Path, name: str, recorded: bytes, said: str
) -> None:
    """A file that is another, or that would lie outside the datastore, does not come; its record and log do."""
    run = FarRun.of(connection.open().base, tmp_path.name, tmp_path)
    home = home_at(tmp_path)
    artifact = StoredArtifact(0, name, len(recorded), digest_bytes(recorded), "text")
    outcome = QuantumOutcome(0, "succeeded", artifacts=(artifact,))
    RecordFile(bytes(16), "run", "job_0", (outcome,)).save(run.there(f"{run.submit}/records/0/0.jsonl"))
    connection.put(f"{run.submit}/jobs/job/job_0.0.out", b"printed")
    connection.put(f"{run.data}/run/made.txt", DATA)

    fetcher = Fetcher(run, home)
    bad = fetcher.fetch(connection, [Ended(0, 0, "jobs/job/job_0.0.out")])
    fetcher.close()

    assert said in bad.get(0, "")
    assert bool(said) == bool(bad)
    there = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert (["data/run/made.txt"] if not said else []) == [p for p in there if not p.startswith("submit")]
    assert ["submit/jobs/job/job_0.0.out", "submit/records/0/0.jsonl"] == [
        p for p in there if p.startswith("submit")
    ]
    assert not (home.where.engine / "coming").exists()
    assert not Path(home.data, name).exists() or not said
