"""A connection to a far machine: a real sshd on loopback, and all that can go wrong on the way and there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import IntegrityError, NotFoundError, StageError, StorageError, UsageError
from registry.model.digest import digest_bytes
from stage.batch.engines.ssh.connection import Connection, FarFile
from stage.batch.engines.ssh.options import SshOptions
from tests.ssh_world import FarMachine, need_hiding, need_sshd, running_sshd

ODD = ["plain", "with space", "it's", 'a "b"', "$HOME", "back\\slash", "new\nline", "ü", "-dash", "per%cent!"]
MB = 1 << 20


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarMachine]:
    """A far machine for all tests of this module."""
    need_sshd()
    with running_sshd(tmp_path_factory.mktemp("far")) as found:
        yield found


@pytest.fixture
def base(machine: FarMachine, tmp_path: Path) -> Path:
    """A base directory of its own, with a name that no shell likes."""
    return tmp_path / 'far it\'s "$HOME"'


@pytest.fixture
def line(machine: FarMachine, base: Path) -> Iterator[Connection]:
    """A connection."""
    with connect(machine, base) as found:
        yield found


def connect(machine: FarMachine, base: Path, **changes: Any) -> Connection:
    """Return a connection, not open."""
    return Connection(SshOptions.from_section(machine.section(baseDir=str(base), **changes)))


def made(folder: Path, name: str, data: bytes, **more: Any) -> tuple[FarFile, str]:
    """Make a file to be sent, which goes by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / digest_bytes(data)[7:]
    path.write_bytes(data)
    return FarFile(name, len(data), digest_bytes(data), **more), str(path)


def fetched(line: Connection, names: list[str]) -> dict[str, bytes]:
    """Return files of the far machine."""
    found: dict[str, bytes] = {}
    line.fetch(names, lambda name, parts: found.update({name: b"".join(parts)}))
    return found


def refused(connection: Connection) -> StorageError:
    """Return why a connection cannot be opened."""
    with pytest.raises(StorageError) as caught, connection:
        connection.open()
    return caught.value


def test_files_go_there_and_come_back(line: Connection, base: Path, tmp_path: Path) -> None:
    """Files of any name and size are the same there and when they have come back, and are not wanted a second time."""
    sizes = [0, 1, 1000, 70_000, 3 * MB, 5 * MB, 10, 20, 30, 40]
    sources = [
        made(tmp_path / "src", f"runs/{name}/{name}", os.urandom(size), executable=size == 1000)
        for name, size in zip(ODD, sizes, strict=True)
    ]
    wanted = [file for file, _ in sources]
    assert list(range(10)) == line.lacking(wanted)
    assert sum(sizes) == line.send(sources)
    assert [] == line.lacking(wanted)
    assert sizes == line.stat([f.name for f in wanted])
    assert sorted(f.name for f in wanted) == line.names("runs")
    assert fetched(line, [f.name for f in wanted]) == {f.name: Path(p).read_bytes() for f, p in sources}
    assert 0o755 == (base / wanted[2].name).stat().st_mode & 0o777
    assert 0o700 == base.stat().st_mode & 0o777


def test_what_is_there_by_its_content_is_not_sent_again(line: Connection, base: Path, tmp_path: Path) -> None:
    """A file that another run has brought gets a further name, as a link that cannot be written; a program is a copy."""
    file, path = made(tmp_path / "src", "runs/a/in", os.urandom(5000))
    line.send([(file, path)])
    again = [
        FarFile("runs/b/in", 5000, file.checksum),
        FarFile("runs/b/run", 5000, file.checksum, executable=True),
    ]
    assert [] == line.lacking(again)
    assert (base / "runs/a/in").samefile(base / "runs/b/in")
    assert 0o444 == (base / "runs/b/in").stat().st_mode & 0o777
    assert 0o755 == (base / "runs/b/run").stat().st_mode & 0o777
    (base / "runs/b/in").unlink()
    (base / "runs/b/in").write_bytes(b"x" * 5000)
    assert [] == line.lacking(again)
    assert Path(path).read_bytes() == (base / "runs/b/in").read_bytes()


