"""Which quanta fit on this machine now, by the cores and the memory that they ask for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Admission", "Need"]


class Need(NamedTuple):
    """What one attempt at a quantum takes of the machine.

    Parameters
    ----------
    cpus : int
        Cores.
    memory_mb : int
        Megabytes that it is held to; 0 for a quantum that asks for none, which is held to none.
    """

    cpus: int = 1
    memory_mb: int = 0


class Admission:
    """Keeps count of what is free.

    Parameters
    ----------
    cpus : int
        All cores.
    memory_mb : int
        All memory, in megabytes.
    """

    def __init__(self, cpus: int, memory_mb: int) -> None:
        self.cpus, self.memory_mb = cpus, memory_mb
        self.free_cpus, self.free_memory_mb = cpus, memory_mb

    def fits(self, need: Need) -> bool:
        """Tell whether there is room for one more.

        Parameters
        ----------
        need : Need
            What it takes.

        Returns
        -------
        bool
            Whether that is free.
        """
        return need.cpus <= self.free_cpus and need.memory_mb <= self.free_memory_mb

    def admit(self, need: Need) -> None:
        """Give one what it takes.

        Parameters
        ----------
        need : Need
            Something that `fits`.
        """
        self.free_cpus -= need.cpus
        self.free_memory_mb -= need.memory_mb

    def release(self, need: Need) -> None:
        """Take back what one was given.

        Parameters
        ----------
        need : Need
            As it was admitted.
        """
        self.free_cpus += need.cpus
        self.free_memory_mb += need.memory_mb
