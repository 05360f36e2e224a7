"""The datastore on any file system that `sync.filesystem.files` reaches: local, in memory, S3 and others."""
# ruff: noqa: PTH120
# pathlib costs more than what is done with it here

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from registry.errors import IntegrityError, UsageError
from registry.model.digest import digest_bytes
from registry.model.records import Artifact
from sync import storage
from sync.datastore import TransferMode
from sync.filesystem import files, local_files
from sync.filesystem.sharing import adopt_link
from sync.storage import Formatter

__all__ = ["FsspecDatastore"]


class FsspecDatastore:
    """Files under one root.

    Parameters
    ----------
    root : str or path
        A directory, at any URI; made when the first file is written.
    """

    __slots__ = ("_prefix", "root")

    def __init__(self, root: files.Uri) -> None:
        self.root = files.absolute(root)
        self._prefix = self.root.rstrip("/") + "/"

    def __repr__(self) -> str:
        return f"FsspecDatastore({files.redact(self.root)!r})"

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
        writer = _writer(storage_class)
        return self._write(writer.encode(obj), stem + writer.extension, writer.name, durable)

    def put_bytes(self, data: bytes, stem: str, formatter: str, *, durable: bool = False) -> Artifact:
        """Write bytes; see `sync.datastore.Datastore.put_bytes`.

        Parameters
        ----------
        data : bytes
            The whole file.
        stem : str
            Its path without extension.
        formatter : str
            Name of the formatter that can read them.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        Artifact
            To be recorded in the registry.
        """
        return self._write(data, stem + storage.formatter(formatter).extension, formatter, durable)

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
        source = files.absolute(path)
        if mode == "direct":
            return Artifact(source, *files.checksum(source), formatter)
        uri = stem + extensions(source)
        target = self._inside(uri)
        if mode in {"copy", "move"}:
            size, checksum = files.copy(source, target, durable=durable)
            if mode == "move":
                files.remove(source)
        else:
            size, checksum = files.checksum(source)
            (files.link if mode == "link" else files.symlink)(source, target, durable=durable)
            if mode == "link":
                adopt_link(target)
        return Artifact(uri, size, checksum, formatter)

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
        with self.reading(artifact) as where:
            data = files.read_bytes(where)
            if verify:
                _compare(where, artifact, len(data), digest_bytes(data) if artifact.checksum else "")
            return storage.decode(data, artifact.formatter, storage_class, where)

    def reading(self, artifact: Artifact) -> AbstractContextManager[str]:
        """Hold a file while it is read; see `sync.datastore.Datastore.reading`.

        Parameters
        ----------
        artifact : Artifact
            Its record.

        Returns
        -------
        context manager of str
            Where its bytes are.
        """
        return nullcontext(self.locate(artifact.uri))

    def has(self, uri: str) -> bool:
        """Tell whether a file could be read; see `sync.datastore.Datastore.has`.

        Parameters
        ----------
        uri : str
            As for `locate`.

        Returns
        -------
        bool
            Whether it could.
        """
        return self.exists(uri)

    def guard(self) -> None:
        """Raise if this process may no longer write here; see `sync.datastore.Datastore.guard`."""

    def predict(self, stem: str, storage_class: str) -> str:
        """Return the path that `put` would give.

        Parameters
        ----------
        stem : str
            Path without extension.
        storage_class : str
            How it would be written.

        Returns
        -------
        str
            Relative to the root.
        """
        return stem + _writer(storage_class).extension

    def locate(self, uri: str) -> str:
        """Return where a file is.

        Parameters
        ----------
        uri : str
            A relative path, or an absolute URI, which is returned as it is.

        Returns
        -------
        str
            An absolute path or URI.
        """
        return files.join(self._prefix, uri)

    def exists(self, uri: str) -> bool:
        """Tell whether a file is there.

        Parameters
        ----------
        uri : str
            As for `locate`.

        Returns
        -------
        bool
            Whether it is.
        """
        return files.exists(self.locate(uri))

    def size(self, uri: str) -> int:
        """Return the size of a file.

        Parameters
        ----------
        uri : str
            As for `locate`.

        Returns
        -------
        int
            Bytes.
        """
        return files.size(self.locate(uri))

    def verify(self, artifact: Artifact) -> None:
        """Compare a file with its record; see `sync.datastore.Datastore.verify`.

        Parameters
        ----------
        artifact : Artifact
            The record; without a checksum only the size is compared.
        """
        where = self.locate(artifact.uri)
        found, checksum = files.checksum(where) if artifact.checksum else (files.size(where), "")
        _compare(where, artifact, found, checksum)

    def remove(self, uri: str) -> None:
        """Remove a file; see `sync.datastore.Datastore.remove`.

        Parameters
        ----------
        uri : str
            A path relative to the root.
        """
        where = self._inside(uri)
        path = files.local_path(where)
        if path is not None:
            # The file itself may be a link, which is removed and not followed; the way to it may not lead out.
            folder, root = os.path.realpath(path.parent), os.path.realpath(self.root)
            if folder != root and not folder.startswith(root.rstrip("/") + "/"):
                raise UsageError(
                    f"'{uri}' leads out of the datastore {self.root} to {folder}",
                    code="path-escape",
                    hint="Remove the symbolic link in its path.",
                )
        files.remove(where, missing_ok=True)

    def prune(self, uri: str) -> None:
        """Remove the directories that held a file, as far as they are empty now.

        Parameters
        ----------
        uri : str
            The file's path relative to the root; the root itself stays.
        """
        path = files.local_path(self._inside(uri))
        if path is not None:
            local_files.prune_empty(os.path.dirname(path), self.root)

    def _write(self, data: bytes, uri: str, formatter: str, durable: bool) -> Artifact:
        files.write_bytes(self._inside(uri), data, durable=durable)
        return Artifact(uri, len(data), digest_bytes(data), formatter)

    def _inside(self, uri: str) -> str:
        """Return where a file of our own is; an absolute path is none."""
        if files.is_absolute(uri) or not uri:
            raise UsageError(
                f"'{files.redact(uri)}' is not inside the datastore {files.redact(self.root)}",
                code="path-escape",
                hint="Give a path relative to the datastore's root.",
            )
        return files.join(self._prefix, uri)


def extensions(uri: str) -> str:
    """Return all extensions of a file's name.

    Parameters
    ----------
    uri : str
        Its path.

    Returns
    -------
    str
        As ``.FITS.gz``; of parts like a version number or a date in the name, none.
    """
    name = uri.rpartition("/")[2]
    stem, dot, last = name.rpartition(".")
    if not dot or not stem or not last.isalnum() or last.isdigit() or len(last) > 10:
        return ""
    before = stem.rpartition(".")
    packed = last.lower() in {"gz", "zst", "fz", "bz2", "xz"}
    if packed and before[1] and before[0] and before[2].isalnum() and not before[2].isdigit():
        return f".{before[2]}.{last}"
    return f".{last}"


@cache
def _writer(storage_class: str) -> Formatter:
    return storage.formatter(storage.storage_class(storage_class).formatter)


def _compare(where: str, artifact: Artifact, size: int, checksum: str) -> None:
    for what, found, recorded in (("size", size, artifact.size), ("checksum", checksum, artifact.checksum)):
        if found != recorded:
            raise IntegrityError(
                f"{files.redact(where)} is not what was recorded: {what} is {found}, recorded {recorded}",
                code=f"{what}-differs",
                hint="Make or fetch it again; 'fsck' finds all such files.",
                context={"uri": where, "found": found, "recorded": recorded},
            )