def test_what_a_crash_may_have_spoilt_is_looked_at(line: Connection, base: Path, tmp_path: Path) -> None:
    """What was kept before the machine was started is read once before it is used, and sent again if it is no more."""
    sources = [made(tmp_path / "src", f"runs/{i}", os.urandom(1000)) for i in range(3)]
    wanted = [file for file, _ in sources]
    line.send(sources)
    kept = [base / f"files/{f.checksum[7:9]}/{f.checksum[7:]}" for f in wanted]
    for path, data in zip(kept, (b"\0" * 1000, b"", None), strict=True):
        if data is not None:
            path.chmod(0o600)
            path.write_bytes(data)
        os.utime(path, (0, 0))
    assert [0, 1] == line.lacking(wanted)
    assert 2000 == line.send(sources[:2])
    assert fetched(line, [f.name for f in wanted]) == {f.name: Path(p).read_bytes() for f, p in sources}
    assert 0 < kept[2].stat().st_mtime


def test_further_connections_go_by_the_first(machine: FarMachine, base: Path) -> None:
    """A second connection is not greeted again by sshd."""
    log = machine.root / "sshd.log"
    with (
        connect(machine, base, connectTimeout=11) as first,
        connect(machine, base, connectTimeout=11) as second,
    ):
        first.open()
        before = log.read_text().count("Accepted publickey")
        assert first.open().base == second.open().base
        assert before == log.read_text().count("Accepted publickey")


def test_thousands_of_files_are_few_round_trips(
    machine: FarMachine, line: Connection, tmp_path: Path
) -> None:
    """A thousand small files go there, and come back, with far fewer turns on the line than files."""
    sources = [made(tmp_path / "src", f"runs/{i}", b"%d" % i) for i in range(1000)]
    line.open()
    before = machine.line.turns
    line.send(sources[i] for i in line.lacking([f for f, _ in sources]))
    assert 1000 == len(fetched(line, [f.name for f, _ in sources]))
    assert 50 > machine.line.turns - before


def test_a_wrong_key_is_refused(machine: FarMachine, base: Path, tmp_path: Path) -> None:
    """Without the right key nobody gets in, which no waiting helps against, and ssh's own words are told."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")]
    subprocess.run(words, check=True, capture_output=True)
    error = refused(connect(machine, base, identityFile=str(tmp_path / "other")))
    assert ("far-refused", False) == (error.code, error.transient)
    assert "Permission denied" in str(error)
    assert "ssh -o BatchMode=yes" in error.hint


def test_an_unknown_host_key_is_refused(machine: FarMachine, base: Path) -> None:
    """A machine whose key nobody knows is not entered."""
    options = [o for o in machine.section()["options"] if "UserKnownHosts" not in o]
    error = refused(connect(machine, base, options=[*options, "UserKnownHostsFile=/dev/null"]))
    assert ("far-refused", False) == (error.code, error.transient)
    assert "Host key verification failed" in str(error)


def test_what_cannot_be_reached_may_be_later(machine: FarMachine, base: Path) -> None:
    """A closed port, a name that does not resolve, and a machine that says nothing: each is told as transient."""
    closed = refused(connect(machine, base, port=1))
    nameless = refused(connect(machine, base, host="me@no-such-host.invalid"))
    assert [("far-unreachable", True)] * 2 == [(e.code, e.transient) for e in (closed, nameless)]
    assert "refused" in str(closed)
    assert "no-such-host.invalid" in str(nameless)


def test_without_ssh_it_is_said_what_to_install(machine: FarMachine, base: Path) -> None:
    """A program that is not there is named."""
    error = refused(connect(machine, base, command="no-such-ssh"))
    assert "no-ssh" == error.code
    assert "no-such-ssh" in str(error)


def test_a_python_that_does_not_do_is_named(machine: FarMachine, base: Path, tmp_path: Path) -> None:
    """No python, an old one, and one that lacks packages are three different things, each with what to do."""
    old, bare = tmp_path / "old", tmp_path / "bare python"
    pretend = "import sys; sys.version_info = (3, 9, 7); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{pretend}' \"$2\"\n")
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    for script in (old, bare):
        script.chmod(0o755)
    said = [refused(connect(machine, base, python=str(p))) for p in ("/no/such/python", old, bare)]
    assert ["far-python"] * 3 == [e.code for e in said]
    assert "/no/such/python" in str(said[0])
    assert "3.9.7" in str(said[1])
    assert "blake3" in str(said[2])
    assert "pip install" in said[2].hint


def test_a_base_that_cannot_be_written_is_named(machine: FarMachine) -> None:
    """A directory that cannot be made is told with the system's words."""
    error = refused(connect(machine, Path("/proc/stage far")))
    assert ("far-disk", False) == (error.code, error.transient)
    assert "/proc/stage far" in str(error)


