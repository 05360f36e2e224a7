"""A far machine for tests: a real sshd on loopback, with keys of its own, on a line that can be cut and mended."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

__all__ = ["FarMachine", "Line", "need_hiding", "need_sshd", "running_sshd"]

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_CHUNK = 1 << 18
_MARK = "STAGE_FAR_MACHINE"
_CONF = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
MaxSessions 100
PrintMotd no
UseDNS no
LogLevel VERBOSE
SetEnv {mark}={root}
Subsystem sftp internal-sftp
{force}
"""


class Line:
    """The way to a server of this machine: a port that hands all on, until it is cut.

    Parameters
    ----------
    target : int
        The server's port.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._left = float("inf")
        self.sent = 0
        """So many bytes went to the server."""
        self.turns = 0
        """So often something went there after an answer."""
        self._is_answered = False
        self.port = 0
        self._listener: socket.socket | None = None
        self.mend()

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends, self._ends = self._ends, []
            self._left = float("inf")
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, n_bytes: int) -> None:
        """Cut it as soon as so many more bytes have gone to the server."""
        self._left = n_bytes

    def mend(self) -> None:
        """Take connections again, on the same port."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
                self.port = self._listener.getsockname()[1]
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._ends += [near, far]
        back = threading.Thread(target=self._pump, args=(far, near, False), daemon=True)
        back.start()
        self._pump(near, far, True)
        back.join()
        near.close()
        far.close()

    def _note(self, n_bytes: int) -> None:
        self._left -= n_bytes
        self.sent += n_bytes
        self.turns += bool(n_bytes) and self._is_answered
        self._is_answered = not n_bytes

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if counts and len(data) >= self._left:
                    self.cut()
                    break
                self._note(len(data) if counts else 0)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class FarMachine:
    """A machine that is reached by ssh: this one.

    Parameters
    ----------
    root : pathlib.Path
        Where its keys, its log and all that is written there are.
    server_port : int
        Where its sshd listens.
    line : Line
        The way there, by which `section` goes.
    """

    root: Path
    server_port: int
    line: Line
    user: str = field(default_factory=getpass.getuser)

    @property
    def base(self) -> Path:
        """Its ``baseDir``."""
        return self.root / "far"

    def section(self, **changes: Any) -> dict[str, Any]:
        """Return the section ``ssh`` of a site; None as a change takes out what is there."""
        found = {
            "host": f"{self.user}@127.0.0.1",
            "port": self.line.port,
            "identityFile": str(self.root / "key"),
            "options": [
                f"UserKnownHostsFile={self.root}/known_hosts",
                "GlobalKnownHostsFile=/dev/null",
                "IdentitiesOnly=yes",
                "StrictHostKeyChecking=yes",
            ],
            "connectTimeout": 10,
            "baseDir": str(self.base),
            "python": sys.executable,
        }
        return {key: value for key, value in (found | changes).items() if value is not None}

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        self.line.cut()

    def cut_after(self, n_bytes: int) -> None:
        """Break all connections as soon as so many more bytes have gone there."""
        self.line.cut_after(n_bytes)

    def mend(self) -> None:
        """Let connections through again."""
        self.line.mend()

    @property
    def pids(self) -> list[int]:
        """What has been started by its sessions, and still runs."""
        mark = f"\0{_MARK}={self.root}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in b"\0" + (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return sorted(set(found) - {os.getpid()})


@contextlib.contextmanager
def running_sshd(root: Path, hidden: Sequence[Path | str] = ()) -> Iterator[FarMachine]:
    """Run a far machine for as long as the block lasts; then all that its sessions have started is ended.

    Parameters
    ----------
    root : pathlib.Path
        A directory for it; made if it is not there.
    hidden : sequence of path, optional
        Directories that are empty for all its sessions.
    """
    root = root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "key"):
        if not (root / name).exists():
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)]
            subprocess.run(words, check=True, capture_output=True)
    shutil.copy(root / "key.pub", root / "authorized_keys")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port, server = _start(root, f"ForceCommand {_entrance(root, hidden)}" if hidden else "")
    machine = FarMachine(root, port, Line(port))
    key = " ".join((root / "host_key.pub").read_text().split()[:2])
    names = (f"[127.0.0.1]:{p} {key}\n" for p in (port, machine.line.port))
    (root / "known_hosts").write_text("".join(names))
    try:
        yield machine
    finally:
        machine.cut()
        _end(machine, server)


def _start(root: Path, force: str) -> tuple[int, subprocess.Popen[bytes]]:
    """Start an sshd; another port is taken if somebody else got it first."""
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        text = _CONF.format(port=port, root=root, mark=_MARK, force=force)
        (root / "sshd_config").write_text(text)
        program = shutil.which("sshd") or "/usr/sbin/sshd"  # it wants its whole path
        words = [program, "-D", "-f", str(root / "sshd_config"), "-E", str(root / "sshd.log")]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 10
        while server.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return port, server
            time.sleep(0.02)
        server.kill()
        server.wait()
    raise RuntimeError(f"sshd does not start: {(root / 'sshd.log').read_text()}")


def _entrance(root: Path, hidden: Sequence[Path | str]) -> Path:
    words = ["bwrap", "--dev-bind", "/", "/"]
    for path in hidden:
        words += ["--tmpfs", str(path)]
    path = root / "enter"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    path.chmod(0o755)
    return path


def _end(machine: FarMachine, server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.wait()
    until = time.monotonic() + 5
    while (pids := machine.pids) and time.monotonic() < until:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def need_sshd() -> None:
    """Skip by name where it cannot be had."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*path, *(place for place in _SBIN if place not in path)])
    programs = ("sshd", "ssh", "ssh-keygen")
    if missing := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(
            f"no sshd: {', '.join(missing)} not installed (apt-get install openssh-server openssh-client)"
        )


def need_hiding() -> None:
    """Skip by name where directories cannot be hidden from sessions."""
    if shutil.which("bwrap") is None:
        pytest.skip("nothing can be hidden from a session: bubblewrap is not installed")
    words = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/mnt", "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be hidden from a session: {done.stderr.strip()}")
