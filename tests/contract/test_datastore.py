"""What every datastore keeps to. A new implementation adds a maker to `STORES` and inherits all of it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import IntegrityError, NotFoundError, StageError, UsageError
from registry.model.digest import digest_bytes
from sync.datastore import Artifact, Datastore
from sync.filesystem import files
from sync.fsspec_store import FsspecDatastore


def _local(folder: Path) -> Datastore:
    return FsspecDatastore(folder / "store")


def _file_uri(folder: Path) -> Datastore:
    return FsspecDatastore((folder / "a store").as_uri())


def _memory(_: Path) -> Datastore:
    return FsspecDatastore(f"memory://store-{uuid.uuid4().hex}")


STORES: dict[str, Callable[[Path], Datastore]] = {"local": _local, "file-uri": _file_uri, "memory": _memory}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Datastore:
    """One datastore of each kind, empty."""
    return STORES[request.param](tmp_path)


def names(store: Datastore) -> list[str]:
    """Return all files there are."""
    return files.list_files(store.root)


def test_put_then_get(store: Datastore) -> None:
    """An object comes back, and its record says where it is and what it weighs."""
    artifact = store.put({"a": 1}, "Json", "run/t/x")

    assert artifact == Artifact("run/t/x.json", 7, digest_bytes(b'{"a":1}'), "json")
    assert store.get(artifact, "Json", verify=True) == {"a": 1}
    assert names(store) == ["run/t/x.json"]


def test_durable_put_is_the_same(store: Datastore) -> None:
    """A durable write differs in nothing that can be seen."""
    assert store.put("x", "Text", "a/b", durable=True) == store.put("x", "Text", "a/b")


def test_put_goes_where_predicted(store: Datastore) -> None:
    """The path of an artifact is known before it is written."""
    for name, obj in (("Json", 1), ("JsonZst", 1), ("Text", "x"), ("File", b"x")):
        assert store.predict(f"a/{name}", name) == store.put(obj, name, f"a/{name}").uri


def test_locate_leads_there(store: Datastore) -> None:
    """What `locate` returns can be read from anywhere by the file API; absolute URIs stay as they are."""
    artifact = store.put(b"abc", "Bytes", "a/b")

    assert files.read_bytes(store.locate(artifact.uri)) == b"abc"
    assert store.locate("s3://bucket/key") == "s3://bucket/key"
    assert store.locate("/else/where") == "/else/where"


def test_put_bytes(store: Datastore) -> None:
    """Bytes that are a formatter's file are kept as they are."""
    artifact = store.put_bytes(b'{"a": 1}', "a/b", "json")

    assert artifact == Artifact("a/b.json", 8, digest_bytes(b'{"a": 1}'), "json")
    assert store.get(artifact, "Json") == {"a": 1}


def test_exists_size_remove(store: Datastore) -> None:
    """A removed file is gone; removing it again is no error; empty directories can be pruned."""
    artifact = store.put("abc", "Text", "a/b/c")
    assert store.exists(artifact.uri)
    assert store.size(artifact.uri) == 3

    for _ in range(2):
        store.remove(artifact.uri)
    store.prune(artifact.uri)

    assert not store.exists(artifact.uri)
    assert names(store) == []
    with pytest.raises(NotFoundError):
        store.size(artifact.uri)


def test_missing_file_is_named(store: Datastore) -> None:
    """Getting or verifying what is gone is a NotFoundError with its place."""
    artifact = Artifact("a/gone.json", 1, digest_bytes(b"1"), "json")

    for act in (lambda: store.get(artifact, "Json"), lambda: store.verify(artifact)):
        with pytest.raises(NotFoundError, match=r"a/gone\.json"):
            act()


@pytest.mark.parametrize(
    ("content", "code"),
    [(b'{"a": 2}', "size-differs"), (b'{"a":2}', "checksum-differs")],
)
def test_changed_files_are_found(store: Datastore, content: bytes, code: str) -> None:
    """Verification names the file and both values; without it a file of the right form is read."""
    artifact = store.put({"a": 1}, "Json", "a/b")
    files.write_bytes(store.locate(artifact.uri), content)

    for act in (lambda: store.get(artifact, "Json", verify=True), lambda: store.verify(artifact)):
        with pytest.raises(IntegrityError, match=r"a/b\.json") as caught:
            act()
        assert code == caught.value.code
        assert str(caught.value.context["found"]) in str(caught.value)
        assert str(caught.value.context["recorded"]) in str(caught.value)
    assert store.get(artifact, "Json") == {"a": 2}


def test_record_without_checksum_is_compared_by_size(store: Datastore) -> None:
    """Where no checksum was taken, verification compares what it can."""
    artifact = store.put({"a": 1}, "Json", "a/b")._replace(checksum="")

    store.verify(artifact)
    assert store.get(artifact, "Json", verify=True) == {"a": 1}
    with pytest.raises(IntegrityError):
        store.verify(artifact._replace(size=8))


def test_damaged_file_is_named(store: Datastore) -> None:
    """A file that is not of its form is an IntegrityError with its place, verified or not."""
    artifact = store.put({"a": 1}, "Json", "a/b")
    files.write_bytes(store.locate(artifact.uri), b"{")

    with pytest.raises(IntegrityError, match=r"a/b\.json"):
        store.get(artifact, "Json")


