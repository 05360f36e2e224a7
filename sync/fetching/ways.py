"""The way on from what refuses a fetch or a pull: keep what is here, or take what upstream has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync.plan_parts import Conflict

__all__ = ["INPUT_MOVED", "KEPT_ONLY", "RESOLVED", "with_ways"]

INPUT_MOVED = "input-moved"
"""Code of what quanta here have read, and upstream has changed or removed since."""
RESOLVED = (
    "record-differs", "record-deleted", "dataset-differs", "dataset-exists", "dataset-type-differs", "chain-differs",
    "member-differs", INPUT_MOVED,
)  # fmt: skip
"""Codes of conflicts that a pull can resolve."""
KEPT_ONLY = ("dataset-type-differs", "record-deleted")
"""Those of which upstream's cannot be taken."""


def with_ways(conflicts: Iterable[Conflict]) -> tuple[Conflict, ...]:
    """Give conflicts of a fetch or a pull the commands that resolve them.

    Parameters
    ----------
    conflicts : iterable of Conflict
        With any hints.

    Returns
    -------
    tuple of Conflict
        Those of which a pull can keep ours or take upstream's say how; others stay as they are.
    """
    return tuple(replace(c, hint=_way(c.code)) if c.code in RESOLVED else c for c in conflicts)


def _way(code: str) -> str:
    keep = f"Keep ours: 'stage pull --on-conflict {code}=keep'"
    take = f"take upstream's: 'stage pull --on-conflict {code}=take'"
    if code in KEPT_ONLY:
        take = "take upstream's: make a campaign anew with 'stage clone'"
    return f"{keep}; {take}."
