"""In what two runs differ: plain values, the same for text and for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stage.campaign.graph_reports import Document
from stage.campaign.metrics_report import Metrics

__all__ = [
    "InputDifference", "OutputDifference", "QuantaDifference", "RunDifferences", "RunSide", "ValueDifference",
]  # fmt: skip


@dataclass(frozen=True)
class RunSide(Document):
    """One of the two runs.

    Parameters
    ----------
    run, repository : str
        Which, and where it was found.
    n_quanta, n_datasets : int
        What it holds; logs, metadata and configurations are not counted among the datasets.
    """

    run: str
    repository: str
    n_quanta: int
    n_datasets: int


@dataclass(frozen=True)
class ValueDifference(Document):
    """One setting of a task, or the version of one package.

    Parameters
    ----------
    task : str
        The task; empty for a package.
    key : str
        Which setting, or package.
    old, new : object
        Its values; ``(not there)`` where there is none.
    """

    task: str
    key: str
    old: Any
    new: Any


@dataclass(frozen=True)
class InputDifference(Document):
    """Datasets of one type that came from outside the runs, and were really read.

    Parameters
    ----------
    dataset_type : str
        The type.
    n_same, only_old, only_new : int
        How many both runs read, and how many only one of them.
    n_offered : int
        How many of those that only one of them read were offered to the other too.
    data_ids : sequence of mapping
        Of some that only one of them read.
    """

    dataset_type: str
    n_same: int
    only_old: int
    only_new: int
    n_offered: int = 0
    data_ids: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class QuantaDifference(Document):
    """Quanta of one task that came to something else.

    Parameters
    ----------
    task, old, new : str
        The task, and what became of the quanta in both runs; ``absent`` where a run has none of it.
    n : int
        How many.
    data_ids : sequence of mapping
        Of some of them.
    """

    task: str
    old: str
    new: str
    n: int
    data_ids: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class OutputDifference(Document):
    """Datasets of one type that the runs made.

    Parameters
    ----------
    dataset_type : str
        The type.
    n_same, n_changed : int
        How many of equal data IDs have the same checksum, and how many another.
    only_old, only_new : int
        How many only one of the runs has.
    n_unknown : int
        Of how many nobody can tell: the file of one of them is gone, or its checksum was never computed.
    data_ids : sequence of mapping
        Of some that changed, or that only one of the runs has.
    """

    dataset_type: str
    n_same: int
    n_changed: int
    only_old: int
    only_new: int
    n_unknown: int = 0
    data_ids: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class RunDifferences(Document):
    """In what two runs differ; what is the same is only counted.

    Parameters
    ----------
    old, new : RunSide
        The runs.
    settings : sequence of ValueDifference
        Settings of tasks that both runs have.
    versions : sequence of ValueDifference
        Versions of packages.
    collections : mapping of str to sequence of int
        Collections that inputs came from, with how many datasets of it each run read; those that are not the same.
    inputs : sequence of InputDifference
        What the runs took from outside, by dataset type.
    quanta : sequence of QuantaDifference
        What became of the quanta.
    outputs : sequence of OutputDifference
        What the runs made, by dataset type.
    metrics : Metrics
        Numbers that tasks noted.
    """

    old: RunSide
    new: RunSide
    settings: Sequence[ValueDifference] = ()
    versions: Sequence[ValueDifference] = ()
    collections: Mapping[str, Sequence[int]] = field(default_factory=dict)
    inputs: Sequence[InputDifference] = ()
    quanta: Sequence[QuantaDifference] = ()
    outputs: Sequence[OutputDifference] = ()
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        parts = (self.settings, self.versions, self.collections, self.inputs, self.quanta, self.outputs)
        return not any(parts) and not self.metrics.n_different

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field, and ``same``.
        """
        return {"same": self.same, **super().to_document()}
