"""`SshOptions`: what the section ``ssh`` of a site says: how to get there, and what is where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import UsageError, nearest

__all__ = ["SshOptions"]

_INPUTS = ("local", "all")


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to get to a far machine, and what is where on it.

    Parameters
    ----------
    host : str
        ``user@host``, or a Host of the ssh configuration.
    port : int, optional
        Where its sshd listens, if the configuration of ssh does not say it.
    identity_file : str, optional
        A key, as a path here.
    options : tuple of str, optional
        Options of ssh, as after ``-o``.
    command : str, optional
        The program.
    connect_timeout : float, optional
        Seconds until a machine that does not answer is given up.
    base_dir : str, optional
        All that is written there is below it.
    python : str, optional
        The interpreter there.
    setup : tuple of str, optional
        Lines of shell before anything of ours.
    send : tuple of str, optional
        Further files or directories of user code, as paths here.
    inputs : {"local", "all"}, optional
        Whether only those inputs are sent that are files here, or all.
    streams : int, optional
        How many connections move files.
    keep : bool, optional
        Whether what is left of a run stays there when all has come home.
    """

    host: str
    port: int | None = None
    identity_file: str = ""
    options: tuple[str, ...] = ()
    command: str = "ssh"
    connect_timeout: float = 20.0
    base_dir: str = "~/.stage-far"
    python: str = "python3"
    setup: tuple[str, ...] = ()
    send: tuple[str, ...] = ()
    inputs: str = "local"
    streams: int = 2
    keep: bool = False

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | str) -> SshOptions:
        """Read them.

        Parameters
        ----------
        section : mapping or str
            The section; or in short ``user@host:key``, or only the host.

        Returns
        -------
        SshOptions
            Checked.

        Raises
        ------
        UsageError
            If a key is not known, or a value of the wrong kind; says which, and what is near.
        """
        if isinstance(section, str):
            host, _, key = section.strip().partition(":")
            section = {"host": host, "identityFile": key}
        if not isinstance(section, Mapping):
            raise _wrong("", section, "it is to be a section with a host, or 'user@host:key'")
        for key in section:
            if key not in _KEYS:
                hint = f"{nearest(str(key), _KEYS)} docs/engines/ssh.md lists them."
                raise UsageError(f"the section 'ssh' of a site has no '{key}'", code="bad-site", hint=hint)
        given = {key: value for key, value in section.items() if value is not None}
        found = {name: read(key, given[key]) for key, (name, read) in _KEYS.items() if key in given}
        if not found.get("host"):
            raise UsageError(
                "the section 'ssh' of a site has no host",
                code="bad-site",
                hint="Say where to go: host: me@login.example.org, or a Host of ~/.ssh/config.",
            )
        return cls(**found)


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(key, value, "it is to be text")
    return str(value).strip()


def _filled(key: str, value: Any) -> str:
    text = _text(key, value)
    if not text or "\0" in text or "\n" in text:
        raise _wrong(key, value, "it is to be one line of text")
    return text


def _host(key: str, value: Any) -> str:
    text = _text(key, value)
    if text.startswith("-") or any(c.isspace() for c in text):
        raise _wrong(key, value, "it is no name of a machine")
    return text


def _path(key: str, value: Any) -> str:
    text = _text(key, value)
    return str(Path(text).expanduser()) if text else ""


def _base(key: str, value: Any) -> str:
    text = _filled(key, value)
    if not text.startswith(("/", "~")):
        raise _wrong(key, value, "it is to begin with / or ~")
    return text


def _lines(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(line for line in value.splitlines() if line.strip())
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise _wrong(key, value, "it is to be a list of texts")
    return tuple(value)


def _whole(key: str, value: Any, most: int) -> int:
    number = _number(value)
    if number is None or not 1 <= number <= most or number != int(number):
        raise _wrong(key, value, f"it is to be a whole number from 1 to {most}")
    return int(number)


def _port(key: str, value: Any) -> int:
    return _whole(key, value, 65535)


def _streams(key: str, value: Any) -> int:
    return _whole(key, value, 16)


def _seconds(key: str, value: Any) -> float:
    number = _number(value)
    if number is None or not 0 < number <= 3600:
        raise _wrong(key, value, "it is to be a number of seconds, an hour at most")
    return number


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _inputs(key: str, value: Any) -> str:
    if value not in _INPUTS:
        raise _wrong(key, value, f"it is to be {' or '.join(_INPUTS)}")
    return str(value)


def _switch(key: str, value: Any) -> bool:
    said = str(value).lower()
    if said not in {"true", "false"}:
        raise _wrong(key, value, "it is to be true or false")
    return said == "true"


def _wrong(key: str, value: Any, why: str) -> UsageError:
    named = f"ssh.{key}" if key else "ssh"
    return UsageError(
        f"site option '{named}' cannot be {value!r}: {why}",
        code="bad-site",
        hint="docs/engines/ssh.md lists the options.",
    )


_KEYS: Mapping[str, tuple[str, Callable[[str, Any], Any]]] = {
    "host": ("host", _host),
    "port": ("port", _port),
    "identityFile": ("identity_file", _path),
    "options": ("options", _lines),
    "command": ("command", _filled),
    "connectTimeout": ("connect_timeout", _seconds),
    "baseDir": ("base_dir", _base),
    "python": ("python", _filled),
    "setup": ("setup", _lines),
    "send": ("send", _lines),
    "inputs": ("inputs", _inputs),
    "streams": ("streams", _streams),
    "keep": ("keep", _switch),
}
"""The names in a section, what they are called here, and how a value is read."""
