"""What commands tell: plain values, the same for text and for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from registry.model.records import QuantumStatus
from registry.model.refs import id_text

if TYPE_CHECKING:
    from registry.model.refs import DatasetRef
    from sync.plan import PushPlan

__all__ = [
    "BuildReport", "DatasetContent", "Failure", "FetchReport", "GraphReport", "HistoryEntry", "LogEntry",
    "PushReport", "RunReport", "RunStatus", "StatusReport",
]  # fmt: skip

TaskCounts = Mapping[str, Mapping[str, int]]
"""Task label to status to number of quanta; ``missing`` for those without an outcome."""


class _Document:
    """Something that is a JSON object made of its fields."""

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field; a data ID is an object.
        """
        return asdict(self, dict_factory=_as_object)  # type: ignore[call-overload,no-any-return]


def _as_object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: json.loads(value) if name == "data_id" else value for name, value in fields}


@dataclass(frozen=True)
class GraphReport(_Document):
    """What a quantum graph holds.

    Parameters
    ----------
    uri : str
        Where it is.
    id : str
        Its id.
    tasks : mapping of str to int
        Label to number of quanta, in the pipeline's order.
    dataset_types : mapping of str to mapping
        Name to ``role`` and ``n``.
    input_collections : sequence of str
        What it was built from.
    data_query : str
        The expression it was built with.
    output_run : str
        The RUN that it writes; empty for a campaign's own.
    size_bytes : int
        Size of the file.
    left_out : sequence of mapping
        Quanta without a required input: ``task``, ``dataset_type``, ``dropped`` and ``of`` (numbers).
    """

    uri: str
    id: str
    tasks: Mapping[str, int]
    dataset_types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    input_collections: Sequence[str] = ()
    data_query: str = ""
    output_run: str = ""
    size_bytes: int = 0
    left_out: Sequence[Mapping[str, Any]] = ()

    @property
    def n_quanta(self) -> int:
        """Number of quanta."""
        return sum(self.tasks.values())


@dataclass(frozen=True)
class FetchReport(_Document):
    """What a fetch brought into staging.

    Parameters
    ----------
    counts : mapping of str to mapping
        Kind of thing to class (``new``, ``same``, …) to number.
    datasets : mapping of str to int
        New datasets by type.
    referred_bytes : int
        Size of the artifacts that they refer to.
    copied_bytes : int
        How much of that was copied.
    notes : sequence of str
        What changed upstream since it was fetched, and what a fetch cannot bring.
    seconds : float
        Time taken.
    """

    counts: Mapping[str, Mapping[str, int]]
    datasets: Mapping[str, int] = field(default_factory=dict)
    referred_bytes: int = 0
    copied_bytes: int = 0
    notes: Sequence[str] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class BuildReport(_Document):
    """What a build made.

    Parameters
    ----------
    graph : GraphReport
        The graph.
    seconds : float
        Time taken, without the fetch.
    fetch : FetchReport or None
        What was fetched; None if that was left for later.
    """

    graph: GraphReport
    seconds: float = 0.0
    fetch: FetchReport | None = None


@dataclass(frozen=True)
class Failure(_Document):
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
class RunReport(_Document):
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
    """

    run: str
    tasks: TaskCounts
    failures: Sequence[Failure] = ()
    finished: bool = False
    interrupted: bool = False
    executed: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every quantum is done."""
        return all(
            not n or status in QuantumStatus.COMPLETE for c in self.tasks.values() for status, n in c.items()
        )


@dataclass(frozen=True)
class RunStatus(_Document):
    """One run of a campaign, as `status` tells it.

    Parameters
    ----------
    name : str
        The RUN.
    place : {"current", "past"}
        Where it is in the stack.
    tasks : mapping
        As in `RunReport`.
    failures : sequence of Failure
        The failed quanta.
    n_failures : int
        How many there are, of which `failures` may be the first few.
    push : str
        ``pushed``, ``to push``, ``nothing done``, or ``unknown``.
    """

    name: str
    place: str
    tasks: TaskCounts
    failures: Sequence[Failure] = ()
    n_failures: int = 0
    push: str = "unknown"


@dataclass(frozen=True)
class StatusReport(_Document):
    """Where a campaign stands.

    Parameters
    ----------
    name, doc, directory, upstream : str
        What it is, where, and of which repository.
    pipeline : str or None
        Its pipeline.
    collections : mapping
        ``inputs``, ``chain``, ``stack``.
    graph : GraphReport or None
        Its graph, if there is one.
    graph_problem : str
        Why the graph would not be run as it is; empty if it would.
    runs : sequence of RunStatus
        The newest first.
    staging : mapping of str to int
        Numbers of ``datasets`` and ``runs`` in staging; empty if there is none yet.
    staging_problem : str
        Why there is no staging although there was; empty otherwise.
    holder : str
        Who is changing the campaign; empty if nobody is.
    next_commands : sequence of str
        What can be done next.
    """

    name: str
    doc: str
    directory: str
    upstream: str
    pipeline: str | None
    collections: Mapping[str, Any]
    graph: GraphReport | None
    graph_problem: str = ""
    runs: Sequence[RunStatus] = ()
    staging: Mapping[str, int] = field(default_factory=dict)
    staging_problem: str = ""
    holder: str = ""
    next_commands: Sequence[str] = ()


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
    """

    plan: PushPlan
    dry_run: bool = False
    pushed: bool = False
    seconds: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)

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
        }


@dataclass(frozen=True)
class LogEntry(_Document):
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
class HistoryEntry(_Document):
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
        Field of the state to its old and new value.
    """

    position: int
    at_ns: int
    command: str
    change: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class DatasetContent:
    """One dataset that was got.

    Parameters
    ----------
    ref : DatasetRef
        Which.
    content : str or bytes
        Text where its storage class is text, else the bytes of the artifact; empty if it went to a file.
    """

    ref: DatasetRef
    content: str | bytes

    @property
    def id(self) -> str:
        """Its id as text."""
        return id_text(self.ref.id)