def test_a_file_that_has_no_room_is_not_there_at_all(machine: FarMachine, base: Path, tmp_path: Path) -> None:
    """What the system does not take is told with its name; what came before stays, nothing has half of it."""
    small, large = (made(tmp_path / "src", f"runs/{n}", os.urandom(n)) for n in (1000, 2 * MB))
    with connect(machine, base, setup=["ulimit -f 1000"]) as line:
        with pytest.raises(StorageError, match="runs/2097152") as caught:
            line.send([small, large])
        assert "far-disk" == caught.value.code
        assert [1000, None] == line.stat([small[0].name, large[0].name])
        line.append("log", b"a line\n")
        with pytest.raises(StorageError, match="log"):
            line.append("log", b"x" * 2 * MB)
        assert b"a line\n" == line.tail("log", 0, 0)


def test_a_full_disk_is_told(machine: FarMachine, base: Path, tmp_path: Path) -> None:
    """On a file system that is full the error says so; when there is room again the same goes."""
    base.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(base)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no full disk: only root can mount one, where that is allowed")
    try:
        with connect(machine, base) as line:
            line.put("filled", b"x" * 2 * MB)
            source = made(tmp_path / "src", "runs/in", os.urandom(2 * MB))
            with pytest.raises(StorageError, match="no space left") as caught:
                line.send([source])
            assert "far-disk" == caught.value.code
            line.remove("filled")
            assert 2 * MB == line.send([source])
    finally:
        subprocess.run(["umount", "-l", str(base)], check=True)


def test_what_came_before_a_cut_is_not_sent_again(machine: FarMachine, base: Path, tmp_path: Path) -> None:
    """Of a line that breaks in the middle files that came stay, and of a large one only the rest is sent."""
    sources = [made(tmp_path / "src", f"runs/{i}", os.urandom(100_000)) for i in range(30)]
    large = made(tmp_path / "src", "runs/large", os.urandom(24 * MB))
    with connect(machine, base) as line:
        line.open()
        machine.cut_after(15 * MB)
        with pytest.raises(StorageError) as caught:
            line.send([*sources, large])
        assert ("far-lost", True) == (caught.value.code, caught.value.transient)
        assert "far-unreachable" == refused(connect(machine, base)).code
        machine.mend()
        lacking = line.lacking([f for f, _ in [*sources, large]])
        assert [30] == lacking
        assert 16 * MB > line.send([large])
        assert fetched(line, ["runs/large"]) == {"runs/large": Path(large[1]).read_bytes()}
    assert [] == list((base / "files/partial").iterdir())


