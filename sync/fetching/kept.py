"""Which local files upstream holds too, so that they may go; and why the others stay."""
# ruff: noqa: PTH116
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from registry.errors import NotFoundError, StageError
from registry.model.refs import id_text
from sync.fetching.inside import leading_out
from sync.fetching.movers import each_chunk
from sync.fetching.places import Places
from sync.filesystem import files
from sync.filesystem.uris import local_text

__all__ = ["REASONS", "Candidate", "Kept", "Named", "judge"]

Place = tuple[str, int, str]
"""Where upstream has an artifact, its size and its checksum, as it records them."""

REASONS = {
    "not-below-root": "they do not lie below the campaign's own datastore root",
    "push-unfinished": "a push of their run was broken off and needs them",
    "not-upstream": "upstream has no file of these datasets",
    "differs-upstream": "upstream records another size or checksum",
    "no-checksum": "there is no checksum of both to compare; --verify compares the bytes",
    "same-file": "the file that upstream names is this one",
    "missing-upstream": "the file that upstream names is not there",
    "changed-upstream": "the file that upstream names is not what it records",
}
"""Why files stay, by code."""


class Candidate(NamedTuple):
    """One artifact that is asked about.

    Parameters
    ----------
    id : bytes
        Its dataset.
    uri : str
        As staging records it.
    size : int
        Bytes.
    checksum : str
        May be empty.
    formatter : str
        Its formatter.
    dataset_type, run : str
        What it is.
    """

    id: bytes
    uri: str
    size: int
    checksum: str
    formatter: str
    dataset_type: str
    run: str


class Named(NamedTuple):
    """One artifact that has, or is to have, a file here.

    Parameters
    ----------
    found : Candidate
        It.
    name : str
        The file, relative to the root.
    links : int
        How many names the file has; 0 if it is gone already.
    is_theirs : bool
        Whether staging's record refers to upstream's file, so that this one was left over.
    """

    found: Candidate
    name: str
    links: int
    is_theirs: bool


@dataclass(frozen=True)
class Kept:
    """Files that stay, for one reason.

    Parameters
    ----------
    code : str
        Which: one of `REASONS`.
    why : str
        In words.
    n : int
        How many.
    first : str
        The first of them: dataset type, RUN and id.
    """

    code: str
    why: str
    n: int
    first: str


def judge(
    candidates: Sequence[Candidate],
    theirs: Mapping[bytes, Place],
    root: str,
    places: Places,
    unfinished: Mapping[str, str],
    *,
    verify: bool,
) -> tuple[list[Named], list[Kept]]:
    """Sort artifacts into those whose files may go, and those that stay.

    Parameters
    ----------
    candidates : sequence of Candidate
        They.
    theirs : mapping of bytes to (str, int, str)
        What upstream records.
    root : str
        The campaign's own datastore root.
    places : Places
        How names and upstream's places belong together.
    unfinished : mapping of str to str
        RUNs whose files have to stay.
    verify : bool
        Whether upstream's bytes are read.

    Returns
    -------
    free : list of Named
        Those that may go.
    kept : list of Kept
        By reason.
    """
    out: dict[str, list[Candidate]] = {}
    named = _named(candidates, places, root, out)
    free: list[Named] = []
    asked: list[Named] = []
    for one in named:
        code = _by_record(one.found, theirs.get(one.found.id), unfinished, verify=verify)
        if code:
            out.setdefault(code, []).append(one.found)
        else:
            asked.append(one)
    base = local_text(root) or root

    def look(part: Sequence[Named]) -> list[str]:
        return [_by_file(f, theirs[f.id][0], f"{base}/{name}", verify=verify) for f, name, *_ in part]

    waits = any("://" in theirs[one.found.id][0] for one in asked)
    codes = [
        code for part in each_chunk(look, asked, chunk=4 if waits else 256, waits=waits) for code in part
    ]
    for one, code in zip(asked, codes, strict=True):
        if code:
            out.setdefault(code, []).append(one.found)
        else:
            free.append(one)
    return free, [
        Kept(code, unfinished.get(rows[0].run, REASONS[code]) if code == "push-unfinished" else REASONS[code],
             len(rows), f"{rows[0].dataset_type} of {rows[0].run} ({id_text(rows[0].id)})")
        for code, rows in out.items()
    ]  # fmt: skip


def _named(
    candidates: Sequence[Candidate], places: Places, root: str, out: dict[str, list[Candidate]]
) -> list[Named]:
    """Return those that have a file here, with its name; one that leads out of the root has none that may go."""
    known = [files.is_absolute(found.uri) for found in candidates]
    names = [
        places.name_or_none(found.uri) if is_theirs else _plain(found.uri)
        for found, is_theirs in zip(candidates, known, strict=True)
    ]
    base = local_text(root) or root
    # A store is listed once; to ask for each object would take as many requests.
    stored = None if files.is_local(root) or not candidates else set(files.list_files(root))
    leading = leading_out([name for name in names if name is not None], root)
    named = []
    for found, name, is_theirs in zip(candidates, names, known, strict=True):
        if name is None or (leading and name.rpartition("/")[0] in leading):
            # What refers to upstream has, most often, no file here at all.
            if not is_theirs:
                out.setdefault("not-below-root", []).append(found)
            continue
        links = _links(f"{base}/{name}") if stored is None else int(name in stored)
        if links or not is_theirs:
            named.append(Named(found, name, links, is_theirs))
    return named


def _plain(uri: str) -> str | None:
    return None if not uri or {"", ".", ".."} & set(uri.split("/")) else uri


def _links(place: str) -> int:
    """Return how many names a local file of our own has; 0 if there is none."""
    try:
        told = os.lstat(place)
    except OSError:
        return 0
    return 0 if stat.S_ISDIR(told.st_mode) else told.st_nlink


def _by_record(found: Candidate, theirs: Place | None, unfinished: Mapping[str, str], *, verify: bool) -> str:
    if found.run in unfinished:
        return "push-unfinished"
    if theirs is None:
        return "not-upstream"
    _, size, checksum = theirs
    known = bool(found.checksum and checksum)
    if size != found.size or (known and checksum != found.checksum):
        return "differs-upstream"
    return "" if known or verify else "no-checksum"


def _by_file(found: Candidate, place: str, own: str, *, verify: bool) -> str:
    """Look at the file that upstream names, and whether it is another one than ours."""
    try:
        size = _other_size(place, own)
    except (NotFoundError, FileNotFoundError, NotADirectoryError):
        return "missing-upstream"
    if size is None:
        return "same-file"
    if size != found.size:
        return "changed-upstream"
    return _by_bytes(found, place, own) if verify else ""


def _other_size(place: str, own: str) -> int | None:
    """Return the size of the file that upstream names; None if it would go with our name."""
    path = local_text(place)
    if path is None:
        return None if place == own else files.size(place)
    told, ours = os.stat(path), local_text(own)
    try:
        is_one = ours is not None and os.path.samestat(told, os.lstat(ours))
    except FileNotFoundError:
        is_one = False
    if is_one and ours is not None:
        # Two names of one file are two files here, and one of them may go; a link or a mount that leads to it may not.
        folder, _, name = ours.rpartition("/")
        if told.st_nlink < 2 or os.path.realpath(path) == f"{os.path.realpath(folder)}/{name}":
            return None
    return told.st_size


def _by_bytes(found: Candidate, place: str, own: str) -> str:
    """Read upstream's file; where no checksum of ours was recorded, that too."""
    try:
        wanted = found.checksum or files.checksum(own)[1]
        return "" if files.checksum(place)[1] == wanted else "changed-upstream"
    except StageError:
        return "missing-upstream"
