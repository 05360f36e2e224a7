"""A bounded cache of remote artifacts on this machine, shared by all of a user's processes.

An object is fetched once, by one process, while others that want it wait; it is written aside, compared with its
recorded size and checksum while the bytes pass, and then renamed. Its name is made from its place and its checksum, so
that what changed in the store is another object. When the cache is full, what was used longest ago goes; what is being
read is locked, and stays. A cache that cannot be written is none: the object is then read where it is.
"""
# ruff: noqa: PTH116
# pathlib costs more than the system calls that it wraps, and a lookup is some of them

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import IntegrityError, StorageError, UsageError
from registry.model.digest import digest_bytes
from sync.filesystem import files, local_files
from sync.filesystem.tally import Tally

__all__ = ["CACHE_DIR", "CACHE_SIZE", "DEFAULT_SIZE", "ArtifactCache", "cache_here", "parse_size"]

CACHE_DIR, CACHE_SIZE = "STAGE_CACHE_DIR", "STAGE_CACHE_SIZE"
"""Environment variables: where the cache is, and how large it may become."""

DEFAULT_SIZE = "20GB"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_LOCKS = 4096
"""Files to lock objects by that are being fetched; two that share one wait for each other."""
_WRITING_S = 3600.0
"""What was written aside and not touched for so long, nobody writes any more."""
_LEAVES = 0.9
"""Part of the size that is left when something has to go, so that not every object brings a search for what goes."""


def parse_size(text: str) -> int:
    """Read a size.

    Parameters
    ----------
    text : str
        As ``20GB``, ``500 MB`` or ``0``; decimal units.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    UsageError
        If it is none.
    """
    plain = text.strip().upper().replace(" ", "")
    number = plain.rstrip("KMGTB")
    unit = plain[len(number) :]
    try:
        value = float(number)
        if unit not in _UNITS or not 0 <= value < 1e15:
            raise ValueError  # noqa: TRY301 - worded below
    except ValueError:
        raise UsageError(
            f"'{text}' is not a size", code="bad-size", hint="Write it as 20GB, 500MB or 0 for no cache."
        ) from None
    return int(value * _UNITS[unit])


def cache_here(size: str = "") -> ArtifactCache | None:
    """Return the cache of this machine and user.

    Parameters
    ----------
    size : str, optional
        As a campaign asks for it. ``STAGE_CACHE_SIZE`` counts before it; by default `DEFAULT_SIZE`.

    Returns
    -------
    ArtifactCache or None
        None if there is to be none.

    Raises
    ------
    UsageError
        If the size is none.
    """
    limit = parse_size(os.environ.get(CACHE_SIZE) or size or DEFAULT_SIZE)
    if not limit:
        return None
    root = os.environ.get(CACHE_DIR)
    if not root:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
        root = f"{base}/stage/artifacts"
    return ArtifactCache(root, limit)


