"""Reaching other file systems than local ones: which there is for a URI, and what may be asked of it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from registry.errors import StageError, StorageError, UsageError
from sync.filesystem.local_files import aside_name
from sync.filesystem.uris import redact, redact_text

__all__ = ["CONDITIONAL", "Conditional", "aside_of", "filesystem", "is_object_store", "opened", "told_by"]

_EXTRAS = {"s3": "s3", "s3a": "s3"}
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"})
_UNKNOWN = frozenset({errno.ENOSYS, errno.EOPNOTSUPP})
"""What a server says that does not know what it is asked."""


@contextmanager
def opened(uri: str) -> Iterator[tuple[Any, str]]:
    """Find the file system of a URI, and word what it raises.

    Parameters
    ----------
    uri : str
        Any that is not local.

    Yields
    ------
    (object, str)
        One of fsspec's file systems, and the path there.
    """
    found = filesystem(uri)
    with told_by(uri):
        yield found


@contextmanager
def told_by(uri: str) -> Iterator[None]:
    """Turn what a store's library raises into an error of ours; the system's own errors are worded elsewhere.

    Parameters
    ----------
    uri : str
        What it is asked about.

    Yields
    ------
    None
        To a block that asks the library.

    Raises
    ------
    StorageError
        In place of any exception that is neither ours nor the system's.
    """
    try:
        yield
    except (StageError, OSError):
        raise
    except Exception as exc:
        raise StorageError(
            f"the store of {redact(uri)} failed: {type(exc).__name__}: {redact_text(str(exc))}",
            code="remote-storage",
            hint="Check the address, the connection and the credentials.",
            transient=True,
        ) from exc


def filesystem(uri: str) -> tuple[Any, str]:
    """Find the file system of a URI.

    Parameters
    ----------
    uri : str
        Any that is not local.

    Returns
    -------
    (object, str)
        One of fsspec's file systems, and the path there.

    Raises
    ------
    UsageError
        If there is none for its scheme, or its library is not installed.
    """
    import fsspec

    scheme = uri.partition("://")[0].lower()
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ValueError as exc:
        raise UsageError(
            f"unknown scheme '{scheme}://'",
            code="unknown-scheme",
            hint="Use a path, file://, s3:// or memory://.",
        ) from exc
    except ImportError as exc:
        extra = _EXTRAS.get(scheme)
        how = f"pip install 'stage[{extra}]'" if extra else str(exc)
        raise UsageError(
            f"'{scheme}://' needs a library that is not installed",
            code="missing-extra",
            hint=f"Install it: {how}",
        ) from exc
    # Not `url_to_fs`, which takes '::' in a path for a chain of file systems: a RUN's name may hold it.
    return kind(**kind._get_kwargs_from_urls(uri)), str(kind._strip_protocol(uri))  # noqa: SLF001


def is_object_store(fs: Any) -> bool:
    """Tell whether a file system shows nothing of a file before all of it is there.

    Parameters
    ----------
    fs : object
        One of fsspec's.

    Returns
    -------
    bool
        Whether it is an object store.
    """
    return not _protocols(fs).isdisjoint(_OBJECT_STORES)


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


class Conditional:
    """Which stores can be asked to store an object only if there is none of its name.

    Only S3 servers are asked; those that were found not to know such a request, not again.
    """

    def __init__(self) -> None:
        self._refused: set[tuple[str, str]] = set()

    def may(self, fs: Any, what: Literal["write", "copy"]) -> bool:
        """Tell whether a store is to be asked.

        Parameters
        ----------
        fs : object
            Its file system.
        what : {"write", "copy"}
            Whether we send the bytes, or it copies them itself, for which fewer know it.

        Returns
        -------
        bool
            Whether it is an S3 server that has not refused yet.
        """
        return not _protocols(fs).isdisjoint(_EXTRAS) and (what, fs.to_json()) not in self._refused

    def note(self, fs: Any, what: Literal["write", "copy"], exc: OSError) -> None:
        """Note that a store does not know such requests.

        Parameters
        ----------
        fs : object
            Its file system.
        what : {"write", "copy"}
            As for `may`.
        exc : OSError
            What it answered; raised again if it is anything else.
        """
        if exc.errno not in _UNKNOWN or not self.may(fs, what):
            raise exc
        self._refused.add((what, fs.to_json()))


CONDITIONAL = Conditional()


@contextmanager
def aside_of(fs: Any, path: str, is_wanted: Callable[[], bool] | None = None) -> Iterator[str]:
    """Give the name to write to; move it to `path` at the end, remove it on failure.

    Parameters
    ----------
    fs : object
        One of fsspec's file systems.
    path : str
        Where the file is to be.
    is_wanted : callable, optional
        Asked at the end whether it is to be there at all.

    Yields
    ------
    str
        A name beside it; of an object store the name itself.
    """
    if is_object_store(fs):
        yield path
        return
    folder, slash, _ = path.rpartition("/")
    fs.makedirs(folder or "/", exist_ok=True)
    target = f"{folder}{slash}{aside_name()}"
    try:
        yield target
        if is_wanted is None or is_wanted():
            fs.mv(target, path)
        else:
            fs.rm_file(target)
    except BaseException:
        with suppress(Exception):
            fs.rm_file(target)
        raise
