"""A dataset of several files: one archive on disk, a `FileSet` in memory, a directory for scripts."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from registry.errors import IntegrityError, UsageError
from sync.formatters.base import reading, writing, wrong_type

__all__ = ["FileSet", "FileSetFormatter"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_LARGE = 1 << 31
_NAME = "fileset"

_Open = Callable[[], IO[bytes]]


class FileSet:
    """Several files by name. Immutable; the order is that of the names.

    Parameters
    ----------
    data : bytes
        An archive as a file set is stored: zip, not compressed.

    Raises
    ------
    IntegrityError
        If it is something else, or a name in it would lead out of a directory.

    Examples
    --------
    >>> parts = FileSet.of({"part.1.txt": "one", "part.2.txt": "two"})
    >>> list(parts), parts.text("part.2.txt")
    (['part.1.txt', 'part.2.txt'], 'two')
    """

    def __init__(self, data: bytes) -> None:
        with reading(_NAME):
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            _check(self._archive)
        self._data = data

    @classmethod
    def of(cls, contents: Mapping[str, bytes | str]) -> FileSet:
        """Make one of contents.

        Parameters
        ----------
        contents : mapping of str to bytes or str
            By name; a name may have directories, as ``a/b.txt``. Text is written in UTF-8.

        Returns
        -------
        FileSet
            Of these files.

        Raises
        ------
        UsageError
            If a name would lead out of a directory, or a content is something else.
        """
        items: list[tuple[str, _Open, int]] = []
        for name, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            if not isinstance(data, bytes | bytearray | memoryview):
                raise wrong_type(_NAME, f"bytes or text as the content of '{name}'", content)
            items.append((name, lambda data=data: io.BytesIO(data), len(data)))  # type: ignore[misc]
        return cls(_packed(items))

    @classmethod
    def of_directory(cls, directory: str | Path, pattern: str = "*") -> FileSet:
        """Make one of the files in a directory.

        Parameters
        ----------
        directory : str or Path
            A local directory; those below it are taken in too.
        pattern : str, optional
            Which files, by name, as ``chunk.*.fasta``.

        Returns
        -------
        FileSet
            Of copies of these files.

        Raises
        ------
        UsageError
            If there is no such directory.
        """
        return cls(_packed(_files(directory, pattern)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.namelist())

    def __len__(self) -> int:
        return len(self._archive.namelist())

    def __contains__(self, name: object) -> bool:
        return name in self._archive.namelist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileSet) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        return f"FileSet({', '.join(self)})"

    def __reduce__(self) -> tuple[type[FileSet], tuple[bytes]]:
        return FileSet, (self._data,)

    def __bytes__(self) -> bytes:
        return self._data

    def matching(self, pattern: str) -> list[str]:
        """Return the names that match a pattern.

        Parameters
        ----------
        pattern : str
            As ``chunk.*.fasta``.

        Returns
        -------
        list of str
            Sorted.
        """
        return [name for name in self if fnmatchcase(name, pattern)]

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        bytes
            All of it.

        Raises
        ------
        UsageError
            If there is no such file; names those there are.
        """
        if name not in self:
            raise UsageError(
                f"no file '{name}' in the set",
                code="no-such-file",
                hint=f"It has {', '.join(self) or 'none'}.",
            )
        with reading(_NAME):
            return self._archive.read(name)

    def text(self, name: str) -> str:
        """Return the content of a file as text.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        str
            Read as UTF-8.
        """
        return self.read(name).decode()

    def extract(self, directory: str | Path) -> Path:
        """Write the files into a directory.

        Parameters
        ----------
        directory : str or Path
            A local one; made if it is not there.

        Returns
        -------
        pathlib.Path
            The directory.
        """
        return _unpacked(self._archive, Path(directory))


