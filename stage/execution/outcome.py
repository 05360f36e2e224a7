"""`QuantumOutcome`: what became of one quantum, small enough to travel by the million."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from registry.errors import IntegrityError
from registry.model.records import QuantumStatus

__all__ = ["QuantumOutcome", "StoredArtifact"]


class StoredArtifact(NamedTuple):
    """One output that is completely written.

    Parameters
    ----------
    dataset : int
        Ordinal of the dataset in the graph.
    uri : str
        Relative to the datastore's root.
    size : int
        Bytes.
    checksum : str
        ``blake3:…``.
    formatter : str
        Name of the formatter that reads it.
    """

    dataset: int
    uri: str
    size: int
    checksum: str
    formatter: str


# As `StoredArtifact._make`, without a frame of Python for each of what may be millions.
_new_artifact: Callable[[Iterable[Any]], StoredArtifact] = partial(tuple.__new__, StoredArtifact)


class QuantumOutcome(NamedTuple):
    """What became of one quantum in one attempt.

    Parameters
    ----------
    ordinal : int
        Which quantum of the graph.
    status : str
        One of `QuantumStatus`.
    attempt : int
        Number of times it was tried before.
    started_ns, finished_ns : int
        UTC nanoseconds since 1970; 0 if it never ran.
    cpu_ns : int
        CPU time of the process, user and system.
    peak_bytes : int
        Largest resident memory of the process up to the end of the quantum.
    host : str
        Where it ran.
    message : str
        Why it did not succeed, in a line or a few; empty otherwise.
    artifacts : tuple of StoredArtifact
        Outputs to be registered: all of a quantum that succeeded, the log and metadata of any other.
    read : tuple of int
        Ordinals of the datasets that were really read.
    absent : tuple of int
        Ordinals of predicted data outputs that a complete quantum did not make.
    root : int
        For a blocked quantum, the ordinal of the one that failed first; -1 otherwise.
    out_of_memory : bool
        Whether it failed for want of memory.
    """

    ordinal: int
    status: str
    attempt: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    cpu_ns: int = 0
    peak_bytes: int = 0
    host: str = ""
    message: str = ""
    artifacts: tuple[StoredArtifact, ...] = ()
    read: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    root: int = -1
    out_of_memory: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether it need not run again."""
        return self.status in QuantumStatus.COMPLETE

    def to_tuple(self) -> tuple[Any, ...]:
        """Return plain values only, as they travel through a pipe.

        Returns
        -------
        tuple
            What `from_tuple` takes.
        """
        # The last is rare: what records hold by the million goes without it.
        last = (True,) if self.out_of_memory else ()
        return (*self[:9], tuple(map(tuple, self.artifacts)), self.read, self.absent, self.root, *last)

    @classmethod
    def from_tuple(cls, values: tuple[Any, ...]) -> QuantumOutcome:
        """Make one from what `to_tuple` gave.

        Parameters
        ----------
        values : tuple
            Plain values.

        Returns
        -------
        QuantumOutcome
            Equal to the first.
        """
        head, (artifacts, read, absent, root, *last) = values[:9], values[9:]
        made = tuple(map(_new_artifact, artifacts))
        return cls._make((*head, made, tuple(read), tuple(absent), root, *(last or (False,))))

    def to_json(self) -> str:
        """Return one line of JSON, as record files hold it.

        Returns
        -------
        str
            A JSON array, without a newline.
        """
        return json.dumps(self.to_tuple(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> QuantumOutcome:
        """Make one from a line that `to_json` gave.

        Parameters
        ----------
        line : str
            The line.

        Returns
        -------
        QuantumOutcome
            Equal to the first.

        Raises
        ------
        IntegrityError
            If the line is something else.
        """
        try:
            outcome = cls.from_tuple(json.loads(line))
            _check(outcome)
        except (ValueError, TypeError) as error:
            raise IntegrityError(f"not the record of a quantum: {line[:80]!r}", code="bad-record") from error
        return outcome


_HEAD = (int, str, int, int, int, int, int, str, str)
_ARTIFACT = (int, str, int, str, str)
_ONLY_INT = frozenset({int})


def _check(outcome: QuantumOutcome) -> None:
    """Raise TypeError unless each value of an outcome from a file is of its type."""
    good = (
        tuple(map(type, outcome[:9])) == _HEAD
        and type(outcome.root) is int
        and type(outcome.out_of_memory) is bool
        and _ONLY_INT.issuperset(map(type, outcome.read))
        and _ONLY_INT.issuperset(map(type, outcome.absent))
    )
    if not good or any(tuple(map(type, a)) != _ARTIFACT for a in outcome.artifacts):
        raise TypeError("a value is of another type")
