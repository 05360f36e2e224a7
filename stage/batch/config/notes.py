"""What a person may want to know of settings: which mean nothing here, and which are probably misspelled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.batch.config.origins import Origin, OriginKind
from stage.batch.config.values import as_flag, as_number

if TYPE_CHECKING:
    from stage.batch.config.catalogue import Setting
    from stage.batch.config.origins import Path
    from stage.batch.config.tree import Layered

__all__ = ["Note", "check_values", "misspelled", "not_used"]

_FIELD = re.compile(r"\{\.?([A-Za-z_]\w*)")
_COMMAND = re.compile(r"command\d+")
_SHORTEST = 5
"""Names shorter than this are one edit away from too many others."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing worth knowing.

    Parameters
    ----------
    origin : Origin
        Of what.
    message : str
        What.
    """

    origin: Origin
    message: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


def not_used(layered: Layered) -> list[Note]:
    """Say which settings that somebody has said mean nothing here.

    Parameters
    ----------
    layered : Layered
        The settings.

    Returns
    -------
    list of Note
        Each with why.
    """
    return [
        Note(origin, f"{_shown(path)} has no effect here: {setting.unused}")
        for path, value, origin, setting in _said(layered)
        if setting.unused and value != setting.harmless
    ]


def check_values(layered: Layered) -> None:
    """Refuse values that their settings cannot have, as far as they can be told from how they are written.

    Parameters
    ----------
    layered : Layered
        The settings.

    Raises
    ------
    UsageError
        If there is one; names file and line.
    """
    for path, value, origin, setting in _said(layered):
        if value in {None, ""} if isinstance(value, str | None) else False:
            continue
        if isinstance(value, str) and ("{" in value or "$" in value or "bpsEval" in value):
            continue  # known when it is used
        _check(setting, value, lambda path=path, origin=origin: f"{origin}: {_shown(path)}")


def _check(setting: Setting, value: Any, named: Any) -> None:
    if setting.choices and str(value).lower() not in {choice.lower() for choice in setting.choices}:
        raise UsageError(
            f"{named()} is {value!r}, not one of {', '.join(setting.choices)}",
            code="batch-config-value",
            hint="Correct it where it is written.",
        )
    if setting.kind == "flag":
        as_flag(value, named)
    elif setting.kind in {"integer", "number"}:
        number = as_number(value, named)
        wrong = number is not None and (
            number < (setting.least or 0) or (setting.kind == "integer" and number % 1)
        )
        if setting.least is not None and wrong:
            kind = "a whole number" if setting.kind == "integer" else "a number"
            raise UsageError(
                f"{named()} is {value!r}, not {kind} of {setting.least} or more",
                code="batch-config-value",
                hint="Correct it where it is written.",
            )
    elif setting.kind == "section" and not isinstance(value, Mapping):
        raise UsageError(
            f"{named()} is {value!r}, not a section",
            code="batch-config-section",
            hint="Write the settings of it below it, indented.",
        )


def misspelled(layered: Layered) -> list[Note]:
    """Say which names are probably meant to be others.

    Parameters
    ----------
    layered : Layered
        The settings.

    Returns
    -------
    list of Note
        Names that are no settings, stand in no text as ``{name}``, and differ in one letter from a setting.
    """
    from stage.batch.config.catalogue import known_names

    names = known_names()
    used = {name for _, value in layered.leaves() for text in _texts(value) for name in _FIELD.findall(text)}
    out = []
    for path, origin in layered.origins.items():
        key = path[-1]
        if origin.kind not in {OriginKind.FILE, OriginKind.COMMAND_LINE} or not isinstance(key, str):
            continue
        if key in names or key in used or len(key) < _SHORTEST or _is_label(path) or _COMMAND.fullmatch(key):
            continue
        meant = [name for name in sorted(names) if _one_edit(key, name)]
        if meant:
            what = f"'{_shown(path)}' is no setting; is '{meant[0]}' meant?"
            out.append(Note(origin, what))
    return out


def _said(layered: Layered) -> Iterator[tuple[Path, Any, Origin, Setting]]:
    """Walk the known settings that somebody has said."""
    from stage.batch.config.catalogue import setting_at

    for path, origin in layered.origins.items():
        if origin.kind is not OriginKind.DEFAULT and (setting := setting_at(path)) is not None:
            found, value = _value(layered.values, path)
            if found:
                yield path, value, origin, setting


def _value(values: Any, path: Path) -> tuple[bool, Any]:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False, None
        values = values[key]
    return True, values


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _is_label(path: Path) -> bool:
    """Tell whether a key is a name of a user's: a task, a cluster, a site."""
    return len(path) == 2 and path[0] in {"pipetask", "cluster", "site", "cloud"}


def _shown(path: Path) -> str:
    return ".".join(map(str, path[1:] if path[0] == "bps_cmdline" else path))


def _one_edit(a: str, b: str) -> bool:
    """Tell whether two names are one letter apart: another, one too many, two exchanged, or a capital."""
    if a.lower() == b.lower():
        return a != b
    if len(a) > len(b):
        a, b = b, a
    if len(b) - len(a) > 1:
        return False
    start = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    return a[start + 1 :] == b[start + 1 :] or (
        a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
    )
