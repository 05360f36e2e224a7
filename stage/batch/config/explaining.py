"""What settings are, and where each came from, for a person to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import StageError

if TYPE_CHECKING:
    from stage.batch.config.origins import Origin
    from stage.batch.config.settings import Settings
    from stage.batch.config.tree import Layered

__all__ = ["Explained", "explain"]

_SEPARATORS = "./:|+!"
_PLAIN = frozenset({"bps_cmdline", "bps_defined"})
"""Sections of which nobody thinks as sections."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting.

    Parameters
    ----------
    key : str
        Its name, or path.
    value : object
        As it is used; names that are nowhere stay in it. None if it cannot be filled in.
    written : object
        As it is written.
    origin : Origin
        Where.
    problem : str, optional
        Why it cannot be filled in.
    """

    key: str
    value: Any
    written: Any
    origin: Origin
    problem: str = ""

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values.

        Returns
        -------
        dict
            For JSON.
        """
        origin = {"kind": str(self.origin.kind), "file": self.origin.file, "line": self.origin.line}
        plain = {
            "key": self.key,
            "value": _plain(self.value),
            "written": _plain(self.written),
            "origin": origin,
        }
        return {**plain, "problem": self.problem} if self.problem else plain


def explain(
    settings: Settings, layered: Layered, keys: Iterable[str] | None, where: Mapping[str, Any]
) -> list[Explained]:
    """Say what settings are; see `Settings.explain`.

    Parameters
    ----------
    settings : Settings
        All of them.
    layered : Layered
        The same, as they are written.
    keys : iterable of str or None
        Which; all if None.
    where : mapping
        As for `Settings.search`.

    Returns
    -------
    list of Explained
        One a setting.
    """
    named = _all_keys(layered) if keys is None else list(keys)
    return [_explained(settings, key, where) for key in named]


def _all_keys(layered: Layered) -> list[str]:
    """Return the keys of all that is written, each once."""
    keys: dict[str, None] = {}
    for path, value in layered.leaves():
        if value == {} and layered.origin(path) is None:
            continue  # a section that is always there
        plain = len(path) > 1 and path[0] in _PLAIN
        keys[_key(path[1:] if plain else path)] = None
    return list(keys)


def _explained(settings: Settings, key: str, where: Mapping[str, Any]) -> Explained:
    origin = settings.origin(key, **where)
    _, written = settings.search(key, **{**where, "expand_env": False, "replace": False})
    try:
        _, value = settings.search(key, **{"keep": True, **where})
    except StageError as error:
        return Explained(key, None, written, origin, error.message)
    return Explained(key, value, written, origin)


def _key(path: tuple[object, ...]) -> str:
    """Return a path as a key: with a separator that is in none of its names."""
    names = list(map(str, path))
    if len(names) == 1 and names[0][:1].isalnum():
        return names[0]
    separator = next((s for s in _SEPARATORS if not any(s in n for n in names)), ".")
    return separator + separator.join(n.replace(separator, f"\\{separator}") for n in names)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
