"""One search for a setting: where it is looked for, in which order, and what is put into its text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, UsageError
from stage.batch.config.environment import expand, marked
from stage.batch.config.evaluating import evaluated
from stage.batch.config.origins import Origin, OriginKind
from stage.batch.config.substituting import Filler
from stage.batch.config.tree import Layered, look_up

if TYPE_CHECKING:
    from stage.batch.config.origins import Path

__all__ = ["ABSENT", "Found", "Search", "Where"]

_DEEPEST = 100
_CURRENT = "current"
_WMS = re.compile(r"wms([A-Z].*)")


class _Absent:
    """Stands for "not given", where None is a value."""


ABSENT: Any = _Absent()


@dataclass(frozen=True, slots=True)
class Where:
    """What a search is about, and what becomes of text.

    Parameters
    ----------
    values : mapping, optional
        What goes before all else; ``curr_<section>`` says which part of a section counts.
    searchobj : mapping, optional
        Looked at next.
    default : object, optional
        What is returned if nothing is found.
    required : bool, optional
        Whether it is an error if something named in a text is not found, or the key itself.
    expand_env, replace_env : bool, optional
        Whether variables of the environment are put in, or else marked to be put in on the machine of a job.
    replace : bool, optional
        Whether ``{name}`` is filled in.
    skip : collection of str, optional
        Names that stay as they are written.
    keep : bool, optional
        Whether those do too that are nowhere.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    searchobj: Mapping[str, Any] | None = None
    default: Any = ABSENT
    required: bool = False
    expand_env: bool = True
    replace_env: bool = False
    replace: bool = True
    skip: Collection[str] = ()
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Where a key was found.

    Parameters
    ----------
    value : object
        As it is written.
    path : tuple or None
        From the top; None if it is in none of the files.
    """

    value: Any
    path: Path | None


class Search:
    """Looks for keys, and for what is named in what they are.

    Parameters
    ----------
    layered : Layered
        The settings.
    order : sequence of str
        Sections, most specific first; the top comes after them.
    environment : mapping of str to str
        Variables.
    where : Where
        What it is about.
    """

    def __init__(
        self, layered: Layered, order: Sequence[str], environment: Mapping[str, str], where: Where
    ) -> None:
        self._layered, self._order, self._environment, self._where = layered, order, environment, where
        self._known: dict[str, Any] = {}
        self._open: list[str] = []
        self._filler = Filler(self._named, self._stays)

    def find(self, key: str) -> Found | None:
        """Find a key.

        Parameters
        ----------
        key : str
            A name or a path.

        Returns
        -------
        Found or None
            None if it is nowhere.
        """
        top, values = self._layered.values, self._where.values
        if key in values:
            return Found(values[key], None)
        current = top.get(_CURRENT)
        if isinstance(current, Mapping):
            found, value, path = look_up(current, key)
            if found:
                return Found(value, (_CURRENT, *path))
            values = {**current, **values}
        if self._where.searchobj:
            found, value, _ = look_up(self._where.searchobj, key)
            if found:
                return Found(value, None)
        for name in self._order:
            section, at = self._section(name, values)
            found, value, path = look_up(section, key) if section else (False, None, ())
            if found:
                return Found(value, (*at, *path))
        found, value, path = look_up(top, key)
        return Found(value, path) if found else None

    def _section(self, name: str, values: Mapping[str, Any]) -> tuple[Mapping[Any, Any], Path]:
        """Return the part of a section that counts: that of its current label, or all of it if it has no such part."""
        section = self._mapping(self._layered.values.get(name), (name,))
        label = values.get(f"curr_{name}")
        if section and label not in {None, ""}:
            found, part, path = look_up(section, str(label))
            if found:
                return self._mapping(part, (name, *path)), (name, *path)
        return section, (name,)

    def _mapping(self, value: Any, path: Path) -> Mapping[Any, Any]:
        if value is None:  # a section of which all is commented out
            return {}
        if isinstance(value, Mapping):
            return value
        raise UsageError(
            f"{self._layered.origin(path) or ''}: '{'.'.join(map(str, path))}' is {value!r}, not a section".lstrip(
                ": "
            ),
            code="batch-config-section",
            hint="Write the settings of it below it, indented.",
        )

    def value(self, key: str) -> tuple[bool, Any]:
        """Return what a key comes to.

        Parameters
        ----------
        key : str
            A name or a path.

        Returns
        -------
        found : bool
            Whether it, or a default, is there.
        value : object
            It; "" if there is nothing.

        Raises
        ------
        NotFoundError
            If it is required and nowhere.
        UsageError
            If its text cannot be filled in.
        """
        found = self.find(key)
        if found is None and self._where.default is not ABSENT:
            found = Found(self._where.default, None)
        if found is None:
            if self._where.required:
                raise self._missing(key)
            return False, ""
        self._open.append(key)
        out = self.text(found.value, found.path) if isinstance(found.value, str) else found.value
        self._open.pop()
        return True, out

    def text(self, text: str, path: Path | None) -> str:
        """Put into a text what is named in it.

        Parameters
        ----------
        text : str
            As written.
        path : tuple or None
            Where it is written, for errors.

        Returns
        -------
        str
            As it is used.

        Raises
        ------
        UsageError
            If it cannot be.
        """
        if self._where.expand_env:
            text = expand(text, self._environment)
        elif self._where.replace_env:
            text = marked(text)
        if not self._where.replace:
            return text
        try:
            return evaluated(self._filler.fill(text))
        except (UsageError, NotFoundError) as error:
            if not error.context.get("located"):
                error.message = f"{self._place(path)}{error.message}"
                error.args = (error.message,)
                error.context["located"] = True
            raise

    def _place(self, path: Path | None) -> str:
        origin = self._layered.origin(path) if path else None
        name = self._open[-1] if self._open else ""
        return f"{origin}: {name}: " if origin else f"{name}: " if name else ""

    def _named(self, name: str) -> Any:
        """Return what is put in for a name."""
        if name in self._known:
            return self._known[name]
        if name in self._open:
            chain = " -> ".join([*self._open[self._open.index(name) :], name])
            raise UsageError(
                f"a value needs itself: {chain}",
                code="batch-config-substitution",
                hint="Give one of these names another value.",
            )
        if len(self._open) > _DEEPEST:
            raise UsageError(f"names in names, deeper than {_DEEPEST}", code="batch-config-substitution")
        self._known[name] = value = self._value_named(name)
        return value

    def _stays(self, name: str) -> bool:
        return name in self._where.skip or (
            self._where.keep and (not name.strip() or self.find(name) is None)
        )

    def _value_named(self, name: str) -> Any:
        found = self.find(name) if name.strip() else None
        if found is None:
            if (late := _WMS.fullmatch(name)) is not None:
                return f"<WMS:{late[1][0].lower()}{late[1][1:]}>"
            if self._where.required:
                raise self._missing(name)
            return ""
        self._open.append(name)
        value = self.text(found.value, found.path) if isinstance(found.value, str) else found.value
        self._open.pop()
        return value

    def _missing(self, name: str) -> NotFoundError:
        by = f", which '{self._open[-1]}' needs" if self._open else ""
        return NotFoundError(
            f"there is no setting '{name}'{by}",
            code="batch-config-key",
            hint=f"Write '{name}: VALUE' in the file.",
        )

    def origin(self, key: str) -> Origin | None:
        """Return where the value of a key was written.

        Parameters
        ----------
        key : str
            A name or a path.

        Returns
        -------
        Origin or None
            None if it is nowhere.
        """
        found = self.find(key)
        if found is None:
            return None
        origin = self._layered.origin(found.path) if found.path else None
        return origin or Origin(OriginKind.GIVEN)
