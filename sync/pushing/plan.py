"""What a push would do: our side of it, and the plan made from that and upstream's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import id_text
from sync.plan_parts import CampaignInfo, Conflict, Counts, DatasetBatch, Note
from sync.pushing.asking import Terms
from sync.wording import push_lines, total_size

__all__ = ["ChainMove", "Outgoing", "PushPlan"]


@dataclass(frozen=True)
class ChainMove:
    """What becomes of an upstream chain, as compare-and-swap.

    Parameters
    ----------
    name : str
        The chain.
    expected : tuple of str or None
        Its children when the plan was made; None if there was no such chain.
    children : tuple of str
        Its children after the push.
    replaced : str, optional
        The child that gives up its place.
    """

    name: str
    expected: tuple[str, ...] | None
    children: tuple[str, ...]
    replaced: str | None = None


@dataclass(frozen=True, eq=False)
class Outgoing:
    """Our side of a push: everything the chosen RUNs hold and need, read in one staging snapshot.

    Parameters
    ----------
    universe : DimensionUniverse
        Staging's dimensions.
    schema_version : str
        Staging's.
    upstream_id : bytes
        Identity of the repository to push to.
    runs : tuple of str
        RUNs to push, newest first.
    run_docs : mapping of str to str
        RUN to what it is for.
    batches : tuple of DatasetBatch
        All their datasets that were chosen.
    records : mapping of str to Columns
        All dimension records that these need.
    baselines : mapping of str to mapping
        Kind to key to digest: what was fetched.
    quanta, quantum_inputs, quantum_outputs : Columns
        Provenance rows: of all their quanta, or of those from which chosen datasets came.
    fetched_inputs : frozenset of bytes
        Ids of inputs that came from upstream.
    notes : tuple of Note
        RUNs that were named and are not pushed, and why; RUNs that are pushed and not complete.
    marks : mapping of str to str
        RUN to its mark when it was read; see `Snapshot.run_marks`.
    globs : tuple of str
        Patterns by which dataset types were chosen.
    where : str
        The expression by which datasets were chosen; empty for all.
    """

    universe: DimensionUniverse
    schema_version: str
    upstream_id: bytes
    runs: tuple[str, ...]
    run_docs: Mapping[str, str]
    batches: tuple[DatasetBatch, ...]
    records: Mapping[str, Columns]
    baselines: Mapping[str, Mapping[bytes, bytes]]
    quanta: Columns
    quantum_inputs: Columns
    quantum_outputs: Columns
    fetched_inputs: frozenset[bytes] = frozenset()
    notes: tuple[Note, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    globs: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, eq=False)
class PushPlan:
    """What a push would write upstream.

    Parameters
    ----------
    outgoing : Outgoing
        Our side, as it was read.
    campaign : CampaignInfo
        Who pushes.
    chain_name : str or None
        The chain to put the RUNs in.
    register_dataset_types : bool
        Whether dataset types that upstream lacks may be defined there.
    new_runs : tuple of str
        RUNs to be made.
    new_types : tuple of DatasetType
        Dataset types to be defined.
    new_records : mapping of str to Columns
        Dimension records to be inserted, elements in order of reference.
    new_datasets : tuple of DatasetBatch
        Datasets to be inserted, with URIs relative to upstream's root.
    new_artifacts : tuple of DatasetBatch
        Datasets that upstream has without their artifacts, which we have.
    new_quanta, new_inputs, new_outputs : Columns
        Provenance rows to be inserted.
    chain : ChainMove or None
        What becomes of the chain; None if it stays.
    counts : mapping
        Kind to class to number.
    conflicts : tuple of Conflict
        All of them; a plan with any is refused as a whole.
    warnings : tuple of Note
        What provenance keeps and upstream no longer has, and the notes on RUNs.
    upstream_marks : mapping of str to str
        RUN to its mark upstream, where a comparison found that upstream has it all.
    terms : Terms
        What becomes of conflicts, and how the push was asked for.
    skipped : tuple of Conflict
        Those that a policy leaves out; also counted, by code.
    left_out : frozenset of bytes
        Ids of datasets that stay here because of that.
    blocked : mapping of bytes to Conflict
        Of these, ids of those whose file is in conflict.
    """

    outgoing: Outgoing
    campaign: CampaignInfo
    chain_name: str | None
    register_dataset_types: bool
    new_runs: tuple[str, ...]
    new_types: tuple[DatasetType, ...]
    new_records: Mapping[str, Columns]
    new_datasets: tuple[DatasetBatch, ...]
    new_artifacts: tuple[DatasetBatch, ...]
    new_quanta: Columns
    new_inputs: Columns
    new_outputs: Columns
    chain: ChainMove | None
    counts: Counts
    conflicts: tuple[Conflict, ...] = ()
    warnings: tuple[Note, ...] = ()
    upstream_marks: Mapping[str, str] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
    skipped: tuple[Conflict, ...] = ()
    left_out: frozenset[bytes] = frozenset()
    blocked: Mapping[bytes, Conflict] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[str, ...]:
        """RUNs that are pushed, newest first."""
        return self.outgoing.runs

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write and nothing in conflict."""
        rows = (self.new_runs, self.new_types, self.new_records, self.new_datasets, self.new_artifacts)
        return not any(rows) and not self.new_quanta.n_rows and self.chain is None and not self.conflicts

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of the new artifacts."""
        return sum(total_size(batch.rows) for batch in (*self.new_datasets, *self.new_artifacts))

    @cached_property
    def datasets_by_type(self) -> dict[str, int]:
        """Number of new datasets by name of dataset type."""
        out: dict[str, int] = {}
        for batch in self.new_datasets:
            out[batch.dataset_type.name] = out.get(batch.dataset_type.name, 0) + batch.rows.n_rows
        return dict(sorted(out.items()))

    def to_document(self) -> dict[str, Any]:
        """Return the plan's facts, without its rows, as JSON-like values.

        Returns
        -------
        dict
            ``campaign``, ``runs``, ``counts``, ``new_datasets``, ``size_bytes``, ``chain``, ``conflicts``,
            ``skipped``, ``warnings`` and ``is_empty``.
        """
        chain = None
        if self.chain is not None:
            expected = None if self.chain.expected is None else list(self.chain.expected)
            chain = {"name": self.chain.name, "before": expected, "after": list(self.chain.children)}
            chain["replaced"] = self.chain.replaced
        return {
            "campaign": {"id": id_text(self.campaign.id), "name": self.campaign.name},
            "runs": list(self.runs),
            "counts": {kind: dict(classes) for kind, classes in self.counts.items()},
            "new_datasets": self.datasets_by_type,
            "size_bytes": self.size_bytes,
            "chain": chain,
            "conflicts": [vars(conflict) for conflict in self.conflicts],
            "skipped": [vars(conflict) for conflict in self.skipped],
            "warnings": [vars(note) for note in self.warnings],
            "is_empty": self.is_empty,
        }

    def to_json(self) -> str:
        """Return `to_document` as JSON text.

        Returns
        -------
        str
            One line.
        """
        return json.dumps(self.to_document())

    def lines(self) -> list[str]:
        """Return the plan as lines for a person.

        Returns
        -------
        list of str
            One line a class of things, then the chain, the warnings and the conflicts.
        """
        return push_lines(self)
