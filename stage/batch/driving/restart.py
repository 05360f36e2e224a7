"""`restart`: what ended without success begins again, with other resources if somebody says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stage.batch.driving.asking import forget
from stage.batch.driving.board import Board
from stage.batch.driving.changes import check_changes
from stage.batch.driving.journal import Journal, read_journal
from stage.batch.driving.locking import head_lock
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow

__all__ = ["restart"]


def restart(
    where: SubmitDir,
    changes: Mapping[str, Any] | None = None,
    *,
    include_unlaunched: bool = True,
    workflow: Workflow | None = None,
) -> int:
    """Let jobs begin again that failed, were cancelled, or waited for such; a head that is started then runs them.

    Parameters
    ----------
    where : SubmitDir
        A submission without a head.
    changes : mapping, optional
        What all jobs need from now on, by the names of the YAML (`stage.batch.driving.changes.CHANGEABLE`);
        what is for one label alone is under ``pipetask: {label: {...}}``.
    include_unlaunched : bool, optional
        Also jobs that were never begun, since what they wait for failed, or all was cancelled before.
    workflow : Workflow, optional
        Its jobs; by default read from its file.

    Returns
    -------
    int
        How many jobs begin again. Their attempts are counted on, their retries anew; the final job runs again too.

    Raises
    ------
    BusyError
        If a head still drives it.
    UsageError
        If a change has another name, type or label.
    """
    if workflow is None:
        from stage.batch.workflow.file import load_workflow

        workflow = load_workflow(where.workflow)
    checked = check_changes(changes or {}, workflow)
    with head_lock(where):
        board = Board(workflow.n_jobs)
        for lines in read_journal(where.journal):
            board.replay(lines)
        numbers = board.to_restart(include_unlaunched=include_unlaunched)
        journal = Journal(where.journal)
        try:
            journal.write([["restart", checked, numbers]])
            journal.sync()
        finally:
            journal.close()
        forget(where)
    return len(numbers)
