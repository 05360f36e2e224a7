"""`read_states`: where the jobs of a submission are, for whoever looks: it needs no lock and stops nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.batch.driving.board import CAUSES, NO_EXIT_CODE, STATES, Attempt, Board
from stage.batch.driving.journal import read_journal
from stage.batch.driving.locking import living_head
from stage.batch.engines.base import Cause, JobState
from stage.batch.layout import SubmitDir

if TYPE_CHECKING:
    import numpy.typing as npt

    from stage.batch.workflow.model import Workflow
    from stage.campaign.lock import Holder
    from stage.graph.table import Csr

__all__ = ["RunStates", "read_states"]


@dataclass(frozen=True)
class RunStates:
    """Where the jobs of a submission are. Columns have n_jobs + 1 rows: the final job is the last, number -1.

    Parameters
    ----------
    n_jobs : int
        Number of jobs, without the final one.
    state : numpy.ndarray of int8
        Places in `stage.batch.driving.board.STATES`.
    attempts : numpy.ndarray of int32
        How often each was begun.
    cause : numpy.ndarray of int8
        Why the last attempt that ended did so without success: places in `stage.batch.driving.board.CAUSES`.
    exit_code : numpy.ndarray of int32
        Of that attempt; `stage.batch.driving.board.NO_EXIT_CODE` where there is none.
    memory_mb : numpy.ndarray of int32
        What the last attempt could have; 0 where that was not said.
    begun_ns, ended_ns : numpy.ndarray of int64
        When the last attempt was given to the engine, and when its end was heard of; UTC nanoseconds since 1970, or 0.
    messages, hosts : mapping of int to str
        Of jobs that have some.
    history : sequence of Attempt
        All attempts of all jobs; those that go on last.
    changes : sequence of mapping
        What restarts have changed.
    is_cancelled : bool
        Whether somebody has cancelled the submission.
    is_ended : bool
        Whether all has ended, the final job too.
    head : Holder or None
        Who drives it now; None if nobody does.
    """

    n_jobs: int
    state: npt.NDArray[np.int8]
    attempts: npt.NDArray[np.int32]
    cause: npt.NDArray[np.int8]
    exit_code: npt.NDArray[np.int32]
    memory_mb: npt.NDArray[np.int32]
    begun_ns: npt.NDArray[np.int64]
    ended_ns: npt.NDArray[np.int64]
    messages: Mapping[int, str]
    hosts: Mapping[int, str]
    history: Sequence[Attempt]
    changes: Sequence[Mapping[str, Any]]
    is_cancelled: bool
    is_ended: bool
    head: Holder | None

    def state_of(self, number: int) -> JobState:
        """Return where a job is.

        Parameters
        ----------
        number : int
            The job; -1 is the final one.

        Returns
        -------
        JobState
            UNREADY for the final job until the others have ended.
        """
        return STATES[int(self.state[number])]

    def cause_of(self, number: int) -> Cause:
        """Return why the last attempt of a job that ended did so without success.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        Cause
            NONE if it did not.
        """
        return CAUSES[int(self.cause[number])]

    def exit_code_of(self, number: int) -> int | None:
        """Return the exit code of a job's last attempt that ended.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        int or None
            Negative is a signal; None if its program has not ended with one.
        """
        code = int(self.exit_code[number])
        return None if code == NO_EXIT_CODE else code

    def counts(self, chosen: npt.NDArray[Any] | None = None) -> dict[JobState, int]:
        """Count jobs, without the final one.

        Parameters
        ----------
        chosen : numpy.ndarray, optional
            Numbers of jobs, or n_jobs booleans; all by default.

        Returns
        -------
        dict of JobState to int
            By state; states that occur.
        """
        state = self.state[:-1] if chosen is None else self.state[:-1][chosen]
        found = np.bincount(state, minlength=len(STATES)).tolist()
        return {s: n for s, n in zip(STATES, found, strict=True) if n}


def read_states(where: SubmitDir, workflow: Workflow | None = None) -> RunStates:
    """Read where the jobs of a submission are.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    workflow : Workflow, optional
        Its jobs; by default read from its file.

    Returns
    -------
    RunStates
        By the journal, as far as it was written now.

    Raises
    ------
    NotFoundError
        If there is no workflow.
    IntegrityError
        If the journal is of another submission, or damaged.
    """
    if workflow is None:
        from stage.batch.workflow.file import load_workflow

        workflow = load_workflow(where.workflow)
    head = living_head(where)  # before the journal: if there is none, the journal is whole
    board = Board(workflow.n_jobs, history=True)
    for lines in read_journal(where.journal):
        board.replay(lines)
    return RunStates(
        workflow.n_jobs,
        _with_ready(board, workflow.parents),
        board.begun,
        board.cause,
        board.exit_code,
        board.memory_mb,
        board.begun_ns,
        board.ended_ns,
        board.messages,
        board.hosts,
        board.all_attempts(),
        board.changes,
        board.is_cancelled,
        board.is_ended,
        head,
    )


def _with_ready(board: Board, parents: Csr) -> npt.NDArray[np.int8]:
    """Return the states, with those apart that wait for nothing but room."""
    open_edges = np.concatenate(([0], np.cumsum(~board.are(JobState.SUCCEEDED)[parents.indices])))
    waits = open_edges[parents.indptr[1:]] - open_edges[parents.indptr[:-1]]
    state = board.state.copy()
    state[:-1][board.are(JobState.UNREADY) & (waits == 0)] = STATES.index(JobState.READY)
    return state
