"""While the jobs of a submission run, nothing asks the shared database: it may take no connections at all."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tiny_campaign import call, make_upstream, write_sources

from stage.batch.driving.starting import start_head
from stage.batch.facade import Batch
from stage.batch.layout import SubmitDir
from stage.graph.graph import QuantumGraph
from sync.repo import Repo
from tests.databases import Database, connection_to
from tests.engine_cases import is_long

YAML = """
pipelineYaml: pipeline.yaml
operator: ada
computeSite: here
payload: {payloadName: weather, butlerConfig: upstream, inCollection: net/raw, dataQuery: ""}
clusterAlgorithm: dimension
cluster:
  byStation: {pipetasks: "clean, summarise", dimensions: station}
site:
  here: {wmsServiceClass: local, cores: 2}
"""
BY_MONTH = (
    YAML.replace(
        'byStation: {pipetasks: "clean, summarise", dimensions: station}',
        'byMonth: {pipetasks: clean, dimensions: month}\n  rest: {pipetasks: "summarise, total"}',
    )
    + "finalJob: {whenRun: NEVER}\n"
)


class Gate:
    """The way to a server of PostgreSQL: it counts who comes, and can be closed.

    Parameters
    ----------
    url : str
        The server's, by its socket on this machine.
    """

    def __init__(self, url: str) -> None:
        found = sa.make_url(url)
        folder = str(found.query["host"])
        self._server = next(str(path) for path in Path(folder).glob(".s.PGSQL.*") if path.suffix != ".lock")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.n_came, self.is_open = 0, True
        through = found.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={})
        self.url = through.render_as_string(hide_password=False)
        self._open = {self._listener}
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        """Let nobody in any more, and end what goes through."""
        for each in tuple(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _serve(self) -> None:
        with self._listener, contextlib.suppress(OSError):  # when it is shut down
            while True:
                guest, _ = self._listener.accept()
                self.n_came += 1
                if self.is_open:
                    self._threads.append(threading.Thread(target=self._lead, args=(guest,)))
                    self._threads[-1].start()
                else:
                    guest.close()

    def _lead(self, guest: socket.socket) -> None:
        with guest, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._server)
            self._open |= {guest, server}
            others = {guest: server, server: guest}
            while True:
                for source in select.select(list(others), [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    others[source].sendall(data)


@contextlib.contextmanager
def _gate(url: str) -> Iterator[Gate]:
    gate = Gate(url)
    try:
        yield gate
    finally:
        gate.close()


def _make_large(folder: Path, url: str, n_stations: int, n_months: int) -> None:
    """Make an upstream with so much that the pipeline has n_stations * (n_months + 1) + 1 quanta."""
    write_sources(folder)
    stations, months = [f"s{n:03}" for n in range(n_stations)], range(1, n_months + 1)
    (folder / "records" / "station.jsonl").write_text(
        "".join(json.dumps({"name": s, "height": 1.0}) + "\n" for s in stations)
    )
    (folder / "records" / "month.jsonl").write_text("".join(json.dumps({"id": m}) + "\n" for m in months))
    lines = ["station,month,path"]
    for i, station in enumerate(stations):
        for month in months:
            name = f"{station}-{month}.json"
            (folder / "readings" / name).write_text(
                json.dumps({"station": station, "values": [i, month, 1000]})
            )
            lines.append(f"{station},{month},{name}")
    (folder / "readings" / "table.csv").write_text("\n".join(lines) + "\n")
    call("repo", "create", "upstream", "--universe", "universe.yaml", "--registry", url, cwd=folder)
    call("repo", "import", "upstream", "records", cwd=folder)
    call("repo", "register-dataset-type", "upstream", "reading", "Json", "station", "month", cwd=folder)
    call(
        "repo", "ingest", "upstream", "reading", "--table", "readings/table.csv", "--run", "net/raw", cwd=folder
    )  # fmt: skip


def _made(campaign: Path) -> dict[tuple[str, ...], str]:
    """Return the checksums of what a campaign's run has made, without logs and metadata."""
    (run,) = json.loads(call("status", "--json", cwd=campaign).stdout)["runs"]
    out = {}
    staging = Repo.attach(f"sqlite:///{campaign}/staging.sqlite3", campaign / "data")
    with staging, staging.registry.read() as snapshot:
        for kind in snapshot.dataset_types():
            if not kind.name.endswith(("_log", "_metadata")) and kind.name != "packages":
                rows = snapshot.datasets(kind.name, [run["name"]], artifacts=True)
                for *key, checksum in rows.rows((*kind.dimensions.required, "checksum")):
                    out[kind.name, *map(str, key)] = checksum
    return out


