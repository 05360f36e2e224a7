"""Freeing the files of a campaign that upstream holds too: outputs of runs that were pushed, fetched inputs, the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, NotFoundError
from registry.model.collections import CollectionType
from stage.campaign.fetching import progress_of_files
from stage.campaign.graph_reports import Document
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["FreeReport", "free_files"]

_BROKEN_OFF = "a push of it was broken off and needs them; finish it: stage push"


@dataclass(frozen=True)
class FreeReport(Document):
    """What was freed, or would be.

    Parameters
    ----------
    runs : sequence of str
        The runs whose files were asked about.
    files, size_bytes : int
        Files that go, and their bytes.
    shared_bytes : int
        How much of that has another name elsewhere (hard links), so that its room is not freed.
    counts : sequence of mapping
        What goes: ``dataset_type``, ``run``, ``n``, ``size``.
    kept : sequence of mapping
        What stays: ``code``, ``why``, ``n``, ``first``.
    cached, cached_bytes : int
        Objects of this machine's cache that go, and their bytes.
    done : bool
        Whether it was done.
    moved : int
        Datasets whose records refer to upstream's files from then on.
    """

    runs: Sequence[str] = ()
    files: int = 0
    size_bytes: int = 0
    shared_bytes: int = 0
    counts: Sequence[Mapping[str, Any]] = ()
    kept: Sequence[Mapping[str, Any]] = ()
    cached: int = 0
    cached_bytes: int = 0
    done: bool = False
    moved: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return not (self.files or self.moved or self.cached)


def free_files(
    layout: Layout,
    state: CampaignState,
    runs: Sequence[str],
    *,
    dataset_type: Sequence[str] = (),
    inputs: bool = False,
    cache: bool = False,
    verify: bool = False,
    dry_run: bool = False,
) -> FreeReport:
    """Remove files that upstream holds with the same bytes.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    runs : sequence of str
        Whose files; of all its runs if neither these nor `inputs` nor `cache` is given.
    dataset_type : sequence of str, optional
        Globs of dataset types; all by default.
    inputs : bool, optional
        Files of inputs that were fetched.
    cache : bool, optional
        What this machine's cache holds.
    verify : bool, optional
        Read upstream's bytes and compare them.
    dry_run : bool, optional
        Only say what would go.

    Returns
    -------
    FreeReport
        What goes, and what stays and why.

    Raises
    ------
    NotFoundError
        If there is no such run, no staging, or upstream cannot be reached.
    ConflictError
        If there are files and none of them may go; nothing has changed.
    StorageError
        If a file cannot be removed; the same again goes on.
    """
    report = FreeReport()
    if runs or inputs or not cache:
        report = _free(layout, state, runs, dataset_type, inputs=inputs, verify=verify, dry_run=dry_run)
    if cache:
        n, size = _empty_cache(dry_run=dry_run)
        report = replace(report, cached=n, cached_bytes=size, done=not dry_run)
    if not dry_run and report.is_empty and report.kept:
        raise _nothing(report)
    return report


def _free(
    layout: Layout,
    state: CampaignState,
    runs: Sequence[str],
    dataset_type: Sequence[str],
    *,
    inputs: bool,
    verify: bool,
    dry_run: bool,
) -> FreeReport:
    from sync.drop import execute_drop, plan_drop

    with (
        open_upstream(state, layout=layout) as upstream,
        open_staging(layout, writable=not dry_run) as staging,
    ):
        check_same_upstream(staging, upstream)
        with staging.registry.read() as snapshot:
            own = _own_runs(snapshot, state)
            broken = _broken_off(snapshot)
        chosen = _chosen(runs, own, is_all=not inputs)
        plan = plan_drop(
            staging,
            upstream,
            chosen,
            inputs_beside=own if inputs else None,
            dataset_types=dataset_type,
            unfinished=broken,
            verify=verify,
        )
        if not dry_run:
            execute_drop(plan, staging, on_progress=progress_of_files())
    told = plan.to_document()
    return FreeReport(
        runs=chosen,
        files=told["files"],
        size_bytes=told["size_bytes"],
        shared_bytes=told["shared_bytes"],
        counts=told["counts"],
        kept=[asdict(kept) for kept in plan.kept],
        done=not dry_run,
        moved=plan.rows.n_rows,
    )


def _own_runs(snapshot: Snapshot, state: CampaignState) -> list[str]:
    there = {c.name for c in snapshot.collections(types=[CollectionType.RUN])}
    return [name for name in (*state.collections.created, *state.collections.runs) if name in there]


def _chosen(runs: Sequence[str], own: Sequence[str], *, is_all: bool) -> list[str]:
    for run in runs:
        if run not in own:
            raise NotFoundError(
                f"run '{run}' is none of the campaign's own",
                code="no-such-run",
                hint="See them: 'stage status'. Files of inputs go by 'stage drop --inputs'.",
            )
    if runs or not is_all:
        return list(dict.fromkeys(runs))
    return list(dict.fromkeys(own))


def _broken_off(snapshot: Snapshot) -> dict[str, str]:
    """Return the runs of which a push was begun and not finished."""
    from sync import journal

    out: dict[str, str] = {}
    for entry in reversed(journal.entries(snapshot, "push")):
        for run in entry.payload.get("runs", ()):
            if entry.state in {journal.BEGUN, journal.MOVED}:
                out[run] = _BROKEN_OFF
            else:
                out.pop(run, None)
    return out


def _empty_cache(*, dry_run: bool) -> tuple[int, int]:
    from sync.cache import cache_here

    found = cache_here()
    if found is None:
        return 0, 0
    return found.size_bytes() if dry_run else found.clear()


def _nothing(report: FreeReport) -> ConflictError:
    first = report.kept[0]
    reasons = "; ".join(f"{kept['n']:,}: {kept['why']} (first: {kept['first']})" for kept in report.kept)
    return ConflictError(
        f"none of these files may go: {reasons}",
        code="not-upstream" if first["code"] == "not-upstream" else "nothing-to-drop",
        hint="Push the runs first: stage push."
        if first["code"] == "not-upstream"
        else "See what holds: stage drop --dry-run.",
    )
