"""`Ledger`: a submission as its head has it in hand: the jobs, where they are, and the journal that says so."""

from __future__ import annotations

from dataclasses import dataclass

from stage.batch.driving.board import Board
from stage.batch.driving.journal import Journal, Line
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow
from sync.faults import At, no_fault

__all__ = ["Ledger"]


@dataclass(frozen=True)
class Ledger:
    """A submission in the hands of its head.

    Parameters
    ----------
    where : SubmitDir
        Its directory.
    workflow : Workflow
        The jobs.
    board : Board
        Where they are.
    journal : Journal
        Open to write.
    at : callable, optional
        Called with the name of each step that is done.
    """

    where: SubmitDir
    workflow: Workflow
    board: Board
    journal: Journal
    at: At = no_fault

    def note(self, *lines: Line) -> None:
        """Write down what has happened, in one write; only then does it count here.

        Parameters
        ----------
        *lines : list
            Kind and columns of each; the time is put in.
        """
        if lines:
            self.journal.write(lines)
            self.board.replay(lines)
