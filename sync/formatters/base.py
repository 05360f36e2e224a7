"""What a formatter is, and the errors that all of them raise alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from registry.errors import IntegrityError, StageError, UsageError

__all__ = ["DirectoryFormatter", "Formatter", "needs_extra", "reading", "writing", "wrong_type"]


class Formatter(Protocol):
    """Turns objects into the bytes of one file and back.

    One instance serves a whole process, from any thread, so it keeps no state. Its name is recorded with every
    artifact that it wrote, so it must go on reading what it ever wrote under that name.
    """

    name: str
    """Name in artifact records."""

    extension: str
    """End of its files' names, with the dot."""

    def encode(self, obj: object) -> bytes:
        """Return the bytes of a file.

        Parameters
        ----------
        obj : object
            What to write.

        Returns
        -------
        bytes
            The whole file.

        Raises
        ------
        UsageError
            If it is of a type, or has a content, that this form cannot hold.
        """

    def decode(self, data: bytes) -> object:
        """Return the object that bytes hold.

        Parameters
        ----------
        data : bytes
            The whole file.

        Returns
        -------
        object
            What was written.

        Raises
        ------
        IntegrityError
            If the bytes are not of this form.
        """


@runtime_checkable
class DirectoryFormatter(Protocol):
    """What a formatter has besides if its files hold directories: scripts then see a directory."""

    def pack(self, directory: str | Path, path: str | Path) -> None:
        """Write a directory into a file.

        Parameters
        ----------
        directory : str or Path
            A local directory.
        path : str or Path
            The file.
        """

    def unpack(self, path: str | Path, directory: str | Path) -> None:
        """Write a file's content into a directory.

        Parameters
        ----------
        path : str or Path
            A local file.
        directory : str or Path
            Made if it is not there.
        """


def wrong_type(formatter: str, takes: str, obj: object) -> UsageError:
    """Word the error for an object of the wrong type.

    Parameters
    ----------
    formatter : str
        Name of the formatter.
    takes : str
        What it takes.
    obj : object
        What it was given.

    Returns
    -------
    UsageError
        To be raised.
    """
    kind = type(obj)
    given = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return UsageError(
        f"formatter '{formatter}' takes {takes}, not {given}",
        code="wrong-type",
        hint="Return an object of that type, or declare another storage class.",
    )


def needs_extra(what: str, extra: str, library: str) -> UsageError:
    """Word the error for a library that is not installed.

    Parameters
    ----------
    what : str
        What needs it.
    extra : str
        The extra that brings it; empty if none does.
    library : str
        Its name.

    Returns
    -------
    UsageError
        To be raised from the `ImportError`.
    """
    how = f"pip install 'stage[{extra}]'" if extra else f"pip install {library}"
    return UsageError(
        f"{what} needs {library}, which is not installed", code="missing-extra", hint=f"Install it: {how}"
    )


@contextmanager
def writing(formatter: str, obj: object) -> Iterator[None]:
    """Say which formatter failed to write what, whatever its library raises.

    Parameters
    ----------
    formatter : str
        Name of the formatter.
    obj : object
        What it writes.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    UsageError
        In place of any error of the library.
    """
    try:
        yield
    except (StageError, MemoryError):
        raise
    except Exception as exc:
        raise UsageError(
            f"{type(obj).__name__} cannot be written as '{formatter}': {_first_line(exc)}",
            code="not-writable",
        ) from exc


@contextmanager
def reading(formatter: str) -> Iterator[None]:
    """Say that bytes are not of a form, whatever its library raises.

    Parameters
    ----------
    formatter : str
        Name of the formatter.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    IntegrityError
        In place of any error of the library.
    """
    try:
        yield
    except (StageError, MemoryError):
        raise
    except Exception as exc:
        raise IntegrityError(
            f"not readable as '{formatter}': {_first_line(exc)}", code="damaged-file"
        ) from exc


def _first_line(exc: Exception) -> str:
    return str(exc).strip().split("\n", 1)[0] or type(exc).__name__
