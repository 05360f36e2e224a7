"""The datastore's side of a check: one listing a directory, and for a full check every byte."""
# ruff: noqa: PTH120
# pathlib costs more than what is done with it here

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from registry.errors import NotFoundError, StageError
from registry.model.columns import Columns
from sync.fetching.binding import BINDING
from sync.filesystem import files, local_files, remote_files
from sync.filesystem.file_errors import worded
from sync.filesystem.local_files import is_aside
from sync.fsck.findings import Finding
from sync.outputs import CLAIM_FILE, claimed_roots

__all__ = ["Listing", "Row", "check_bytes", "check_presence", "listing_of"]

_FEW = 8
"""Up to so many files of a store are asked for one by one."""
_THREADS = 8
_BATCH = 64
Row = tuple[str, str, int, str]
"""URI as it is recorded, where that is, size, checksum."""


@dataclass
class Listing:
    """The files below a root, as a listing tells of them.

    Parameters
    ----------
    root : str
        The root.
    sizes : dict of str to int
        Path relative to it, to bytes; symbolic links to files have those of the file that they lead to.
    changed : dict of str to float
        Path to the time of its last change.
    """

    root: str
    sizes: dict[str, int] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)


def listing_of(root: str) -> Listing:
    """List a datastore.

    Parameters
    ----------
    root : str
        A directory, at any URI.

    Returns
    -------
    Listing
        With files that were being written aside.

    Raises
    ------
    StorageError
        If it cannot be listed.
    """
    found = Listing(root)
    path = files.local_text(root)
    with worded(root, "list"):
        told = remote_files.details(root) if path is None else _details(path)
        for name, size, changed in told:
            found.sizes[name] = size
            found.changed[name] = changed
    return found


def _details(root: str) -> Iterator[tuple[str, int, float]]:
    for name in local_files.walk(root):
        path = f"{root}/{name}"
        try:
            told = own = os.lstat(path)
            if stat.S_ISLNK(own.st_mode):
                told = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            continue  # gone meanwhile, or a link that leads nowhere
        if stat.S_ISDIR(told.st_mode):
            continue  # a link to a directory: what lies behind it is looked for by name
        yield name, told.st_size, max(own.st_mtime, own.st_ctime)


def rows_of(recorded: Columns, root: str) -> tuple[list[Row], list[str]]:
    """Place artifact records.

    Parameters
    ----------
    recorded : Columns
        ``uri``, ``size``, ``checksum``.
    root : str
        The datastore's root.

    Returns
    -------
    rows : list of Row
        Those that stay inside, and those elsewhere.
    escaping : list of str
        URIs of the others.
    """
    rows: list[Row] = []
    escaping: list[str] = []
    for uri, size, checksum in recorded.rows(("uri", "size", "checksum")):
        try:
            rows.append((uri, files.join(root, uri), size, checksum))
        except StageError:
            escaping.append(uri)
    return rows, escaping


def check_presence(rows: Sequence[Row], listing: Listing) -> tuple[list[Finding], list[Row]]:
    """See that files are there and as long as recorded.

    Parameters
    ----------
    rows : sequence of Row
        The records.
    listing : Listing
        Of the datastore.

    Returns
    -------
    findings : list of Finding
        By kind, inside and elsewhere.
    there : list of Row
        Those with nothing wrong so far.
    """
    elsewhere = _listed_elsewhere([where for uri, where, _, _ in rows if files.is_absolute(uri)])
    wrong: dict[str, list[str]] = {}
    there: list[Row] = []
    for row in rows:
        uri, where, size, _ = row
        inside = not files.is_absolute(uri)
        found = listing.sizes.get(uri) if inside else elsewhere.get(where)
        if found is None:
            found = _size_now(where)
            if inside and found is not None and _leads_out(where, listing.root):
                wrong.setdefault("path-escape", []).append(uri)
                continue
        place = "artifact" if inside else "outside"
        if found is None:
            wrong.setdefault(f"{place}-missing", []).append(uri)
        elif found != size:
            wrong.setdefault(f"{place}-size", []).append(uri)
        else:
            there.append(row)
    return [_finding(code, uris, listing.root) for code, uris in wrong.items()], there


