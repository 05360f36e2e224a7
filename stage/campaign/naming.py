"""Names of campaigns and of their runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from registry.errors import UsageError
from registry.model.collections import check_collection_name

__all__ = ["check_campaign_name", "check_pattern", "expand_run_name", "infer_name"]

_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,99}\Z")
_PLACEHOLDER = re.compile(r"%(.?)")


def check_campaign_name(name: str) -> str:
    """Return `name` if it can name a campaign.

    Parameters
    ----------
    name : str
        Letters, digits and ``_.+-``, not starting with a point.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If it cannot: it begins the names of collections and files.
    """
    if not _NAME.match(name):
        raise UsageError(
            f"'{name}' is not a campaign name",
            code="bad-name",
            hint="Use letters, digits and _.+-, at most 100, not starting with a point (--campaign-name NAME).",
        )
    return name


def infer_name(directory: str) -> str:
    """Return the name that a campaign in `directory` gets when none is given.

    Parameters
    ----------
    directory : str
        The directory as the user wrote it.

    Returns
    -------
    str
        Its last part.

    Raises
    ------
    UsageError
        If the directory is written with ``.`` or ``..``, or its last part is no campaign name.
    """
    parts = directory.rstrip("/").split("/")
    if {".", ".."} & set(parts[-1:]) or ".." in parts:
        raise UsageError(
            f"no campaign name can be inferred from '{directory}'",
            code="no-name",
            hint="Give one with --campaign-name NAME.",
        )
    return check_campaign_name(parts[-1])


def check_pattern(pattern: str) -> str:
    """Return `pattern` if run names can be made from it.

    Parameters
    ----------
    pattern : str
        A collection name with placeholders ``%c``, ``%t``, ``%n``.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If it has another placeholder, or makes no collection name.
    """
    _expand(pattern, "c", 0, "t")
    return pattern


def _expand(pattern: str, campaign: str, counter: int, stamp: str) -> str:
    values = {"c": campaign, "n": str(counter), "t": stamp}

    def value(match: re.Match[str]) -> str:
        try:
            return values[match.group(1)]
        except KeyError:
            raise UsageError(
                f"'{pattern}' has the unknown placeholder '{match.group(0)}'",
                code="bad-placeholder",
                hint="%c is the campaign's name, %t the time, %n the counter.",
            ) from None

    return check_collection_name(_PLACEHOLDER.sub(value, pattern))


def expand_run_name(
    pattern: str, *, campaign: str, counter: int, taken: Callable[[str], bool], now_s: float | None = None
) -> tuple[str, int]:
    """Make the name of a new run, all placeholders at once.

    Parameters
    ----------
    pattern : str
        ``collections.next_run``.
    campaign : str
        The campaign's name.
    counter : int
        The campaign's counter.
    taken : callable
        Tells whether a collection of a name exists.
    now_s : float, optional
        Seconds since 1970; the present by default.

    Returns
    -------
    name : str
        A free name. Where the pattern has ``%n`` the first free number is taken; where it has ``%t`` a
        number is added to a time that is taken (two runs in one second).
    counter : int
        The counter afterwards: it moves on only where ``%n`` was used.

    Raises
    ------
    UsageError
        If the pattern has neither and its name is taken.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    used = set(_PLACEHOLDER.findall(pattern))
    name = _expand(pattern, campaign, counter, stamp)
    if "n" in used:
        while taken(name):
            counter += 1
            name = _expand(pattern, campaign, counter, stamp)
        return name, counter + 1
    if "t" in used:
        tries = 1
        while taken(name):
            tries += 1
            name = _expand(pattern, campaign, counter, f"{stamp}-{tries}")
        return name, counter
    if taken(name):
        raise UsageError(
            f"run '{name}' exists and the pattern '{pattern}' makes no other name",
            code="run-exists",
            hint="Put %t or %n in it: stage edit --next-run '%c/%t'.",
        )
    return name, counter
