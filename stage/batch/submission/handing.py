"""The last stage: a submission gets its number and is handed over to what runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import BusyError
from stage.batch.driving.locking import living_head
from stage.batch.engines.base import JobState
from stage.batch.engines.finding import load_engine
from stage.batch.submission.engines import SelfDriven
from stage.batch.submission.identity import Identity, SubmitStage, save_identity
from stage.batch.submission.index import IndexEntry, add_entry
from sync.faults import At, no_fault

if TYPE_CHECKING:
    from stage.batch.layout import SubmitDir

__all__ = ["ENDS", "await_end", "drive", "hand_over", "has_begun", "is_driven"]

ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED, JobState.PRUNED})
"""States that a job does not leave by itself."""


def hand_over(where: SubmitDir, identity: Identity, *, wait: bool, at: At = no_fault) -> tuple[Identity, str]:
    """Put a submission into the index, and have its jobs begun.

    Parameters
    ----------
    where : SubmitDir
        A submission that was prepared.
    identity : Identity
        What it is.
    wait : bool
        Stay until all has ended.
    at : callable, optional
        Called with the name of each step that is done.

    Returns
    -------
    identity : Identity
        With its number.
    state : str
        What became of it, if it was waited for; else empty.

    Raises
    ------
    StageError
        If it cannot be begun: the same command does it again, under the same number.
    """
    engine = load_engine(where)
    entry = add_entry(
        IndexEntry(
            0, identity.name, str(where.root), identity.user, identity.host, time.time_ns(), dict(identity.labels)
        )
    )  # fmt: skip
    at("listed")
    identity = replace(identity, id=entry.id)
    save_identity(where, identity)
    at("numbered")
    if isinstance(engine, SelfDriven):
        with _about_to_begin(where, identity):
            at("about-to-begin")
            identity = replace(identity, handle=engine.submit(where, identity.name))
    elif not wait:
        with _about_to_begin(where, identity):
            at("about-to-begin")
            _start(where)
    at("begun")
    identity = identity.after(SubmitStage.SUBMIT)
    save_identity(where, identity)
    at("handed-over")
    if not wait:
        return identity, ""
    state = await_end(where, identity, engine) if isinstance(engine, SelfDriven) else drive(where, wait=True)
    return identity, state


@contextmanager
def _about_to_begin(where: SubmitDir, identity: Identity) -> Iterator[None]:
    """Note before jobs begin that they may have; if they cannot, that is taken back."""
    save_identity(where, replace(identity, is_begun=True))
    try:
        yield
    except BaseException:
        if not is_driven(where):
            save_identity(where, replace(identity, is_begun=False))
        raise


def _start(where: SubmitDir) -> None:
    """Start a head, unless there is one: this command has started it before it was killed, perhaps a moment ago."""
    if living_head(where) is None:
        try:
            drive(where, wait=False)
        except BusyError as error:
            if error.code != "has-head":
                raise


def is_driven(where: SubmitDir) -> bool:
    """Tell whether a head drives a submission, or has.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Returns
    -------
    bool
        Whether there is one, or what one has written.
    """
    return where.journal.exists() or living_head(where) is not None


def has_begun(where: SubmitDir, identity: Identity) -> bool:
    """Tell whether jobs of a submission may run, or have run: from then on what it was made of stays as it is.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    identity : Identity
        What it is.

    Returns
    -------
    bool
        Whether it was handed over, or the command that did that was killed when its jobs had begun, or were about to.
    """
    if identity.has_done(SubmitStage.SUBMIT) or identity.is_begun:
        return True
    return bool(identity.id) and is_driven(where)


def drive(where: SubmitDir, *, wait: bool) -> str:
    """Have a head run the jobs of a submission, from wherever they are.

    Parameters
    ----------
    where : SubmitDir
        A submission that was prepared, for an engine that needs a head.
    wait : bool
        In this process, until all has ended; else by another that goes on when this one ends.

    Returns
    -------
    str
        What became of it, if it was waited for; else empty.
    """
    from stage.batch.driving.head import run_head
    from stage.batch.driving.starting import start_head

    if not wait:
        start_head(where)
        return ""
    result = run_head(where)
    if not result.is_ended:
        return JobState.RUNNING.value
    if result.is_cancelled:
        return JobState.DELETED.value
    return (JobState.SUCCEEDED if result.is_success else JobState.FAILED).value


def await_end(where: SubmitDir, identity: Identity, engine: SelfDriven, interval_s: float = 10.0) -> str:
    """Wait until an engine that needs no head has worked through all jobs.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    identity : Identity
        With the engine's handle.
    engine : SelfDriven
        The engine.
    interval_s : float, optional
        How long to wait before it is asked again.

    Returns
    -------
    str
        What became of it.
    """
    from stage.batch.workflow.file import load_workflow

    workflow = load_workflow(where.workflow)
    while True:
        states = set(engine.states(workflow, where, identity.handle))
        if states <= ENDS:
            return (JobState.SUCCEEDED if states <= {JobState.SUCCEEDED} else JobState.FAILED).value
        time.sleep(interval_s)
