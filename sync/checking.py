"""Whether a file is of the form that a storage class promises, found out at little cost."""

from __future__ import annotations

from pathlib import Path

from registry.errors import IntegrityError, StageError, UsageError
from sync.storage import decode, formatter, storage_class

__all__ = ["check_file"]

_ANYTHING = frozenset({"bytes", "file", "text"})
"""Formatters that read every file there is."""


def check_file(path: str | Path, storage_class_name: str) -> None:
    """See whether a file can be read as the formatter of a storage class writes it.

    A formatter that has a method ``check`` looks at as much of the file as it needs, as headers and lengths; for
    others the file is read.

    Parameters
    ----------
    path : str or path
        A local file.
    storage_class_name : str
        What it is to be.

    Raises
    ------
    IntegrityError
        If it cannot be read so; with what the formatter says.
    """
    name = storage_class(storage_class_name).formatter
    if name in _ANYTHING:
        return
    try:
        reader = formatter(name)
        check = getattr(reader, "check", None)
        if check is not None:
            check(str(path))
        else:
            decode(Path(path).read_bytes(), name, storage_class_name, "it")
    except IntegrityError:
        raise
    except UsageError as exc:
        if exc.code != "missing-extra":  # who only carries files need not be able to read them
            raise IntegrityError(exc.message, code="damaged-file") from exc
    except (StageError, OSError) as exc:
        raise IntegrityError(f"it cannot be read: {exc}", code="damaged-file") from exc
