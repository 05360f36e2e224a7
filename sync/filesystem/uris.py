"""URIs as text: what is local, what is absolute, what is below a root, what may be shown."""
# ruff: noqa: PTH100

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from registry.errors import UsageError

__all__ = [
    "Uri",
    "absolute",
    "has_password",
    "is_absolute",
    "is_local",
    "join",
    "local_path",
    "local_text",
    "redact",
    "redact_text",
]

Uri = str | os.PathLike[str]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://([^/@\s]*:[^/@\s]+@|[^?\s]*\?(.*&)?(ssl)?password=.)")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>]+")
_SECRET = re.compile(r"(?<=://)[^/@\s]*@|\?.*")


def local_text(uri: Uri) -> str | None:
    """Return the local path that a URI names, as text.

    Parameters
    ----------
    uri : str or path
        A plain path or a URI.

    Returns
    -------
    str or None
        None where the URI is not local.

    Raises
    ------
    UsageError
        If it is a ``file://`` of another machine.
    """
    text = uri if isinstance(uri, str) else os.fspath(uri)
    if "://" not in text:
        return text
    scheme = _SCHEME.match(text)
    if scheme is None:
        return text
    if scheme[1].lower() != "file":
        return None
    parts = urlsplit(text)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(
            f"'{text}' names a file on another machine", code="bad-uri", hint="Write file:///path."
        )
    return unquote(parts.path)


def is_local(uri: Uri) -> bool:
    """Tell whether a URI names a file of this machine's file systems.

    Parameters
    ----------
    uri : str or path
        A plain path or a URI.

    Returns
    -------
    bool
        True for a plain path and for ``file://``.
    """
    return local_text(uri) is not None


def local_path(uri: Uri) -> Path | None:
    """Return the local path that a URI names.

    Parameters
    ----------
    uri : str or path
        A plain path or a URI.

    Returns
    -------
    pathlib.Path or None
        None where the URI is not local.
    """
    path = local_text(uri)
    return None if path is None else Path(path)


def is_absolute(uri: Uri) -> bool:
    """Tell whether a URI means the same from everywhere.

    Parameters
    ----------
    uri : str or path
        A plain path or a URI.

    Returns
    -------
    bool
        True for an absolute path and for anything with a scheme.
    """
    text = os.fspath(uri)
    return text.startswith("/") or _SCHEME.match(text) is not None


def absolute(uri: Uri) -> str:
    """Return a URI that means the same from everywhere.

    Parameters
    ----------
    uri : str or path
        A plain path, taken from the working directory if it is relative, or a URI.

    Returns
    -------
    str
        A plain absolute path for a local file, the URI as it is for any other; without a trailing slash.
    """
    path = local_text(uri)
    if path is not None:
        # Most paths need no cleaning, and `abspath` costs more than looking.
        plain = path.startswith("/") and "//" not in path and "/." not in path and not path.endswith("/")
        return path if plain else os.path.abspath(path)
    return os.fspath(uri).rstrip("/")


def redact(uri: Uri) -> str:
    """Return a URI without what may be secret in it, for messages.

    Parameters
    ----------
    uri : str or path
        Any URI.

    Returns
    -------
    str
        Without user, password and query; a plain path is returned as it is.
    """
    text = os.fspath(uri)
    return _SECRET.sub("", text) if _SCHEME.match(text) else text


def redact_text(text: str) -> str:
    """Return a text that others wrote without what may be secret in the URIs that it names.

    Parameters
    ----------
    text : str
        As the message of a library's error.

    Returns
    -------
    str
        With each URI as `redact` shows it.
    """
    return _IN_TEXT.sub(lambda found: redact(found[0]), text) if "://" in text else text


def has_password(uri: Uri) -> bool:
    """Tell whether a URI holds a password.

    Parameters
    ----------
    uri : str or path
        Any URI.

    Returns
    -------
    bool
        Whether there is one, after the user's name or among the parameters.
    """
    return _PASSWORD.match(os.fspath(uri)) is not None


def join(root: Uri, relative: Uri) -> str:
    """Put a root before a relative URI.

    Parameters
    ----------
    root : str or path
        A directory.
    relative : str or path
        What is under it; an absolute URI is returned as it is.

    Returns
    -------
    str
        The place.

    Raises
    ------
    UsageError
        If `relative` has a part ``..`` and so could leave the root.
    """
    text = os.fspath(relative)
    if is_absolute(text):
        return text
    if "\0" in text or (".." in text and ".." in text.split("/")):
        raise UsageError(
            f"'{text}' could leave '{redact(root)}'", code="path-escape", hint="Leave out '..' from the path."
        )
    base = os.fspath(root)
    if text in {"", "."}:
        return base
    return f"{base}{text}" if base.endswith("/") else f"{base}/{text}"
