"""What is told of runs that leave a campaign's stack, and of what is removed then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stage.campaign.graph_reports import Document

__all__ = ["CleanReport", "DropMode", "DropReport", "drop_mode"]

DropMode = Literal["", "unstore", "purge"]


def drop_mode(*, unstore: bool, purge: bool) -> DropMode:
    """Say what is done with runs that are dropped.

    Parameters
    ----------
    unstore, purge : bool
        What was asked for.

    Returns
    -------
    {"", "unstore", "purge"}
        Nothing; their files are removed; they are removed altogether.
    """
    return "purge" if purge else "unstore" if unstore else ""


@dataclass(frozen=True)
class DropReport(Document):
    """Runs that left the stack.

    Parameters
    ----------
    runs : sequence of str
        They, the newest first.
    mode : {"", "unstore", "purge"}
        What was removed: nothing, their files, or they themselves too.
    datasets, files, size_bytes : int
        How much that was.
    """

    runs: Sequence[str]
    mode: DropMode = ""
    datasets: int = 0
    files: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class CleanReport(Document):
    """What a cleaning removed, or would remove.

    Parameters
    ----------
    unstored, purged : sequence of str
        Runs that lose their files, and runs that go altogether.
    chains : sequence of str
        Chains that go.
    forgotten : sequence of str
        Collections that are gone already.
    kept : mapping of str to str
        Runs that are not treated as asked, and why.
    datasets, files, size_bytes : int
        Datasets of those runs, their files, and the bytes of these.
    done : bool
        Whether it was done.
    history : sequence of int
        Entries of the history that cannot be gone back to any more.
    """

    unstored: Sequence[str] = ()
    purged: Sequence[str] = ()
    chains: Sequence[str] = ()
    forgotten: Sequence[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    datasets: int = 0
    files: int = 0
    size_bytes: int = 0
    done: bool = False
    history: Sequence[int] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.unstored or self.purged or self.chains or self.forgotten or self.history)
