"""The cache of remote artifacts: verified, bounded, shared by processes, and never in the way."""

from __future__ import annotations

import os
import random
import uuid
from pathlib import Path

import pytest

from registry.errors import IntegrityError, NotFoundError, UsageError
from registry.model.digest import digest_bytes
from sync.cache import ArtifactCache, cache_here, parse_size
from sync.filesystem import files


@pytest.fixture
def store() -> str:
    """A root of a store that is not local."""
    pytest.importorskip("fsspec")
    return f"memory://cache-{uuid.uuid4().hex}"


def put(store: str, name: str, size: int = 100) -> tuple[str, int, str]:
    """Write an object; return what is recorded of it."""
    data = (name.encode() * size)[:size]
    uri = f"{store}/{name}"
    files.write_bytes(uri, data)
    return uri, size, digest_bytes(data)


def kept(cache: ArtifactCache) -> set[str]:
    """Return the names of what is in the cache."""
    return {p.name for p in Path(cache.root, "objects").rglob("*") if p.is_file()}


def test_an_object_is_fetched_once(store: str, tmp_path: Path) -> None:
    """The second reader gets the local file, under the object's name, although the object is gone."""
    cache, found = ArtifactCache(str(tmp_path), 1000), put(store, "a.bin")
    with cache.reading(*found) as path:
        assert Path(path).name == "a.bin"
    files.remove(found[0])
    with cache.reading(*found) as path:
        assert digest_bytes(Path(path).read_bytes()) == found[2]


@pytest.mark.parametrize("recorded", [(99, None), (100, "blake3:00")], ids=["size", "checksum"])
def test_what_is_not_as_recorded_never_gets_in(
    store: str, tmp_path: Path, recorded: tuple[int, str | None]
) -> None:
    """An object of another size or checksum is refused, and leaves no file and no room taken."""
    cache, (uri, _, checksum) = ArtifactCache(str(tmp_path), 1000), put(store, "a.bin")
    with (
        pytest.raises(IntegrityError, match=r"a\.bin"),
        cache.reading(uri, recorded[0], recorded[1] or checksum),
    ):
        pass

    assert kept(cache) == set()
    assert Path(cache.root, "total").read_text() == "0"


def test_what_was_used_longest_ago_goes(store: str, tmp_path: Path) -> None:
    """A full cache stays within its size; what was read lately stays."""
    cache = ArtifactCache(str(tmp_path), 350)
    for n, name in enumerate(("a", "b", "c")):
        with cache.reading(*put(store, name)) as path:
            pass
        os.utime(path, ns=(n, n))
    with cache.reading(*put(store, "a")):
        pass
    with cache.reading(*put(store, "d")):
        assert kept(cache) == {"a", "c", "d"}

    assert cache.size_bytes() == (3, 300)


def test_what_is_being_read_stays(store: str, tmp_path: Path) -> None:
    """Neither a full cache nor its clearing removes an object that somebody holds."""
    cache = ArtifactCache(str(tmp_path), 250)
    with cache.reading(*put(store, "held")) as path:
        os.utime(path, ns=(1, 1))
        for name in ("b", "c", "d"):
            with cache.reading(*put(store, name)):
                pass
        assert "held" in kept(cache)
        assert cache.clear() == (1, 100)
        assert Path(path).read_bytes().startswith(b"held")

    assert cache.clear() == (1, 100)


def test_what_is_too_large_is_read_where_it_is(store: str, tmp_path: Path) -> None:
    """An object larger than the cache, or of no known size, is given by its own place, and nothing is kept."""
    cache, (uri, size, checksum) = ArtifactCache(str(tmp_path / "c"), 50), put(store, "a")
    with cache.reading(uri, size, checksum) as one, cache.reading(uri, 0, "") as other:
        assert one == other == uri

    assert not (tmp_path / "c").exists()


def test_a_cache_that_cannot_be_written_is_none(store: str, tmp_path: Path) -> None:
    """Where its directory cannot be made, objects are read where they are."""
    (tmp_path / "file").write_text("in the way")
    found = put(store, "a")
    with ArtifactCache(str(tmp_path / "file"), 1000).reading(*found) as path:
        assert path == found[0]


def test_what_is_missing_is_said_to_be(store: str, tmp_path: Path) -> None:
    """An object that is not there is an error, not an empty file."""
    cache = ArtifactCache(str(tmp_path), 1000)
    with pytest.raises(NotFoundError), cache.reading(f"{store}/none", 10, ""):
        pass


def test_a_count_that_is_wrong_is_put_right(store: str, tmp_path: Path) -> None:
    """What a killed process counted and never wrote is found out when the cache seems full, and nothing goes for it."""
    cache = ArtifactCache(str(tmp_path), 350)
    with cache.reading(*put(store, "a")):
        pass
    Path(cache.root, "total").write_text("340")
    with cache.reading(*put(store, "b")):
        assert kept(cache) == {"a", "b"}

    assert Path(cache.root, "total").read_text() == "200"


def _read_at_random(cache: ArtifactCache, objects: list[tuple[str, int, str]], seed: int) -> None:
    chosen = random.Random(seed)
    for _ in range(100):
        found = chosen.choice(objects)
        with cache.reading(*found) as path:
            assert path != found[0]
            assert digest_bytes(Path(path).read_bytes()) == found[2]


def test_processes_share_it(tmp_path: Path) -> None:
    """Processes that read more than fits, all at once, get the right bytes each time, and the cache keeps within its size."""
    (tmp_path / "far").mkdir()
    objects = []
    for n in range(12):
        data = bytes([n]) * 100
        (tmp_path / "far" / f"{n}.bin").write_bytes(data)
        objects.append((str(tmp_path / "far" / f"{n}.bin"), 100, digest_bytes(data)))
    cache = ArtifactCache(str(tmp_path / "cache"), 800)
    children = []
    for seed in range(3):
        child = os.fork()
        if not child:
            try:
                _read_at_random(cache, objects, seed)
            except BaseException:  # noqa: BLE001 - the parent is told by the exit code
                os._exit(1)
            os._exit(0)
        children.append(child)

    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert cache.size_bytes()[1] <= 800
    assert not list(Path(cache.root).rglob("*.part"))


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20 * 10**9), ("1.5 mb", 1_500_000), ("0", 0), ("7", 7), ("3TB", 3 * 10**12)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Decimal units, in either case, with a space or without."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "20XB", "nan", "1e99GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Anything else is named in the error."""
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


def test_the_environment_says_where_and_how_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables count before what a campaign asks for, and a size of 0 means none."""
    monkeypatch.setenv("STAGE_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("STAGE_CACHE_SIZE", "1kB")
    found = cache_here("5GB")

    assert found is not None
    assert (found.root, found.limit_bytes) == (str(tmp_path), 1000)
    monkeypatch.delenv("STAGE_CACHE_SIZE")
    assert cache_here("0") is None