def test_nothing_leaves_the_base(line: Connection, base: Path, tmp_path: Path) -> None:
    """Names that lead out, by dots, from the root or through a link, are refused there, whatever is asked."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("kept")
    line.put("runs/x", b"")
    (base / "runs/way").symlink_to(outside)
    (base / "runs/file").symlink_to(outside / "secret")
    for bad in ("../outside/new", f"{outside}/new", "runs/way/new", "runs/../../outside/new", "runs/./x", ""):
        for ask in (
            lambda name: line.put(name, b"x"),
            lambda name: line.append(name, b"x"),
            lambda name: line.lacking([FarFile(name, 1)]),
            line.remove,
            lambda name: line.start(["true"], cwd="runs", log=name, environment={}),
            lambda name: line.fetch([name], lambda *_: None),
        ):
            with pytest.raises(StageError) as caught:
                ask(bad)
            assert caught.value.code in {"far-outside", "far-absent"}, (bad, caught.value)
    for bad in ("runs/way/secret", "runs/file", "../outside/secret"):
        with pytest.raises(UsageError, match=r"secret|file") as refusal:
            line.fetch([bad], lambda *_: None)
        assert "far-outside" == refusal.value.code
        with pytest.raises(UsageError):
            line.stat([bad])
    line.put("runs/file", b"mine")  # a link in the place itself is replaced
    line.remove("runs/way")
    assert [outside / "secret"] == list(outside.iterdir())
    assert "kept" == (outside / "secret").read_text()


def test_bytes_that_are_others_are_refused(line: Connection, base: Path, tmp_path: Path) -> None:
    """A file that is not what was announced, by content or by size, does not get its name; the line goes on."""
    good, wrong = (made(tmp_path / "src", f"runs/{n}", os.urandom(n)) for n in (1000, 2000))
    Path(wrong[1]).write_bytes(os.urandom(2000))
    with pytest.raises(IntegrityError, match="runs/2000") as caught:
        line.send([good, wrong])
    assert "far-corrupt" == caught.value.code
    for size in (10, 5_000_000):
        short = made(tmp_path / "src", f"runs/short{size}", os.urandom(size))
        Path(short[1]).write_bytes(os.urandom(size // 2))
        with pytest.raises(IntegrityError, match="bytes of"):
            line.send([short])
    gone = made(tmp_path / "src", "runs/gone", b"gone")
    Path(gone[1]).unlink()
    with pytest.raises(NotFoundError):
        line.send([gone])
    assert ["runs/1000"] == line.names("runs")
    assert [] == list((base / "tmp").iterdir())


def test_two_connections_may_send_the_same(machine: FarMachine, base: Path, tmp_path: Path) -> None:
    """Two that send the same content at once both succeed, and it is there once."""
    sources = [made(tmp_path / "src", f"runs/{n}", os.urandom(n)) for n in (100, 6 * MB, 8 * MB)]
    failed: list[BaseException] = []
    barrier = threading.Barrier(2)

    def send() -> None:
        try:
            with connect(machine, base) as line:
                line.open()
                barrier.wait(30)
                line.send(sources)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failed
    with connect(machine, base) as line:
        assert fetched(line, [f.name for f, _ in sources]) == {
            f.name: Path(p).read_bytes() for f, p in sources
        }
        assert 3 == len(line.names("files"))


def test_what_is_absent_is_told_at_the_end(line: Connection) -> None:
    """Files that are not there do not keep others from coming; what a taker raises closes the line, and no more."""
    line.put("a", b"1")
    line.put("b", b"2" * 3 * MB)
    found: dict[str, bytes] = {}
    with pytest.raises(NotFoundError, match="2 of 4") as caught:
        line.fetch(["x", "a", "y/z", "b"], lambda n, parts: found.update({n: b"".join(parts)}))
    assert {"names": ["x", "y/z"]} == caught.value.context
    assert {"a": b"1", "b": b"2" * 3 * MB} == found
    with pytest.raises(ZeroDivisionError):
        line.fetch(["b", "a"], lambda *_: 1 / 0)
    assert {"a": b"1"} == fetched(line, ["a"])


def test_lines_are_added_whole(line: Connection, base: Path) -> None:
    """What is added follows what is there, and a line that somebody could not complete is ended first."""
    line.append("box", b"1\n")
    line.append("box", b"2\n")
    with (base / "box").open("ab") as torn:
        torn.write(b'{"to')
    line.append("box", b"3\n")
    assert b'1\n2\n{"to\n3\n' == line.tail("box", 0, 5)


def test_a_tail_waits_for_news(machine: FarMachine, line: Connection, base: Path) -> None:
    """It comes back when something is added, or when the time is over; an agent sees that somebody has looked."""
    line.put("agent/agent.json", b"{}")
    assert b"" == line.tail("agent/box", 0, 0.1)
    assert (base / "agent/home.beat").exists()
    with connect(machine, base) as other:
        other.open()
        timer = threading.Timer(0.3, lambda: other.append("agent/box", b"news"))
        timer.start()
        began = time.monotonic()
        assert b"news" == line.tail("agent/box", 0, 30)
        assert 10 > time.monotonic() - began
        timer.join()
    assert b"ws" == line.tail("agent/box", 2, 5)


def test_words_and_variables_get_there_unchanged(machine: FarMachine, base: Path) -> None:
    """Spaces and quotes of all kinds survive the shells between, and setup lines neither print nor read."""
    setup = [
        """export GREETING='it'"'"'s "$HOME" 100% \\ done!'""",
        "echo noise",
        "cat; module() { :; }",
        "false",
    ]
    with connect(machine, base, setup=setup) as line:
        for word in ODD:
            code, out, err = line.run(["sh", "-c", 'printf %s "$1$A"', "sh", word], environment={"A": word})
            assert (0, word * 2, "") == (code, out, err)
        said = line.run(["sh", "-c", 'printf %s "$GREETING"; exit 3'], environment={})
        assert (3, 'it\'s "$HOME" 100% \\ done!', "") == said
        assert str(base) == line.open().base
        with pytest.raises(StorageError, match="no-such-program") as caught:
            line.run(["no-such-program"], environment={})
        assert "far-start" == caught.value.code
        with pytest.raises(StorageError, match="has not ended within"):
            line.run(["sleep", "60"], environment={}, timeout_s=0.1)


def test_what_was_started_outlives_the_line(machine: FarMachine, base: Path) -> None:
    """A process goes on when its connection is cut, with its variables and its log; one that is none is named."""
    with connect(machine, base) as line:
        line.put("run/x", b"")
        with pytest.raises(StorageError, match="no-such-program"):
            line.start(["no-such-program"], cwd="run", log="run/log", environment={})
        script = 'pwd; printf "%s\\n" "$A"; sleep 0.5; echo done; exec sleep 60'
        pid = line.start(["sh", "-c", script], cwd="run", log="run/log", environment={"A": "it's"})
        machine.cut()
        with pytest.raises(StorageError):
            line.stat(["run/x"])
        machine.mend()
        offset, said = 0, b""
        while b"done" not in said:
            part = line.tail("run/log", offset, 10)
            assert part
            said += part
            offset += len(part)
        assert f"{base}/run\nit's\ndone\n".encode() == said
        assert pid in machine.pids


def test_a_tree_is_removed_and_no_more(line: Connection, base: Path, tmp_path: Path) -> None:
    """Of a directory all goes, what its links lead to stays, and what is not there is no error."""
    line.put("runs/a/b/c", b"1")
    line.put("runs/d", b"1")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/kept").write_text("")
    (base / "runs/a/link").symlink_to(tmp_path / "other")
    line.remove("runs/a")
    line.remove("runs/a")
    assert ["runs/d"] == line.names("runs")
    assert (tmp_path / "other/kept").exists()
    line.put("runs/a/b/c", b"2")
    assert {"runs/a/b/c": b"2"} == fetched(line, ["runs/a/b/c"])


def test_a_session_sees_nothing_that_is_hidden(tmp_path: Path) -> None:
    """Directories that are hidden are empty for all that runs in a session, and only there."""
    need_sshd()
    need_hiding()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/data").write_text("here")
    with (
        running_sshd(tmp_path / "far", hidden=[tmp_path / "home"]) as machine,
        connect(machine, machine.base) as line,
    ):
        said = line.run(["ls", "-A", str(tmp_path / "home")], environment={})
        assert (0, "", "") == said
        assert "here" == (tmp_path / "home/data").read_text()
