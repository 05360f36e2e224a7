"""Sections that older files have, taken by what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stage.batch.config.notes import Note
from stage.batch.config.origins import Origin, OriginKind
from stage.batch.config.tree import Layered

__all__ = ["adopt_execution_butler", "adopt_misprints", "adopt_pipetasks"]

_MISPRINTS = {"subdirTemplate": "subDirTemplate", "gqraphFile": "qgraphFile"}
_BUTLER, _FINAL = "executionButler", "finalJob"
_OWN = re.compile(r"whenCreate|createCommand|executionButlerDir|implementation|command\d+")
"""What of the old section is about the old way of doing it."""


def adopt_pipetasks(layered: Layered) -> list[Note]:
    """Take ``pipetasks:`` as ``pipetask:``, which a manual of the field mistakes for each other.

    Parameters
    ----------
    layered : Layered
        Settings; changed.

    Returns
    -------
    list of Note
        That it was done.
    """
    section = layered.values.get("pipetasks")
    if not isinstance(section, Mapping):
        return []
    origin = layered.origin(("pipetasks",)) or Origin(OriginKind.FILE)
    below = {path[1:]: o for path, o in layered.origins.items() if path[0] == "pipetasks" and len(path) > 1}
    proper = Layered()
    proper.lay(layered.values["pipetasks"], below)
    named = layered.values.pop("pipetask", None)
    kept = {path[1:]: o for path, o in layered.origins.items() if path[0] == "pipetask" and len(path) > 1}
    proper.lay(named if isinstance(named, Mapping) else {}, kept)
    del layered.values["pipetasks"]
    layered.origins = {path: o for path, o in layered.origins.items() if path[0] != "pipetasks"}
    layered.lay({"pipetask": proper.values}, {("pipetask", *path): o for path, o in proper.origins.items()})
    layered.origins.setdefault(("pipetask",), origin)
    return [Note(origin, "'pipetasks' is taken as 'pipetask', the name that the section has")]


def adopt_misprints(layered: Layered) -> list[Note]:
    """Take settings that a manual of the field misprints as what they are, where these are not said.

    Parameters
    ----------
    layered : Layered
        Settings; changed.

    Returns
    -------
    list of Note
        That it was done.
    """
    notes: list[Note] = []
    for at in ((), ("payload",), ("bps_cmdline",)):
        section: Any = layered.values.get(at[0]) if at else layered.values
        if not isinstance(section, Mapping):
            continue
        for wrong, right in _MISPRINTS.items():
            said = layered.origin((*at, right)) if right in section else None
            if wrong in section and (said is None or said.kind is OriginKind.DEFAULT):
                origin = layered.origin((*at, wrong)) or Origin(OriginKind.FILE)
                layered.lay({right: section[wrong]}, origin, at)
                notes.append(Note(origin, f"'{wrong}' is taken as '{right}'"))
    return notes


def adopt_execution_butler(layered: Layered) -> list[Note]:
    """Take what ``executionButler`` says of merging as said of the final job, where that is not said already.

    Parameters
    ----------
    layered : Layered
        Settings; changed.

    Returns
    -------
    list of Note
        Where both sections say something else.
    """
    section = layered.values.get(_BUTLER)
    if not isinstance(section, Mapping):
        return []
    final = layered.values.get(_FINAL)
    notes: list[Note] = []
    for key, value in section.items():
        origin = layered.origin((_BUTLER, key))
        if origin is None or origin.kind is OriginKind.DEFAULT or _OWN.fullmatch(str(key)):
            continue
        name = "whenRun" if key == "whenMerge" else key
        said = layered.origin((_FINAL, name)) if isinstance(final, Mapping) and name in final else None
        if said is None or said.kind is OriginKind.DEFAULT:
            layered.lay({name: value}, origin, (_FINAL,))
        elif _is_other(final, name, value):
            what = f"{_BUTLER}.{key} is {value!r}, but {_FINAL}.{name} ({said}) goes before it"
            notes.append(Note(origin, what))
    return notes


def _is_other(section: Any, name: Any, value: Any) -> bool:
    return bool(section[name] != value)
