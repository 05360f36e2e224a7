"""`sync.transfer`: links and copies, checked, never in place of something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import sync.waiting
from registry.errors import UsageError
from registry.model.columns import Columns
from registry.model.digest import digest_bytes
from sync.transfer import make_durable, transfer, withdraw

CONTENT = {"r/a/one": b"one", "r/a/two": b"two two", "r/b/three": b"3" * 5000}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for uri, data in CONTENT.items():
        path = tmp_path / "source" / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def artifacts(**changed: tuple[int, str]) -> Columns:
    rows = [(uri, len(data), digest_bytes(data)) for uri, data in CONTENT.items()]
    rows = [(uri, *changed.get(uri.rpartition("/")[2], rest)) for uri, *rest in rows]
    return Columns.from_rows(("uri", "size", "checksum"), rows)


def held(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("mode", ["auto", "link", "copy"])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_artifact_arrives_under_its_own_name(
    source: Path, target: Path, mode: str, workers: int
) -> None:
    """All files are below the target with the same bytes, whatever the mode and the number of threads."""
    result = transfer(artifacts(), str(source), str(target), mode=mode, workers=workers, chunk=1)  # type: ignore[arg-type]
    make_durable(result, str(target))

    assert held(target) == CONTENT
    assert set(CONTENT) == set(result.moved)
    assert sum(map(len, CONTENT.values())) == result.size_bytes
    assert not result.failed


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_threads_help_where_the_store_makes_them_wait(
    source: Path, target: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With threads, as for a slow store, the result is the same."""
    monkeypatch.setattr(sync.waiting, "FACTOR", 0.0)
    monkeypatch.setattr(sync.waiting, "TIMES", 0.0)

    result = transfer(artifacts(), str(source), str(target), mode=mode, workers=3, chunk=1)  # type: ignore[arg-type]

    assert held(target) == CONTENT
    assert set(result.moved) == set(CONTENT)


def test_auto_links_on_one_file_system(source: Path, target: Path) -> None:
    """On one file system no byte moves: both names lead to one file."""
    result = transfer(artifacts(), str(source), str(target))

    assert result.linked
    assert (source / "r/a/one").samefile(target / "r/a/one")


def test_file_uris_are_local(source: Path, target: Path) -> None:
    """Roots written as file:// URIs are linked as plain paths are."""
    assert transfer(artifacts(), source.as_uri(), target.as_uri()).linked
    assert held(target) == CONTENT


def test_link_to_a_remote_store_is_refused_by_name(source: Path) -> None:
    """Mode "link" to a store that is not local names both roots and changes nothing."""
    with pytest.raises(UsageError, match="memory://elsewhere") as caught:
        transfer(artifacts(), str(source), "memory://elsewhere", mode="link")

    assert caught.value.code == "cannot-link"


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_repeating_moves_nothing(source: Path, target: Path, mode: str) -> None:
    """A second transfer finds all the same."""
    transfer(artifacts(), str(source), str(target), mode=mode)  # type: ignore[arg-type]

    again = transfer(artifacts(), str(source), str(target), mode=mode)  # type: ignore[arg-type]

    assert again.moved == ()
    assert set(CONTENT) == set(again.same)


@pytest.mark.parametrize("mode", ["link", "copy"])
@pytest.mark.parametrize("other", [b"ONE", b"longer"])
def test_an_existing_file_is_never_replaced(source: Path, target: Path, mode: str, other: bytes) -> None:
    """A file of that name with other bytes, even of the same size, stays and is reported with both values."""
    (target / "r/a").mkdir(parents=True)
    (target / "r/a/one").write_bytes(other)

    result = transfer(artifacts(), str(source), str(target), mode=mode)  # type: ignore[arg-type]

    assert other == (target / "r/a/one").read_bytes()
    assert [f.code for f in result.failed] == ["artifact-differs"]
    assert digest_bytes(other)[:19] in str(result.failed[0])


def test_copy_verifies_the_recorded_checksum(source: Path, target: Path) -> None:
    """Bytes that are not what was recorded are not put in place, and nothing is left aside."""
    (source / "r/a/one").write_bytes(b"eno")

    result = transfer(artifacts(), str(source), str(target), mode="copy")

    assert [f.code for f in result.failed] == ["artifact-changed"]
    assert {"r/a/two", "r/b/three"} == set(held(target))


