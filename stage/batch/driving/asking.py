"""What somebody asks of a head: a file, so that it works from any machine that shares the file system."""

from __future__ import annotations

import contextlib
from enum import StrEnum

from registry.errors import StorageError
from stage.batch.layout import SubmitDir
from sync.filesystem import files

__all__ = ["Ask", "ask", "asked", "forget"]


class Ask(StrEnum):
    """What a head may be asked."""

    LEAVE = "leave"
    """To end; jobs that go on without it go on, all others begin again with the next head."""
    CANCEL = "cancel"
    """To end all jobs, then what is to be done in the end."""


def ask(where: SubmitDir, what: Ask) -> None:
    """Ask something of the head of a submission; whoever asks again replaces what was asked.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    what : Ask
        Which.
    """
    files.write_bytes(where.head_request, what.encode())


def asked(where: SubmitDir) -> Ask | None:
    """Return what was asked and has not been done.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Returns
    -------
    Ask or None
        None mostly.
    """
    try:
        text = where.head_request.read_text("ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"cannot read {where.head_request}: {error.strerror}", code="cannot-read"
        ) from error
    return Ask(text) if text in set(Ask) else None


def forget(where: SubmitDir) -> None:
    """Note that what was asked is done.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    """
    with contextlib.suppress(FileNotFoundError):
        where.head_request.unlink()
