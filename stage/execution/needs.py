"""What the quanta of a run need of the machine, and what the next attempt at one gets."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from registry.errors import UsageError
from registry.model.records import QuantumStatus
from stage.execution.admission import Admission, Need
from stage.execution.allowance import Allowance
from stage.execution.memory import machine_memory_mb, memory_of_attempt

if TYPE_CHECKING:
    from stage.execution.late import Late
    from stage.execution.outcome import QuantumOutcome
    from stage.graph.access import QuantumSource
    from stage.pipeline.node import TaskNode
    from stage.pipeline.resources import Resources

__all__ = ["Needs", "check_fit", "machine_cores"]

_log = logging.getLogger(__name__)


class Needs:
    """What the quanta of a run need, attempt by attempt, and whether that is free.

    Parameters
    ----------
    cpus, memory_mb : numpy.ndarray of int64
        What each asks for, in the order of the scheduler; memory 0 for one that asks for none.
    admission : Admission
        What there is.
    allowance : Allowance, optional
        How memory grows.
    late : Late, optional
        Tells what follows from inputs, when these are there.

    Attributes
    ----------
    walltimes : dict of int to int
        Seconds that quanta ask for which have looked at their inputs, by their place in the scheduler.
    """

    def __init__(
        self,
        cpus: npt.NDArray[np.int64],
        memory_mb: npt.NDArray[np.int64],
        admission: Admission,
        allowance: Allowance | None = None,
        late: Late | None = None,
    ) -> None:
        self._cpus, self._memory = cpus, memory_mb
        self._late = late
        self.walltimes: dict[int, int] = {}
        self._admission = admission
        allowance = allowance or Allowance()
        self._multiplier = allowance.multiplier
        self._maximum = min(allowance.maximum_mb or admission.memory_mb, admission.memory_mb)
        self._deaths: dict[int, int] = {}
        self._given: dict[int, Need] = {}

    @classmethod
    def of(
        cls,
        graph: QuantumSource,
        ordinals: Sequence[int],
        complete: npt.NDArray[np.bool_],
        processes: int,
        allowance: Allowance,
        *,
        late: Late | None = None,
    ) -> Needs | None:
        """Find out what the quanta of a graph need.

        Parameters
        ----------
        graph : QuantumSource
            Whose quanta.
        ordinals : sequence of int
            Which, in the order of the scheduler.
        complete : numpy.ndarray of bool
            Those that are done and need nothing any more.
        processes : int
            Cores to use.
        allowance : Allowance
            Memory to use.
        late : Late, optional
            Tells what follows from inputs, when these are there.

        Returns
        -------
        Needs or None
            None where no task asks for more than a core each; then there is nothing to hold any of them to.

        Raises
        ------
        UsageError
            If one asks for more memory or cores than there are (``quantum-too-large``). One that asks for more cores
            than are to be used gets all of these, with a warning.
        """
        if not processes or not any(map(_asks, graph.tasks)):
            return None
        cpus, memory = _columns(graph, np.asarray(ordinals, dtype=np.int64))
        memory, total = _held_to(memory, allowance)
        _check_memory(graph, ordinals, np.where(complete, 0, memory), total)
        _check_cores(graph, ordinals, np.where(complete, 0, cpus), processes)
        wide = np.flatnonzero(~complete & (cpus > processes))
        if len(wide):
            quantum = graph.quantum(int(ordinals[int(wide[0])]))
            _log.warning(
                "%s asks for %d cores and gets %d, which is all that are to be used (-j)%s",
                quantum, cpus[wide[0]], processes, f"; so do {len(wide) - 1:,} others" if len(wide) > 1 else "",
            )  # fmt: skip
        return cls(np.minimum(cpus, processes), memory, Admission(processes, total), allowance, late)

    def of_next(self, number: int) -> Need:
        """Return what the next attempt at a quantum gets.

        Parameters
        ----------
        number : int
            Its place in the scheduler.

        Returns
        -------
        Need
            Cores and memory.
        """
        if self._late is not None and (asked := self._late.take(number)) is not None:
            self._settle(number, asked)
        first = int(self._memory[number])
        memory = self._memory_after(first, self._deaths.get(number, 0)) if first else 0
        return Need(int(self._cpus[number]), memory or first)

    def _settle(self, number: int, asked: Resources) -> None:
        """Note what a quantum asks for that has looked at its inputs: it gets no more than there is."""
        cpus, memory = self._admission.cpus, self._admission.memory_mb
        if asked.cpus > cpus or (asked.memory_mb or 0) > memory:
            _log.warning(
                "a quantum asks for %d cores and %d MB by its inputs, and there are %d cores and %d MB: it gets these",
                asked.cpus, asked.memory_mb or 0, cpus, memory,
            )  # fmt: skip
        self._cpus[number] = min(asked.cpus, cpus)
        self._memory[number] = min(asked.memory_mb or 0, self._maximum)
        if asked.walltime_s is not None:
            self.walltimes[number] = asked.walltime_s

    def fits(self, number: int) -> bool:
        """Tell whether a quantum can begin now.

        Parameters
        ----------
        number : int
            Its place in the scheduler.

        Returns
        -------
        bool
            Whether what it gets is free.
        """
        return self._admission.fits(self.of_next(number))

    def admit(self, number: int) -> None:
        """Give a quantum what it gets.

        Parameters
        ----------
        number : int
            One that `fits`.
        """
        need = self._given[number] = self.of_next(number)
        self._admission.admit(need)

    def given(self, number: int) -> Need:
        """Return what a quantum that was admitted has.

        Parameters
        ----------
        number : int
            Its place in the scheduler.

        Returns
        -------
        Need
            Cores and memory.
        """
        return self._given[number]

    def release(self, number: int) -> None:
        """Take back what a quantum had.

        Parameters
        ----------
        number : int
            One that was admitted.
        """
        self._admission.release(self._given.pop(number))

    def after_failure(
        self, number: int, outcome: QuantumOutcome, *, may_try: bool
    ) -> tuple[QuantumOutcome, bool]:
        """Say what a quantum that failed had, and whether another attempt could do better.

        Parameters
        ----------
        number : int
            Its place in the scheduler; it is admitted still.
        outcome : QuantumOutcome
            How it ended.
        may_try : bool
            Whether retries are left.

        Returns
        -------
        QuantumOutcome
            With a message that says how much memory it had, if that was what it died of.
        bool
            Whether it is to be tried again.
        """
        had = self._given[number].memory_mb
        if outcome.status != QuantumStatus.FAILED or not outcome.out_of_memory or not had:
            return outcome, may_try
        after = self._memory_after(int(self._memory[number]), self._deaths.get(number, 0) + 1)
        if after is None:
            coming = f"that is the most that it may have: {self._maximum:,} MB"
        elif not may_try:
            coming = "no attempt is left"
        else:
            self._deaths[number] = self._deaths.get(number, 0) + 1
            coming = f"the next attempt gets {after:,} MB"
        message = f"out of memory with {had:,} MB ({coming}): {outcome.message}"
        return outcome._replace(message=message), may_try and after is not None

    def _memory_after(self, first: int, deaths: int) -> int | None:
        return memory_of_attempt(first, deaths, multiplier=self._multiplier, maximum_mb=self._maximum)


def _asks(node: TaskNode) -> bool:
    is_asked = bool(node.late) or "resources" in node.hooks
    return is_asked or node.resources.cpus > 1 or node.resources.memory_mb is not None


def _columns(
    graph: QuantumSource, ordinals: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return cores and memory that quanta ask for; one by one only those of tasks that say it for each."""
    places = np.searchsorted([t.offset for t in graph.layout.tasks], ordinals, side="right") - 1
    cpus = np.array([node.resources.cpus for node in graph.tasks], dtype=np.int64)[places]
    memory = np.array([node.resources.memory_mb or 0 for node in graph.tasks], dtype=np.int64)[places]
    own = np.array(["resources" in node.hooks for node in graph.tasks], dtype=np.bool_)[places]
    for place in np.flatnonzero(own).tolist():
        resources = graph.resources(int(ordinals[place]))
        cpus[place], memory[place] = resources.cpus, resources.memory_mb or 0
    return cpus, memory


