"""A mirror of what a campaign needs of a butler repository: a registry of ours, made anew whenever that one changes.

Everything that reads upstream reads the mirror, as it would read a repository of ours: one consistent state, asked in
sets. It is a cache: it may be deleted, and nothing is ever kept in it alone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import StorageError
from registry.model.columns import Columns
from registry.model.dimensions import default_universe
from registry.model.records import ARTIFACT
from registry.registry import Registry
from sync.butler.live import Live
from sync.butler.opening import open_butler
from sync.butler.scope import Scope
from sync.exports.importing import import_content
from sync.filesystem import files
from sync.filesystem.local_files import aside_name
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo

if TYPE_CHECKING:
    from sync.exports.content import Content

__all__ = ["identity", "open_mirror"]

_log = logging.getLogger(__name__)
_REGISTRY, _STAMP, _LOCK = "mirror.sqlite3", "mirror.json", "mirror.lock"
_IDENTITIES = uuid.UUID("6d8f0b8e-5f0e-5c57-9a52-3f1f3c1f6c11")
"""Namespace of the ids that butler repositories have here, since they have none of their own."""


def identity(root: str) -> bytes:
    """Return the id of a butler repository: made of its place, because it has none.

    Parameters
    ----------
    root : str
        Its root.

    Returns
    -------
    bytes
        16 bytes.
    """
    return uuid.uuid5(_IDENTITIES, root).bytes


def open_mirror(root: str, folder: Path, scope: Scope) -> Repo:
    """Open a mirror that shows a butler repository as it is now.

    Parameters
    ----------
    root : str
        The butler repository's root.
    folder : Path
        Where the mirror is kept; made if need be.
    scope : Scope
        What is looked at now. The mirror goes on showing what was looked at before.

    Returns
    -------
    Repo
        To be read only. Its artifacts have absolute URIs.

    Raises
    ------
    StorageError
        If the repository cannot be read, or the mirror cannot be written.
    UsageError
        If the packages that read it are not installed, or its dimensions are none that ours have.
    """
    with _alone(folder):
        known = _read_stamp(folder, root)
        whole = scope if known is None else Scope.from_document(known["scope"]).union(scope)
        live = Live(open_butler(root), files.redact(root), default_universe(), whole)
        stamp = live.stamp()
        if known is None or known["stamp"] != stamp or not (folder / _REGISTRY).is_file():
            content = live.content()
            for note in content.notes:
                _log.info("%s", note)
            _make(folder, identity(root), content)
            told = {"root": root, "stamp": stamp, "scope": whole.to_document()}
            files.write_bytes(folder / _STAMP, json.dumps(told, indent=1).encode())
        return Repo(root, Registry.open(f"sqlite:///{folder / _REGISTRY}"), FsspecDatastore(root))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let others wait who open the mirror: each of two that make it anew would show what only it looks at."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StorageError(f"cannot make {folder}: {exc.strerror}") from exc
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read_stamp(folder: Path, root: str) -> dict[str, Any] | None:
    """Return what the mirror shows; None if there is none, or it is damaged, or of another repository."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        told = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
        if told["root"] == root and isinstance(told["stamp"], str):
            Scope.from_document(told["scope"])
            return dict(told)
    return None


def _make(folder: Path, repo_id: bytes, content: Content) -> None:
    """Make the registry, and put it in place of the one there was; who reads that one goes on reading it."""
    aside = folder / aside_name()
    try:
        with Registry.create(f"sqlite:///{aside}", default_universe(), repo_id=repo_id) as registry:
            mirror = Repo(str(folder), registry, FsspecDatastore(folder))
            import_content(mirror, [content], mode="none", on_existing="skip")
            with registry.write() as tx:
                for batch in content.batches:
                    rows = batch.rows.select(ARTIFACT)
                    tx.insert_artifacts(_with_file(rows))
        aside.replace(folder / _REGISTRY)
    finally:
        for left in folder.glob(f"{aside.name}*"):
            left.unlink(missing_ok=True)


def _with_file(rows: Columns) -> Columns:
    import numpy as np

    return rows.take(np.array([uri is not None for uri in rows["uri"].tolist()], np.bool_))
