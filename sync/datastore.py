"""What a datastore is: the file side of a repository, and what each of its acts guarantees."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

from registry.model.records import Artifact
from sync.filesystem.uris import Uri

__all__ = ["Artifact", "Datastore", "TransferMode"]

TransferMode = Literal["copy", "link", "symlink", "move", "direct"]


class Datastore(Protocol):
    """Files under one root.

    Every path below is relative to `root` (or absolute, where an artifact is another repository's) and can never
    leave it. A file appears under its name only when it is whole. Instances may be shared by threads.
    """

    root: str
    """Where it is, as an absolute path or URI without a trailing slash."""

    def put(self, obj: object, storage_class: str, stem: str, *, durable: bool = False) -> Artifact:
        """Write an object.

        Parameters
        ----------
        obj : object
            What the storage class takes.
        storage_class : str
            How it is to be written.
        stem : str
            Its path without extension, from `sync.paths.artifact_stem`.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        Artifact
            Path, size, checksum and formatter; to be recorded in the registry.

        Raises
        ------
        UsageError
            If the object is of the wrong type, or the path leaves the root.
        StorageError
            If it cannot be written. Nothing is left behind in either case.
        """

    def put_bytes(self, data: bytes, stem: str, formatter: str, *, durable: bool = False) -> Artifact:
        """Write bytes that are a formatter's file already.

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

        Raises
        ------
        UsageError
            If the path leaves the root.
        StorageError
            If it cannot be written. Nothing is left behind in either case.
        """

    def put_file(
        self, path: Uri, stem: str, formatter: str, mode: TransferMode = "copy", *, durable: bool = False
    ) -> Artifact:
        """Take in a file that exists.

        Parameters
        ----------
        path : str or path
            The file, at any URI.
        stem : str
            Its path here without extension; it keeps its own, all of ``.fits.gz``.
        formatter : str
            Name of the formatter that can read it.
        mode : {"copy", "link", "symlink", "move", "direct"}, optional
            How; ``"direct"`` leaves it where it is and records its absolute URI.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        Artifact
            To be recorded in the registry.

        Raises
        ------
        NotFoundError
            If the file is not there.
        UsageError
            If the mode cannot be had, as a link to a remote file.
        StorageError
            If it cannot be read or written. Nothing is left behind.
        """

    def get(self, artifact: Artifact, storage_class: str, *, verify: bool = False) -> object:
        """Read an object.

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

        Raises
        ------
        NotFoundError
            If the file is gone.
        IntegrityError
            If it cannot be understood or, verified, is not what was recorded.
        """

    def reading(self, artifact: Artifact) -> AbstractContextManager[str]:
        """Hold a file while it is read by others than `get`.

        Parameters
        ----------
        artifact : Artifact
            Its record.

        Returns
        -------
        context manager of str
            Where its bytes are: an absolute path or URI, which need not be what `locate` says.
        """

    def has(self, uri: str) -> bool:
        """Tell whether a file could be read, wherever its bytes are.

        Parameters
        ----------
        uri : str
            As for `locate`.

        Returns
        -------
        bool
            Whether it could.
        """

    def guard(self) -> None:
        """Raise if this process may no longer write here: what is done past the datastore asks this first."""

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

        Raises
        ------
        UsageError
            If it leaves the root.
        """

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

        Raises
        ------
        NotFoundError
            If there is none.
        """

    def verify(self, artifact: Artifact) -> None:
        """Compare a file with its record.

        Parameters
        ----------
        artifact : Artifact
            The record; without a checksum only the size is compared.

        Raises
        ------
        NotFoundError
            If the file is gone.
        IntegrityError
            If size or checksum differ; names the file and both values.
        """

    def remove(self, uri: str) -> None:
        """Remove a file; one that is gone is no error.

        Parameters
        ----------
        uri : str
            A path relative to the root.

        Raises
        ------
        UsageError
            If it is not inside the root, symbolic links followed.
        StorageError
            If it cannot be removed.
        """

    def prune(self, uri: str) -> None:
        """Remove the directories that held a file, as far as they are empty now.

        Parameters
        ----------
        uri : str
            The file's path relative to the root; the root itself stays.
        """
