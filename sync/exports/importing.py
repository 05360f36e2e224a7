"""Bringing the content of exports into a repository: all of it, or nothing.

Everything that the registry can refuse is asked before any file moves: the rows are written and taken back. Then
files are put in place, with no transaction open; then one transaction writes all rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from registry.errors import ConflictError, DataIdError, StageError, UsageError, nearest
from registry.model.collections import CollectionType, check_collection_name
from registry.model.dataset_type import DatasetType
from sync.administration.intake import Intake, check_mode
from sync.exports.content import ARTIFACT_COLUMNS, Batch, Content
from sync.exports.import_files import FilePlan, ImportMode, Ready

if TYPE_CHECKING:
    from registry.registry import Change, Snapshot
    from sync.repo import Repo

__all__ = ["ImportReport", "OnExisting", "import_content"]

OnExisting = Literal["compare", "skip", "error"]
_ON_EXISTING = ("compare", "skip", "error")


@dataclass
class ImportReport:
    """What an import brought.

    Parameters
    ----------
    records : dict of str to int
        New dimension records by element; elements that had any only.
    dataset_types, collections : int
        How many are new.
    datasets : dict of str to int
        New datasets by type.
    tags, validity_ranges : int
        How many were given.
    skipped : list of str
        Files that are missing, whose datasets were left out.
    notes : list of str
        What was changed to make it fit.
    """

    records: dict[str, int] = field(default_factory=dict)
    dataset_types: int = 0
    collections: int = 0
    datasets: dict[str, int] = field(default_factory=dict)
    tags: int = 0
    validity_ranges: int = 0
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return asdict(self)


def import_content(
    repo: Repo,
    contents: Sequence[Content],
    *,
    mode: ImportMode | None = None,
    skip_missing: bool = False,
    on_existing: OnExisting = "compare",
) -> ImportReport:
    """Bring exports into a repository, one after another, in one transaction.

    Parameters
    ----------
    repo : Repo
        Open to write.
    contents : sequence of Content
        What they hold.
    mode : {"copy", "link", "symlink", "move", "direct", "in-place", "none"}, optional
        How files get in. By default a file that lay outside of its datastore is recorded where it is, and all others
        are copied; ``"in-place"`` takes them to be in this datastore already, ``"none"`` records no files.
    skip_missing : bool, optional
        Whether datasets whose file is missing are left out.
    on_existing : {"compare", "skip", "error"}, optional
        What is there already must be equal; or records and chains stay as they are; or must not be there.

    Returns
    -------
    ImportReport
        What is new.

    Raises
    ------
    NotFoundError
        If files are missing (all are counted, the first ones named), or a dataset type is.
    DataIdError
        If a dimension record is missing, or a data ID does not fit its type.
    ConflictError
        If the repository has something else under one of the names.
    IntegrityError
        If a file is not what was recorded. In all these cases nothing has changed.
    """
    check_mode(mode or "copy", ("in-place", "none"))
    if on_existing not in _ON_EXISTING:
        raise UsageError(
            f"no way '{on_existing}' to treat what exists", code="bad-option", hint=nearest(on_existing, _ON_EXISTING)
        )  # fmt: skip
    with repo.registry.read() as snapshot:
        ready = list(_ready(snapshot, contents))
        held = _held(snapshot, ready)
    plan = FilePlan(repo.datastore, ready, held, mode)
    plan.look(skip_missing=skip_missing)
    writer = _Writer(contents, plan, on_existing)
    if plan.is_costly:
        _rehearse(repo, writer)
    intake = Intake(repo.datastore)
    try:
        plan.carry_out(intake)
        with repo.registry.write() as change:
            report = writer.write(change)
    except BaseException:
        with contextlib.suppress(StageError):
            _take_back(repo, plan, intake)
        raise
    intake.finish()
    report.skipped = plan.missing
    report.notes = [note for content in contents for note in content.notes]
    return report


class _Rehearsed(Exception):  # noqa: N818 - never leaves this module
    """Ends a transaction that is not to be kept."""


def _rehearse(repo: Repo, writer: _Writer) -> None:
    """See whether the registry will have the rows, and leave it as it was."""
    with contextlib.suppress(_Rehearsed), repo.registry.write() as change:
        writer.write(change)
        raise _Rehearsed


def _take_back(repo: Repo, plan: FilePlan, intake: Intake) -> None:
    """Remove the files that no row names: the error may have come after the commit, or somebody else's import have won."""
    with repo.registry.read() as snapshot:
        known = snapshot.existing_ids([i for ready in plan.ready for i in ready.rows["id"].tolist()])
    named = {
        uri
        for _, rows in plan.tables()
        for uri, i in zip(rows["uri"].tolist(), rows["id"].tolist(), strict=True)
        if i in known
    }
    intake.undo(named.__contains__)


def _held(snapshot: Snapshot, ready: Sequence[Ready]) -> set[bytes]:
    """Return the ids of datasets that are there with their files."""
    ids = [i for one in ready for i in one.rows["id"].tolist()]
    there = snapshot.existing_ids(ids) if ids else set()
    if not there:
        return set()
    found = snapshot.datasets_by_id(list(there), artifacts=True).values()
    return {
        i
        for rows in found
        for i, uri in zip(rows["id"].tolist(), rows["uri"].tolist(), strict=True)
        if uri is not None
    }


