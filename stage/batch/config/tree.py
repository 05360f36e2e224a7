"""Settings within settings: finding by key, and laying one over another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError

if TYPE_CHECKING:
    from stage.batch.config.origins import Origin, Path

__all__ = ["Layered", "look_up", "path_of"]


def path_of(key: str) -> list[str]:
    """Split a key: if it begins with neither letter nor digit, that character separates what follows.

    Parameters
    ----------
    key : str
        As ``requestMemory``, ``.site.s1`` or ``/site/s1``; with a backslash before it, the character separates not.

    Returns
    -------
    list of str
        One name or more.
    """
    first = key[0]
    if first.isalnum():
        return [key]
    if first == "\\":
        return key[1:].split(first)
    parts = re.split(rf"(?<!\\){re.escape(first)}", key[1:])
    return [part.replace(f"\\{first}", first) for part in parts]


def look_up(section: Mapping[Any, Any], key: str) -> tuple[bool, Any, Path]:
    """Find a key in a section: as it is written, and if there is none, as a path.

    Parameters
    ----------
    section : mapping
        Where to look.
    key : str
        As for `path_of`.

    Returns
    -------
    found : bool
        Whether there is such a value; it may be None.
    value : object
        It; None if there is none.
    path : tuple
        The keys that lead to it.

    Raises
    ------
    UsageError
        If the key is empty, or leads through a number or a truth value.
    """
    if not key:
        raise UsageError("the key of a setting is empty", code="batch-config-key")
    if key in section:
        return True, section[key], (key,)
    value: Any = section
    path: list[object] = []
    for name in path_of(key):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
            path.append(name)
        elif isinstance(value, list) and (place := _place(name, len(value))) is not None:
            value = value[place]
            path.append(place)
        elif isinstance(value, Mapping | list | str):
            return False, None, ()
        else:
            above = ".".join(map(str, path))
            raise UsageError(f"'{key}': '{above}' is {value!r}, not a section", code="batch-config-key")
    return True, value, tuple(path)


def _place(name: str, n: int) -> int | None:
    try:
        place = int(name)
    except ValueError:
        return None
    return place if -n <= place < n else None


class Layered:
    """Values, each with where it came from; what is laid over later wins, sections go into one another.

    Parameters
    ----------
    values : dict, optional
        To begin with; it is taken over.
    origins : dict of tuple to Origin, optional
        Theirs, by path.
    """

    def __init__(
        self, values: dict[Any, Any] | None = None, origins: dict[Path, Origin] | None = None
    ) -> None:
        self.values: dict[Any, Any] = {} if values is None else values
        self.origins: dict[Path, Origin] = {} if origins is None else origins

    def lay(self, over: Mapping[Any, Any], origins: Mapping[Path, Origin] | Origin, at: Path = ()) -> None:
        """Lay values over those that are there.

        Parameters
        ----------
        over : mapping
            They win.
        origins : mapping of tuple to Origin, or Origin
            Where each came from, by its path in `over`; or where all did.
        at : tuple, optional
            The section that they go into; it is made if there is none.
        """
        section = self.values
        for name in at:
            inner = section.get(name)
            section[name] = section = inner if isinstance(inner, dict) else {}
        self._lay(section, over, origins, at, ())

    def _lay(
        self,
        below: dict[Any, Any],
        over: Mapping[Any, Any],
        origins: Mapping[Path, Origin] | Origin,
        at: Path,
        path: Path,
    ) -> None:
        for key, value in over.items():
            here = (*path, key)
            origin = origins.get(here) if isinstance(origins, Mapping) else origins
            both = isinstance(value, Mapping) and isinstance(below.get(key), dict)
            if not both:
                self._forget(below.get(key), (*at, *here))
                below[key] = {} if isinstance(value, Mapping) else _copy(value)
            if origin is not None:
                self.origins[(*at, *here)] = origin
            if isinstance(value, Mapping):
                self._lay(below[key], value, origins, at, here)

    def _forget(self, value: Any, path: Path) -> None:
        """Forget where what is replaced came from."""
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self.origins.pop((*path, key), None)
                self._forget(inner, (*path, key))

    def origin(self, path: Path) -> Origin | None:
        """Return where a value came from.

        Parameters
        ----------
        path : tuple
            The keys that lead to it; of what is in a list, the list's counts.

        Returns
        -------
        Origin or None
            None if it is not known.
        """
        while path:
            if (found := self.origins.get(path)) is not None:
                return found
            path = path[:-1]
        return None

    def leaves(self) -> Iterator[tuple[Path, Any]]:
        """Walk all values that are not sections.

        Yields
        ------
        path : tuple
            The keys that lead to it.
        value : object
            It; an empty section is a value too.
        """
        yield from _leaves(self.values, ())


def _leaves(section: Mapping[Any, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _copy(value: Any) -> Any:
    """Copy lists and what is in them, so that aliases of a file share nothing."""
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value
