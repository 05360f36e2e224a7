"""Bringing into staging what jobs recorded: of record files that are named, or of a whole submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, StageError, UsageError, nearest
from stage.batch.layout import SubmitDir
from stage.campaign.reports import RunReport
from stage.execution.record_file import RecordFile
from stage.execution.starts import newest_of
from sync.filesystem import files

if TYPE_CHECKING:
    from pathlib import Path

    from stage.campaign.change import Change
    from stage.execution.merge import MergeResult
    from stage.graph.file.reader import GraphFile

__all__ = ["merge_campaign", "records_below"]


def merge_campaign(
    change: Change, records: Sequence[str], run: str | None = None, *, finish: bool | None = None
) -> RunReport:
    """Bring the records of jobs into a campaign's staging.

    Parameters
    ----------
    change : Change
        The change that is being made.
    records : sequence of str
        Record files, all of one run: all of them are merged, or none.
    run : str, optional
        In their place: all below the directory of a submission; what cannot be merged is left out and named.
    finish : bool, optional
        Whether a run that is complete ends; it does by default.

    Returns
    -------
    RunReport
        What became of that run.

    Raises
    ------
    UsageError
        If nothing is named, or both; or the records are of several runs, or of none of the campaign's.
    NotFoundError
        If the campaign has no such run, or no job of it has recorded anything.
    """
    if bool(records) == bool(run):
        raise UsageError(
            "which records are to be merged has to be said"
            if not run
            else "the records are named, and a run too",
            code="bad-records",
            hint="As --run RUN, for all of a submission; or name files, submit/RUN/records/0/17.jsonl.",
        )
    known = change.state.collections.runs
    if run:
        if run not in known:
            raise NotFoundError(
                f"the campaign has no run '{run}'", code="unknown-run", hint=nearest(run, known)
            )
        found = records_below(SubmitDir(change.layout.submit(run)).records)
        if not found:
            raise NotFoundError(
                f"no job of run '{run}' has recorded anything",
                code="no-records",
                hint="'stage batch report' tells how far its jobs are.",
            )
        return _merge(change, run, found, leave_out_bad=True, finish=finish)
    runs = {RecordFile.load(uri).run for uri in records}
    if len(runs) != 1 or not runs <= set(known):
        raise UsageError(
            f"the records are of {', '.join(sorted(runs)) or 'no run'}; the campaign has {', '.join(known) or 'no runs'}",
            code="bad-records",
            hint="Merge the records of one of its runs at a time.",
        )
    return _merge(change, runs.pop(), records, leave_out_bad=False, finish=finish)


def records_below(folder: Path) -> list[str]:
    """Name the record files of a submission.

    Parameters
    ----------
    folder : pathlib.Path
        Where its jobs record.

    Returns
    -------
    list of str
        One a job that has begun: the file of its last start.
    """
    return [f"{folder}/{name}" for name in newest_of(files.list_files(folder))]


def _merge(
    change: Change, run: str, records: Sequence[str], *, leave_out_bad: bool, finish: bool | None
) -> RunReport:
    from stage.campaign.ephemeral import remove_merged
    from stage.campaign.repositories import open_staging
    from stage.campaign.run_options import RunOptions
    from stage.campaign.running import report_run
    from stage.campaign.steps import run_graphs
    from stage.execution.merge import merge_records
    from stage.graph.file.reader import GraphFile

    graphs = [
        GraphFile.open(str(path)) for path in run_graphs(change.layout, run) or [change.layout.run_graph(run)]
    ]
    merged: list[MergeResult] = []
    notes: tuple[str, ...] = ()
    n_removed, removed_bytes = 0, 0
    with open_staging(change.layout, writable=True) as staging:
        for graph, some in _by_graph(graphs, records, is_one=not leave_out_bad):
            loaded = graph.load()
            merged.append(merge_records(staging, loaded, some, leave_out_bad=leave_out_bad))
            removed, said = remove_merged(staging, loaded, RunOptions())
            notes, n_removed, removed_bytes = (
                (*notes, *said),
                n_removed + removed.n,
                removed_bytes + removed.size_bytes,
            )
    return replace(
        report_run(change, run, finish=finish),
        executed=sum(m.n_merged for m in merged),
        notes=notes,
        removed=n_removed,
        removed_bytes=removed_bytes,
        refused={uri: why for m in merged for uri, why in m.refused.items()},
    )


def _by_graph(
    graphs: Sequence[GraphFile], records: Sequence[str], *, is_one: bool
) -> list[tuple[GraphFile, list[str]]]:
    """Say which records are of which step's graph; those that nobody can read, or of none, go to the first."""
    if len(graphs) == 1:
        return [(graphs[0], list(records))]
    ids = [g.header.id for g in graphs]
    found: dict[int, list[str]] = {}
    # Files that are named are of one step: whichever graph the first is of, any of another is refused.
    for uri in records[:1] if is_one else records:
        try:
            graph_id = RecordFile.load(uri).graph_id
        except StageError:
            graph_id = b""
        found.setdefault(ids.index(graph_id) if graph_id in ids else 0, []).append(uri)
    return [(graphs[i], list(records) if is_one else some) for i, some in sorted(found.items())]
