"""What commands tell: plain values, the same for text and for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.model.records import QuantumStatus
from registry.model.refs import id_text
from stage.campaign.drop_report import DropReport
from stage.campaign.graph_reports import BuildReport, Document, FetchReport, GraphReport

if TYPE_CHECKING:
    from registry.model.refs import DatasetRef
    from sync.plan import PushPlan

__all__ = [
    "BuildReport", "DatasetContent", "Failure", "FetchReport", "GraphReport", "HistoryEntry", "LogEntry",
    "PushReport", "RunReport",
]  # fmt: skip

TaskCounts = Mapping[str, Mapping[str, int]]
"""Task label to status to number of quanta; ``missing`` for those without an outcome."""


@dataclass(frozen=True)
class Failure(Document):
    """One quantum that failed.

    Parameters
    ----------
    task : str
        Its task's label.
    data_id : str
        Its data ID as compact JSON.
    message : str
        Why.
    """

    task: str
    data_id: str
    message: str

    @property
    def first_line(self) -> str:
        """The first line of the message."""
        return self.message.strip().split("\n", 1)[0]


@dataclass(frozen=True)
class RunReport(Document):
    """What became of a run.

    Parameters
    ----------
    run : str
        The RUN.
    tasks : mapping
        Label to status to number of quanta; ``missing`` for those without an outcome.
    failures : sequence of Failure
        Quanta that failed.
    finished : bool
        Whether it was moved to the past runs.
    interrupted : bool
        Whether a person ended it.
    executed : int
        Number of quanta that ran now.
    seconds : float
        Time taken.
    skipped : mapping of str to int
        Task to number of quanta that were left out as done elsewhere (``skip_existing_in``).
    notes : sequence of str
        What has changed since the graph was built, and is no reason not to run it.
    steps_left : sequence of str
        Steps of the pipeline whose graphs are still to be built.
    dropped : DropReport, optional
        Runs whose place it took.
    removed, removed_bytes : int
        Number of ephemeral files that went, and their bytes.
    until : str
        The task or step after which it was stopped, as asked; empty otherwise.
    refused : mapping of str to str
        Record files of jobs, and quanta in them, that were not merged, and why.
    """

    run: str
    tasks: TaskCounts
    failures: Sequence[Failure] = ()
    finished: bool = False
    interrupted: bool = False
    executed: int = 0
    seconds: float = 0.0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    steps_left: Sequence[str] = ()
    dropped: DropReport = field(default_factory=lambda: DropReport(()))
    removed: int = 0
    removed_bytes: int = 0
    until: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every quantum of every step is done."""
        return not self.steps_left and all(
            not n or status in QuantumStatus.COMPLETE for c in self.tasks.values() for status, n in c.items()
        )


@dataclass(frozen=True, eq=False)
class PushReport:
    """What a push did, or would do.

    Parameters
    ----------
    plan : PushPlan
        The plan.
    dry_run : bool
        Whether it was only planned.
    pushed : bool
        Whether something was written upstream.
    seconds : float
        Time taken.
    left_out : mapping of str to int
        Runs that were left out because quanta of them have no outcome yet, and how many.
    locked_seconds : float
        For how long nobody else could write upstream.
    adopted : int
        Files that were registered where they are.
    """

    plan: PushPlan
    dry_run: bool = False
    pushed: bool = False
    seconds: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)
    locked_seconds: float = 0.0
    adopted: int = 0

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            The plan's document, ``dry_run`` and ``pushed``.
        """
        return {
            **self.plan.to_document(),
            "dry_run": self.dry_run,
            "pushed": self.pushed,
            "seconds": self.seconds,
            "left_out": dict(self.left_out),
            "locked_seconds": self.locked_seconds,
            "adopted": self.adopted,
        }


@dataclass(frozen=True)
class LogEntry(Document):
    """The log of one quantum.

    Parameters
    ----------
    task : str
        Its task's label.
    data_id : str
        Its data ID as compact JSON.
    status : str
        What became of it.
    message : str
        Why it did not succeed.
    text : str
        The log.
    attempt : int
        How often the quantum was tried before.
    """

    task: str
    data_id: str
    status: str
    message: str
    text: str
    attempt: int = 0


@dataclass(frozen=True)
class HistoryEntry(Document):
    """One command that changed the campaign.

    Parameters
    ----------
    position : int
        Its place, from 1.
    at_ns : int
        When, in UTC nanoseconds since 1970.
    command : str
        The command.
    change : mapping
        Field of the state, or setting, to its old and new value; ``quanta`` to the graph's by task.
    kept : bool
        Whether the campaign can be brought back to what it was then.
    diff : mapping of str to str
        Files of the pipeline to what became of their lines, if that was asked for.
    """

    position: int
    at_ns: int
    command: str
    change: Mapping[str, Sequence[Any]]
    kept: bool = False
    diff: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetContent:
    """One dataset that was got.

    Parameters
    ----------
    ref : DatasetRef
        Which.
    content : str or bytes
        Text where its storage class is text, else the bytes of the artifact; empty if it went to a file.
    reader : callable, optional
        Reads the artifact and returns the object.
    """

    ref: DatasetRef
    content: str | bytes
    reader: Callable[[], Any] | None = field(default=None, repr=False, compare=False)

    @property
    def value(self) -> Any:
        """The object itself, as a task would get it."""
        return self.content if self.reader is None else self.reader()

    @property
    def id(self) -> str:
        """Its id as text."""
        return id_text(self.ref.id)
