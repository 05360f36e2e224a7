"""Running quanta one after another in this process: for debuggers, tests and small work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stage.execution.logs import OutputCapture, level_lowered

if TYPE_CHECKING:
    from stage.execution.executor import Interrupt, Work
    from stage.execution.worker import QuantumRunner

__all__ = ["SerialExecutor"]

_log = logging.getLogger(__name__)


class SerialExecutor:
    """The executor of one process.

    Parameters
    ----------
    runner : QuantumRunner
        What runs each quantum.
    memory_mb : int, optional
        How much memory this process may have while a task runs, in megabytes; 0 is no limit.
    """

    def __init__(self, runner: QuantumRunner, *, memory_mb: int = 0) -> None:
        self._runner = runner
        self._memory_mb = memory_mb

    def execute(self, work: Work, interrupt: Interrupt) -> bool:
        """Run all that can be run, each quantum to its end before the next.

        Parameters
        ----------
        work : Work
            Gives out quanta and takes outcomes.
        interrupt : Interrupt
            Ends it, also in the middle of a quantum, which then has no outcome.

        Returns
        -------
        bool
            Whether it came to its end.
        """
        # What is printed is seen at once, as debuggers need it, and kept in the log as workers keep it.
        with OutputCapture.beside(), level_lowered(self._runner.settings.log_level):
            self._run_all(work, interrupt)
        return not interrupt.count

    def _run_all(self, work: Work, interrupt: Interrupt) -> None:
        while not interrupt.count and (assignment := work.take()) is not None:
            work.tick()
            interrupt.raise_at = 1
            try:
                outcome = self._runner.run(
                    assignment.ordinal,
                    assignment.attempt,
                    assignment.absent,
                    self._memory_mb,
                    standing=assignment.standing,
                )
            except KeyboardInterrupt:
                # A task of the caller's own may raise it too.
                interrupt.count = max(interrupt.count, 1)
                work.give_back([assignment])
                _log.warning("interrupted in the middle of a quantum, which will run again")
                break
            finally:
                interrupt.raise_at = 3
            work.done(assignment.number, outcome)
