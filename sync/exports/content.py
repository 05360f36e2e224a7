"""What a repository holds, on its way into another one: the one form that every kind of export is read into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry.model.collections import Collection
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType

__all__ = ["ARTIFACT_COLUMNS", "CERTIFIED", "Batch", "Content"]

ARTIFACT_COLUMNS = ("source", "uri", "size", "checksum", "formatter")
"""What a batch of datasets says of files. `source` is where the file is, absolute, or null where the dataset has none;
`uri` what its artifact record said, or null; a `size` that is not known is null; `checksum` may be empty; `formatter`
may be null, and then follows from the storage class."""

CERTIFIED = ("id", "valid_begin", "valid_end")
"""Which dataset is valid when, in TAI nanoseconds."""


@dataclass(frozen=True)
class Batch:
    """Datasets of one type in one RUN.

    Parameters
    ----------
    dataset_type : str
        Its name; the type is defined in the same content, or known to the repository.
    run : str
        The RUN collection.
    rows : Columns
        Dimensions (required ones, and perhaps implied ones), ``id``, and `ARTIFACT_COLUMNS`.
    """

    dataset_type: str
    run: str
    rows: Columns


@dataclass(frozen=True)
class Content:
    """Rows of one export.

    Parameters
    ----------
    where : str
        What the export is called in messages.
    records : mapping of str to Columns
        Dimension records by element, in order of reference.
    dataset_types : sequence of DatasetType
        Definitions.
    collections : sequence of Collection
        With their chains.
    batches : sequence of Batch
        Datasets.
    tags : mapping of str to sequence of bytes
        TAGGED collection to ids of what it holds.
    certified : mapping of str to Columns
        CALIBRATION collection to `CERTIFIED` rows.
    quanta, quantum_inputs, quantum_outputs : Columns or None
        Provenance, as `registry.model.records` has it.
    notes : sequence of str
        What was changed or left out to make it fit, for the person who imports.
    """

    where: str
    records: Mapping[str, Columns] = field(default_factory=dict)
    dataset_types: Sequence[DatasetType] = ()
    collections: Sequence[Collection] = ()
    batches: Sequence[Batch] = ()
    tags: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    certified: Mapping[str, Columns] = field(default_factory=dict)
    quanta: Columns | None = None
    quantum_inputs: Columns | None = None
    quantum_outputs: Columns | None = None
    notes: Sequence[str] = ()
