"""A real S3 server for tests: moto's, or what ``STAGE_TEST_S3`` says; skipped where there is none.

``STAGE_TEST_S3=ceph`` starts a Ceph gateway (root, with ``ceph-mon``, ``ceph-osd`` and ``radosgw`` installed); a URL
``http://KEY:SECRET@HOST:PORT`` is that of a server that runs already.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

__all__ = ["Bucket", "Requests", "bucket", "requests_sent", "s3_server"]

_EXTERNAL = "STAGE_TEST_S3"
_KEY, _SECRET = "teststagekey", "teststagesecret"
_CEPH = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")
_CONF = """[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
run dir = {root}
admin socket = {root}/$name.asok
pid file = {root}/$name.pid
log file = {root}/log/$name.log
keyring = {root}/keyring
mon data = {root}/mon
osd data = {root}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 1
paxos propose interval = 0.02
paxos min wait = 0.01
osd class load list = *
osd class default list = *
rgw data = {root}/rgw
"""


@dataclass
class Requests:
    """What was sent to the store in a block, and what came back.

    Parameters
    ----------
    methods : list of str
        HTTP methods in order.
    n_bytes : int
        Bytes of bodies that were received.
    """

    methods: list[str] = field(default_factory=list)
    n_bytes: int = 0


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of a server.

    Parameters
    ----------
    name : str
        Of the bucket.
    environment : dict
        What a process needs to reach it.
    """

    name: str
    environment: dict[str, str]

    def uri(self, key: str) -> str:
        """Return the URI of an object."""
        return f"s3://{self.name}/{key}"


@contextlib.contextmanager
def requests_sent() -> Iterator[Requests]:
    """Count what this process asks its stores, at the HTTP client."""
    from aiobotocore.httpsession import AIOHTTPSession

    seen = Requests()
    plain = AIOHTTPSession.send

    async def send(self: Any, request: Any) -> Any:
        response = await plain(self, request)
        seen.methods.append(request.method)
        if request.method == "GET":
            seen.n_bytes += int(response.headers.get("content-length", 0))
        return response

    AIOHTTPSession.send = send
    try:
        yield seen
    finally:
        AIOHTTPSession.send = plain


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, is_alive: Any) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if not is_alive():
            break
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server at port {port} does not answer")


@contextlib.contextmanager
def _moto() -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, lambda: server.poll() is None)
            yield f"http://{_KEY}:{_SECRET}@127.0.0.1:{port}"
        finally:
            server.terminate()


@contextlib.contextmanager
def _ceph() -> Iterator[str]:
    """Start a monitor, a store in memory and a gateway: two seconds, and half a gigabyte of memory."""
    port, mon, fsid = _free_port(), _free_port(), uuid.uuid4()
    root = Path(tempfile.mkdtemp(prefix="stage-s3-", dir="/tmp"))
    for folder in ("mon", "osd", "log", "rgw"):
        (root / folder).mkdir()
    conf = root / "ceph.conf"
    conf.write_text(_CONF.format(fsid=fsid, mon=mon, root=root))

    def run(program: str, *words: str) -> None:
        subprocess.run([program, *words], check=True, capture_output=True, timeout=60)

    try:
        run(
            "ceph-authtool",
            "--create-keyring",
            f"{root}/keyring",
            "--gen-key",
            "-n",
            "mon.",
            "--cap",
            "mon",
            "allow *",
        )
        run(
            "monmaptool",
            "--create",
            "--clobber",
            "--fsid",
            str(fsid),
            "--addv",
            "a",
            f"[v1:127.0.0.1:{mon}]",
            f"{root}/monmap",
        )
        run(
            "ceph-mon",
            "-c",
            str(conf),
            "-i",
            "a",
            "--mkfs",
            "--monmap",
            f"{root}/monmap",
            "--keyring",
            f"{root}/keyring",
        )
        run("ceph-mon", "-c", str(conf), "-i", "a")
        osd = str(uuid.uuid4())
        run("ceph", "-c", str(conf), "osd", "new", osd)
        run("ceph-osd", "-c", str(conf), "-i", "0", "--mkfs", "--osd-uuid", osd)
        run("ceph-osd", "-c", str(conf), "-i", "0")
        run("radosgw-admin", "-c", str(conf), "user", "create", "--uid=test", "--display-name=test", f"--access-key={_KEY}",
            f"--secret-key={_SECRET}")  # fmt: skip
        run(
            "radosgw", "-c", str(conf), "-n", "client.rgw", f"--rgw-frontends=beast endpoint=127.0.0.1:{port}"
        )
        _wait_for(port, lambda: True)
        yield f"http://{_KEY}:{_SECRET}@127.0.0.1:{port}"
    finally:
        for name in ("client.rgw", "osd.0", "mon.a"):  # its own: their ids stand in this folder
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((root / f"{name}.pid").read_text()), signal.SIGKILL)
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Return ``http://KEY:SECRET@HOST:PORT`` of an S3 server."""
    if find_spec("s3fs") is None:
        pytest.skip("no s3fs (pip install 'stage[s3]')")
    wanted = os.environ.get(_EXTERNAL, "")
    if wanted == "ceph":
        if missing := [name for name in _CEPH if shutil.which(name) is None]:
            pytest.skip(f"no {', '.join(missing)} for {_EXTERNAL}=ceph")
        with _ceph() as url:
            yield url
        return
    if wanted:
        yield wanted
        return
    if find_spec("moto") is None or find_spec("flask") is None:
        pytest.skip(f"no S3 server: moto is not installed, and {_EXTERNAL} is not set")
    with _moto() as url:
        yield url


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Return a bucket of its own, which this process reaches by its environment."""
    import s3fs

    parts = urlsplit(s3_server)
    environment = {
        "AWS_ENDPOINT_URL": f"{parts.scheme}://{parts.hostname}:{parts.port}",
        "AWS_ACCESS_KEY_ID": parts.username or "",
        "AWS_SECRET_ACCESS_KEY": parts.password or "",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"stage-{uuid.uuid4().hex[:12]}"
    store = s3fs.S3FileSystem()
    store.mkdir(name)
    yield Bucket(name, environment)
    store.rm(name, recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
