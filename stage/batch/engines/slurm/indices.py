"""Sets of indices of arrays as Slurm writes them: ``0-3,7,9-20:2%5``."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["read_indices", "write_indices"]


def read_indices(text: str) -> frozenset[int]:
    """Read a set of indices.

    Parameters
    ----------
    text : str
        As Slurm writes it.

    Returns
    -------
    frozenset of int
        The indices.

    Raises
    ------
    ValueError
        If it is none, as ``N/A``.
    """
    found: set[int] = set()
    for part in text.partition("%")[0].strip("[]").split(","):
        span, _, step = part.partition(":")
        first, dash, last = span.partition("-")
        found.update(range(int(first), int(last if dash else first) + 1, int(step or 1)))
    return frozenset(found)


def write_indices(indices: Iterable[int]) -> str:
    """Write a set of indices, with ranges where there are some.

    Parameters
    ----------
    indices : iterable of int
        At least one.

    Returns
    -------
    str
        For ``--array`` and ``scancel``.
    """
    parts: list[list[int]] = []
    for index in sorted(set(indices)):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
