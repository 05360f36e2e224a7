"""Inputs in a real object store: fetched once a machine, copied into a campaign, and modes that cannot work there."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tiny_campaign import UNIVERSE, call

from tests.stores import Bucket

pytestmark = pytest.mark.service
N_QUANTA = 8
TASKS = """
from stage import Input, Output, task

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={
        "reading": Input(dataset_type="reading", storage_class="Json", dimensions=BOTH),
        "limits": Input(dataset_type="limits", storage_class="Json", dimensions=()),
    },
    outputs={"clean": Output(dataset_type="clean", storage_class="Json", dimensions=BOTH)},
)
def clean(reading, limits):
    return {"values": [v for v in reading["values"] if v <= limits["highest"]]}
"""


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a store, and notes which objects were asked for.

    Parameters
    ----------
    endpoint : str
        The store's URL.
    """

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(endpoint)
        self.fetched: list[str] = []

    def times(self, part: str) -> int:
        """Return how often objects were fetched whose path has a part."""
        return sum(part in path for path in self.fetched)


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        far = http.client.HTTPConnection(
            self.server.target.hostname or "", self.server.target.port, timeout=30
        )
        far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            far.putheader(name, value)
        far.endheaders(body or None)
        answer = far.getresponse()
        data = answer.read()
        if self.command == "GET" and "list-type" not in self.path:
            self.server.fetched.append(self.path)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length") or str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        far.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - as the library wants them

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A way to the store that counts; all processes of the test go it."""
    import s3fs

    with Proxy(bucket.environment["AWS_ENDPOINT_URL"]) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.server_address[1]}")
        s3fs.S3FileSystem.clear_instance_cache()
        yield made
        s3fs.S3FileSystem.clear_instance_cache()
        made.shutdown()


@pytest.fixture
def work(bucket: Bucket, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an upstream whose files are in the store, eight readings and one table that all need."""
    work = tmp_path / "work"
    monkeypatch.setenv("STAGE_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("records", "readings"):
        (work / name).mkdir(parents=True)
    (work / "universe.yaml").write_text(UNIVERSE)
    (work / "table_tasks.py").write_text(TASKS)
    (work / "pipeline.yaml").write_text("tasks:\n  clean: table_tasks.clean\n")
    stations, months = [f"s{n}" for n in range(N_QUANTA // 2)], (202601, 202602)
    (work / "records/station.jsonl").write_text("".join(json.dumps({"name": s}) + "\n" for s in stations))
    (work / "records/month.jsonl").write_text("".join(json.dumps({"id": m}) + "\n" for m in months))
    lines = ["station,month,path"]
    for station in stations:
        for month in months:
            name = f"{station}-{month}.json"
            (work / "readings" / name).write_text(json.dumps({"values": [1, 2, 1000]}))
            lines.append(f"{station},{month},{name}")
    (work / "readings/table.csv").write_text("\n".join(lines) + "\n")
    (work / "limits.json").write_text('{"highest": 100}')
    up = "upstream"
    call("repo", "create", up, "--universe", "universe.yaml", "--datastore", bucket.uri("up"), cwd=work)
    call("repo", "import", up, "records", cwd=work)
    call("repo", "register-dataset-type", up, "reading", "Json", "station", "month", cwd=work)
    call("repo", "register-dataset-type", up, "limits", "Json", cwd=work)
    call("repo", "ingest", up, "reading", "--table", "readings/table.csv", "--run", "net/raw", cwd=work)
    call("repo", "ingest", up, "limits", "limits.json", "--run", "net/limits", cwd=work)
    proxy.fetched.clear()
    return work


def clone(work: Path, name: str, *words: str, code: int = 0) -> str:
    words = ("clone", "upstream", name, "-p", "pipeline.yaml", "-i", "net/raw,net/limits", *words)
    told: str = call(*words, cwd=work, code=code).stderr
    return told


def test_what_all_quanta_read_is_fetched_once(work: Path, proxy: Proxy, tmp_path: Path) -> None:
    """Two processes, and then another campaign, fetch each object once from the store; without a cache each quantum does."""
    clone(work, "camp")
    call("run", "-q", "-j", "2", cwd=work / "camp")

    assert (proxy.times("limits"), proxy.times("reading")) == (1, N_QUANTA)
    clone(work, "other")
    call("run", "-q", "-j0", cwd=work / "other")
    assert (proxy.times("limits"), proxy.times("reading")) == (1, N_QUANTA)
    emptied = json.loads(call("drop", "--cache", "--yes", "--json", cwd=work / "other").stdout)
    assert emptied["cached"] == N_QUANTA + 1
    assert not [p for p in (tmp_path / "cache" / "objects").rglob("*") if p.is_file()]
    call("run", "-q", "-j0", "--new-run", "--cache-size", "0", cwd=work / "other")
    assert proxy.times("limits") == 1 + N_QUANTA


def test_copies_need_the_store_no_more(work: Path, proxy: Proxy) -> None:
    """Copied inputs are fetched once each, and a run asks the store for none of them; dropped, they are read there again."""
    assert "cannot work: s3://" in clone(work, "camp", "--artifacts", "link", code=2)
    assert "--artifacts copy would work" in clone(work, "camp", "--artifacts", "symlink", code=2)
    clone(work, "camp", "--artifacts", "copy")
    camp = work / "camp"

    assert len(proxy.fetched) == N_QUANTA + 1
    call("run", "-q", "-j0", cwd=camp)
    assert len(proxy.fetched) == N_QUANTA + 1
    assert json.loads(call("drop", "--inputs", "--yes", "--json", cwd=camp).stdout)["files"] == N_QUANTA + 1
    with contextlib.suppress(StopIteration):
        assert next((camp / "data" / "net").rglob("*.json")) is None
    assert json.loads(call("get", "limits", cwd=camp).stdout) == {"highest": 100}
