"""What plans are made of: conflicts, notes, datasets of one type, and who pushes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType

__all__ = ["CampaignInfo", "Conflict", "Counts", "DatasetBatch", "Note"]

Counts = Mapping[str, Mapping[str, int]]
"""Kind of thing, then class (``new``, ``same``, ``changed-upstream``, …), then how many."""


@dataclass(frozen=True)
class Conflict:
    """One thing on which the two sides disagree.

    Parameters
    ----------
    code : str
        What is the matter, in kebab-case: ``record-differs``, ``dataset-exists``, ….
    kind : str
        Kind of thing: ``universe``, ``schema``, ``dataset-type``, ``record``, ``collection``, ``chain``,
        ``dataset`` or ``artifact``.
    what : str
        Which one.
    ours, upstream : str
        The two values.
    hint : str
        The way on.
    about : mapping
        The same facts for programs, as JSON-like values: of a record ``element``, ``data_id`` and the ``fields`` that
        differ with both values, of a dataset ``dataset_type``, ``data_id``, ``run`` and both ids, …; who won a race.
    """

    code: str
    kind: str
    what: str
    ours: str
    upstream: str
    hint: str = ""
    about: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.code}: {self.what}: ours {self.ours}, upstream {self.upstream}"


@dataclass(frozen=True)
class Note:
    """Something to know that stops nothing.

    Parameters
    ----------
    code : str
        In kebab-case.
    what : str
        One sentence.
    hint : str
        What could be done.
    """

    code: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.what}"


@dataclass(frozen=True)
class CampaignInfo:
    """Which campaign pushes.

    Parameters
    ----------
    id : bytes
        16 bytes, minted when it was made.
    name : str
        Its name.
    doc : str
        What it is for.
    document : str
        Its state as JSON text, to be kept upstream with its runs.
    """

    id: bytes
    name: str
    doc: str = ""
    document: str = "{}"


@dataclass(frozen=True, eq=False)
class DatasetBatch:
    """Datasets of one type in one RUN.

    Parameters
    ----------
    dataset_type : DatasetType
        The type.
    run : str
        The RUN.
    rows : Columns
        Required dimensions, ``id``, ``uri``, ``size``, ``checksum``, ``formatter``; the last four are None
        where there is no artifact.
    """

    dataset_type: DatasetType
    run: str
    rows: Columns
