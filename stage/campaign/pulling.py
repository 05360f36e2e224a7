"""Bringing a campaign's staging up to date with upstream; upstream is only read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from stage.campaign.fetching import progress_of_files
from stage.campaign.graphs import open_graph
from stage.campaign.newer import Newer, look_again
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream
from stage.graph.wanted import GraphWanted

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.fetching.artifacts import ArtifactMode, ArtifactPlan
    from sync.pulling.plan import PullPlan
    from sync.repo import Repo

__all__ = ["PullReport", "execute_pulling", "plan_of_pull", "plan_pulling"]

_BUILD = "stage build"


@dataclass(frozen=True)
class PullReport:
    """What a pull did, or would do.

    Parameters
    ----------
    plan : PullPlan
        The plan.
    dry_run : bool
        Whether it was only planned.
    pulled : bool
        Whether something was written into staging.
    collections : sequence of str
        Inputs that hold something else upstream than when the graph was built, a line each.
    newer : mapping of str to mapping
        Dataset type to how many datasets a graph that is built now would read: ``new`` ones, and ones that have
        ``replaced`` others; and how many are ``removed``.
    next_commands : sequence of str
        What is to be done next: a graph that was built from what has changed since is built again.
    copied_bytes, removed_files : int
        Bytes of files that were copied, and number of the campaign's own files that went.
    seconds : float
        Time taken.
    """

    plan: PullPlan
    dry_run: bool = False
    pulled: bool = False
    collections: Sequence[str] = ()
    newer: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    next_commands: Sequence[str] = ()
    copied_bytes: int = 0
    removed_files: int = 0
    seconds: float = 0.0

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            The plan's document, and the other fields.
        """
        return {
            **self.plan.to_document(),
            "dry_run": self.dry_run,
            "pulled": self.pulled,
            "collections": list(self.collections),
            "newer": {name: dict(counts) for name, counts in self.newer.items()},
            "next_commands": list(self.next_commands),
            "copied_bytes": self.copied_bytes,
            "removed_files": self.removed_files,
            "seconds": self.seconds,
        }


def plan_pulling(layout: Layout, state: CampaignState, on_conflict: Sequence[str] = ()) -> PullReport:
    """Say what a pull would do.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    on_conflict : sequence of str, optional
        What becomes of conflicts: ``CODE=fail``, ``CODE=keep`` or ``CODE=take``.

    Returns
    -------
    PullReport
        With its conflicts, if there are any.

    Raises
    ------
    StageError
        If there is no staging, or upstream cannot be reached.
    """
    began = time.monotonic()
    with open_staging(layout) as staging, open_upstream(state, layout=layout) as upstream:
        check_same_upstream(staging, upstream)
        newer, plan = plan_of_pull(layout, state, upstream, staging, on_conflict)
        _files(state, plan, upstream, staging)
    return _report(state, plan, newer, dry_run=True, seconds=time.monotonic() - began)


def execute_pulling(change: Change, on_conflict: Sequence[str] = ()) -> PullReport:
    """Bring staging up to date.

    Parameters
    ----------
    change : Change
        The change that is being made.
    on_conflict : sequence of str, optional
        What becomes of conflicts: ``CODE=fail``, ``CODE=keep`` or ``CODE=take``.

    Returns
    -------
    PullReport
        What was done.

    Raises
    ------
    ConflictError
        If both sides have changed something and no policy says which counts; nothing was written.
    StageError
        If there is no staging, or upstream cannot be reached.
    """
    from sync.pull import execute_pull

    began = time.monotonic()
    layout, state = change.layout, change.state
    with open_staging(layout, writable=True) as staging, open_upstream(state, layout=layout) as upstream:
        check_same_upstream(staging, upstream)
        newer, plan = plan_of_pull(layout, state, upstream, staging, on_conflict)
        files = _files(state, plan, upstream, staging)
        done = execute_pull(plan, staging, files, on_progress=progress_of_files())
    told = _summary(plan)
    if told:
        change.told["pulled"] = ("", told)
    return _report(
        state, plan, newer, pulled=not plan.is_empty, copied_bytes=done.size_bytes, removed_files=done.n_removed,
        seconds=time.monotonic() - began,
    )  # fmt: skip


def plan_of_pull(
    layout: Layout, state: CampaignState, upstream: Repo, staging: Repo, on_conflict: Sequence[str] = ()
) -> tuple[Newer, PullPlan]:
    """Decide what a pull would change, in open repositories.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    upstream, staging : Repo
        Open to read at least.
    on_conflict : sequence of str, optional
        What becomes of conflicts.

    Returns
    -------
    newer : Newer
        What a graph built now would read.
    plan : PullPlan
        What there is to do.
    """
    from sync.pull import plan_pull

    if state.quantum_graph.uri is None:
        newer = Newer(GraphWanted((), {}, (), list(state.collections.inputs)))
    else:
        graph = open_graph(layout, state).load()
        newer = look_again(layout, state, graph, upstream, staging)
    return newer, plan_pull(upstream, staging, cast("Any", newer.wanted), policies=on_conflict)


def _files(state: CampaignState, plan: PullPlan, upstream: Repo, staging: Repo) -> ArtifactPlan | None:
    """Decide about the files of what is new; of a plan with conflicts none is looked at."""
    from sync.fetching.artifacts import plan_artifacts

    mode = cast("ArtifactMode", state.artifacts)
    if mode == "direct" or plan.conflicts:
        return None
    return plan_artifacts(plan.rows.new_datasets, upstream, staging, mode)


def _summary(plan: PullPlan) -> str:
    """Say for the history what a pull changes."""
    sums = {what: sum(c.get(what, 0) for c in plan.counts.values()) for what in ("new", "taken", "removed")}
    return ", ".join(f"{n} {what}" for what, n in sums.items() if n)


def _report(state: CampaignState, plan: PullPlan, newer: Newer, **facts: Any) -> PullReport:
    has_graph = state.quantum_graph.uri is not None
    is_stale = newer.collections or plan.changes_what_is_read
    steps = [_BUILD] if has_graph and is_stale and not plan.conflicts else []
    return PullReport(plan, collections=newer.collections, newer=newer.datasets, next_commands=steps, **facts)
