"""The file API: whole files at any URI."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from registry.errors import NotFoundError, StorageError, UsageError
from registry.model.digest import digest_bytes
from sync.filesystem import files, local_files


@pytest.fixture(params=["local", "file-uri", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A root of each kind that needs no server."""
    if request.param == "local":
        return str(tmp_path)
    if request.param == "file-uri":
        return (tmp_path / "a b").as_uri()
    return f"memory://files-{uuid.uuid4().hex}"


class TestEveryScheme:
    def test_what_was_written_is_read(self, root: str) -> None:
        """Bytes come back as they were written, and parents are made."""
        uri = files.join(root, "x/y/z.bin")

        files.write_bytes(uri, b"hello")

        assert files.read_bytes(uri) == b"hello"
        assert files.size(uri) == 5
        assert files.exists(uri)
        assert list(files.read_chunks(uri)) == [b"hello"]

    def test_an_empty_file_is_a_file(self, root: str) -> None:
        """No bytes are content too."""
        uri = files.join(root, "empty")

        files.write_bytes(uri, b"")

        assert files.read_bytes(uri) == b""
        assert files.checksum(uri) == (0, digest_bytes(b""))

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 3, b"012"), (8, 5, b"89"), (-3, 2, b"78"), (-99, 2, b"01"), (20, 2, b""), (3, 0, b"")],
    )
    def test_range(self, root: str, start: int, length: int, expected: bytes) -> None:
        """A range is cut at the file's end, and a negative start counts from there."""
        uri = files.join(root, "digits")
        files.write_bytes(uri, b"0123456789")

        assert expected == files.read_range(uri, start, length)

    def test_write_replaces(self, root: str) -> None:
        """A second write replaces the whole file."""
        uri = files.join(root, "x")
        files.write_bytes(uri, b"a long first content")

        files.write_bytes(uri, b"b")

        assert files.read_bytes(uri) == b"b"
        assert files.list_files(root) == ["x"]

    def test_stream_tells_size_and_checksum(self, root: str) -> None:
        """Pieces are hashed as they pass."""
        uri = files.join(root, "s/x")

        assert (6, digest_bytes(b"abcdef")) == files.write_stream(uri, iter([b"ab", b"", b"cdef"]))
        assert files.read_bytes(uri) == b"abcdef"

    def test_failed_stream_leaves_nothing(self, root: str) -> None:
        """An error while the pieces come leaves neither the file nor one aside, and the old content if any."""
        uri = files.join(root, "s/x")
        files.write_bytes(uri, b"old")

        def broken():
            yield b"ab"
            raise RuntimeError("the source broke")

        with pytest.raises(RuntimeError, match="the source broke"):
            files.write_stream(uri, broken())

        assert files.read_bytes(uri) == b"old"
        assert files.list_files(root) == ["s/x"]

    def test_copy_between_schemes(self, root: str, tmp_path: Path) -> None:
        """A copy goes from any scheme to any other, and tells size and checksum."""
        source = tmp_path / "source"
        data = os.urandom(3 << 20)
        source.write_bytes(data)
        far, back = files.join(root, "far"), tmp_path / "back"

        assert files.copy(source, far) == (len(data), digest_bytes(data))
        assert files.copy(far, back) == (len(data), digest_bytes(data))
        assert back.read_bytes() == data

    def test_missing_file(self, root: str) -> None:
        """What is not there is a NotFoundError that names it."""
        uri = files.join(root, "no/such")

        for act in (files.read_bytes, files.size, files.checksum, files.remove):
            with pytest.raises(NotFoundError, match="no/such") as caught:
                act(uri)
            assert caught.value.code == "no-such-file"
        with pytest.raises(NotFoundError):
            files.read_range(uri, 0, 1)
        assert not files.exists(uri)
        files.remove(uri, missing_ok=True)

    def test_list_and_remove(self, root: str) -> None:
        """Listing names files below a root, sorted; a removed one is gone."""
        for name in ("b", "a/c", "a/b/d"):
            files.write_bytes(files.join(root, name), b"x")

        files.remove(files.join(root, "a/c"))

        assert files.list_files(root) == ["a/b/d", "b"]
        assert files.list_files(files.join(root, "a")) == ["b/d"]
        assert files.list_files(files.join(root, "nowhere")) == []