def test_what_cannot_be_written_leaves_nothing(store: Datastore) -> None:
    """An object of the wrong type, or an unknown storage class, leaves no file and no directory."""
    for obj, name in ((object(), "Json"), (1, "Text"), (1, "Nonsense")):
        with pytest.raises(StageError):
            store.put(obj, name, "a/b")

    assert names(store) == []


ESCAPES = ["../x", "a/../../x", "/etc/x", "file:///etc/x", "memory://x", "s3://b/x", ""]


@pytest.mark.parametrize("stem", ESCAPES)
def test_no_write_leaves_the_root(store: Datastore, stem: str) -> None:
    """Absolute paths and '..' are refused by everything that writes or removes."""
    acts: list[Callable[[], Any]] = [
        lambda: store.put_bytes(b"", stem, "file"),
        lambda: store.remove(stem),
        lambda: store.prune(stem),
    ]
    if stem:
        acts.append(lambda: store.put(1, "Json", stem))
        acts.append(lambda: store.put_file(__file__, stem, "file"))
    for act in acts:
        with pytest.raises(UsageError) as caught:
            act()
        assert caught.value.code == "path-escape"


def test_no_read_leaves_the_root_by_dots(store: Datastore) -> None:
    """A record with '..' in its path is refused, so a damaged registry cannot make us read elsewhere by it."""
    for act in (store.exists, store.size, store.locate):
        with pytest.raises(UsageError):
            act("../x")
    with pytest.raises(UsageError):
        store.get(Artifact("a/../../x", 0, "", "json"), "Json")


class TestPutFile:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        """A file outside of the datastore."""
        path = tmp_path / "in" / "night 1.FITS.gz"
        path.parent.mkdir()
        path.write_bytes(b"pixels")
        return path

    def test_copy(self, store: Datastore, source: Path) -> None:
        """A copy keeps all extensions, is checksummed, and leaves the source."""
        artifact = store.put_file(source, "a/b", "fits")

        assert artifact == Artifact("a/b.FITS.gz", 6, digest_bytes(b"pixels"), "fits")
        assert files.read_bytes(store.locate(artifact.uri)) == b"pixels"
        assert source.exists()

    def test_move(self, store: Datastore, source: Path) -> None:
        """A moved file is there and no longer here."""
        artifact = store.put_file(source, "a/b", "fits", "move")

        assert store.exists(artifact.uri)
        assert not source.exists()

    def test_direct(self, store: Datastore, source: Path) -> None:
        """A file left where it is has an absolute URI, and can be read and verified but not removed."""
        artifact = store.put_file(source, "a/b", "file", "direct")

        assert artifact.uri == str(source)
        assert store.get(artifact, "File", verify=True) == b"pixels"
        assert names(store) == []
        with pytest.raises(UsageError):
            store.remove(artifact.uri)

    @pytest.mark.parametrize("mode", ["link", "symlink"])
    def test_links(self, store: Datastore, source: Path, mode: Any) -> None:
        """Links share the bytes where both sides are local; elsewhere they are refused."""
        if not files.is_local(store.root):
            with pytest.raises(UsageError, match="not a local file"):
                store.put_file(source, "a/b", "fits", mode)
            return
        artifact = store.put_file(source, "a/b", "fits", mode)

        where = Path(store.locate(artifact.uri))
        assert where.samefile(source)
        assert where.is_symlink() == (mode == "symlink")
        store.verify(artifact)
        store.remove(artifact.uri)
        assert source.exists()

    def test_missing_source(self, store: Datastore, source: Path) -> None:
        """A source that is not there is named, and nothing is left."""
        for mode in ("copy", "move", "direct"):
            with pytest.raises(NotFoundError, match="nowhere"):
                store.put_file(source.parent / "nowhere", "a/b", "fits", mode)  # type: ignore[arg-type]
        assert names(store) == []


def test_symbolic_links_cannot_lead_a_removal_out(tmp_path: Path) -> None:
    """A directory in the datastore that is a link to elsewhere does not let a file elsewhere be removed."""
    store = FsspecDatastore(tmp_path / "store")
    precious = tmp_path / "elsewhere" / "precious"
    precious.parent.mkdir()
    precious.write_bytes(b"1")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "run").symlink_to(precious.parent)

    with pytest.raises(UsageError, match="leads out of the datastore") as caught:
        store.remove("run/precious")

    assert caught.value.code == "path-escape"
    assert precious.exists()


def test_root_may_be_a_link_itself(tmp_path: Path) -> None:
    """A datastore reached through a symbolic link is as good as any."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = FsspecDatastore(tmp_path / "link")

    store.remove(store.put(1, "Json", "a/b").uri)

    assert names(store) == []


def test_relative_root_is_fixed_when_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the working directory does not move a datastore."""
    monkeypatch.chdir(tmp_path)
    store = FsspecDatastore("store")
    (tmp_path / "x").mkdir()
    os.chdir("x")

    store.put(1, "Json", "a")

    assert (tmp_path / "store" / "a.json").exists()


def test_damaged_links_are_missing_files(tmp_path: Path) -> None:
    """A link whose target has gone is a file that is not there."""
    store = FsspecDatastore(tmp_path / "store")
    source = tmp_path / "x"
    source.write_bytes(b"1")
    artifact = store.put_file(source, "a", "file", "symlink")
    source.unlink()

    assert not store.exists(artifact.uri)
    with pytest.raises(NotFoundError):
        store.get(artifact, "File")
