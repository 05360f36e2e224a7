"""The datastore as one batch job has it: it overwrites nobody's files, and what it wrote a moment ago it need not read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import AlreadyExistsError
from registry.model.digest import digest_bytes
from sync import storage
from sync.datastore import TransferMode
from sync.filesystem import files
from sync.filesystem.creating import create
from sync.fsspec_store import extensions
from sync.input_store import InputStore

if TYPE_CHECKING:
    from registry.model.records import Artifact

__all__ = ["Intermediates", "JobStore"]

KEPT_BYTES = 256 << 20
"""As much of what a job's quanta hand each other is kept in memory."""


class Intermediates:
    """What quanta of one job hand each other, in memory: files as they were written, each until its last reader had it.

    Who asks gets what reading the file would give, an object of his own that he may change: text and bytes, which nobody
    can change, as they are; of an array a copy of a copy that was made when it was written; anything else is made by the
    formatter from the bytes of the file, since writing and reading may change it (tuples to lists, numbers to text).

    Parameters
    ----------
    readers : mapping of str to int
        For each file, relative to the datastore's root, how many quanta will read it; others are not kept.
    limit : int, optional
        Bytes to keep; beyond that what was not asked for longest goes, and is read from its file.
    """

    def __init__(self, readers: Mapping[str, int], limit: int = KEPT_BYTES) -> None:
        self._readers = dict(readers)
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[str, tuple[int, bytes | _Lasting]] = OrderedDict()

    def __contains__(self, uri: str) -> bool:
        return uri in self._kept

    @property
    def size(self) -> int:
        """Bytes that are kept now."""
        return self._size

    def take(self, uri: str, data: bytes, obj: object, formatter: str) -> None:
        """Keep a file that was just written.

        Parameters
        ----------
        uri : str
            Where, relative to the root.
        data : bytes
            All of it.
        obj : object
            What was written.
        formatter : str
            The name of what wrote it.
        """
        self.forget(uri)
        if not self._readers.get(uri) or len(data) > self._limit:
            return
        self._kept[uri] = len(data), _Lasting.of(obj, formatter) or data
        self._size += len(data)
        while self._size > self._limit:
            self.forget(next(iter(self._kept)))

    def forget(self, uri: str) -> None:
        """Let go of a file.

        Parameters
        ----------
        uri : str
            Which; it need not be kept.
        """
        found = self._kept.pop(uri, None)
        if found is not None:
            self._size -= found[0]

    def give(self, uri: str, formatter: str, storage_class: str, where: str) -> object:
        """Return what reading a file that is kept would give.

        Parameters
        ----------
        uri : str
            Which.
        formatter : str
            The name of what reads it.
        storage_class : str
            What it has to be in memory.
        where : str
            Its place, for messages.

        Returns
        -------
        object
            The asker's own.
        """
        found = self._kept[uri][1]
        self._kept.move_to_end(uri)
        if isinstance(found, bytes):
            return storage.decode(found, formatter, storage_class, where)
        return storage.convert(found.give(), storage_class)

    def was_read(self, uri: str) -> None:
        """Note that one of its readers is done with a file; after the last it goes.

        Parameters
        ----------
        uri : str
            Which.
        """
        if uri in self._readers:
            self._readers[uri] -= 1
            if self._readers[uri] <= 0:
                self.forget(uri)


class _Lasting:
    """An object that can be given out again and again without the bytes of its file."""

    __slots__ = ("_obj",)

    def __init__(self, obj: Any) -> None:
        self._obj = obj

    def give(self) -> Any:
        return self._obj if isinstance(self._obj, str | bytes) else self._obj.copy(order="A")

    @classmethod
    def of(cls, obj: Any, formatter: str) -> _Lasting | None:
        """Make one, where what is read from a file is exactly what was written to it."""
        name = formatter.removesuffix(".zst")
        if type(obj) is (str if name == "text" else bytes) and name in {"text", "bytes", "file"}:
            return cls(obj)
        if name != "npy" or (type(obj).__module__, type(obj).__name__) != ("numpy", "ndarray"):
            return None
        # A file has one of the two orders of memory, and nothing but numbers.
        is_plain = obj.flags.forc and not obj.dtype.hasobject and obj.dtype.names is None
        return cls(obj.copy(order="A")) if is_plain and obj.dtype.metadata is None else None


