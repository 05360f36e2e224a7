"""What is done about submissions that were handed over: ended, or begun again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from registry.errors import BusyError, ConflictError, NotFoundError, UsageError
from stage.batch.engines.base import JobState
from stage.batch.engines.finding import load_engine
from stage.batch.reporting.looking import ENDED, summary_of
from stage.batch.reporting.report import RunSummary
from stage.batch.submission.engines import SelfDriven
from stage.batch.submission.handing import await_end, drive, has_begun
from stage.batch.submission.identity import load_identity, save_identity, user_name
from stage.batch.submission.index import IndexEntry, all_entries, find_entry
from stage.batch.workflow.file import load_workflow
from stage.campaign.graph_reports import Document

__all__ = ["RestartReport", "cancel_runs", "restart_run"]

_STOP_S = 5.0


@dataclass(frozen=True)
class RestartReport(Document):
    """What begins again.

    Parameters
    ----------
    run_id : int
        The submission's number.
    run_name : str
        Unique name of its run.
    submit_dir : str
        Its directory.
    n_jobs : int
        How many jobs.
    state : str
        Where it was waited for: what became of it.
    engine, site : str
        What runs it from now on, and where; empty if that is as it was.
    n_ended : int
        Jobs that were ended where they ran before.
    n_abandoned : int
        Jobs that could not be ended there, and are left to themselves.
    """

    run_id: int
    run_name: str
    submit_dir: str
    n_jobs: int
    state: str = ""
    engine: str = ""
    site: str = ""
    n_ended: int = 0
    n_abandoned: int = 0


def cancel_runs(id_text: str, *, user: str = "", anybodys: bool = False) -> Sequence[RunSummary]:
    """End all jobs of submissions.

    Parameters
    ----------
    id_text : str
        Which; empty for all of a user.
    user : str, optional
        Whose.
    anybodys : bool, optional
        Also what another user has submitted.

    Returns
    -------
    sequence of RunSummary
        Those that were told to end.

    Raises
    ------
    UsageError
        If nothing says which.
    NotFoundError
        If there is none that could be ended.
    ConflictError
        If it is another user's.
    """
    if bool(id_text) == bool(user):
        raise UsageError(
            "which submissions are to be ended is not said"
            if not user
            else "--id and --user contradict each other",
            code="bad-option",
            hint="Give --id ID of one, or --user NAME for all of a user.",
        )
    entries = [find_entry(id_text)] if id_text else [e for e in all_entries() if e.user == user]
    going = [
        (e, s) for e in entries if (s := summary_of(e)).state not in ENDED and e.where.identity.is_file()
    ]
    going = [(e, s) for e, s in going if has_begun(e.where, load_identity(e.where))]
    if not going:
        known = _why_not(summary_of(entries[0])) if id_text else ""
        raise NotFoundError(
            f"0 jobs found matching arguments{known}",
            code="nothing-to-cancel",
            hint="See what is going on: stage batch report.",
        )
    for entry, _ in going:
        _check_ours(entry, anybodys=anybodys)
    for entry, _ in going:
        _cancel(entry)
    return [summary for _, summary in going]


def _why_not(found: RunSummary) -> str:
    """Say of one submission why nothing of it can be ended."""
    if found.state in ENDED or not found.note:
        return f": {found.run} has ended ({found.state})"
    return f": {found.run} is {found.note}"


def _cancel(entry: IndexEntry) -> None:
    from stage.batch.driving.starting import stop_head

    engine, identity = load_engine(entry.where), load_identity(entry.where)
    if not isinstance(engine, SelfDriven):
        stop_head(entry.where, cancel=True, timeout_s=_STOP_S)
    elif not identity.handle:
        raise ConflictError(
            f"what '{identity.engine}' calls {identity.name} was not noted: its command was ended at that moment",
            code="not-submitted",
            hint=f"Find it first: stage batch submit {entry.where.root}; then end it.",
        )
    elif not engine.cancel(identity.handle, identity.name):
        raise NotFoundError(
            f"0 jobs found matching arguments: '{identity.engine}' has none of {identity.name}",
            code="nothing-to-cancel",
            hint="It has ended, or is not ours: stage batch report.",
        )


def _check_ours(entry: IndexEntry, *, anybodys: bool) -> None:
    """Refuse to end what another user has submitted."""
    if entry.user != user_name() and not anybodys:
        raise ConflictError(
            f"submission {entry.id or entry.name} is {entry.user}'s, and you are {user_name()}",
            code="not-ours",
            hint="Ask them; or, where the system lets you, end it with --skip-require-bps.",
        )


def restart_run(
    id_text: str,
    *,
    memory: int | None = None,
    retries: int | None = None,
    settings: Sequence[str] = (),
    include_unlaunched: bool = True,
    compute_site: str = "",
    wms_service_class: str = "",
    abandon: bool = False,
    wait: bool = False,
) -> RestartReport:
    """Begin again what has not succeeded.

    Parameters
    ----------
    id_text : str
        Which.
    memory, retries : int, optional
        ``requestMemory`` and ``numberOfRetries`` from now on.
    settings : sequence of str, optional
        ``[LABEL:]KEY=VALUE``.
    include_unlaunched : bool, optional
        Whether jobs that were never begun are begun too.
    compute_site, wms_service_class : str, optional
        Where it goes on, and what runs it there.
    abandon : bool, optional
        Then also if jobs cannot be ended where they are.
    wait : bool, optional
        Stay until all has ended.

    Returns
    -------
    RestartReport
        How many begin again.

    Raises
    ------
    ConflictError
        If it was not handed over yet.
    StorageError
        If jobs that are elsewhere cannot be ended.
    BusyError
        If a head drives it.
    UsageError
        If a setting cannot be changed.
    """
    from stage.batch.driving.restart import restart

    entry = find_entry(id_text)
    where, identity = entry.where, load_identity(entry.where)
    if not has_begun(where, identity):
        raise ConflictError(
            f"{where.root} was not handed over yet",
            code="not-submitted",
            hint=f"Do that: stage batch submit {where.root}.",
        )
    changes = _changes(memory, retries, settings)
    moved = None
    if compute_site or wms_service_class:
        from stage.batch.driving.changes import check_changes
        from stage.batch.submission.moving import move_submission

        check_changes(changes, load_workflow(where.workflow))
        moved = move_submission(where, identity, compute_site, wms_service_class, abandon=abandon)
    elif abandon:
        raise UsageError(
            "jobs are left to themselves only where a submission goes on elsewhere",
            code="bad-option",
            hint="Say where: --compute-site NAME, or --engine NAME.",
        )
    engine = load_engine(where)
    if isinstance(engine, SelfDriven):
        if changes or not include_unlaunched:
            raise UsageError(
                f"'{identity.engine}' restarts all that is left, as it was prepared",
                code="cannot-change",
                hint="Leave these options out; or begin another run with other needs: stage batch submit FILE --replace.",
            )
        identity = replace(identity, handle=engine.restart(where, identity.name))
        save_identity(where, identity)
        left = [s for s in engine.states(load_workflow(where.workflow), where) if s is not JobState.SUCCEEDED]
        state = await_end(where, identity, engine) if wait else ""
        return RestartReport(identity.id, identity.name, str(where.root), len(left), state)
    try:
        count = restart(where, changes, include_unlaunched=include_unlaunched)
    except BusyError as error:
        raise BusyError(
            f"submission {identity.id or identity.name} is going on: {error.holder} drives it",
            code="has-head",
            holder=error.holder,
            hint=f"Wait for it to end, or end it: stage batch cancel --id {identity.id or where.root}.",
        ) from error
    state = drive(where, wait=wait)
    report = RestartReport(identity.id, identity.name, str(where.root), count, state)
    if moved is None:
        return report
    new = moved.identity
    return replace(
        report, n_jobs=moved.n_left, engine=new.engine, site=new.site, n_ended=moved.n_ended, n_abandoned=moved.n_abandoned
    )  # fmt: skip


def _changes(memory: int | None, retries: int | None, settings: Sequence[str]) -> dict[str, Any]:
    """Return what is to be changed, by the names of the YAML."""
    changes: dict[str, Any] = {}
    if memory is not None:
        changes["requestMemory"] = memory
    if retries is not None:
        changes["numberOfRetries"] = retries
    by_label: dict[str, dict[str, Any]] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        label, colon, key = name.rpartition(":")
        if not equals or not key.strip() or (colon and not label.strip()):
            raise UsageError(
                f"'{text}' is not of the form [LABEL:]KEY=VALUE",
                code="bad-option",
                hint="As --set requestWalltime=240, or --set detect:requestMemory=8000.",
            )
        section = by_label.setdefault(label.strip(), {}) if label else changes
        section[key.strip()] = _value(value)
    return {**changes, **({"pipetask": by_label} if by_label else {})}


def _value(text: str) -> Any:
    """Read a value as YAML has it."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
