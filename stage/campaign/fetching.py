"""Bringing into staging what a campaign's graph needs of upstream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from stage.campaign.graph_reports import FetchReport
from stage.campaign.graphs import open_graph
from stage.campaign.repositories import ensure_staging, open_staging, open_upstream

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.graph.graph import QuantumGraph
    from stage.graph.wanted import GraphWanted
    from sync.fetching.artifacts import ArtifactMode
    from sync.repo import Repo

__all__ = [
    "ensure_fetched", "fetch_graph", "fetch_progress", "fetch_wanted", "is_fetched", "progress_of_files",
]  # fmt: skip

FileProgress = Callable[[int, int], None]
_progress: ContextVar[FileProgress | None] = ContextVar("fetch_progress", default=None)


@contextmanager
def fetch_progress(on_progress: FileProgress | None) -> Iterator[None]:
    """Tell how far files have come, whatever command in this block fetches or frees them.

    Parameters
    ----------
    on_progress : callable or None
        Called with the numbers of files done and in all.

    Yields
    ------
    None
        Nothing.
    """
    token = _progress.set(on_progress)
    try:
        yield
    finally:
        _progress.reset(token)


def progress_of_files() -> FileProgress | None:
    """Return whom to tell how far files have come.

    Returns
    -------
    callable or None
        As it was given to `fetch_progress`.
    """
    return _progress.get()


def fetch_graph(change: Change) -> FetchReport:
    """Fetch what the campaign's graph needs, and the files of all that staging has of upstream's.

    Parameters
    ----------
    change : Change
        The change that is being made.

    Returns
    -------
    FetchReport
        What was brought.

    Raises
    ------
    NotFoundError
        If there is no graph, or upstream cannot be reached.
    """
    wanted = open_graph(change.layout, change.state).load().wanted()
    with open_upstream(change.state, layout=change.layout, change=change) as upstream:
        ensure_staging(change, upstream)
        return fetch_wanted(change, upstream, wanted, held=None)


def fetch_wanted(
    change: Change, upstream: Repo, wanted: Any, *, held: Sequence[bytes] | None = ()
) -> FetchReport:
    """Bring rows from upstream into staging, and files as the campaign says.

    Parameters
    ----------
    change : Change
        The change that is being made.
    upstream : Repo
        Where they are, open.
    wanted : GraphWanted
        Which.
    held : sequence of bytes or None, optional
        Datasets that staging has besides, whose files are to come too; None for all.

    Returns
    -------
    FetchReport
        What was brought.
    """
    from sync.clone import execute_fetch, plan_fetch
    from sync.fetching.artifacts import plan_artifacts

    began = time.monotonic()
    mode = cast("ArtifactMode", change.state.artifacts)
    with open_staging(change.layout, writable=True) as staging:
        _bind_cache(change, staging)
        plan = plan_fetch(upstream, staging, wanted)
        # Of a plan with conflicts no file is looked at.
        chosen = None if held is None else [*held, *wanted.dataset_ids]
        files = None
        if mode != "direct" and not plan.conflicts:
            files = plan_artifacts(plan.datasets, upstream, staging, mode, held=chosen)
        if files is not None and files.tasks:
            change.arriving()
        done = execute_fetch(plan, staging, files, at=change.at, on_progress=_progress.get())
    datasets: dict[str, int] = {}
    for batch in plan.datasets:
        name = batch.dataset_type.name
        datasets[name] = datasets.get(name, 0) + batch.rows.n_rows
    return FetchReport(
        counts={kind: dict(classes) for kind, classes in plan.counts.items()},
        datasets=datasets,
        referred_bytes=plan.size_bytes,
        copied_bytes=done.size_bytes,
        artifacts=mode,
        files=len(files.tasks) if files is not None else 0,
        notes=[str(note) for note in (*plan.changed, *(files.notes if files is not None else ()))],
        seconds=time.monotonic() - began,
    )


def _bind_cache(change: Change, staging: Repo) -> None:
    """Let workers, who know no campaign, know how large the cache may become."""
    from sync.fetching.binding import bind, read_binding

    root, size = staging.datastore.root, change.state.cache_size
    if read_binding(root).cache != size:
        bind(root, cache=size)


def ensure_fetched(change: Change, graph: QuantumGraph) -> None:
    """Fetch what a graph needs, unless staging has its inputs (a fetch brings all or nothing).

    Parameters
    ----------
    change : Change
        The change that is being made.
    graph : QuantumGraph
        The graph.
    """
    wanted = graph.wanted()
    if is_fetched(change.layout, wanted):
        with open_staging(change.layout) as staging:
            _bind_cache(change, staging)
        return
    with open_upstream(change.state, layout=change.layout, change=change) as upstream:
        ensure_staging(change, upstream)
        fetch_wanted(change, upstream, wanted)


def is_fetched(layout: Layout, wanted: GraphWanted) -> bool:
    """Tell whether staging has what a graph needs.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    wanted : GraphWanted
        What that is.

    Returns
    -------
    bool
        Then upstream is not asked.
    """
    if not layout.staging.is_file():
        return False
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        return _is_fetched(snapshot, wanted)


def _is_fetched(snapshot: Snapshot, wanted: GraphWanted) -> bool:
    ids = set(wanted.dataset_ids)
    if len(snapshot.existing_ids(list(ids))) < len(ids):
        return False
    keys = {} if ids else wanted.records
    return all(snapshot.records(name, keys=rows).n_rows == rows.n_rows for name, rows in keys.items())
