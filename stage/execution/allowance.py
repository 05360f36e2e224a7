"""What a person lets quanta have on this machine, and in what workers are started."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass

from registry.errors import UsageError

__all__ = ["Allowance", "check_resources", "check_wrap"]

_RETRIES = 5
"""How often a quantum is tried again where its memory is to grow, and nobody says how often."""


@dataclass(frozen=True)
class Allowance:
    """How much memory quanta may have on this machine.

    Parameters
    ----------
    memory_mb : int, optional
        For all that run at a time, in megabytes; by default what the machine has.
    multiplier : float, optional
        By how much more an attempt gets after one that died for want of memory; 1 keeps it as it is.
    maximum_mb : int, optional
        The most that one attempt gets; by default `memory_mb`.
    """

    memory_mb: int | None = None
    multiplier: float = 1.0
    maximum_mb: int | None = None

    def check(self, processes: int, *, may_hold_itself: bool = False) -> None:
        """Refuse what makes no sense, or cannot be kept.

        Parameters
        ----------
        processes : int
            Number of worker processes.
        may_hold_itself : bool, optional
            Whether a process without workers may be held to an amount of memory: one that does nothing but run quanta.

        Raises
        ------
        UsageError
            If a number is too small, one counts for nothing without another, or there are no worker processes.
        """
        if self == Allowance():
            return
        for value in (self.memory_mb, self.maximum_mb):
            if value is not None and value < 1:
                raise UsageError(f"quanta cannot run in {value} MB of memory", code="bad-limit")
        if not self.multiplier >= 1:
            raise UsageError(
                f"memory cannot be multiplied by {self.multiplier:g}, which would be less each time",
                code="bad-limit",
                hint="Give a number above 1: --memory-multiplier 2.",
            )
        if self.maximum_mb is not None and self.multiplier == 1:
            raise UsageError(
                f"a most of {self.maximum_mb:,} MB counts only where memory grows from attempt to attempt",
                code="bad-limit",
                hint="Say by how much: --memory-multiplier 2.",
            )
        if not processes and not (may_hold_itself and self.multiplier == 1):
            raise UsageError(
                "quanta that run in this process cannot be held to an amount of memory",
                code="bad-limit",
                hint="Run them with worker processes: -j 1 or more.",
            )

    def retries(self, asked: int | None) -> int:
        """Return how often a quantum that failed is tried again.

        Parameters
        ----------
        asked : int or None
            What a person says.

        Returns
        -------
        int
            That; else 5 where memory grows, and 0 where it does not.
        """
        if asked is not None:
            return asked
        return _RETRIES if self.multiplier > 1 else 0


def check_resources(
    processes: int, allowance: Allowance, wrap: str, *, may_hold_itself: bool = False
) -> None:
    """Refuse what is asked of worker processes and makes no sense, or needs some where there are none.

    Parameters
    ----------
    processes : int
        Number of worker processes.
    allowance : Allowance
        How much memory quanta may have.
    wrap : str
        Command in which workers are started.
    may_hold_itself : bool, optional
        As for `Allowance.check`.

    Raises
    ------
    UsageError
        If something of it cannot be done.
    """
    allowance.check(processes, may_hold_itself=may_hold_itself)
    check_wrap(wrap)
    if wrap and not processes:
        raise UsageError(
            "there are no worker processes that could be wrapped",
            code="bad-limit",
            hint="Run with some: -j 1 or more.",
        )


def check_wrap(wrap: str) -> None:
    """Refuse a template that wraps nothing.

    Parameters
    ----------
    wrap : str
        As for `WorkerProcess`.

    Raises
    ------
    UsageError
        If it is no command, or does not have a word for what it wraps, once.
    """
    if not wrap:
        return
    try:
        words = shlex.split(wrap)
    except ValueError as exc:
        raise UsageError(f"'{wrap}' is no command: {exc}", code="bad-wrap") from exc
    if words.count("{command}") + words.count("{arguments}") != 1:
        raise UsageError(
            f"'{wrap}' does not say, once, where the command of a worker goes",
            code="bad-wrap",
            hint="As 'nice -n 10 {command}', or 'conda run -n env --no-capture-output python {arguments}'.",
        )
    if shutil.which(words[0]) is None:
        raise UsageError(
            f"'{words[0]}', which is to wrap workers, is no program that can be found",
            code="bad-wrap",
            hint="Is it installed, and on the PATH?",
        )
