"""What commands about graphs tell: plain values, the same for text and for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["BuildReport", "Document", "FetchReport", "GraphReport", "RefreshReport"]


class Document:
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
class GraphReport(Document):
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
    skipped : sequence of mapping
        Quanta that were done before: ``task``, ``skipped`` and ``of`` (numbers).
    step : str
        Which step of its pipeline it is, as ``step 1 of 3 'split'``; empty for a pipeline without steps.
    steps_after : sequence of str
        The steps that follow, whose graphs are built when those before them are done.
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
    skipped: Sequence[Mapping[str, Any]] = ()
    step: str = ""
    steps_after: Sequence[str] = ()

    @property
    def n_quanta(self) -> int:
        """Number of quanta."""
        return sum(self.tasks.values())


@dataclass(frozen=True)
class FetchReport(Document):
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
        How much was copied.
    artifacts : str
        How files were fetched: ``direct`` (they stay where they are), ``link``, ``symlink`` or ``copy``.
    files : int
        Files that got names in the campaign; those of datasets that staging had before among them.
    notes : sequence of str
        What changed upstream since it was fetched, and what a fetch cannot bring.
    seconds : float
        Time taken.
    """

    counts: Mapping[str, Mapping[str, int]]
    datasets: Mapping[str, int] = field(default_factory=dict)
    referred_bytes: int = 0
    copied_bytes: int = 0
    artifacts: str = "direct"
    files: int = 0
    notes: Sequence[str] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class RefreshReport(Document):
    """What a refresh has changed.

    Parameters
    ----------
    resolved : mapping of str to int
        Dataset type to number of datasets that were found.
    replaced : mapping of str to int
        Dataset type to how many of these are others than before.
    unresolved : mapping of str to int
        Dataset type to number of datasets that are there no more.
    trimmed : mapping of str to int
        Task to number of quanta that were dropped because all their outputs exist.
    pruned : mapping of str to int
        Task to number of quanta that were dropped for want of inputs.
    """

    resolved: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    unresolved: Mapping[str, int] = field(default_factory=dict)
    trimmed: Mapping[str, int] = field(default_factory=dict)
    pruned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildReport(Document):
    """What a build made.

    Parameters
    ----------
    graph : GraphReport
        The graph.
    seconds : float
        Time taken, without the fetch.
    fetch : FetchReport or None
        What was fetched; None if that was left for later.
    refreshed : RefreshReport or None
        What looking the graph's datasets up again has changed; None if they were not.
    explanation : mapping or None
        Why there are these quanta and no others, if that was asked for.
    """

    graph: GraphReport
    seconds: float = 0.0
    fetch: FetchReport | None = None
    refreshed: RefreshReport | None = None
    explanation: Mapping[str, Any] | None = None
