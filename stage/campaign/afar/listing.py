"""`Listing`: what a campaign's directory holds, file by file, each as pieces that are known by their content."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.errors import IntegrityError
from registry.model.digest import digest_bytes
from sync.filesystem.local_files import is_aside

__all__ = ["PIECE_BYTES", "Entry", "Listing", "entries_of", "names_in", "pieces_in"]

PIECE_BYTES = 4 << 20
"""Of a database of which a few pages have changed, only the pieces with these pages are sent."""
_OWN = (".campaign.afar", ".campaign.lock")
"""How the names of files begin that are about this machine's copy, not of the campaign."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file.

    Parameters
    ----------
    size : int
        Bytes.
    pieces : tuple of str
        Checksums of its parts of `PIECE_BYTES`, the last one shorter.
    link : str
        Where it leads, if it is a symbolic link; else empty.
    mtime_ns : int
        When this machine's copy was changed last, by the copy's own clock; of no meaning elsewhere.
    """

    size: int
    pieces: tuple[str, ...] = ()
    link: str = ""
    mtime_ns: int = 0

    @property
    def content(self) -> tuple[Any, ...]:
        """What is the same for the same content."""
        return (self.size, self.pieces, self.link)


@dataclass(frozen=True)
class Listing:
    """All files of one generation of a campaign.

    Parameters
    ----------
    number : int
        Which generation; 0 before the first.
    entries : mapping of str to Entry
        By path relative to the campaign.
    by : str, optional
        Who saved it, for a person.
    """

    number: int = 0
    entries: Mapping[str, Entry] = field(default_factory=dict)
    by: str = ""

    def to_json(self) -> bytes:
        """Return it as a document.

        Returns
        -------
        bytes
            JSON.
        """
        rows = [
            [name, e.size, list(e.pieces), e.link, e.mtime_ns] for name, e in sorted(self.entries.items())
        ]
        return json.dumps({"format": 1, "number": self.number, "by": self.by, "files": rows}).encode()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Listing:
        """Read a document.

        Parameters
        ----------
        data : bytes
            As `to_json` makes it.
        where : str
            What it was read from, for the error.

        Returns
        -------
        Listing
            Equal to the first.

        Raises
        ------
        IntegrityError
            If it is none, or names a file outside of the campaign.
        """
        try:
            document: Any = json.loads(data)
            rows = [
                (str(n), Entry(int(s), tuple(map(str, p)), str(t), int(m)))
                for n, s, p, t, m in document["files"]
            ]
            number, by = int(document["number"]), str(document["by"])
            if document["format"] != 1 or not all(_is_inside(name) for name, _ in rows):
                raise ValueError(f"format {document['format']}")  # noqa: TRY301 - worded below
        except (ValueError, TypeError, KeyError) as error:
            raise IntegrityError(
                f"{where} is no list of a campaign's files: {error}",
                code="bad-listing",
                hint="It was written by a newer stage, or damaged; an earlier generation may be beside it.",
            ) from error
        return cls(number, dict(rows), by)


def names_in(root: Path) -> list[str]:
    """Name the files of a campaign.

    Parameters
    ----------
    root : pathlib.Path
        Its directory.

    Returns
    -------
    list of str
        Relative paths, sorted; without locks, side files of this machine, and what writers left aside.
    """
    found = []
    for folder, folders, names in os.walk(root):
        base = Path(folder)
        linked = [n for n in folders if (base / n).is_symlink()]
        folders[:] = [n for n in folders if n not in linked]
        found += [str((base / n).relative_to(root)) for n in (*names, *linked)]
    return sorted(n for n in found if not n.startswith(_OWN) and not is_aside(n))


def entries_of(
    root: Path,
    names: Iterable[str],
    known: Mapping[str, Entry],
    keep: Callable[[str, bytes], object] | None = None,
) -> dict[str, Entry]:
    """Look at files, and read those that have changed.

    Parameters
    ----------
    root : pathlib.Path
        The campaign's directory.
    names : iterable of str
        Which.
    known : mapping of str to Entry
        What they were; one of the same size and time of change is taken to be the same.
    keep : callable, optional
        Called with checksum and bytes of each piece of a file that is read.

    Returns
    -------
    dict of str to Entry
        What they are.
    """
    found: dict[str, Entry] = {}
    for name in names:
        path = root / name
        if path.is_symlink():
            found[name] = Entry(0, (), str(path.readlink()))
            continue
        status = path.stat()
        before = known.get(name)
        if before is not None and (before.size, before.mtime_ns) == (status.st_size, status.st_mtime_ns):
            found[name] = before
            continue
        pieces = []
        size = 0
        with path.open("rb") as handle:
            while data := handle.read(PIECE_BYTES):
                size += len(data)
                pieces.append(digest_bytes(data))
                if keep is not None:
                    keep(pieces[-1], data)
        found[name] = Entry(size, tuple(pieces), "", status.st_mtime_ns)
    return found


def pieces_in(listings: Iterable[Listing]) -> set[str]:
    """Return the pieces that generations need.

    Parameters
    ----------
    listings : iterable of Listing
        Which.

    Returns
    -------
    set of str
        Checksums.
    """
    return {piece for listing in listings for entry in listing.entries.values() for piece in entry.pieces}


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))