def check_fit(graph: QuantumSource, processes: int, allowance: Allowance) -> None:
    """Refuse a graph with a quantum that asks for more memory or cores than there are.

    Parameters
    ----------
    graph : QuantumSource
        Of which nothing is done yet.
    processes : int
        Number of worker processes; with none, no quantum is held to anything.
    allowance : Allowance
        Memory to use.

    Raises
    ------
    UsageError
        If there is one (``quantum-too-large``).
    """
    if processes and any(map(_asks, graph.tasks)):
        ordinals = np.arange(graph.n_quanta)
        cpus, memory = _columns(graph, ordinals)
        memory, total = _held_to(memory, allowance)
        _check_memory(graph, ordinals, memory, total)
        _check_cores(graph, ordinals, cpus, processes)


def _held_to(memory: npt.NDArray[np.int64], allowance: Allowance) -> tuple[npt.NDArray[np.int64], int]:
    """Return what first attempts get, and what there is for all."""
    if allowance.multiplier > 1 and allowance.maximum_mb is not None:
        memory = np.minimum(memory, allowance.maximum_mb)
    return memory, allowance.memory_mb or machine_memory_mb()


def _check_memory(
    graph: QuantumSource,
    ordinals: Sequence[int] | npt.NDArray[Any],
    memory: npt.NDArray[np.int64],
    total: int,
) -> None:
    if len(memory) and memory.max() > total:
        quantum = graph.quantum(int(ordinals[int(memory.argmax())]))
        raise UsageError(
            f"{quantum} asks for {int(memory.max()):,} MB of memory, and {total:,} MB are there for all",
            code="quantum-too-large",
            hint="Lower memory_mb in the resources of the task, or say what there is: --memory MB.",
        )


def _check_cores(
    graph: QuantumSource,
    ordinals: Sequence[int] | npt.NDArray[Any],
    cpus: npt.NDArray[np.int64],
    processes: int,
) -> None:
    # Who says -j 8 on a smaller machine wants it to be taken for one of 8 cores.
    total = max(processes, machine_cores())
    if len(cpus) and cpus.max() > total:
        quantum = graph.quantum(int(ordinals[int(cpus.argmax())]))
        raise UsageError(
            f"{quantum} asks for {int(cpus.max())} cores, and {total} are there",
            code="quantum-too-large",
            hint=f"Lower cpus in the resources of the task, or say that there are as many: -j {int(cpus.max())}.",
        )


def machine_cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        At least 1.
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
