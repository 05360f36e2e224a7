"""The two sides of a build view: which collection lives where, and what is said of what neither has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from registry.errors import NotFoundError, StageError, UsageError, nearest
from stage.graph.building.answers import has_collection, is_pattern
from stage.graph.building.question import Place
from stage.graph.wanted import STAGING, UPSTREAM
from sync.filesystem import files

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionUniverse
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["Sides"]

_OFFLINE = "offline: staging alone was asked, which has not all that upstream has"


class Sides:
    """One snapshot of each registry for the length of a ``with`` block.

    Parameters
    ----------
    upstream : Repo or None
        The shared repository; None to ask staging alone.
    staging : Repo, optional
        The campaign's own.
    local : sequence of str, optional
        Collections to be searched in staging though upstream has one of that name (runs that were pushed).
        Collections that upstream lacks are searched in staging anyway.
    offline : bool, optional
        Whether staging alone is asked, be there an upstream or not; errors about what is not found say so.

    Raises
    ------
    UsageError
        If there is neither, or only upstream and it is not to be asked.
    """

    def __init__(
        self,
        upstream: Repo | None,
        staging: Repo | None = None,
        *,
        local: Sequence[str] = (),
        offline: bool = False,
    ) -> None:
        upstream = None if offline else upstream
        if upstream is None and staging is None:
            raise UsageError("a graph is built on a repository, and none was given")
        self._repos: dict[str, Repo] = {}
        if staging is not None:
            self._repos[STAGING] = staging
        if upstream is not None:
            self._repos[UPSTREAM] = upstream
        self.offline = offline
        self._local = frozenset(local)
        self._stack = ExitStack()
        self._snapshots: dict[str, Snapshot] = {}
        self._types: dict[str, dict[str, DatasetType | None]] = {}
        self._depth = 0

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth > 1:  # a caller that asks first and then builds keeps its snapshot
            return self
        for side, repo in self._repos.items():
            self._snapshots[side] = self._stack.enter_context(repo.registry.read())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._snapshots, self._types = {}, {}
        self._stack.close()
        if self.offline and isinstance(exc, StageError):
            _say_offline(exc)

    @property
    def _main(self) -> str:
        """The side that knows the dimensions: upstream if it is there."""
        return UPSTREAM if UPSTREAM in self._repos else STAGING

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"the {self._main} repository"

    @property
    def root(self) -> str:
        """Root of the upstream repository, without credentials; empty where there is none."""
        return files.redact(self._repos[UPSTREAM].root) if UPSTREAM in self._repos else ""

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions."""
        return self._repos[self._main].registry.universe

    def search_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Flatten collections to a search path.

        Parameters
        ----------
        names : sequence of str
            Collections and chains, in search order.

        Returns
        -------
        tuple of Place
            No chains, no repeats.

        Raises
        ------
        NotFoundError
            If neither side has one of the names; offers the nearest.
        """
        found: dict[str, str] = {}
        for name in names:
            side = self._side_of(name)
            for child in self._snapshots[side].search_path([name]):
                found.setdefault(child, self._side_of(child))
        return tuple(Place(side, child) for child, side in found.items())

    def known_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Flatten collections to a search path, leaving out names of which there is no collection.

        Parameters
        ----------
        names : sequence of str
            Collections, chains and patterns, in search order.

        Returns
        -------
        tuple of Place
            No chains, no repeats; what a pattern matches in staging comes before what it matches upstream.
        """
        known: dict[str, None] = {}
        for name in names:
            if is_pattern(name):
                known.update(
                    dict.fromkeys(n for s in self._snapshots.values() for n in s.search_path([name]))
                )
            elif any(has_collection(s, name) for s in self._snapshots.values()):
                known[name] = None
        return self.search_path(list(known))

    def _side_of(self, name: str) -> str:
        if len(self._repos) == 1:
            return self._main
        if name in self._local or not has_collection(self._snapshots[UPSTREAM], name):
            if has_collection(self._snapshots[STAGING], name):
                return STAGING
            if is_pattern(name):
                return UPSTREAM
            known = {c.name for s in self._snapshots.values() for c in s.collections()}
            raise NotFoundError(
                f"no collection '{name}', neither upstream nor in staging",
                code="no-such-collection",
                hint=nearest(name, known),
            )
        return UPSTREAM

    def governor_values(self, governor: str, path: Sequence[Place]) -> list[str]:
        """Return the instruments, or the like, that datasets on a search path belong to.

        Parameters
        ----------
        governor : str
            Name of the dimension.
        path : sequence of Place
            Where.

        Returns
        -------
        list of str
            Its values, sorted.
        """
        found: set[str] = set()
        for side, snapshot in self._snapshots.items():
            names = [p.collection for p in path if p.side == side]
            rows = snapshot.collection_summary(names).select(("governor", "value")).rows() if names else ()
            found |= {value for name, value in rows if name == governor}
        return sorted(found)

    def dataset_type(self, name: str) -> DatasetType:
        """Return a registered dataset type.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        DatasetType
            Upstream's definition if there is one, else staging's.

        Raises
        ------
        NotFoundError
            If it is registered on neither side.
        """
        found = self.dataset_types([name])
        return found[name] if found else self._snapshots[self._main].dataset_type(name)

    def dataset_types(self, names: Sequence[str]) -> dict[str, DatasetType]:
        """Return those of some dataset types that are registered.

        Parameters
        ----------
        names : sequence of str
            Their names.

        Returns
        -------
        dict of str to DatasetType
            Upstream's definition if there is one, else staging's.
        """
        found: dict[str, DatasetType] = {}
        for side in sorted(self._snapshots, key=lambda side: side == self._main):
            found.update(self._types_on(side, names))
        return found

    def _types_on(self, side: str, names: Sequence[str]) -> dict[str, DatasetType]:
        """Return those of some dataset types that one side has; what was asked once is known for good: it is a snapshot."""
        known = self._types.setdefault(side, {})
        if new := [name for name in names if name not in known]:
            known.update({**dict.fromkeys(new), **self._snapshots[side].known_types(new)})
        return {name: kind for name in names if (kind := known[name]) is not None}


def _say_offline(exc: StageError) -> None:
    """Add to an error about what is not there that it may be elsewhere."""
    if isinstance(exc, NotFoundError) or exc.code == "empty-graph":
        exc.message = f"{exc.message} ({_OFFLINE})"
        exc.hint = exc.hint or "Build without '--offline'."