class TestUris:
    def test_what_is_local(self) -> None:
        """Paths and file URIs are local; other schemes are not, and odd paths are paths."""
        assert files.is_local("/a/b")
        assert files.is_local(Path("a"))
        assert files.is_local("file:///a")
        assert files.is_local("/a/b://c")
        assert not files.is_local("s3://bucket/key")

    def test_file_uri_is_unquoted(self) -> None:
        """A file URI may quote characters; a plain path never does."""
        assert files.local_path("file:///a%20b") == Path("/a b")
        assert files.local_path("file://localhost/a") == Path("/a")
        assert files.local_path("/a%20b") == Path("/a%20b")
        assert files.local_path("memory://a") is None

    def test_file_uri_of_another_machine_is_refused(self) -> None:
        """A file URI with a host means a file that is not here."""
        with pytest.raises(UsageError, match="another machine"):
            files.read_bytes("file://elsewhere/a")

    @pytest.mark.parametrize("relative", ["..", "../x", "a/../b", "a/..", "a\0b"])
    def test_join_refuses_escape(self, relative: str) -> None:
        """A relative path with '..' anywhere is refused."""
        with pytest.raises(UsageError) as caught:
            files.join("/root", relative)
        assert caught.value.code == "path-escape"

    @pytest.mark.parametrize(
        ("root", "relative", "expected"),
        [
            ("/r", "a/b", "/r/a/b"),
            ("/r/", "a", "/r/a"),
            ("s3://b/k", "a..b", "s3://b/k/a..b"),
            ("/r", "/abs", "/abs"),
            ("/r", "s3://b/k", "s3://b/k"),
            ("/r", ".", "/r"),
        ],
    )
    def test_join(self, root: str, relative: str, expected: str) -> None:
        """Relative paths go below the root; absolute URIs stay what they are."""
        assert expected == files.join(root, relative)

    def test_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path is taken from the working directory, as plain text."""
        monkeypatch.chdir(tmp_path)

        assert files.absolute("a/../b") == str(tmp_path / "b")
        assert files.absolute(tmp_path.as_uri()) == str(tmp_path)
        assert files.absolute("s3://b/k/") == "s3://b/k"

    def test_redact(self) -> None:
        """User, password and query never reach a message."""
        assert files.redact("s3://key:secret@host/b?X-Signature=1") == "s3://host/b"
        assert files.redact("/a@b?c") == "/a@b?c"

    def test_unknown_scheme(self) -> None:
        """A scheme that no library knows is a usage error, not a missing file."""
        with pytest.raises(UsageError, match="nosuch://") as caught:
            files.read_bytes("nosuch://a/b")
        assert caught.value.code == "unknown-scheme"


class TestLocal:
    def test_reader_never_sees_half_a_file(self, tmp_path: Path) -> None:
        """While one thread rewrites a file, another always reads one whole content."""
        path = tmp_path / "x"
        contents = [bytes([65 + i]) * 200_000 for i in range(2)]
        files.write_bytes(path, contents[0])
        stop = threading.Event()

        def rewrite() -> None:
            for i in range(200):
                files.write_bytes(path, contents[i % 2])
            stop.set()

        thread = threading.Thread(target=rewrite)
        thread.start()
        while not stop.is_set():
            assert files.read_bytes(path) in contents
        thread.join()

    def test_killed_writer_leaves_an_ignored_file_only(self, tmp_path: Path) -> None:
        """After kill -9 in the middle of a write the name does not exist, and listings do not show the rest."""
        code = (
            "import sys, time\n"
            "from sync.filesystem import files\n"
            "def slow():\n"
            "    yield b'half'\n"
            "    print('half', flush=True)\n"
            "    time.sleep(60)\n"
            f"files.write_stream({str(tmp_path / 'x')!r}, slow())\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "half\n"
            writer.kill()

        left = [p.name for p in tmp_path.iterdir()]
        assert len(left) == 1
        assert local_files.is_aside(left[0])
        assert files.list_files(tmp_path) == []

    def test_names_aside_differ_between_forks(self) -> None:
        """A forked child goes on with names of its own."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, local_files.aside_name().encode())
            os._exit(0)
        os.waitpid(child, 0)
        theirs = os.read(read, 100).decode()
        os.close(read)
        os.close(write)

        assert theirs != local_files.aside_name()
        assert local_files.is_aside(theirs)

    def test_durable_write_makes_parents(self, tmp_path: Path) -> None:
        """A durable write makes what directories it needs, and is read like any other."""
        files.write_bytes(tmp_path / "a" / "b" / "x", b"1", durable=True)

        assert (tmp_path / "a" / "b" / "x").read_bytes() == b"1"

    def test_link_shares_the_file(self, tmp_path: Path) -> None:
        """A link is the same file; linking again changes nothing and leaves nothing aside."""
        source, target = tmp_path / "x", tmp_path / "d" / "y"
        source.write_bytes(b"1")

        for _ in range(2):
            files.link(source, target, durable=True)

        assert source.stat().st_ino == target.stat().st_ino
        assert [p.name for p in (target.parent).iterdir()] == ["y"]

    def test_link_takes_the_place_of_another_file(self, tmp_path: Path) -> None:
        """What had the name is replaced at once."""
        source, target = tmp_path / "x", tmp_path / "y"
        source.write_bytes(b"1")
        target.write_bytes(b"2")

        files.link(source, target)

        assert target.read_bytes() == b"1"

    def test_link_across_file_systems_says_so(self, tmp_path: Path) -> None:
        """A link that would leave its file system has a code of its own."""
        shm = Path("/dev/shm")
        if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second file system at /dev/shm")
        source = tmp_path / "x"
        source.write_bytes(b"1")
        target = shm / f"stage-test-{uuid.uuid4().hex}"

        with pytest.raises(StorageError) as caught:
            files.link(source, target)

        assert caught.value.code == "cross-device"
        assert not target.exists()

    def test_link_of_a_remote_file_is_refused(self, tmp_path: Path) -> None:
        """Only local files can be linked."""
        with pytest.raises(UsageError) as caught:
            files.link("memory://x", tmp_path / "y")
        assert caught.value.code == "not-local"

    def test_symlink_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A symbolic link holds from wherever it is looked at."""
        monkeypatch.chdir(tmp_path)
        Path("x").write_bytes(b"1")

        files.symlink("x", "d/y")

        assert (tmp_path / "d" / "y").readlink() == tmp_path / "x"

    def test_read_of_a_directory(self, tmp_path: Path) -> None:
        """A directory is no file, and says what it is."""
        with pytest.raises(StorageError, match="directory"):
            files.read_bytes(tmp_path)

    def test_write_below_a_file(self, tmp_path: Path) -> None:
        """A path that goes through a file is refused by name."""
        (tmp_path / "x").write_bytes(b"")

        with pytest.raises((StorageError, NotFoundError), match="x"):
            files.write_bytes(tmp_path / "x" / "y", b"1")

    def test_write_without_permission(self, tmp_path: Path) -> None:
        """A directory that may not be written says so and names a next step."""
        if os.geteuid() == 0:
            pytest.skip("permissions do not bind root")
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(StorageError) as caught:
                files.write_bytes(tmp_path / "x", b"1")
        finally:
            tmp_path.chmod(0o700)
        assert caught.value.code == "not-permitted"

    def test_full_disk(self) -> None:
        """A full device is a StorageError that may pass."""
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full")
        from sync.filesystem.file_errors import worded

        with pytest.raises(StorageError) as caught, worded("/dev/full", "write"):
            Path("/dev/full").write_bytes(b"x")
        assert caught.value.code == "disk-full"
        assert caught.value.transient

    def test_prune_stops_at_the_root(self, tmp_path: Path) -> None:
        """Empty directories go, those with something in them and the root stay."""
        (tmp_path / "a" / "b" / "c").mkdir(parents=True)
        (tmp_path / "a" / "x").write_bytes(b"")

        local_files.prune_empty(str(tmp_path / "a" / "b" / "c"), str(tmp_path))

        assert [p.name for p in (tmp_path / "a").iterdir()] == ["x"]

    def test_list_does_not_follow_links(self, tmp_path: Path) -> None:
        """A symbolic link to a directory is listed as one thing, so a cycle ends."""
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "loop").symlink_to(tmp_path)

        assert files.list_files(tmp_path) == ["d/loop"]

    def test_large_write(self, tmp_path: Path) -> None:
        """A file of several megabytes is written and read whole."""
        data = os.urandom(1 << 20) * 5

        files.write_bytes(tmp_path / "x", data)

        assert files.read_bytes(tmp_path / "x") == data


def test_a_tiny_write_and_read_are_cheap(tmp_path: Path) -> None:
    """A tiny write costs well under a millisecond and a read less, so neither can hide a slow layer."""

    def best(act) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            for i in range(100):
                act(i)
            times.append((time.process_time() - start) / 100)
        return min(times)

    written = best(lambda i: files.write_bytes(tmp_path / f"d/{time.perf_counter_ns()}-{i}", b"x" * 100))
    files.write_bytes(tmp_path / "r", b"x" * 100)

    assert written < 1e-3
    assert best(lambda _: files.read_bytes(tmp_path / "r")) < 2e-4


def test_import_is_light() -> None:
    """The datastore can be used by a worker without any heavy library being loaded."""
    code = (
        "import sys, sync.fsspec_store, sync.storage, sync.paths, sync.datastore, sync.filesystem.files\n"
        "heavy = {'fsspec', 'pyarrow', 'astropy', 'sqlalchemy', 'sqlite3', 'pydantic', 'pandas', 'yaml'}\n"
        "from sync.fsspec_store import FsspecDatastore\n"
        "import tempfile\n"
        "store = FsspecDatastore(tempfile.mkdtemp())\n"
        "store.get(store.put({'a': 1}, 'Json', 'a/b'), 'Json')\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"
