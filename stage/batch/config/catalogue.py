"""Settings that are known: what each is, and what it does here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from stage.batch.config.reading import parse

if TYPE_CHECKING:
    from stage.batch.config.origins import Path

__all__ = ["SECTIONS", "Setting", "catalogue", "known_names", "setting_at"]

SECTIONS = {
    "run": "What is run",
    "submission": "The submission",
    "needs": "What jobs need",
    "jobs": "Jobs and their names",
    "commands": "Commands",
    "files": "Files of a submission",
    "sections": "Sections",
    "cluster": "In `cluster.LABEL`",
    "ordering": "In `ordering.NAME`",
    "finalJob": "In `finalJob`",
    "executionButler": "In `executionButler`",
    "made": "Names for use in other values",
}
"""Headings of the table, in its order."""

_TABLE = FilePath(__file__).with_name("catalogue.yaml")
_BELOW = {
    "finalJob": "finalJob",
    "executionButler": "executionButler",
    "cluster": "cluster",
    "ordering": "ordering",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Parameters
    ----------
    name : str
        Its name; ``command1`` stands for all with a number.
    section : str
        A key of `SECTIONS`.
    kind : str
        ``text``, ``integer``, ``number``, ``flag``, ``choice``, ``list`` or ``section``.
    meaning : str
        What it does here.
    unused : str, optional
        Why it has no effect here, if it has none.
    choices : tuple of str, optional
        All that it can be.
    least : int, optional
        The least that it can be.
    harmless : object, optional
        The value with which an unused setting says what is the case anyway.
    """

    name: str
    section: str
    kind: str
    meaning: str
    unused: str = ""
    choices: tuple[str, ...] = ()
    least: int | None = None
    harmless: Any = None


@cache
def catalogue() -> tuple[Setting, ...]:
    """Return all of them.

    Returns
    -------
    tuple of Setting
        In the order of the table.
    """
    headings = parse(_TABLE.read_bytes(), _TABLE.name).values
    return tuple(
        Setting(
            name=name,
            section=section,
            kind=row["kind"],
            meaning=row.get("does", ""),
            unused=row.get("unused", ""),
            choices=tuple(row.get("choices", ())),
            least=row.get("least"),
            harmless=row.get("harmless"),
        )
        for section, rows in headings.items()
        for name, row in rows.items()
    )


@cache
def known_names() -> frozenset[str]:
    """Return the names of all, and of what else a file may say.

    Returns
    -------
    frozenset of str
        Without sections.
    """
    return frozenset(s.name for s in catalogue()) | {"pipetaskInit", "includeConfigs", "pipetasks"}


def setting_at(path: Path) -> Setting | None:
    """Return the setting that a value is of.

    Parameters
    ----------
    path : tuple
        The keys that lead to the value.

    Returns
    -------
    Setting or None
        None if it is a user's own.
    """
    if not path or not isinstance(path[-1], str):
        return None
    name = re.sub(r"^command\d+$", "command1", path[-1])
    top = str(path[0])
    if top in {"finalJob", "executionButler"} and len(path) == 2:
        return _by_place().get((top, name)) or _by_place().get(("", name))
    if top in {"cluster", "ordering"} and len(path) == 3:
        return _by_place().get((top, name)) or _by_place().get(("", name))
    if len(path) == 1 or (len(path) == 2 and top in {"payload", "bps_cmdline"}):
        return _by_place().get(("", name))
    if len(path) == 3 and top in {"pipetask", "site", "cloud"}:
        return _by_place().get(("", name))
    return None


@cache
def _by_place() -> dict[tuple[str, str], Setting]:
    return {(_BELOW.get(s.section, ""), s.name): s for s in catalogue()}
