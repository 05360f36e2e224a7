"""Checking a campaign: its staging as any repository, and what only a campaign has."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, NotFoundError, StageError
from stage.campaign.change import changing
from stage.campaign.command_line import command_text
from stage.campaign.lock import Holder, campaign_lock, read_holder
from stage.campaign.outcomes import planned_tasks, task_counts
from stage.campaign.outputs import given_runs
from stage.campaign.repositories import check_same_upstream, lost_staging, open_staging, open_upstream
from stage.campaign.state import CampaignState, load_state
from stage.campaign.steps import run_graphs
from stage.campaign.undo import is_half_done
from sync.paths import safe_part

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from sync.fsck.check import CheckOptions
    from sync.fsck.findings import Finding, FsckPlan, FsckReport, Repaired
    from sync.repo import Repo

__all__ = ["check_campaign", "dead_holder"]

_RECORDS, _COMPRESSED = b"stage-records", b"\x28\xb5\x2f\xfd"


def check_campaign(layout: Layout, options: CheckOptions) -> FsckReport:
    """Check a campaign, and repair it where that was asked for.

    Parameters
    ----------
    layout : Layout
        Its paths.
    options : CheckOptions
        How.

    Returns
    -------
    FsckReport
        What is (still) wrong, and what was repaired.

    Raises
    ------
    BusyError
        If another command changes it and a repair was asked for. Without one nothing waits for anybody.
    """
    from sync.fsck.check import check_repo
    from sync.fsck.findings import FsckPlan, FsckReport

    with ExitStack() as stack:
        mended = _mend(layout) if options.repair else ()
        if options.repair:
            stack.enter_context(campaign_lock(layout.lock, command_text("fsck")))
        state, own = _state(layout)
        own += [
            *_of_files(layout),
            *_of_graphs(layout, state, full=options.depth == "full"),
            *_of_records(layout, state),
        ]

        def more(plan: FsckPlan) -> FsckPlan:
            return plan.with_findings([*own, *_of_staging(layout, state)])

        if not layout.staging.is_file() and lost_staging(layout) is None:
            return FsckReport(FsckPlan(str(layout.root), options.depth, ()).with_findings(own), mended)
        report = check_repo(
            str(layout.root), _opening(layout), options, awaited=_awaited(layout, state), more=more
        )
    return FsckReport(report.plan, (*mended, *report.repaired))


def _opening(layout: Layout) -> Callable[[bool], AbstractContextManager[Repo]]:
    return lambda writable: open_staging(layout, writable=writable)


def _state(layout: Layout) -> tuple[CampaignState | None, list[Finding]]:
    from sync.fsck.findings import Finding

    try:
        return load_state(layout.state), []
    except NotFoundError:
        raise
    except StageError as exc:
        return None, [Finding("state-damaged", str(layout.state), (layout.state.name,), exc.message)]


def dead_holder(path: Path) -> Holder | None:
    """Return whom a lock file names though nobody holds it.

    Parameters
    ----------
    path : pathlib.Path
        The lock file.

    Returns
    -------
    Holder or None
        None if somebody holds it, or it names nobody.
    """
    if read_holder(path) is not None:  # then this process must not open it
        return None
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _mend(layout: Layout) -> tuple[Repaired, ...]:
    """Do what the next command that changes the campaign would do by itself."""
    from sync.fsck.findings import Repaired

    done = []
    dead, half = dead_holder(layout.lock), _half_done(layout)
    if half:
        with changing(layout, command_text("fsck")):
            pass
        done.append(Repaired("change-unfinished", "took back a change that was left half done", half))
    if dead is not None:
        with campaign_lock(layout.lock, command_text("fsck")):
            pass
        done.append(Repaired("dead-lock", "cleared the lock of a command that has ended", (str(dead),)))
    return tuple(done)


def _of_files(layout: Layout) -> list[Finding]:
    from sync.fsck.findings import Finding

    out = []
    dead = dead_holder(layout.lock)
    if dead is not None:
        out.append(Finding("dead-lock", str(layout.lock), (str(dead),)))
    half = _half_done(layout)
    if half and read_holder(layout.lock) is None:
        out.append(Finding("change-unfinished", str(layout.root), half))
    return out


def _half_done(layout: Layout) -> tuple[str, ...]:
    """Return what a change that is being made, or whose command was killed, keeps in the campaign's directory."""
    begun = [".campaign.undo"] if is_half_done(layout) else []
    return (*begun, *sorted(path.name for path in layout.root.glob(".*.new-*")))