def _finding(code: str, uris: Sequence[str], root: str) -> Finding:
    where = "other places" if code.startswith("outside") else files.redact(root)
    return Finding(code, where, tuple(sorted(files.redact(uri) for uri in uris)))


def _listed_elsewhere(places: Sequence[str]) -> dict[str, int]:
    """Return sizes of files that lie elsewhere: a directory is listed once, however many of them are in it."""
    out: dict[str, int] = {}
    wanted: dict[str, set[str]] = {}
    for place in places:
        folder, _, name = place.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    for folder, names in wanted.items():
        local = files.local_text(folder)
        # What cannot be listed is looked for one by one, which says why.
        with suppress(OSError, StageError):
            if local is not None:
                with os.scandir(local or "/") as entries:
                    out |= {f"{folder}/{e.name}": e.stat().st_size for e in entries if e.name in names}
            elif len(names) >= _FEW:  # a listing of a store goes down all the way
                out |= {f"{folder}/{n}": size for n, size, _ in remote_files.details(folder) if n in names}
    return out


def _size_now(where: str) -> int | None:
    """Return the size of a file that no listing had: it may have come since, or lie behind a link."""
    try:
        return files.size(where)
    except NotFoundError:
        return None
    except StageError:
        return None


def _leads_out(where: str, root: str) -> bool:
    path, base = files.local_text(where), files.local_text(root)
    if path is None or base is None:
        return False
    folder, real = os.path.realpath(os.path.dirname(path)), os.path.realpath(base)
    return folder != real and not folder.startswith(real.rstrip("/") + "/")


def check_bytes(
    rows: Sequence[Row], root: str, on_progress: Callable[[int, int], None] | None = None
) -> tuple[list[Finding], int]:
    """Read files and compare their checksums.

    Parameters
    ----------
    rows : sequence of Row
        Records whose files are there.
    root : str
        The datastore's root.
    on_progress : callable, optional
        Called with the numbers of bytes read and in all.

    Returns
    -------
    findings : list of Finding
        By kind.
    size_bytes : int
        Bytes read.
    """
    wrong: dict[str, list[str]] = {}
    parts = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    total, done = sum(row[2] for row in rows), 0
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), thread_name_prefix="fsck") as pool:
        for part, judged in zip(parts, pool.map(_judge, parts), strict=True):
            for code, uri in judged:
                wrong.setdefault(code, []).append(uri)
            done += sum(row[2] for row in part)
            if on_progress is not None:
                on_progress(done, total)
    return [_finding(code, uris, root) for code, uris in wrong.items()], done


def _judge(part: Sequence[Row]) -> list[tuple[str, str]]:
    out = []
    for uri, where, size, checksum in part:
        try:
            found = files.checksum(where)
        except StageError:
            out.append(("artifact-unreadable", uri))
            continue
        if found != (size, checksum or found[1]):
            out.append(("outside-checksum" if files.is_absolute(uri) else "artifact-checksum", uri))
    return out


def left_over(
    listing: Listing, named: Mapping[str, object] | set[str], latest: float
) -> tuple[list[str], list[str], int]:
    """Find files that no row names.

    Parameters
    ----------
    listing : Listing
        Of the datastore, made before the rows were read: what is named between the two is seen to be named.
    named : set of str
        What rows name, relative to the root.
    latest : float
        Files that were changed later may be of somebody who is still at work.

    Returns
    -------
    orphans, parts : list of str
        Whole files, and such as were being written.
    n_young : int
        Those that are too young.
    """
    orphans: list[str] = []
    parts: list[str] = []
    n_young = 0
    # What campaigns keep here (`sync.outputs`) is theirs, until they push it and after.
    campaigns = claimed_roots(listing.changed)
    for name, changed in listing.changed.items():
        if name in named or name in {CLAIM_FILE, BINDING} or name.startswith(campaigns):
            continue
        if changed > latest:
            n_young += 1
        elif is_aside(name):
            parts.append(name)
        else:
            orphans.append(name)
    return sorted(orphans), sorted(parts), n_young
