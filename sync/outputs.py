"""Outputs of a campaign kept in upstream's storage from the start, so that a push moves no byte: who may write where.

Such a campaign has a directory of its own there, a *prefix*. A file in it says whose it is, so that no two campaigns write
to one prefix, and which RUNs were given to upstream. Their files are upstream's from then on: they are not removed, replaced
or written again by the campaign, whatever its own registry says, which may have been put back from a copy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from registry.errors import (
    AlreadyExistsError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    StageError,
    StorageError,
    UsageError,
)
from sync.fetching.binding import BINDING
from sync.filesystem import files
from sync.filesystem.creating import create

__all__ = ["CLAIM_FILE", "OUTPUTS_CLAIM", "OUTPUTS_IN", "Claim", "claim", "claimed_roots", "mark_given", "place_upstream", "read_claim", "refuse_given",
           "release", "unmark_given"]  # fmt: skip

OUTPUTS_IN, OUTPUTS_CLAIM = "outputs.in", "outputs.claim"
"""What a staging registry remembers of where its datastore is, if that is not beside it: the place, and the claim."""

CLAIM_FILE = ".campaign-outputs.json"
"""In a prefix: whose it is."""

_KEYS = ("id", "campaign", "directory", "given")


@dataclass(frozen=True)
class Claim:
    """Whose a prefix is.

    Parameters
    ----------
    id : str
        Of the claim; the campaign remembers it.
    campaign : str
        The campaign's name.
    directory : str
        Its directory.
    given : tuple of str
        RUNs whose files are upstream's, or are about to be.
    """

    id: str
    campaign: str
    directory: str
    given: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the file's content.

        Returns
        -------
        bytes
            JSON.
        """
        return json.dumps({k: getattr(self, k) for k in _KEYS}, indent=1).encode() + b"\n"


def place_upstream(outputs: str, upstream_root: str) -> str:
    """Return what upstream's rows write before the paths of files below a prefix.

    Parameters
    ----------
    outputs : str
        The prefix.
    upstream_root : str
        Root of upstream's datastore.

    Returns
    -------
    str
        Ends in a slash. Relative to upstream's root if the prefix is inside it, so that the repository can be moved as
        a whole; else absolute.

    Raises
    ------
    UsageError
        If upstream's readers would not find it: another kind of store; or it would hold what is not the campaign's.
    """
    inner, root = _canonical(outputs), _canonical(upstream_root)
    if inner.startswith(root + "/"):
        return inner[len(root) + 1 :] + "/"
    if inner == root or root.startswith(inner + "/"):
        raise UsageError(
            f"outputs cannot go to {files.redact(outputs)}, which holds upstream's own files",
            code="outputs-not-apart",
            hint=f"Give a directory of its own: {files.redact(files.join(upstream_root, '.campaigns/NAME'))}.",
        )
    if _kind(outputs) != _kind(upstream_root):
        raise UsageError(
            f"outputs cannot go to {files.redact(outputs)}: upstream's files are at {files.redact(upstream_root)}, and its "
            f"readers might not reach the other",
            code="outputs-elsewhere",
            hint=f"Give a place inside or beside it, as {files.redact(files.join(upstream_root, '.campaigns/NAME'))}; "
            "or leave them here, and push copies them.",
        )
    return files.absolute(outputs) + "/"


def _canonical(root: str) -> str:
    path = files.local_path(root)
    return os.path.realpath(path) if path is not None else files.absolute(root)


def _kind(root: str) -> str:
    scheme = "file" if files.is_local(root) else root.partition("://")[0].lower()
    return {"s3a": "s3"}.get(scheme, scheme)


def read_claim(outputs: str) -> Claim | None:
    """Read whose a prefix is.

    Parameters
    ----------
    outputs : str
        The prefix.

    Returns
    -------
    Claim or None
        None if it is nobody's.

    Raises
    ------
    IntegrityError
        If the file that says so is damaged.
    StorageError
        If it cannot be read.
    """
    where = files.join(outputs, CLAIM_FILE)
    try:
        data = files.read_bytes(where)
    except NotFoundError:
        return None
    try:
        document: Any = json.loads(data)
        words = {key: str(document[key]) for key in _KEYS[:3]}
        given = tuple(map(str, document["given"]))
        return Claim(words["id"], words["campaign"], words["directory"], given)
    except (ValueError, TypeError, KeyError) as exc:
        raise IntegrityError(
            f"{files.redact(where)} does not say whose the outputs there are: {exc}",
            code="bad-claim",
            hint="Put it back from a copy, or choose another place: stage edit --outputs-in URI.",
        ) from exc