def _ready(snapshot: Snapshot, contents: Sequence[Content]) -> Iterator[Ready]:
    """Find the type of each batch, and see that its columns are those of the type."""
    kinds: dict[str, DatasetType] = {}
    for content in contents:
        kinds |= {kind.name: kind for kind in content.dataset_types}
        for batch in content.batches:
            if batch.dataset_type not in kinds:
                kinds[batch.dataset_type] = snapshot.dataset_type(batch.dataset_type)
            check_collection_name(batch.run)
            yield _checked(content.where, kinds[batch.dataset_type], batch)


def _checked(where: str, kind: DatasetType, batch: Batch) -> Ready:
    required = kind.dimensions.required
    known = {*kind.dimensions.names, "id", *ARTIFACT_COLUMNS}
    for name in batch.rows:
        if name not in known:
            raise DataIdError(
                f"{where}: data IDs of {kind} have '{name}', which is none of its dimensions",
                code="data-id-unknown",
                hint=nearest(name, kind.dimensions.names),
            )
    missing = [name for name in required if name not in batch.rows]
    if missing:
        raise DataIdError(f"{where}: data IDs of {kind} lack {', '.join(missing)}", code="data-id-missing")
    return Ready(kind, batch.run, batch.rows.select((*required, "id", *ARTIFACT_COLUMNS)))


class _Writer:
    """Writes everything, as often as it is asked to."""

    def __init__(self, contents: Sequence[Content], plan: FilePlan, on_existing: OnExisting) -> None:
        self.contents = contents
        self.plan = plan
        self.on_existing: OnExisting = on_existing
        self.left_out = plan.ids_left_out

    def write(self, change: Change) -> ImportReport:
        """Write all rows within a transaction.

        Parameters
        ----------
        change : Change
            The transaction.

        Returns
        -------
        ImportReport
            What was new.
        """
        report = ImportReport()
        for content in self.contents:
            report.dataset_types += sum(map(change.register_dataset_type, content.dataset_types))
            for element, rows in content.records.items():
                new = change.insert_records(element, rows, on_existing=self.on_existing)
                report.records[element] = report.records.get(element, 0) + new
            for c in content.collections:
                report.collections += (
                    change.register_collection(c.name, c.type, c.doc) if not _is_chain(c) else 0
                )
        self._write_datasets(change, report)
        for content in self.contents:
            self._write_associations(change, content, report)
            report.collections += self._write_chains(change, content)
            self._write_provenance(change, content)
        return report

    def _write_datasets(self, change: Change, report: ImportReport) -> None:
        existing: Literal["error", "skip"] = "error" if self.on_existing == "error" else "skip"
        runs: set[str] = set()
        for one, rows in self.plan.tables():
            if one.run not in runs:
                runs.add(one.run)
                report.collections += change.register_run(one.run)
            new = change.insert_datasets(one.kind.name, one.run, rows, on_existing=existing)
            report.datasets[one.kind.name] = report.datasets.get(one.kind.name, 0) + new

    def _write_associations(self, change: Change, content: Content, report: ImportReport) -> None:
        for name, ids in content.tags.items():
            kept = [i for i in ids if i not in self.left_out]
            change.associate(name, kept)
            report.tags += len(kept)
        for name, rows in content.certified.items():
            kept_rows = rows
            if self.left_out:
                kept_rows = rows.take(
                    np.array([i not in self.left_out for i in rows["id"].tolist()], np.bool_)
                )
            change.certify_rows(
                name, kept_rows, on_existing="error" if self.on_existing == "error" else "skip"
            )
            report.validity_ranges += kept_rows.n_rows

    def _write_chains(self, change: Change, content: Content) -> int:
        """Define chains: all are made before one is filled, since one may search another."""
        chains = [c for c in content.collections if _is_chain(c)]
        if not chains:
            return 0
        there = {c.name: c for c in change.collections(types={CollectionType.CHAINED})}
        new = [c for c in chains if c.name not in there]
        for c in new:
            change.register_collection(c.name, c.type, c.doc)
        for c in new:
            change.set_chain(c.name, c.children)
        for c in chains:
            if c.name in there and there[c.name].children != c.children and self.on_existing != "skip":
                raise ConflictError(
                    f"chain '{c.name}' differs: given {', '.join(c.children) or 'nothing'}; "
                    f"there {', '.join(there[c.name].children) or 'nothing'}",
                    code="chain-differs",
                    hint="Import with --on-existing skip to keep what is there.",
                )
        return len(new)

    def _write_provenance(self, change: Change, content: Content) -> None:
        if content.quanta is not None:
            change.insert_quanta(content.quanta)
        if content.quantum_inputs is not None:
            change.insert_quantum_inputs(content.quantum_inputs)
        if content.quantum_outputs is not None:
            change.insert_quantum_outputs(content.quantum_outputs)


def _is_chain(collection: Any) -> bool:
    return bool(collection.type is CollectionType.CHAINED)
