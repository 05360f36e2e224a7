"""A file of settings with all that it includes (``includeConfigs``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path as FilePath
from typing import Any

from registry.errors import NotFoundError, UsageError
from stage.batch.config.environment import expand
from stage.batch.config.origins import Origin, OriginKind, Path
from stage.batch.config.reading import Read, parse, read_bytes
from stage.batch.config.tree import Layered

__all__ = ["INCLUDE", "Includer"]

INCLUDE = "includeConfigs"
_DEEPEST = 30
_MOST_VALUES = 100_000
_RESOURCE = "resource://"
_FIELD = "resource://lsst.ctrl.bps/"
"""Files of the field's own service. What they say is how its programs are called, and no program of it is here."""


class Includer:
    """Reads files of settings, each once.

    Parameters
    ----------
    environment : mapping of str to str
        For variables in the names of files.

    Attributes
    ----------
    notes : list of (Origin, str)
        What a person may want to know of what was read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._known: dict[FilePath, Layered] = {}
        self._open: list[FilePath] = []
        self._sizes: dict[int, int] = {}
        self._laid = 0
        self.notes: list[tuple[Origin, str]] = []

    def read(self, path: FilePath, shown: str, wanted_by: str = "") -> Layered:
        """Read a file with what it includes.

        Parameters
        ----------
        path : pathlib.Path
            Where it is.
        shown : str
            What it is called.
        wanted_by : str, optional
            File and line that include it.

        Returns
        -------
        Layered
            What is included, what is later over what is earlier, and over all what the file says itself.

        Raises
        ------
        UsageError
            If it is no settings, or includes itself, however far off.
        NotFoundError
            If there is no such file.
        StorageError
            If it cannot be read.
        """
        real = path.resolve()
        if real in self._known:
            return self._known[real]
        if real in self._open:
            chain = " -> ".join(p.name for p in [*self._open[self._open.index(real) :], real])
            raise UsageError(
                f"{wanted_by}: a file includes itself: {chain}",
                code="batch-config-cycle",
                hint="Take one of them out.",
            )
        if len(self._open) >= _DEEPEST:
            raise UsageError(f"{wanted_by}: includes deeper than {_DEEPEST}", code="batch-config-cycle")
        self._open.append(real)
        found = parse(read_bytes(path, shown, wanted_by), shown)
        for key, line in found.repeated:
            what = f"'{'.'.join(map(str, key))}' is written twice; this one counts"
            self.notes.append((Origin(OriginKind.FILE, shown, line), what))
        self._known[real] = self._put_together(found, path.parent, shown)
        self._open.pop()
        return self._known[real]

    def _put_together(self, found: Read, beside: FilePath, shown: str) -> Layered:
        whole = Layered()
        for path, section in _sections(found.values, ()):
            by = Origin(OriginKind.FILE, shown, found.lines.get((*path, INCLUDE), 0))
            for name in _names(section, by):
                layer = self._find(name, beside, by)
                if layer is not None:
                    self._count(layer, by)
                    whole.lay(layer.values, layer.origins, path)
        origins = {path: Origin(OriginKind.FILE, shown, line) for path, line in found.lines.items()}
        whole.lay(_without_directives(found.values), origins)
        return whole

    def _count(self, layer: Layered, by: Origin) -> None:
        """Refuse files that include each other so often that a few of them stand for more than fits in memory."""
        if id(layer) not in self._sizes:
            self._sizes[id(layer)] = _size(layer.values)
        self._laid += self._sizes[id(layer)]
        if self._laid > _MOST_VALUES:
            raise UsageError(
                f"{by}: more than {_MOST_VALUES} values are included",
                code="batch-config-too-large",
                hint="Include each file once.",
            )

    def _find(self, name: str, beside: FilePath, by: Origin) -> Layered | None:
        named = expand(name, self._environment)
        if named.startswith(_FIELD):
            what = f"'{named}' is not needed: how the field's own programs are called means nothing here"
            self.notes.append((by, what))
            return None
        if named.startswith(_RESOURCE):
            return self.read(_resource(named, str(by)), named, str(by))
        scheme, is_uri, rest = named.partition("://")
        if is_uri and scheme != "file":
            raise UsageError(
                f"{by}: '{named}' cannot be included: only files can be",
                code="batch-config-include",
                hint="Copy it beside this file.",
            )
        path = FilePath(rest if is_uri else named)
        if path.exists() or path.is_absolute():
            return self.read(path, str(path), str(by))
        return self.read(beside / path, str(beside / path), str(by))


def _size(value: Any) -> int:
    below = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, below))


def _sections(section: dict[Any, Any], path: Path) -> Iterator[tuple[Path, dict[Any, Any]]]:
    """Walk a section and those in it."""
    yield path, section
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _sections(value, (*path, key))


def _names(section: Mapping[Any, Any], by: Origin) -> list[str]:
    """Return what a section includes."""
    if INCLUDE not in section:
        return []
    said = section[INCLUDE]
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise UsageError(
            f"{by}: {INCLUDE} is {said!r}, not one file or a list of files",
            code="batch-config-include",
            hint=f"Write '{INCLUDE}: [FILE, FILE]', or take it out.",
        )
    return names


def _without_directives(section: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        key: _without_directives(value) if isinstance(value, dict) else value
        for key, value in section.items()
        if key != INCLUDE
    }


def _resource(name: str, by: str) -> FilePath:
    """Return where a file of an installed package is."""
    package, _, inside = name.removeprefix(_RESOURCE).partition("/")
    try:
        path = FilePath(str(resources.files(package).joinpath(inside)))
    except (ImportError, TypeError, ValueError) as error:
        raise NotFoundError(
            f"{by}: there is no file '{name}': no package '{package}'", code="batch-config-missing"
        ) from error
    return path