def claim(outputs: str, wanted: Claim) -> None:
    """Make a prefix a campaign's own, durably.

    Parameters
    ----------
    outputs : str
        The prefix; made if need be.
    wanted : Claim
        Whose it is to be.

    Raises
    ------
    ConflictError
        If it is another campaign's, or lies inside one that is; names that.
    UsageError
        If it cannot be written. Nothing has changed in either case.

    Notes
    -----
    A clone that was killed may have left a claim from the same directory, with nothing else in the prefix: it is taken over.
    """
    for above in _above(outputs):
        with suppress(StorageError):  # who may not read there has nothing to fear from there
            holder = read_claim(above)
            if holder is not None and holder.directory != wanted.directory:
                raise _taken(above, holder)
    try:
        create(files.join(outputs, CLAIM_FILE), (wanted.to_bytes(),))
    except AlreadyExistsError:
        holder = read_claim(outputs)
        if holder is None or (holder.directory == wanted.directory and not _others(outputs)):
            _write(outputs, wanted)
        elif holder.id != wanted.id:
            raise _taken(outputs, holder) from None
    except StageError as exc:
        raise UsageError(
            f"outputs cannot go to {files.redact(outputs)}: {exc.message}",
            code="outputs-not-writable",
            hint="Ask for leave to write there, or choose another place: --outputs-in URI.",
        ) from exc


def _above(outputs: str) -> list[str]:
    """Return the directories in which a prefix lies, the nearest first."""
    root = files.absolute(outputs)
    scheme, slashes, path = root.rpartition("://")
    parts = path.split("/")
    return [scheme + slashes + "/".join(parts[:n]) for n in range(len(parts) - 1, 1, -1)]


def _others(outputs: str) -> bool:
    return any(name not in {CLAIM_FILE, BINDING} for name in files.list_files(outputs))


def _taken(outputs: str, holder: Claim) -> ConflictError:
    return ConflictError(
        f"outputs cannot go to {files.redact(outputs)}: campaign '{holder.campaign}' in {holder.directory} writes there",
        code="outputs-taken",
        hint="Choose another place: --outputs-in URI.",
        context={"campaign": holder.campaign, "directory": holder.directory},
    )


def _write(outputs: str, wanted: Claim) -> None:
    files.write_bytes(files.join(outputs, CLAIM_FILE), wanted.to_bytes(), durable=True)


def release(outputs: str, claim_id: str) -> None:
    """Let go of a prefix in which nothing was written.

    Parameters
    ----------
    outputs : str
        The prefix.
    claim_id : str
        The claim; another one stays.
    """
    holder = read_claim(outputs)
    if holder is None or holder.id != claim_id or _others(outputs):
        return
    for name in (BINDING, CLAIM_FILE):
        files.remove(files.join(outputs, name), missing_ok=True)
    path = files.local_text(outputs)
    if path is not None:
        try:
            os.rmdir(path)  # noqa: PTH106
        except OSError:  # somebody has put something there
            return


def mark_given(outputs: str, runs: Sequence[str], claim_id: str | None) -> tuple[str, ...]:
    """Note durably that files of RUNs are about to be upstream's.

    Parameters
    ----------
    outputs : str
        The prefix.
    runs : sequence of str
        The RUNs.
    claim_id : str or None
        The claim that the campaign remembers.

    Returns
    -------
    tuple of str
        Those of which it was not noted yet.

    Raises
    ------
    ConflictError
        If the prefix is not the campaign's (any more).
    """
    holder = read_claim(outputs)
    if holder is None or holder.id != claim_id:
        who = "nobody's" if holder is None else f"of campaign '{holder.campaign}' in {holder.directory}"
        raise ConflictError(
            f"the outputs in {files.redact(outputs)} are {who}, so they cannot be pushed from there",
            code="outputs-taken",
            hint=f"Put {CLAIM_FILE} back if it was removed; or copy them: stage push --artifacts copy.",
        )
    new = tuple(run for run in runs if run not in holder.given)
    if new:
        _write(outputs, replace(holder, given=(*holder.given, *new)))
    return new


def unmark_given(outputs: str, runs: Iterable[str]) -> None:
    """Note that RUNs did not become upstream's after all.

    Parameters
    ----------
    outputs : str
        The prefix.
    runs : iterable of str
        As `mark_given` returned them.
    """
    holder, gone = read_claim(outputs), set(runs)
    if holder is not None and gone.intersection(holder.given):
        _write(outputs, replace(holder, given=tuple(run for run in holder.given if run not in gone)))


def refuse_given(outputs: str, runs: Iterable[str], what: str) -> None:
    """Refuse to touch files of RUNs that are upstream's.

    Parameters
    ----------
    outputs : str
        Where a campaign writes; in its own directory nothing is upstream's.
    runs : iterable of str
        The RUNs.
    what : str
        What was to be done: ``"be gone on with"``.

    Raises
    ------
    ConflictError
        If one of them was given to upstream.
    """
    holder = read_claim(outputs)
    for run in runs if holder is not None and holder.given else ():
        if holder is not None and run in holder.given:
            raise ConflictError(
                f"run '{run}' cannot {what}: it was pushed, or a push of it was broken off, and its files in "
                f"{files.redact(outputs)} are upstream's",
                code="run-given",
                hint="Begin a new run, without what is done: stage run --new-run --skip-existing-in CAMPAIGN.",
            )


def claimed_roots(names: Iterable[str]) -> tuple[str, ...]:
    """Find the prefixes of campaigns among the files of a datastore.

    Parameters
    ----------
    names : iterable of str
        Paths relative to the datastore's root.

    Returns
    -------
    tuple of str
        Relative to the root, each with a slash at its end: what lies there is a campaign's, whether a row names it or not.
    """
    end = "/" + CLAIM_FILE
    return tuple(name.removesuffix(CLAIM_FILE) for name in names if name.endswith(end))
