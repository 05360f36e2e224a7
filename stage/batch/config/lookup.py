"""`Lookup`: settings by key, found as the field's batch service finds them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, UsageError, nearest
from stage.batch.config.origins import Origin, OriginKind
from stage.batch.config.searching import ABSENT, Search, Where
from stage.batch.config.values import as_flag, as_integer, as_number, as_text

if TYPE_CHECKING:
    from stage.batch.config.tree import Layered

__all__ = ["SEARCH_ORDER", "Lookup"]

SEARCH_ORDER = ("bps_cmdline", "payload", "cluster", "pipetask", "site", "cloud", "bps_defined")
"""Sections in which a key is looked for, most specific first; the top of the file comes last."""

_LABELLED = ("pipetask", "cluster", "site", "cloud")


class Lookup:
    """Settings that are asked for by key; they do not change.

    Parameters
    ----------
    layered : Layered
        Values and where each came from.
    environment : mapping of str to str
        Variables of the environment.
    order : sequence of str, optional
        Sections in which keys are looked for.
    """

    def __init__(
        self, layered: Layered, environment: Mapping[str, str], order: Sequence[str] = SEARCH_ORDER
    ) -> None:
        self._layered = layered
        self._environment = environment
        self._order = tuple(order)

    def search(
        self,
        key: str,
        *,
        pipetask: str = "",
        cluster: str = "",
        site: str = "",
        cloud: str = "",
        values: Mapping[str, Any] | None = None,
        searchobj: Mapping[str, Any] | None = None,
        default: Any = ABSENT,
        required: bool = False,
        expand_env: bool = True,
        replace_env: bool = False,
        replace: bool = True,
        skip: Iterable[str] = (),
        keep: bool = False,
    ) -> tuple[bool, Any]:
        """Find a setting.

        Parameters
        ----------
        key : str
            Its name; or, if it begins with neither letter nor digit, a path, of which that is the separator.
        pipetask, cluster, site, cloud : str, optional
            Whose settings count, of those sections.
        values : mapping, optional
            What goes before all else; ``curr_<section>`` is the same as the four above, for any section.
        searchobj : mapping, optional
            What is looked at next, before the sections.
        default : object, optional
            What is returned if there is none; text is filled in as if it were found.
        required : bool, optional
            Whether it is an error if it, or something named in it, is nowhere.
        expand_env : bool, optional
            Whether variables of the environment are put in; those that are not set stay as they are written.
        replace_env : bool, optional
            Whether, if they are not, they are marked to be put in later.
        replace : bool, optional
            Whether ``{name}`` is filled in; what is nowhere is empty.
        skip : iterable of str, optional
            Names that stay as they are written.
        keep : bool, optional
            Whether those do too that are nowhere, instead of being empty.

        Returns
        -------
        found : bool
            Whether there is one.
        value : object
            It; "" if there is none. Sections and lists are as they are written, and the caller's own.

        Raises
        ------
        NotFoundError
            If something is required and nowhere.
        UsageError
            If a text cannot be filled in; names file and line.
        """
        labels = {"pipetask": pipetask, "cluster": cluster, "site": site, "cloud": cloud}
        where = Where(
            values=_values(labels, values),
            searchobj=searchobj,
            default=default,
            required=required,
            expand_env=expand_env,
            replace_env=replace_env,
            replace=replace,
            skip=frozenset(skip),
            keep=keep,
        )
        found, value = self._search(where).value(key)
        return found, copy.deepcopy(value) if isinstance(value, dict | list) else value

    def get(self, key: str, default: Any = None, **where: Any) -> Any:
        """Return a setting.

        Parameters
        ----------
        key : str
            As for `search`.
        default : object, optional
            What is returned if there is none.
        **where
            As for `search`.

        Returns
        -------
        object
            Its value.
        """
        return self.search(key, default=default, **where)[1]

    def integer(self, key: str, **where: Any) -> int | None:
        """Return a setting that is a whole number.

        Parameters
        ----------
        key : str
            As for `search`.
        **where
            As for `search`.

        Returns
        -------
        int or None
            None if it is not set, or empty.

        Raises
        ------
        UsageError
            If it is anything else; names file and line.
        """
        return as_integer(self.get(key, **where), lambda: self._named(key, where))

    def number(self, key: str, **where: Any) -> float | None:
        """Return a setting that is a number.

        Parameters
        ----------
        key : str
            As for `search`.
        **where
            As for `search`.

        Returns
        -------
        float or None
            None if it is not set, or empty.

        Raises
        ------
        UsageError
            If it is anything else; names file and line.
        """
        return as_number(self.get(key, **where), lambda: self._named(key, where))

    def flag(self, key: str, default: bool = False, **where: Any) -> bool:
        """Return a setting that is true or false.

        Parameters
        ----------
        key : str
            As for `search`.
        default : bool, optional
            What it is if it is not set, or empty.
        **where
            As for `search`.

        Returns
        -------
        bool
            Its value.

        Raises
        ------
        UsageError
            If it is anything else; names file and line.
        """
        found = as_flag(self.get(key, **where), lambda: self._named(key, where))
        return default if found is None else found

    def text(self, key: str, default: str = "", **where: Any) -> str:
        """Return a setting that is text.

        Parameters
        ----------
        key : str
            As for `search`.
        default : str, optional
            What it is if it is not set.
        **where
            As for `search`.

        Returns
        -------
        str
            Its value; of a list its items with commas between.

        Raises
        ------
        UsageError
            If it is a section; names file and line.
        """
        return as_text(self.get(key, default, **where), lambda: self._named(key, where))

    def section(self, path: str, **where: Any) -> Mapping[str, Any]:
        """Return a section, with all text in it filled in; names that are nowhere stay as they are written.

        Parameters
        ----------
        path : str
            As for `search`: ``site`` or ``.site.here``.
        **where
            As for `search`.

        Returns
        -------
        mapping of str to object
            The caller's own; empty if there is none.

        Raises
        ------
        UsageError
            If it is no section, or a text in it cannot be filled in.
        """
        labels = {name: where.pop(name, "") for name in _LABELLED}
        where.setdefault("keep", True)
        search = self._search(Where(values=_values(labels, where.pop("values", None)), **where))
        found = search.find(path)
        value = None if found is None else found.value
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise UsageError(
                f"{self._named(path, labels)} is {value!r}, not a section",
                code="batch-config-section",
                hint="Write the settings of it below it, indented.",
            )
        at = found.path if found else None
        return {str(k): _filled(search, v, (*at, k) if at else None) for k, v in value.items()}

    def origin(self, key: str, **where: Any) -> Origin:
        """Return where a setting was written.

        Parameters
        ----------
        key : str
            As for `search`.
        **where
            As for `search`.

        Returns
        -------
        Origin
            Of its text; what is put into that may come from elsewhere.

        Raises
        ------
        NotFoundError
            If it is nowhere.
        """
        origin = self._origin(key, where)
        if origin is None:
            names = {str(path[-1]) for path in self._layered.origins}
            raise NotFoundError(
                f"there is no setting '{key}'", code="batch-config-key", hint=nearest(key, names)
            )
        return origin

    def is_said(self, key: str, **where: Any) -> bool:
        """Tell whether somebody has said a setting: a file, the command line, or the environment.

        Parameters
        ----------
        key : str
            As for `search`.
        **where
            As for `search`.

        Returns
        -------
        bool
            False if it is as the package has it, or nowhere.
        """
        origin = self._origin(key, where)
        return origin is not None and origin.kind is not OriginKind.DEFAULT

    def _search(self, where: Where) -> Search:
        return Search(self._layered, self._order, self._environment, where)

    def _named(self, key: str, where: Mapping[str, Any]) -> str:
        """Name a setting and its place, for errors."""
        origin = self._origin(key, where)
        return key if origin is None else f"{origin}: {key}"

    def _origin(self, key: str, where: Mapping[str, Any]) -> Origin | None:
        labels = {name: where.get(name, "") for name in _LABELLED}
        return self._search(Where(_values(labels, where.get("values")), where.get("searchobj"))).origin(key)


def _values(labels: Mapping[str, str], values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    current = {f"curr_{name}": label for name, label in labels.items() if label}
    return {**current, **values} if values else current


def _filled(search: Search, value: Any, path: tuple[object, ...] | None) -> Any:
    if isinstance(value, str):
        return search.text(value, path)
    if isinstance(value, Mapping):
        return {str(k): _filled(search, v, (*path, k) if path else None) for k, v in value.items()}
    return [_filled(search, v, path) for v in value] if isinstance(value, list) else value
