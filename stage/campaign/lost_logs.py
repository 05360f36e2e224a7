"""Logs of quanta that staging does not have: of those that jobs have recorded, and of those that were running.

The first are in the datastore, as record files tell; the text of the others lies under ``logs/``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from registry.errors import NotFoundError, StageError
from registry.model.columns import Columns
from registry.model.records import QuantumStatus
from stage.campaign.lock import read_holder
from stage.campaign.log_choice import chosen_by_query
from stage.campaign.outcomes import by_data_id, has_collection, planned_tasks
from stage.campaign.reading import log_text, read_logs
from stage.campaign.reports import LogEntry
from stage.campaign.steps import run_graphs
from stage.campaign.unmerged import Unmerged, is_complete, unmerged

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["logs_of", "lost_logs"]

_KILLED, _RUNNING = "killed", "running"
_MESSAGE = "the run ended before this was recorded (it was killed, or interrupted); 'stage run' does it again"
_UUID_LENGTH = 36
_ATTEMPT = re.compile(r", attempt (\d+), on ")
"""As `stage.execution.worker.QuantumRunner.run` begins a log."""


def logs_of(
    staging: Repo,
    layout: Layout,
    run: str,
    *words: str,
    failed: bool = False,
    tail: int | None = None,
    attempts: bool = False,
    data_query: str = "",
) -> list[LogEntry]:
    """Read the logs of a run's quanta: those that are recorded, by jobs too, then those of which no end is recorded.

    Parameters
    ----------
    staging : Repo
        Open.
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.
    *words : str
        As for `stage.campaign.reading.read_logs`, as are all others.
    failed, tail, attempts, data_query : optional
        As there.

    Returns
    -------
    list of LogEntry
        By task and data ID.

    Raises
    ------
    StageError
        As there.
    """
    label = next((w for w in words if "=" not in w), None)
    with staging.registry.read() as snapshot:
        lost = lost_logs(
            snapshot, layout, run, label=label, chosen=dict(w.split("=", 1) for w in words if "=" in w),
            data_query=data_query, failed=failed, tail=tail,
        )  # fmt: skip
        newer = unmerged(snapshot, layout, run) if has_collection(snapshot, run) else []
        of_jobs = _chosen(
            snapshot, newer, label, dict(w.split("=", 1) for w in words if "=" in w), data_query
        )
    try:
        recorded = read_logs(
            staging, run, *words, failed=failed, tail=tail, attempts=attempts, data_query=data_query
        )
    except NotFoundError as error:
        # A task of which nothing is recorded yet is none that the run does not have.
        if error.code != "no-such-task" or label not in planned_tasks(layout, run):
            raise
        recorded = []
    if of_jobs:
        recorded = _with_jobs(staging, recorded, of_jobs, failed=failed, tail=tail, attempts=attempts)
    return [*recorded, *lost]


def _chosen(
    snapshot: Snapshot, rows: list[Unmerged], label: str | None, chosen: dict[str, str], data_query: str
) -> list[Unmerged]:
    """Return those of some quanta that are asked for, whatever became of them."""
    rows = [r for r in rows if label in (None, r.task) and (not chosen or _matches(r.data_id, chosen))]
    if not rows or not data_query.strip():
        return rows
    named = Columns.from_rows(
        ("task", "data_id", "place"), [(r.task, r.data_id, i) for i, r in enumerate(rows)]
    )
    return [rows[i] for i in chosen_by_query(snapshot, named, data_query)["place"].tolist()]


def _with_jobs(
    staging: Repo,
    recorded: list[LogEntry],
    rows: list[Unmerged],
    *,
    failed: bool,
    tail: int | None,
    attempts: bool,
) -> list[LogEntry]:
    """Put in what jobs have recorded; it takes the place of what staging says of the same quantum."""
    newest = {(r.task, r.data_id): r.status for r in rows if r.is_last}
    if not attempts:
        recorded = [e for e in recorded if (e.task, e.data_id) not in newest]
    asked = [r for r in rows if (attempts and (r.task, r.data_id) in newest) or r.is_last]
    if failed:
        recorded = [e for e in recorded if newest.get((e.task, e.data_id), e.status) == QuantumStatus.FAILED]
        asked = [r for r in asked if newest[r.task, r.data_id] == QuantumStatus.FAILED]
    texts = (log_text(staging, r.log, tail) for r in asked)
    found = [
        LogEntry(r.task, r.data_id, r.status, r.message, text, r.attempt)
        for r, text in zip(asked, texts, strict=True)
    ]
    return sorted([*recorded, *found], key=lambda e: (*by_data_id((e.task, e.data_id)), e.attempt))


def lost_logs(
    snapshot: Snapshot,
    layout: Layout,
    run: str,
    *,
    label: str | None = None,
    chosen: dict[str, str] | None = None,
    data_query: str = "",
    failed: bool = False,
    tail: int | None = None,
) -> list[LogEntry]:
    """Read the logs of quanta that began and of which no end is recorded.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    layout : Layout
        The campaign's paths.
    run : str
        A RUN.
    label : str, optional
        Only this task.
    chosen : dict, optional
        Only data IDs with these values, as text.
    data_query : str, optional
        Only data IDs that fulfil this.
    failed : bool, optional
        Without those that may be running now.
    tail : int, optional
        Only the last lines of each, so many.

    Returns
    -------
    list of LogEntry
        By task and data ID. Their status is ``killed``, or ``running`` while somebody changes the campaign.

    Notes
    -----
    A directory for each task is listed. Graphs are read only where a run is not complete and there is such a log.
    """
    is_busy = read_holder(layout.lock) is not None
    if (is_busy and failed) or not has_collection(snapshot, run) or is_complete(snapshot, layout, run):
        return []
    files = {UUID(path.stem[-_UUID_LENGTH:]).bytes: path for path in _files(layout.logs / run, label)}
    quanta = snapshot.quanta([run])
    complete = np.isin(quanta["status"].astype(str), list(QuantumStatus.COMPLETE))
    ended = {i: (s, a) for i, s, a in quanta.take(~complete).rows(("id", "status", "attempt"))}
    done = set(quanta["id"][complete].tolist())
    rows: list[tuple[str, str, Path]] = []
    for graph in _graphs(layout, run) if len(files) > len(done) or ended else ():
        rows += _unrecorded(graph, files, done, ended)
    if data_query.strip() and rows:
        table = Columns.from_rows(("task", "data_id", "path"), rows)
        rows = chosen_by_query(snapshot, table, data_query).rows(("task", "data_id", "path"))
    status = _RUNNING if is_busy else _KILLED
    return [
        LogEntry(task, data_id, status, "" if is_busy else _MESSAGE, _text(path, tail))
        for task, data_id, path in sorted(rows, key=by_data_id)
        if _matches(data_id, chosen or {})
    ]


def _files(folder: Path, label: str | None) -> Iterator[Path]:
    """Yield the logs of a run that can be followed while its quanta run."""
    if not folder.is_dir():
        return
    for task in [folder / label] if label else [Path(e) for e in os.scandir(folder) if e.is_dir()]:
        if task.is_dir():
            for entry in os.scandir(task):
                path = Path(entry)
                if path.suffix == ".log" and path.stem[-_UUID_LENGTH:].count("-") == 4:
                    yield path


def _graphs(layout: Layout, run: str) -> Iterator[QuantumGraph]:
    from stage.graph.graph import QuantumGraph

    for path in run_graphs(layout, run):
        try:
            yield QuantumGraph.load(str(path))
        except StageError:
            return


def _unrecorded(
    graph: QuantumGraph, files: dict[bytes, Path], done: set[bytes], ended: dict[bytes, tuple[str, int]]
) -> list[tuple[str, str, Path]]:
    """Return task, data ID and log of the quanta of one graph that began after all that is recorded of them."""
    from stage.graph.dependencies import producers

    kinds = graph.layout.types
    names = {c.dataset_type for t in graph.layout.tasks for c in t.connections if c.role == "log"}
    logs = np.concatenate(
        [np.arange(k.offset, k.offset + k.n_datasets) for k in kinds if k.name in names]
        or [np.zeros(0, dtype=np.int64)]
    )
    here = [(n, i) for n, i in enumerate(graph.dataset_ids(logs)) if i in files]
    makers = producers(graph)[logs[[n for n, _ in here]]] if here else np.zeros(0, dtype=np.int64)
    quanta = graph.quantum_rows(makers.tolist())
    out = []
    for (_, log), (quantum, task, data_id) in zip(here, quanta.rows(("id", "task", "data_id")), strict=True):
        if quantum not in done and (quantum not in ended or _is_later(files[log], *ended[quantum])):
            out.append((task, data_id, files[log]))
    return out


def _is_later(path: Path, status: str, attempt: int) -> bool:
    """Tell whether a log is of a later attempt than the one that is recorded; a blocked one is none."""
    with path.open(errors="replace") as file:
        found = _ATTEMPT.search(file.readline())
    return found is not None and int(found[1]) >= attempt + (status != QuantumStatus.BLOCKED)


def _matches(data_id: str, chosen: dict[str, str]) -> bool:
    import json

    values = json.loads(data_id)
    return all(str(values.get(name)) == value for name, value in chosen.items())


def _text(path: Path, tail: int | None) -> str:
    from stage.execution.logs import QuantumLog

    log = QuantumLog()
    log.resume(str(path))
    if tail is None:
        return log.text
    return "\n".join(log.text.splitlines()[-tail:] if tail else [])
