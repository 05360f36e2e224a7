"""The states of a submission's jobs, from whoever knows them: its head's journal, or its engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stage.batch.driving.board import NO_EXIT_CODE, STATES
from stage.batch.driving.states import RunStates, read_states
from stage.batch.engines.base import JobState
from stage.batch.engines.finding import load_engine
from stage.batch.submission.engines import SelfDriven
from stage.batch.submission.handing import ENDS
from stage.batch.submission.identity import load_identity
from stage.batch.workflow.file import load_workflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import Workflow

__all__ = ["states_of"]


def states_of(where: SubmitDir, workflow: Workflow | None = None) -> tuple[RunStates, bool]:
    """Read where the jobs of a submission are.

    Parameters
    ----------
    where : SubmitDir
        Its directory.
    workflow : Workflow, optional
        Its jobs; by default read from its file.

    Returns
    -------
    states : RunStates
        As far as is known now.
    needs_head : bool
        Whether somebody of ours has to drive it.
    """
    handle = load_identity(where).handle
    if not handle:
        return read_states(where, workflow), True
    engine = load_engine(where)
    if not isinstance(engine, SelfDriven):
        return read_states(where, workflow), True
    known = workflow or load_workflow(where.workflow)
    return _by_engine(engine.states(known, where, handle)), False


def _by_engine(states: Sequence[JobState]) -> RunStates:
    """Return what an engine tells in the form of what a head knows: no attempts, no causes."""
    n = len(states) + 1
    zeros = np.zeros(n, dtype=np.int64)
    return RunStates(
        n_jobs=len(states),
        state=np.array([STATES.index(s) for s in (*states, JobState.UNREADY)], dtype=np.int8),
        attempts=zeros.astype(np.int32),
        cause=zeros.astype(np.int8),
        exit_code=np.full(n, NO_EXIT_CODE, dtype=np.int32),
        memory_mb=zeros.astype(np.int32),
        begun_ns=zeros,
        ended_ns=zeros,
        messages={},
        hosts={},
        history=(),
        changes=(),
        is_cancelled=JobState.DELETED in states,
        is_ended=set(states) <= ENDS,
        head=None,
    )