def _of_graphs(layout: Layout, state: CampaignState | None, *, full: bool) -> list[Finding]:
    """Look at the campaign's graph and at those of its runs."""
    from sync.fsck.findings import Finding

    if state is None:
        return []
    out = []
    universe = _universe(layout)
    named: list[tuple[str, str | None]] = [
        (str(path), run) for run in state.collections.runs for path in run_graphs(layout, run)
    ]
    if state.quantum_graph.uri is not None:
        named.insert(0, (layout.resolve(state.quantum_graph.uri), None))
    for uri, run in named:
        code, why = _judge_graph(uri, run, universe, full=full)
        if code:
            out.append(Finding(code, uri, (layout.relative(uri),), why))
    return out


def _universe(layout: Layout) -> Any:
    try:
        with open_staging(layout) as staging:
            return staging.registry.universe
    except StageError:
        return None  # which is told elsewhere


def _judge_graph(uri: str, run: str | None, universe: Any, *, full: bool) -> tuple[str, str]:
    from stage.graph.file.reader import GraphFile

    try:
        with GraphFile.open(uri) as graph:
            if run is not None and graph.header.output_run != run:
                return "graph-foreign", f"it is of run '{graph.header.output_run}', and lies with '{run}'"
            if universe is not None and graph.universe != universe:
                return "graph-foreign", "its universe is not that of staging"
            if full:
                graph.verify()
    except NotFoundError as exc:
        return "graph-missing", exc.message
    except StageError as exc:
        return "graph-damaged", exc.message
    return "", ""


def _of_records(layout: Layout, state: CampaignState | None) -> list[Finding]:
    """Look at the records of jobs that lie with runs."""
    from stage.execution.record_file import RecordFile
    from sync.fsck.findings import Finding

    out = []
    for run, path in _record_files(layout, state):
        name = layout.relative(str(path))
        try:
            found = RecordFile.load(path)
        except StageError as exc:
            out.append(Finding("record-damaged", str(path.parent), (name,), exc.message))
            continue
        if found.run != run:
            out.append(Finding("record-foreign", str(path.parent), (name,), f"of run '{found.run}'"))
    return out


def _record_files(layout: Layout, state: CampaignState | None) -> Iterator[tuple[str, Path]]:
    runs = state.collections.runs if state is not None else ()
    for run in runs:
        folder = layout.submit(run)
        nested = {layout.submit(other) for other in runs if other != run}
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.suffix != ".qg" and not nested & set(path.parents):
                with path.open("rb") as file:
                    head = file.read(200)
                if _RECORDS in head or "record" in path.name or head.startswith(_COMPRESSED):
                    yield run, path


def _of_staging(layout: Layout, state: CampaignState | None) -> list[Finding]:
    """Look at what staging has noted of pushes, and whether upstream is the one that was cloned."""
    from sync.fsck.notes import noted_work

    try:
        with open_staging(layout) as staging:
            return [*noted_work(staging), *(_of_upstream(staging, state) if state is not None else ())]
    except StageError:
        return []  # what keeps staging from being read is told with its rows


def _of_upstream(staging: Repo, state: CampaignState) -> list[Finding]:
    from sync.filesystem.files import redact
    from sync.fsck.findings import Finding

    where = redact(state.repo)
    try:
        with open_upstream(state) as upstream:
            check_same_upstream(staging, upstream)
    except ConflictError as exc:
        code = exc.code if exc.code in ("upstream-replaced", "universe-differs") else "upstream-replaced"
        return [Finding(code, where, (where,), exc.message)]
    except StageError as exc:
        code = "schema-version" if exc.code == "schema-version" else "upstream-unreachable"
        return [Finding(code, where, (where,), exc.message)]
    return []


def _awaited(layout: Layout, state: CampaignState | None) -> Callable[[Collection[str]], Collection[str]]:
    """Return what chooses, of files that no row names, those that are not to be taken for left over.

    Of runs that are not done the records may be still to come; those of runs that upstream holds where they are, are its own.
    """

    def choose(names: Collection[str]) -> Collection[str]:
        if state is None:
            return names
        kept = tuple("/".join((*map(safe_part, run.split("/")), "")) for run in _not_done(layout, state))
        return [name for name in names if name.startswith(kept)]

    return choose


def _not_done(layout: Layout, state: CampaignState) -> list[str]:
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        out = list(given_runs(staging))
        for run in state.collections.runs:
            planned = planned_tasks(layout, run)
            counts = task_counts(snapshot, run, planned)
            if not planned or any("missing" in c for c in counts.values()):
                out.append(run)
        return out