class FileSetFormatter:
    """An archive (zip, not compressed, sorted, without times): equal files give equal bytes."""

    name = _NAME
    extension = ".zip"

    def encode(self, obj: object) -> bytes:
        """Return the archive.

        Parameters
        ----------
        obj : FileSet, mapping or Path
            Files, contents by name, or a local directory.

        Returns
        -------
        bytes
            The whole archive.

        Raises
        ------
        UsageError
            If it is something else.
        """
        if isinstance(obj, FileSet):
            return bytes(obj)
        with writing(self.name, obj):
            if isinstance(obj, Mapping):
                return bytes(FileSet.of(obj))
            if isinstance(obj, Path):
                return bytes(FileSet.of_directory(obj))
        raise wrong_type(self.name, "a FileSet, a dict of contents by name, or the Path of a directory", obj)

    def decode(self, data: bytes) -> object:
        """Read the archive.

        Parameters
        ----------
        data : bytes
            All of it.

        Returns
        -------
        FileSet
            Its files.

        Raises
        ------
        IntegrityError
            If it is none.
        """
        return FileSet(data)

    def check(self, path: str) -> None:
        """Look whether a file is such an archive, without its contents.

        Parameters
        ----------
        path : str
            A local file.

        Raises
        ------
        IntegrityError
            If it is none.
        """
        with reading(self.name), zipfile.ZipFile(path) as archive:
            _check(archive)

    def pack(self, directory: str | Path, path: str | Path) -> None:
        """Write the files of a directory into an archive.

        Parameters
        ----------
        directory : str or Path
            A local directory.
        path : str or Path
            The archive.

        Raises
        ------
        UsageError
            If it cannot be read or written.
        """
        with writing(self.name, directory), Path(path).open("wb") as target:
            _pack(target, _files(directory, "*"))

    def unpack(self, path: str | Path, directory: str | Path) -> None:
        """Write the files of an archive into a directory.

        Parameters
        ----------
        path : str or Path
            The archive, a local file.
        directory : str or Path
            Made if it is not there.

        Raises
        ------
        IntegrityError
            If it is no archive.
        """
        with reading(self.name), zipfile.ZipFile(path) as archive:
            _check(archive)
            _unpacked(archive, Path(directory))


def _files(directory: str | Path, pattern: str) -> Iterator[tuple[str, _Open, int]]:
    root = Path(directory)
    if not root.is_dir():
        raise UsageError(f"no directory {root}", code="no-such-directory")
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_file() and fnmatchcase(name, pattern):
            yield name, lambda path=path: path.open("rb"), path.stat().st_size  # type: ignore[misc]


def _packed(items: Iterable[tuple[str, _Open, int]]) -> bytes:
    target = io.BytesIO()
    _pack(target, items)
    return target.getvalue()


def _pack(target: IO[bytes], items: Iterable[tuple[str, _Open, int]]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, opened, size in sorted(items, key=lambda item: item[0]):
            if not _is_safe(name):
                raise UsageError(
                    f"'{name}' cannot be the name of a file in a set",
                    code="bad-name",
                    hint="Use a relative name without '..'.",
                )
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr, info.file_size = 3, 0o644 << 16, size
            with opened() as source, archive.open(info, "w", force_zip64=size > _LARGE) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    plain = not set(name) & {"\\", "\0", ":"} and bool(name)
    return plain and all(part not in {"", ".", ".."} for part in parts)


def _check(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that was not made here: with a name that leads out, or contents that grow when read."""
    names = archive.namelist()
    if len(set(names)) < len(names):
        raise IntegrityError(f"not readable as '{_NAME}': a name is there twice", code="damaged-file")
    for info in archive.infolist():
        if not _is_safe(info.filename) or info.compress_type != zipfile.ZIP_STORED:
            raise IntegrityError(
                f"not readable as '{_NAME}': '{info.filename}' is compressed, or leads out of the directory",
                code="damaged-file",
            )


def _unpacked(archive: zipfile.ZipFile, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for info in archive.infolist():
        path = directory.joinpath(*PurePosixPath(info.filename).parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return directory
