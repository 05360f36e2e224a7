"""What is really read of an input: a local name, the cache, or upstream's file; and what is never looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import IntegrityError, NotFoundError
from registry.model.records import Artifact
from sync.fetching.binding import BINDING, Binding, bind, read_binding
from sync.fsspec_store import FsspecDatastore
from sync.input_store import InputStore


@pytest.fixture
def upstream(tmp_path: Path) -> FsspecDatastore:
    return FsspecDatastore(tmp_path / "up")


def put(upstream: FsspecDatastore, data: bytes = b"upstream's") -> Artifact:
    """Put a file upstream; return its record as a graph has it."""
    made = upstream.put_bytes(data, "CAM/raw/x", "bytes")
    return made._replace(uri=upstream.locate(made.uri))


def local(tmp_path: Path, data: bytes) -> Path:
    """Give the same file a name below the campaign's root."""
    path = tmp_path / "own" / "CAM" / "raw" / "x.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def read(store: FsspecDatastore, artifact: Artifact) -> object:
    return store.get(artifact, "Bytes")


def test_a_local_name_comes_first(upstream: FsspecDatastore, tmp_path: Path) -> None:
    """Once names were given here the file below the own root is read; others still look upstream."""
    found = put(upstream)
    assert found.uri.endswith("CAM/raw/x.bin")
    local(tmp_path, b"of our own")

    assert read(InputStore(tmp_path / "own"), found) == b"upstream's"
    bind(str(tmp_path / "own"), upstream=upstream.root, is_local=True)
    assert read(InputStore(tmp_path / "own"), found) == b"of our own"
    assert read(FsspecDatastore(tmp_path / "own"), found) == b"upstream's"


def test_a_local_file_of_another_size_is_none(upstream: FsspecDatastore, tmp_path: Path) -> None:
    """What does not have the recorded size, or is a link that leads nowhere, is passed over."""
    found, path = put(upstream), local(tmp_path, b"cut")
    bind(str(tmp_path / "own"), upstream=upstream.root, is_local=True)

    assert read(InputStore(tmp_path / "own"), found) == b"upstream's"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert read(InputStore(tmp_path / "own"), found) == b"upstream's"


def test_what_was_dropped_is_found_upstream(upstream: FsspecDatastore, tmp_path: Path) -> None:
    """A relative record whose file is gone leads to upstream's after a drop, and nowhere without one."""
    found = put(upstream)._replace(uri="CAM/raw/x.bin")
    with pytest.raises(NotFoundError):
        read(InputStore(tmp_path / "own"), found)
    assert not InputStore(tmp_path / "own").has(found.uri)
    bind(str(tmp_path / "own"), upstream=upstream.root, is_dropped=True)
    store = InputStore(tmp_path / "own")

    assert read(store, found) == b"upstream's"
    assert store.has(found.uri)
    assert not store.has("CAM/raw/never.bin")
    # Who writes or removes never goes upstream.
    assert not store.exists(found.uri)
    store.remove(found.uri)
    assert upstream.exists("CAM/raw/x.bin")


def test_what_a_datastore_says_of_itself_is_kept(tmp_path: Path) -> None:
    """Fields are changed one by one; where nothing was said, nothing is there; nonsense is named."""
    root = str(tmp_path / "own")
    assert read_binding(root) == Binding()
    bind(root, cache="")
    assert not (tmp_path / "own").exists()
    bind(root, upstream="/data/shared/data", is_local=True)
    bind(root, cache="5GB")

    assert read_binding(root) == Binding("/data/shared/data", is_local=True, cache="5GB")
    (tmp_path / "own" / BINDING).write_text('{"other": 1}')
    with pytest.raises(IntegrityError, match=BINDING):
        read_binding(root)