def test_link_verifies_the_recorded_size(source: Path, target: Path) -> None:
    """A file whose size is not what was recorded is not linked."""
    (source / "r/a/one").write_bytes(b"more than one")

    result = transfer(artifacts(), str(source), str(target), mode="link")

    assert [f.code for f in result.failed] == ["artifact-changed"]
    assert not (target / "r/a/one").exists()


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_missing_artifact_is_reported_and_the_others_arrive(source: Path, target: Path, mode: str) -> None:
    """Failure is a value with its reason; it does not hide what else happened."""
    (source / "r/a/one").unlink()

    result = transfer(artifacts(), str(source), str(target), mode=mode)  # type: ignore[arg-type]

    assert [(f.uri, f.code) for f in result.failed] == [("r/a/one", "artifact-missing")]
    assert {"r/a/two", "r/b/three"} == set(result.moved)


def test_a_symbolic_link_arrives_as_a_file(source: Path, target: Path, tmp_path: Path) -> None:
    """What a symbolic link leads to is copied: the target does not depend on it."""
    (tmp_path / "elsewhere").write_bytes(b"one")
    (source / "r/a/one").unlink()
    (source / "r/a/one").symlink_to(tmp_path / "elsewhere")

    transfer(artifacts(), str(source), str(target), mode="link")

    assert not (target / "r/a/one").is_symlink()
    assert (target / "r/a/one").read_bytes() == b"one"


def test_without_a_recorded_checksum_the_bytes_are_compared(source: Path, target: Path) -> None:
    """Where no checksum was recorded, an existing file of the same size is told apart by reading both."""
    (target / "r/a").mkdir(parents=True)
    (target / "r/a/one").write_bytes(b"ONE")

    result = transfer(artifacts(one=(3, "")), str(source), str(target))

    assert [f.code for f in result.failed] == ["artifact-differs"]


def test_copy_to_another_kind_of_store(source: Path) -> None:
    """A store that is not local gets verified copies, and keeps what it has."""
    import fsspec

    memory = fsspec.filesystem("memory")
    root = f"memory://transfer-{os.getpid()}"

    first = transfer(artifacts(), str(source), root)
    again = transfer(artifacts(), str(source), root)

    assert set(CONTENT) == set(first.moved) == set(again.same)
    assert memory.cat_file(f"{root}/r/a/two") == b"two two"


def test_many_files_are_made_durable(tmp_path: Path) -> None:
    """Making more files durable than are flushed one by one works on this system."""
    source, uris = tmp_path / "s", [f"run/{i}" for i in range(60)]
    (source / "run").mkdir(parents=True)
    for uri in uris:
        (source / uri).write_bytes(b"x")
    rows = Columns({"uri": uris, "size": [1] * 60, "checksum": [digest_bytes(b"x")] * 60})

    make_durable(transfer(rows, str(source), str(tmp_path / "t")), str(tmp_path / "t"))

    assert len(held(tmp_path / "t")) == 60


def test_withdraw_leaves_the_tree_as_it_was(source: Path, target: Path) -> None:
    """Taking back what was moved removes the files and the directories made for them, nothing else."""
    (target / "r/a").mkdir(parents=True)
    (target / "r/a/other").write_bytes(b"not ours")
    result = transfer(artifacts(), str(source), str(target))

    withdraw(result.moved, str(target))

    assert held(target) == {"r/a/other": b"not ours"}
    assert not (target / "r/b").exists()


def test_progress_and_fault_points_come_once_a_chunk(source: Path, target: Path) -> None:
    """Both callbacks are called in the calling thread after each chunk."""
    points: list[str] = []
    done: list[tuple[int, int]] = []

    transfer(
        artifacts(),
        str(source),
        str(target),
        chunk=2,
        at=points.append,
        on_progress=lambda *n: done.append(n),
    )

    assert points == ["artifacts-moving"] * 2
    assert done == [(2, 3), (3, 3)]


def test_a_file_system_without_links_gets_copies(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses links, files are copied and renamed, and what is there still stays."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    (target / "r/a").mkdir(parents=True)
    (target / "r/a/one").write_bytes(b"ONE")
    monkeypatch.setattr(os, "link", refuse)

    result = transfer(artifacts(), str(source), str(target))

    assert [f.code for f in result.failed] == ["artifact-differs"]
    assert held(target) == {**CONTENT, "r/a/one": b"ONE"}


def test_mode_link_fails_by_name_where_links_are_refused(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for links gets no silent copies."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)

    result = transfer(artifacts(), str(source), str(target), mode="link")

    assert {f.code for f in result.failed} == {"storage"}
    assert held(target) == {}
