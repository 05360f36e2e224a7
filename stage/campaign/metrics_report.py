"""In what numbers two runs differ: plain values, the same for text and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stage.campaign.graph_reports import Document

__all__ = ["MetricDifference", "MetricSummary", "Metrics", "Spread"]


@dataclass(frozen=True)
class MetricDifference(Document):
    """A number that is another one in the other run.

    Parameters
    ----------
    source : str
        The task that noted it, or the type of the dataset that has it.
    data_id : str
        Of the quantum or dataset, as compact JSON.
    key : str
        What the number is called there; empty for a dataset that is a number.
    old, new : float
        Both values.
    change : float
        The new less the old.
    relative : float
        The size of the change, by the larger of the two magnitudes.
    """

    source: str
    data_id: str
    key: str
    old: float
    new: float
    change: float
    relative: float

    @property
    def name(self) -> str:
        """The source and the key."""
        return f"{self.source}.{self.key}" if self.key else self.source


@dataclass(frozen=True)
class Spread(Document):
    """How numbers are spread.

    Parameters
    ----------
    median, mean, min, max : float
        As their names say.
    """

    median: float
    mean: float
    min: float
    max: float


@dataclass(frozen=True)
class MetricSummary(Document):
    """One number of one task or dataset type, over all data IDs.

    Parameters
    ----------
    name : str
        The task or dataset type, a dot, and what the number is called.
    n : int
        How many data IDs have it in both runs.
    n_different : int
        Of how many it is another one.
    only_old, only_new : int
        How many have it in one of the runs only.
    old, new, change : Spread
        Its values in both runs, and the new less the old, over the data IDs that have it in both.
    """

    name: str
    n: int
    n_different: int
    only_old: int
    only_new: int
    old: Spread
    new: Spread
    change: Spread


@dataclass(frozen=True)
class Metrics(Document):
    """Numbers that tasks noted in the metadata of their quanta, and those in small documents that they made.

    Parameters
    ----------
    n_compared, n_common : int
        Of how many quanta the notes were read, out of how many that are complete in both runs.
    n_documents : int
        How many pairs of datasets that differ were read.
    n_different : int
        How many of the numbers differ.
    summaries : sequence of MetricSummary
        Each number that differs somewhere.
    largest : sequence of MetricDifference
        Those that differ most; all of them, if that is asked for.
    """

    n_compared: int = 0
    n_common: int = 0
    n_documents: int = 0
    n_different: int = 0
    summaries: Sequence[MetricSummary] = ()
    largest: Sequence[MetricDifference] = ()
