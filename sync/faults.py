"""Fault points: names for the moments between durable steps, at which tests end a process."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["At", "no_fault"]

At = Callable[[str], None]


def no_fault(name: str) -> None:
    """Go on.

    Parameters
    ----------
    name : str
        The step just done.
    """