class ArtifactCache:
    """Remote artifacts on a local disk.

    Parameters
    ----------
    root : str
        Directory; made when the first object comes.
    limit_bytes : int
        How large it may become. An object that is larger is not kept.
    """

    def __init__(self, root: str, limit_bytes: int) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100
        self.limit_bytes = limit_bytes

    @contextmanager
    def reading(self, uri: str, size: int, checksum: str) -> Iterator[str]:
        """Hold an object while it is read.

        Parameters
        ----------
        uri : str
            Where it is.
        size : int
            Bytes recorded.
        checksum : str
            Checksum recorded; may be empty.

        Yields
        ------
        str
            A local file with its name; its place itself, if it cannot be kept here.

        Raises
        ------
        NotFoundError
            If there is no such object.
        IntegrityError
            If it is not what was recorded.
        StorageError
            If it cannot be read.
        """
        held = self._hold(uri, size, checksum) if 0 < size <= self.limit_bytes else None
        if held is None:
            yield uri
            return
        path, lock = held
        try:
            yield path
        finally:
            os.close(lock)

    def _hold(self, uri: str, size: int, checksum: str) -> tuple[str, int] | None:
        """Return an object's file and the descriptor that keeps it from going; None if there is no room to write."""
        path = self._path(uri, size, checksum)
        lock = _locked(path)
        if lock is None:
            try:
                lock = self._bring(path, uri, size, checksum)
            except OSError:
                return None
            if lock is None:
                return None
        with suppress(OSError):
            os.utime(lock)
        return path, lock

    def _path(self, uri: str, size: int, checksum: str) -> str:
        key = digest_bytes(f"{uri}\n{size}\n{checksum}".encode()).partition(":")[2][:32]
        return f"{self.root}/objects/{key[:2]}/{key}/{uri.rpartition('/')[2]}"

    def _bring(self, path: str, uri: str, size: int, checksum: str) -> int | None:
        """Fetch an object, unless another process does or did; return the descriptor that holds it."""
        number = int(path.rsplit("/", 2)[1][:8], 16) % _LOCKS
        with self._exclusive(f"locks/{number:03x}"):
            lock = _locked(path)
            if lock is not None:
                return lock
            self._make_room(size)
            try:
                local_files.write_chunks(path, _checked(uri, size, checksum))
            except BaseException:
                self._account(-size)
                raise
            return _locked(path)

    @contextmanager
    def _exclusive(self, name: str) -> Iterator[int]:
        """Hold a lock of the cache, whose file never goes."""
        path = f"{self.root}/{name}"
        os.makedirs(path.rpartition("/")[0], mode=0o700, exist_ok=True)  # noqa: PTH103
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)

    def _make_room(self, size: int) -> None:
        """Count an object that is about to come; where that is too much, see what there really is, and let some go."""
        with self._exclusive("total") as total:
            known = int(os.pread(total, 32, 0) or 0) + size
            if known > self.limit_bytes:
                known = self._evict(int(self.limit_bytes * _LEAVES) - size) + size
            _put_number(total, known)

    def _account(self, change: int) -> None:
        with suppress(OSError), self._exclusive("total") as total:
            _put_number(total, max(0, int(os.pread(total, 32, 0) or 0) + change))

    def _evict(self, goal: int) -> int:
        """Remove what was used longest ago until the rest is small enough; return the bytes that are left."""
        found = sorted(self._objects())
        left = sum(size for _, size, _ in found)
        for _, size, path in found:
            if left <= goal:
                break
            if _removed(path):
                left -= size
        return left

    def _objects(self) -> Iterator[tuple[int, int, str]]:
        """Yield time of use, bytes and path of each object, and of what killed processes left half-written."""
        top, latest = f"{self.root}/objects", time.time() - _WRITING_S
        for name in local_files.walk(top):
            with suppress(FileNotFoundError):
                told = os.stat(f"{top}/{name}")
                if not local_files.is_aside(name) or told.st_mtime < latest:
                    yield told.st_mtime_ns, told.st_size, f"{top}/{name}"

    def size_bytes(self) -> tuple[int, int]:
        """Return how much there is.

        Returns
        -------
        (int, int)
            Objects and bytes.
        """
        sizes = [size for _, size, _ in self._objects()]
        return len(sizes), sum(sizes)

    def clear(self) -> tuple[int, int]:
        """Remove all that nobody reads.

        Returns
        -------
        (int, int)
            Objects and bytes that are gone.

        Raises
        ------
        StorageError
            If the cache cannot be written.
        """
        if not Path(self.root).is_dir():
            return 0, 0
        try:
            with self._exclusive("total") as total:
                found = list(self._objects())
                gone = [size for _, size, path in found if _removed(path)]
                _put_number(total, sum(size for _, size, _ in found) - sum(gone))
        except OSError as exc:
            raise StorageError(f"the cache in {self.root} cannot be emptied: {exc.strerror or exc}") from exc
        return len(gone), sum(gone)


def _locked(path: str) -> int | None:
    """Open an object and keep it from going; None if it is not there."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        # It may have gone between the two.
        if os.fstat(lock).st_nlink:
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _removed(path: str) -> bool:
    """Remove an object, unless somebody reads or writes it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # noqa: PTH108
    except OSError:
        return False
    finally:
        os.close(lock)
    with suppress(OSError):
        os.rmdir(path.rpartition("/")[0])  # noqa: PTH106
    return True


def _put_number(file: int, number: int) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, str(number).encode(), 0)


def _checked(uri: str, size: int, checksum: str) -> Iterator[bytes]:
    """Read an object; in the end, before it gets its name, compare it with what was recorded."""
    tally = Tally()
    yield from tally.passing(files.read_chunks(uri))
    if tally.size != size or (checksum and tally.checksum != checksum):
        raise IntegrityError(
            f"{files.redact(uri)} is not what was recorded: {tally.size} bytes {tally.checksum[:19]}, recorded "
            f"{size} bytes {checksum[:19]}",
            code="checksum-differs" if tally.size == size else "size-differs",
            hint="It was changed where it is; make or fetch it again.",
            context={"uri": uri},
        )
