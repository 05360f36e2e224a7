"""Bundles: many files as one, with the size and checksum of each, to be carried where no network goes.

A bundle is a zip archive that any tool can list. Its last member, ``manifest.json``, says what it holds; the archive's
comment has the manifest's checksum. A reader takes nothing that the manifest does not name, nothing under a name that
leads out of a directory, and not a byte more than it says.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError, StorageError
from sync.filesystem import files
from sync.filesystem.file_errors import worded
from sync.filesystem.local_files import aside_name
from sync.filesystem.tally import Tally

__all__ = ["Bundle", "Member", "write_bundle"]

FORMAT = 1
_MANIFEST = "manifest.json"
_KIND = "stage-bundle"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LARGEST_MANIFEST = 1 << 30
_CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError)
"""What the reading of a zip archive may raise when its bytes are wrong; no two versions raise the same."""
_SQUEEZED = (".sqlite3", ".json", ".log", ".yaml")
"""Endings of what is worth compressing; artifacts are as their formatters made them."""


@dataclass(frozen=True)
class Member:
    """One file of a bundle.

    Parameters
    ----------
    name : str
        Its name there, with ``/`` between directories.
    size : int
        Bytes.
    checksum : str
        ``blake3:…``.
    """

    name: str
    size: int
    checksum: str


def write_bundle(
    path: Path,
    sources: Iterable[tuple[str, files.Uri]],
    facts: Mapping[str, Any],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> list[Member]:
    """Write a bundle: whole and durable under its name, or not at all.

    Parameters
    ----------
    path : Path
        Where; what is there is replaced.
    sources : iterable of (str, str or path)
        Name in the bundle, and the file.
    facts : mapping
        What it is about; JSON-like.
    on_progress : callable, optional
        Called with the number of files written, after each.

    Returns
    -------
    list of Member
        What is in it.

    Raises
    ------
    NotFoundError
        If a file is not there.
    StorageError
        If it cannot be written. Nothing is left of it.
    """
    aside = path.parent / aside_name()
    members: list[Member] = []
    try:
        with worded(path, "write"), aside.open("xb") as raw:
            with zipfile.ZipFile(raw, "w", allowZip64=True) as archive:
                for name, source in sources:
                    members.append(_add(archive, name, files.read_chunks(source)))
                    if on_progress is not None:
                        on_progress(len(members))
                told = {
                    "kind": _KIND, "format": FORMAT, "facts": dict(facts),
                    "files": [[m.name, m.size, m.checksum] for m in members],
                }  # fmt: skip
                manifest = _add(archive, _MANIFEST, iter([json.dumps(told).encode()]))
                archive.comment = manifest.checksum.encode()
            raw.flush()
            os.fsync(raw.fileno())
        with worded(path, "write"):
            aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return members


def _add(archive: zipfile.ZipFile, name: str, chunks: Iterator[bytes]) -> Member:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(_SQUEEZED) else zipfile.ZIP_STORED
    tally = Tally()
    with archive.open(info, "w", force_zip64=True) as out:
        for chunk in tally.passing(chunks):
            out.write(chunk)
    return Member(name, tally.size, tally.checksum)


class Bundle:
    """A bundle that is read.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    facts : dict
        What it is about.
    members : dict of str to Member
        What it holds, by name.

    Raises
    ------
    NotFoundError
        If there is no such file.
    IntegrityError
        If it is no bundle, damaged, or has names that lead out of a directory.
    SchemaVersionError
        If its form is newer than this software.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise NotFoundError(
                f"no bundle {path}",
                code="no-such-file",
                hint="Name the file that 'stage bundle export' wrote.",
            )
        try:
            with worded(path, "read"):
                self._archive = zipfile.ZipFile(path)
        except _BROKEN as exc:
            raise _damaged(path, "it is no bundle, or was cut off") from exc
        try:
            manifest = self._manifest()
            self.facts: dict[str, Any] = manifest["facts"]
            self.members = {m.name: m for m in (Member(*entry) for entry in manifest["files"])}
            self._check_names()
        except (*_BROKEN, KeyError, TypeError, AttributeError) as exc:
            self.close()
            raise _damaged(path, f"its manifest cannot be read ({exc})") from exc
        except BaseException:
            self.close()
            raise

    def _manifest(self) -> dict[str, Any]:
        info = self._archive.getinfo(_MANIFEST)
        if info.file_size > _LARGEST_MANIFEST:
            raise ValueError("it is too large")
        tally = Tally()
        with self._archive.open(info) as stream:
            data = stream.read(_LARGEST_MANIFEST)
        tally.take(data)
        if self._archive.comment.decode() != tally.checksum:
            raise ValueError("it is not as it was written")
        found: dict[str, Any] = json.loads(data)
        if found["kind"] != _KIND:
            raise ValueError(f"it is one of a '{found['kind']}'")
        if found["format"] > FORMAT:
            raise SchemaVersionError(
                f"{self.path} is a bundle of form {found['format']}; forms up to {FORMAT} are read",
                code="bundle-version", hint="Upgrade stage.", found=str(found["format"]), supported=str(FORMAT),
            )  # fmt: skip
        return found

    def _check_names(self) -> None:
        """See that archive and manifest hold the same, each name once, and none that leaves a directory."""
        there = sorted(self._archive.namelist())
        if there != sorted([*self.members, _MANIFEST]):
            raise _damaged(self.path, "it holds other files than its manifest says")
        for name in self.members:
            parts = name.split("/")
            if not all(parts) or {".", ".."} & set(parts) or "\\" in name or "\0" in name or ":" in parts[0]:
                raise _damaged(
                    self.path, f"it has a file named {name!r}, which would lead out of a directory"
                )

    def extract(self, name: str, target: Path) -> None:
        """Write one file, under its name only when it is whole and has been checked.

        Parameters
        ----------
        name : str
            Its name in the bundle.
        target : Path
            Where to write it; parents are made. What is there is replaced.

        Raises
        ------
        IntegrityError
            If it is not what the manifest says. Nothing is left of it.
        StorageError
            If it cannot be written.
        """
        with worded(target, "write"):
            target.parent.mkdir(parents=True, exist_ok=True)
        files.write_stream(target, self._chunks(self.members[name]))

    def _chunks(self, member: Member) -> Iterator[bytes]:
        tally = Tally()
        with self._reading(member), self._archive.open(member.name) as stream:
            while chunk := stream.read(_CHUNK):
                tally.take(chunk)
                if tally.size > member.size:
                    break
                yield chunk
        if (tally.size, tally.checksum) != (member.size, member.checksum):
            raise _damaged(self.path, f"'{member.name}' is not as it was written")

    @contextmanager
    def _reading(self, member: Member) -> Iterator[None]:
        try:
            yield
        except _BROKEN as exc:
            raise _damaged(self.path, f"'{member.name}' cannot be read ({exc})") from exc
        except OSError as exc:
            raise StorageError(f"cannot read {self.path}: {exc.strerror or exc}") from exc

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: {why}",
        code="bundle-damaged",
        hint="Carry it over again, or export it again; nothing was taken from it.",
    )