def _prepared(folder: Path, yaml: str = YAML) -> Path:
    """Prepare a submission; return its directory."""
    (folder / "weather.yaml").write_text(yaml)
    told = call("batch", "prepare", "weather.yaml", cwd=folder).stdout
    found = re.search(r"Submit dir: (.*)", told)
    assert found is not None, told
    return Path(found[1])


@pytest.fixture(autouse=True)
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have submissions numbered apart from anybody's."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.service
def test_jobs_and_their_merge_need_no_connection_to_upstream(postgres: Database, tmp_path: Path) -> None:
    """With its database closed to everybody a prepared submission runs, is merged and finished; a push needs it again."""
    url = postgres.copy(postgres.server)
    make_upstream(tmp_path, "--registry", url)
    where = _prepared(tmp_path)
    name = sa.make_url(url).database
    with connection_to(postgres.server) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            done = call("batch", "submit", where, "--wait", cwd=tmp_path).stdout
            refused = call("push", "--dry-run", cwd=tmp_path / "weather", code=1).stderr
        finally:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    assert done.endswith("State: SUCCEEDED\n")
    assert "not currently accepting connections" in refused, "it was closed"
    pushed = json.loads(call("push", "--json", "--register-dataset-types", cwd=tmp_path / "weather").stdout)
    assert pushed["pushed"]


def test_a_submission_killed_when_its_head_had_begun_is_taken_up(tmp_path: Path) -> None:
    """The same command finds the head that it had started, and notes that it was handed over."""
    make_upstream(tmp_path)
    where = _prepared(tmp_path)
    start_head(SubmitDir(where))

    call("batch", "submit", where, cwd=tmp_path)

    assert Batch().status(id="1").state in {"RUNNING", "READY", "PENDING", "SUCCEEDED"}
    assert "restart --id 1" in call("batch", "submit", where, cwd=tmp_path, code=12).stderr
    until = time.monotonic() + 120
    while Batch().status(id="1").state != "SUCCEEDED" and time.monotonic() < until:
        time.sleep(0.05)
    assert Batch().status(id="1").state == "SUCCEEDED"


@pytest.mark.service
def test_many_quanta_on_this_machine_are_as_in_a_pool_with_no_database(
    postgres: Database, tmp_path: Path
) -> None:
    """Two hundred quanta, in the long form a thousand: staging is away, nobody comes to upstream, and nobody would get in."""
    n_stations, n_months = (100, 9) if is_long() else (67, 2)
    with _gate(postgres.copy(postgres.server)) as gate:
        _make_large(tmp_path, gate.url, n_stations, n_months)
        call("clone", "upstream", "pool", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
        call("run", "-q", "-j", "2", cwd=tmp_path / "pool")
        where = _prepared(tmp_path, BY_MONTH)
        staging = tmp_path / "weather" / "staging.sqlite3"
        for path in staging.parent.glob("staging.sqlite3*"):
            path.rename(path.with_name(f"away-{path.name}"))
        gate.is_open, n_before = False, gate.n_came

        done = call("batch", "submit", where, "--wait", cwd=tmp_path).stdout

        assert done.endswith("State: SUCCEEDED\n")
        assert gate.n_came == n_before > 0
        assert not staging.exists()
        for path in staging.parent.glob("away-*"):
            path.rename(path.with_name(path.name.removeprefix("away-")))
        call("merge", "--run", _only_run(tmp_path / "weather"), cwd=tmp_path / "weather")
        assert gate.n_came == n_before, "the merge needs none either"
        call("push", "--dry-run", cwd=tmp_path / "weather", code=1)
        assert gate.n_came > n_before, "who comes is counted"
    n_quanta = n_stations * (n_months + 1) + 1
    assert QuantumGraph.load(where / "graph.qg").n_quanta == n_quanta >= (1_000 if is_long() else 200)
    found = _made(tmp_path / "weather")
    assert sum(kind in {"clean", "summary", "total"} for kind, *_ in found) == n_quanta
    assert found == _made(tmp_path / "pool")


def _only_run(campaign: Path) -> str:
    (run,) = json.loads(call("status", "--json", cwd=campaign).stdout)["runs"]
    return str(run["name"])
