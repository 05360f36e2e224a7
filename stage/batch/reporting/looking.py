"""Looking at submissions: which there are, and where each is. Nothing is locked, nothing is written."""

from __future__ import annotations

import time

from registry.errors import NotFoundError, StageError
from stage.batch.engines.base import JobState
from stage.batch.reporting.report import BatchReport, RunSummary
from stage.batch.reporting.whole import Whole, whole_of
from stage.batch.submission.handing import has_begun, is_driven
from stage.batch.submission.identity import Identity, SubmitStage, load_identity
from stage.batch.submission.index import IndexEntry, all_entries, find_entry

__all__ = ["ENDED", "report_runs", "summary_of"]

ENDED = frozenset({JobState.SUCCEEDED.value, JobState.FAILED.value, JobState.DELETED.value})
_DAY_NS = 86_400 * 10**9


def report_runs(id_text: str, *, user: str = "", hist: float = 0.0, logs: bool = False) -> BatchReport:
    """Say where submissions are.

    Parameters
    ----------
    id_text : str
        One in detail; empty for several.
    user : str, optional
        Only those of this user, or operator.
    hist : float, optional
        Also those that were submitted in so many days and have ended.
    logs : bool, optional
        Of one: also the end of what jobs that failed printed.

    Returns
    -------
    BatchReport
        The oldest first.

    Raises
    ------
    NotFoundError
        If there is none that is called so.
    """
    if id_text:
        return _one(find_entry(id_text), logs=logs)
    since = time.time_ns() - int(hist * _DAY_NS)
    runs = []
    for entry in all_entries():
        if user and user not in (entry.user, entry.labels.get("operator")):
            continue
        found = summary_of(entry)
        is_recent = hist > 0 and entry.at_ns >= since
        if is_recent or (found.state not in ENDED and entry.where.root.is_dir()):
            runs.append(found)
    return BatchReport(runs, hist=hist)


def _one(entry: IndexEntry, *, logs: bool) -> BatchReport:
    from stage.batch.reporting.detail import detail_of
    from stage.batch.reporting.states import states_of
    from stage.batch.workflow.file import load_workflow

    where = entry.where
    summary = summary_of(entry)
    if not where.identity.is_file():
        raise NotFoundError(
            f"{where.root}, the directory of submission {entry.id} ({entry.name}), is gone",
            code="no-such-submission",
            hint="What was merged of it is in its campaign: stage status there.",
        )
    identity = load_identity(where)
    if not where.workflow.is_file():
        return BatchReport([summary])
    workflow = load_workflow(where.workflow)
    states, _ = states_of(where, workflow)
    return BatchReport([summary], detail_of(where, identity, workflow, states, logs=logs))


def summary_of(entry: IndexEntry) -> RunSummary:
    """Say where one submission is.

    Parameters
    ----------
    entry : IndexEntry
        Which.

    Returns
    -------
    RunSummary
        UNKNOWN if its directory is gone, or cannot be read; the note says why.
    """
    whole = _whole(entry)
    labels = entry.labels
    return RunSummary(
        whole.flag,
        str(whole.state),
        whole.percent,
        entry.id,
        labels.get("operator", ""),
        labels.get("project", ""),
        labels.get("campaign", ""),
        labels.get("payload", ""),
        entry.name,
        entry.submit_dir,
        entry.user,
        entry.host,
        entry.at_ns,
        whole.note,
    )


def _whole(entry: IndexEntry) -> Whole:
    from stage.batch.reporting.states import states_of

    where = entry.where
    if not where.root.is_dir():
        return Whole(JobState.UNKNOWN, "", 0, f"its directory {where.root} is gone")
    try:
        identity = load_identity(where)
        if not has_begun(where, identity):
            return _unsubmitted(entry, identity)
        if not identity.has_done(SubmitStage.SUBMIT) and not is_driven(where):
            return _perhaps_begun(entry)
        states, needs_head = states_of(where)
        return whole_of(states, str(entry.id or where.root), needs_head=needs_head)
    except StageError as error:
        return Whole(JobState.UNKNOWN, "!", 0, f"{error}")


def _perhaps_begun(entry: IndexEntry) -> Whole:
    note = f"whether its jobs have begun is not known: its command was ended at that moment. To go on: stage batch submit {entry.submit_dir}"
    return Whole(JobState.UNKNOWN, "!", 0, note)


def _unsubmitted(entry: IndexEntry, identity: Identity) -> Whole:
    done = [s.value for s in SubmitStage if identity.has_done(s)]
    note = f"not handed over yet ({', '.join(done) or 'nothing'} done): stage batch submit {entry.submit_dir}"
    return Whole(JobState.UNREADY, "", 0, note)