class JobStore(InputStore):
    """Files under one root, written by one start of one batch job.

    Parameters
    ----------
    root : str or path
        The datastore's root.
    guard : callable
        Raises if this process may no longer write.
    intermediates : Intermediates, optional
        What is kept in memory.
    caches : bool, optional
        Whether remote inputs are kept on this machine.

    Notes
    -----
    A file gets its name only if nothing has it (a link, or a request to that effect). What has it may be left from an
    earlier attempt; then it is replaced, once the guard has said again that no later one has begun.
    """

    __slots__ = ("_guard", "intermediates")

    def __init__(
        self,
        root: files.Uri,
        guard: Callable[[], None],
        intermediates: Intermediates | None = None,
        *,
        caches: bool = False,
    ) -> None:
        super().__init__(root, caches=caches)
        self._guard = guard
        self.intermediates = intermediates

    def guard(self) -> None:
        """Raise if this process may no longer write."""
        self._guard()

    def put(self, obj: object, storage_class: str, stem: str, *, durable: bool = False) -> Artifact:
        """Write an object; see `sync.datastore.Datastore.put`.

        Parameters
        ----------
        obj : object
            What the storage class takes.
        storage_class : str
            How it is to be written.
        stem : str
            Its path without extension.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        Artifact
            To be recorded in the registry.
        """
        if self.intermediates is None:
            return super().put(obj, storage_class, stem, durable=durable)
        writer = storage.formatter(storage.storage_class(storage_class).formatter)
        data = writer.encode(obj)
        stored = self._write(data, stem + writer.extension, writer.name, durable)
        self.intermediates.take(stored.uri, data, obj, writer.name)
        return stored

    def get(self, artifact: Artifact, storage_class: str, *, verify: bool = False) -> object:
        """Read an object; see `sync.datastore.Datastore.get`.

        Parameters
        ----------
        artifact : Artifact
            Its record.
        storage_class : str
            What it has to be in memory.
        verify : bool, optional
            Whether to compare size and checksum with the record.

        Returns
        -------
        object
            What was put.
        """
        kept = self.intermediates
        if kept is None or verify or artifact.uri not in kept:
            return super().get(artifact, storage_class, verify=verify)
        return kept.give(artifact.uri, artifact.formatter, storage_class, self.locate(artifact.uri))

    def put_file(
        self,
        path: files.Uri,
        stem: str,
        formatter: str,
        mode: TransferMode = "copy",
        *,
        durable: bool = False,
    ) -> Artifact:
        """Take in a file; see `sync.datastore.Datastore.put_file`.

        Parameters
        ----------
        path : str or path
            The file, at any URI.
        stem : str
            Its path here without extension; it keeps its own.
        formatter : str
            Name of the formatter that can read it.
        mode : {"copy", "link", "symlink", "move", "direct"}, optional
            How.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        Artifact
            To be recorded in the registry.
        """
        self._guard()
        uri = stem + extensions(files.absolute(path))
        if self.intermediates is not None:
            self.intermediates.forget(uri)
        if mode not in {"copy", "move"} or durable or self.exists(uri):
            return super().put_file(path, stem, formatter, mode, durable=durable)
        try:
            size, checksum = create(self._inside(uri), files.read_chunks(path))
        except AlreadyExistsError:
            self._guard()
            return super().put_file(path, stem, formatter, mode)
        if mode == "move":
            files.remove(path)
        return _artifact(uri, size, checksum, formatter)

    def remove(self, uri: str) -> None:
        """Remove a file; see `sync.datastore.Datastore.remove`.

        Parameters
        ----------
        uri : str
            A path relative to the root.
        """
        self._guard()
        if self.intermediates is not None:
            self.intermediates.forget(uri)
        super().remove(uri)

    def _write(self, data: bytes, uri: str, formatter: str, durable: bool) -> Artifact:
        self._guard()
        where = self._inside(uri)
        if durable:
            files.write_bytes(where, data, durable=True)
            return _artifact(uri, len(data), digest_bytes(data), formatter)
        try:
            size, checksum = create(where, (data,))
        except AlreadyExistsError:
            self._guard()
            files.write_bytes(where, data)
            size, checksum = len(data), digest_bytes(data)
        return _artifact(uri, size, checksum, formatter)


def _artifact(uri: str, size: int, checksum: str, formatter: str) -> Artifact:
    from registry.model.records import Artifact

    return Artifact(uri, size, checksum, formatter)
