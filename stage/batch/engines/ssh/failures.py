"""What goes wrong on the way to a far machine, as errors: by what ssh said last, and by what the far end tells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry.errors import IntegrityError, StageError, StorageError, UsageError
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.reaching import NEEDS, try_command

__all__ = ["far_trouble", "lacking_packages", "lost", "not_reached", "too_old"]

_REFUSED = re.compile(
    r"Permission denied|Host key verification failed|HOST IDENTIFICATION HAS CHANGED|Too many authentication failures"
    r"|no matching (host key|key exchange|cipher|mac)|Bad owner or permissions|Bad configuration option"
    r"|UNPROTECTED PRIVATE KEY|not accessible|No supported authentication|unknown option|usage: ssh",
    re.IGNORECASE,
)
_KEY = re.compile(r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED", re.IGNORECASE)
_NO_PROGRAM = (126, 127)
_OF_SSH = 255
_OLDEST = "3.11"


def not_reached(options: SshOptions, code: int | None, words: str, waited_s: float = 0.0) -> StorageError:
    """Return why there is no far end.

    Parameters
    ----------
    options : SshOptions
        How it was tried.
    code : int or None
        The exit code of ssh; None if it has not ended.
    words : str
        What it said last.
    waited_s : float, optional
        How long was waited.

    Returns
    -------
    StorageError
        ``far-unreachable``, ``far-refused`` or ``far-python``.
    """
    said = f": {words}" if words else ""
    if code is None:
        return StorageError(
            f"{options.host} has not answered for {waited_s:g} s{said}",
            code="far-unreachable",
            transient=True,
            hint=_by_hand(options),
        )
    if code in _NO_PROGRAM:
        return StorageError(
            f"there is no python '{options.python}' on {options.host}{said}",
            code="far-python",
            hint=f"Say where one is that is {_OLDEST} or newer: 'python' in the section 'ssh' of the site.",
        )
    if code != _OF_SSH:
        begun = f"python '{options.python}'" + (", or a line of 'setup'," if options.setup else "")
        return StorageError(
            f"{begun} on {options.host} ended at once, with {code}{said}",
            code="far-python",
            hint=f"See what it says: {try_command(options, options.python, '--version')}",
        )
    if _REFUSED.search(words):
        hint = _by_hand(options)
        if _KEY.search(words):
            hint = f"See whether that is the right machine: {try_command(options)}"
        return StorageError(f"{options.host} cannot be entered{said}", code="far-refused", hint=hint)
    return StorageError(
        f"{options.host} cannot be reached{said}",
        code="far-unreachable",
        transient=True,
        hint=_by_hand(options),
    )


def lost(options: SshOptions, words: str) -> StorageError:
    """Return that a line broke.

    Parameters
    ----------
    options : SshOptions
        Of the line.
    words : str
        What was said last.

    Returns
    -------
    StorageError
        ``far-lost``: it may be mended.
    """
    return StorageError(
        f"the line to {options.host} broke" + (f": {words}" if words else ""),
        code="far-lost",
        transient=True,
        hint=_by_hand(options),
    )


def too_old(options: SshOptions, version: str) -> StorageError:
    """Return that the interpreter there is too old.

    Parameters
    ----------
    options : SshOptions
        How it was called.
    version : str
        Its version.

    Returns
    -------
    StorageError
        ``far-python``.
    """
    return StorageError(
        f"python '{options.python}' on {options.host} is {version}; it has to be {_OLDEST} or newer",
        code="far-python",
        hint="Say where a newer one is: 'python' in the section 'ssh' of the site.",
    )


def lacking_packages(options: SshOptions, modules: Sequence[str]) -> StorageError:
    """Return that the interpreter there lacks something.

    Parameters
    ----------
    options : SshOptions
        How it was called.
    modules : sequence of str
        What cannot be imported.

    Returns
    -------
    StorageError
        ``far-python``, with what to install.
    """
    packages = [NEEDS[name] for name in modules]
    install = try_command(options, options.python, "-m", "pip", "install", *packages)
    return StorageError(
        f"python '{options.python}' on {options.host} lacks {', '.join(packages)}",
        code="far-python",
        hint=f"Install them there: {install}",
    )


def far_trouble(options: SshOptions, code: str, message: str) -> StageError:
    """Return what the far end tells.

    Parameters
    ----------
    options : SshOptions
        Of the line.
    code, message : str
        Its words.

    Returns
    -------
    StageError
        Of the family that fits the code.
    """
    told = f"{options.host}: {message}"
    if code == "far-outside":
        return UsageError(told, code=code, hint="Names are relative to baseDir, and nothing else is touched.")
    if code == "far-corrupt":
        return IntegrityError(
            told, code=code, hint="Nothing of it was kept. See whether the file here has changed."
        )
    if code == "far-disk":
        return StorageError(
            told, code=code, hint=f"See what is there: {try_command(options, 'df', '-h', options.base_dir)}"
        )
    return StorageError(told, code=code, hint=_by_hand(options))


def _by_hand(options: SshOptions) -> str:
    return f"Try it by hand: {try_command(options, 'true')}"
