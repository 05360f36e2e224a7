"""What Slurm's words for a job mean here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from stage.batch.engines.base import Cause, JobState
from stage.batch.engines.slurm.lists import LastWord
from stage.batch.engines.slurm.script import LIST_GONE

__all__ = ["End", "Row", "end_by_word", "end_of", "state_of"]

_RUNNING = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"})
_KEPT_BACK = frozenset({"SUSPENDED", "STOPPED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED"})
_CAUSES = {
    "OUT_OF_MEMORY": Cause.MEMORY,
    "TIMEOUT": Cause.TIME,
    "DEADLINE": Cause.TIME,
    "NODE_FAIL": Cause.NODE,
    "BOOT_FAIL": Cause.NODE,
    "PREEMPTED": Cause.PREEMPTED,
}
_HELD = re.compile(
    r"JobHeld|DependencyNeverSatisfied|PartitionDown|PartitionInactive|PartitionNodeLimit|PartitionTimeLimit"
    r"|BadConstraints|InvalidAccount|InvalidQOS|AccountNotAllowed|QOSNotAllowed|AccountingPolicy|requeued held"
    r"|ReservationDeleted|JobHoldMaxRequeue|Reservation(Not|Deleted)|user_env_retrieval_failed|PartitionConfig",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Row:
    """What Slurm says of some elements of an array.

    Parameters
    ----------
    indices : frozenset of int or None
        Which; None stands for all of which nothing else is said.
    job : str
        Slurm's own number of the element.
    state, reason : str
        Its words.
    restart : int
        How often it has put them back in the queue.
    status : int
        As a parent process gets it.
    host : str
        Where they are.
    """

    indices: frozenset[int] | None
    job: str
    state: str
    reason: str
    restart: int = 0
    status: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How an element has ended.

    Parameters
    ----------
    state : JobState
        SUCCEEDED, FAILED or DELETED.
    cause : Cause, optional
        Why without success.
    exit_code : int, optional
        Of its program.
    message : str, optional
        Slurm's words.
    """

    state: JobState
    cause: Cause = Cause.NONE
    exit_code: int | None = None
    message: str = ""


def state_of(row: Row) -> tuple[JobState | None, str]:
    """Return where elements are that have not ended.

    Parameters
    ----------
    row : Row
        What Slurm says.

    Returns
    -------
    state : JobState or None
        None if they have ended.
    message : str
        Slurm's reason, where somebody may want to know it.
    """
    if row.state in _RUNNING:
        return JobState.RUNNING, ""
    if row.state in _KEPT_BACK:
        return JobState.HELD, f"Slurm has it {row.state} ({row.reason})"
    if row.state in _WAITING:
        if _HELD.search(row.reason):
            return JobState.HELD, f"Slurm keeps it back: {row.reason}"
        return JobState.PENDING, f"put back in the queue by Slurm: {row.reason}" if row.restart else ""
    return None, ""


def end_of(row: Row, word: LastWord | None, of_memory: str = "") -> End:
    """Return how an element has ended.

    Parameters
    ----------
    row : Row
        What Slurm says.
    word : LastWord or None
        What the element left.
    of_memory : str, optional
        What Slurm's own processes said of its memory.

    Returns
    -------
    End
        The scheduler's word counts; that of the element says with which code its program ended.
    """
    coped = row.state == "OUT_OF_MEMORY" and word is not None and word.exit_code == 0
    if row.state == "COMPLETED" or coped:  # it may go on when a child of it dies of that
        return End(JobState.SUCCEEDED, exit_code=0)
    said = f"Slurm: {row.state}" + (f" ({row.reason})" if row.reason not in {"", "None"} else "")
    if row.state in {"CANCELLED", "REVOKED"}:
        if "Dependency" in row.reason:
            return End(JobState.FAILED, Cause.PARENT, message=said)
        return End(JobState.DELETED, Cause.CANCELLED, message=said)
    code = word.exit_code if word else _code(row.status)
    if row.state in _CAUSES:
        return End(JobState.FAILED, _CAUSES[row.state], code, of_memory or said)
    if of_memory:
        return End(JobState.FAILED, Cause.MEMORY, code, of_memory)
    return _failed(row, word, End(JobState.FAILED, Cause.EXIT, code, said))


def _failed(row: Row, word: LastWord | None, end: End) -> End:
    """Tell a program that failed from a job that did not come to run one."""
    if word is None and end.exit_code == LIST_GONE:
        return replace(end, cause=Cause.START, message="its node does not see the files of this submission")
    if word is None and not row.host:
        return replace(end, cause=Cause.START, exit_code=None)
    # Of a program that has said itself why it failed, Slurm's word for that is no news.
    return replace(end, message="") if row.reason == "NonZeroExitCode" else end


def end_by_word(word: LastWord, of_memory: str) -> End:
    """Return how an element has ended that Slurm has forgotten, by what it left.

    Parameters
    ----------
    word : LastWord
        What it left.
    of_memory : str
        What Slurm's own processes said of its memory.

    Returns
    -------
    End
        Its cause is MEMORY if Slurm said so.
    """
    if word.exit_code == 0:
        return End(JobState.SUCCEEDED, exit_code=0)
    cause = Cause.MEMORY if of_memory else Cause.EXIT
    return End(
        JobState.FAILED, cause, word.exit_code, of_memory or f"its program ended with {word.exit_code}"
    )


def _code(status: int) -> int | None:
    try:
        return os.waitstatus_to_exitcode(status)
    except ValueError:
        return None
