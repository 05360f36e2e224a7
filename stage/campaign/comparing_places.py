"""Finding the runs that are to be compared: of this campaign, of its upstream, of another campaign or repository."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from registry.errors import NotFoundError, nearest
from registry.model.collections import CollectionType
from stage.campaign.comparing_documents import Place
from stage.campaign.layout import STATE_FILE, Layout
from stage.campaign.repositories import open_staging, open_upstream
from stage.campaign.state import CampaignState, load_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["Runs"]

NEWEST, UPSTREAM = ".", "upstream"


class Runs:
    """Where runs are found, for as long as the block lasts.

    Parameters
    ----------
    layout : Layout, optional
        Paths of the campaign from which is asked.
    state : CampaignState, optional
        Its state.
    repo : str, optional
        Root of the repository that is asked instead of a campaign.
    """

    def __init__(
        self, layout: Layout | None = None, state: CampaignState | None = None, *, repo: str = ""
    ) -> None:
        self._layout, self._state, self._repo = layout, state, repo
        self._stack = ExitStack()
        self._open: dict[str, tuple[Repo, Snapshot]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.__exit__(*details)  # type: ignore[arg-type]

    def find(self, word: str) -> Place:
        """Find a run.

        Parameters
        ----------
        word : str
            A RUN, ``.`` for the campaign's newest, or one of another place: ``upstream:RUN``, or a campaign's
            directory or a repository's root, a colon and the RUN.

        Returns
        -------
        Place
            Where it is.

        Raises
        ------
        NotFoundError
            If there is no such place or run.
        """
        if self._layout is None or self._state is None:
            return self._in_repo(self._repo, word) or self._elsewhere(word) or self._fail(word, self._repo)
        run = _named(word, self._state)
        return (
            self._in_staging(self._layout, run)
            or self._elsewhere(word)
            or self._in_upstream(self._state, run)
            or self._fail(run, "staging or upstream")
        )

    def _elsewhere(self, word: str) -> Place | None:
        """Find a run that is named with its place."""
        place, colon, run = word.rpartition(":")
        if not colon or not place or not run:
            return None
        if place == UPSTREAM and self._state is not None:
            return self._in_upstream(self._state, run) or self._fail(run, UPSTREAM, self._state.repo)
        if (Path(place) / STATE_FILE).is_file():
            layout = Layout(Path(place).absolute())
            state = load_state(layout.state)
            run = _named(run, state)
            return (
                self._in_staging(layout, run)
                or self._in_upstream(state, run)
                or self._fail(run, f"campaign {place} or its upstream")
            )
        if not _is_place(place):
            return None
        return self._in_repo(place, run) or self._fail(run, place)

    def _in_staging(self, layout: Layout, run: str) -> Place | None:
        return self._found(str(layout.root), lambda: open_staging(layout), run)

    def _in_upstream(self, state: CampaignState, run: str) -> Place | None:
        return self._found(state.repo, lambda: open_upstream(state), run)

    def _in_repo(self, root: str, run: str) -> Place | None:
        from sync.repo import Repo

        return self._found(root, lambda: Repo.open(root), run)

    def _found(self, key: str, opened: Callable[[], AbstractContextManager[Repo]], run: str) -> Place | None:
        if key not in self._open:
            repo = self._stack.enter_context(opened())
            self._open[key] = (repo, self._stack.enter_context(repo.registry.read()))
        repo, snapshot = self._open[key]
        return Place(repo, snapshot, run) if run in _runs(snapshot) else None

    def _fail(self, run: str, where: str, key: str | None = None) -> Place:
        looked_at = self._open.values() if key is None else [self._open[key]]
        known = {name for _, snapshot in looked_at for name in _runs(snapshot)} - {run}
        raise NotFoundError(
            f"no run '{run}' in {where}",
            code="no-such-run",
            hint=nearest(run, known)
            or "Runs of other places are named with them: DIRECTORY:RUN, upstream:RUN.",
        )


def _named(name: str, state: CampaignState) -> str:
    if name != NEWEST:
        return name
    if not state.collections.runs:
        raise NotFoundError(
            f"campaign '{state.name}' has no run yet", code="no-run", hint="Begin one: stage run."
        )
    return state.collections.runs[0]


def _runs(snapshot: Snapshot) -> set[str]:
    return {c.name for c in snapshot.collections() if c.type is CollectionType.RUN}


def _is_place(text: str) -> bool:
    """Tell whether a text is meant to be a place: names of runs may have colons too."""
    return "://" in text or text.startswith((".", "/", "~")) or Path(text).is_dir()
