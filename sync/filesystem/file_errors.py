"""What the system says of a file, turned into what a person is told."""

from __future__ import annotations

import errno

from registry.errors import AlreadyExistsError, NotFoundError, StageError, StorageError
from sync.filesystem.local_files import is_aside
from sync.filesystem.uris import Uri, redact, redact_text

__all__ = ["worded"]

_PASSING = frozenset({
    errno.EINTR, errno.EAGAIN, errno.EIO, errno.EREMOTEIO, errno.EBUSY, errno.ETIMEDOUT, errno.ECONNRESET,
})  # fmt: skip
"""What may be over the next moment; the last few are what libraries of stores make of a server's answer."""


class worded:  # noqa: N801 - reads as a word in `with worded(uri, "read")`
    """Turn an `OSError` raised in its block into an error of ours, once.

    A class, since what a generator costs would count here.

    Parameters
    ----------
    uri : str or path
        The file.
    verb : str
        What was to be done with it.
    """

    __slots__ = ("uri", "verb")

    def __init__(self, uri: Uri, verb: str) -> None:
        self.uri = uri
        self.verb = verb

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, OSError) and not isinstance(exc, StageError):
            raise _as_ours(exc, redact(self.uri), self.verb) from exc


def _as_ours(exc: OSError, what: str, verb: str) -> StageError:
    """Choose the error class and code by what the caller can do next."""
    if exc.filename and isinstance(exc.filename, str) and not is_aside(exc.filename):
        what = redact(exc.filename)
    if exc.errno in {errno.ENOENT, errno.ENOTDIR} or isinstance(exc, FileNotFoundError):
        return NotFoundError(f"no such file: {what}", code="no-such-file", context={"uri": what})
    if exc.errno == errno.EEXIST or isinstance(exc, FileExistsError):
        return AlreadyExistsError(f"already there: {what}", code="file-exists")
    reason = redact_text(exc.strerror or str(exc) or type(exc).__name__)
    text = f"cannot {verb} {what}: {reason}"
    match exc.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return StorageError(
                text, code="disk-full", hint="Free some space and repeat the command.", transient=True
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return StorageError(
                text, code="not-permitted", hint="Check who may do that, and how it is mounted."
            )
        case errno.EXDEV:
            return StorageError(
                text, code="cross-device", hint="Copy instead: a link cannot leave its file system."
            )
        case _:
            passing = exc.errno in _PASSING or isinstance(exc, ConnectionError | TimeoutError)
            return StorageError(text, code="storage", transient=passing)
