"""Bringing staging up to date with upstream, entity by entity: plan, then execute.

Both sides are held against what was fetched (`sync.manifest`). What only upstream has changed is taken; what was changed
or made here stays; what both have changed refuses the pull until somebody says which side counts. What a quantum has read
or made stays as it was then, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.model.collections import CollectionType
from registry.model.refs import new_id
from sync import journal
from sync.explain import refusal, schema_version, universe_conflicts
from sync.faults import At, no_fault
from sync.pulling.plan import PullPlan, Rows
from sync.pulling.planning import PULL, Pull
from sync.pulling.policies import Policies

if TYPE_CHECKING:
    from registry.change import Change
    from sync.fetching.artifacts import ArtifactPlan
    from sync.plan import DatasetBatch, Wanted
    from sync.repo import Repo

__all__ = ["PullResult", "execute_pull", "plan_pull"]


@dataclass(frozen=True)
class PullResult:
    """What a pull did.

    Parameters
    ----------
    counts : mapping
        Kind to class to number, as in the plan.
    size_bytes : int
        Bytes copied.
    n_removed : int
        Files of the campaign's own that were removed.
    """

    counts: Mapping[str, Mapping[str, int]]
    size_bytes: int = 0
    n_removed: int = 0


def plan_pull(
    upstream: Repo, staging: Repo, wanted: Wanted, *, policies: Policies | Sequence[str] = ()
) -> PullPlan:
    """Decide what a pull would change in staging, without writing anywhere.

    Parameters
    ----------
    upstream, staging : Repo
        Open repositories; read access is enough.
    wanted : Wanted
        What the work needs now, beside what was fetched before: datasets, keys of records, dataset types, and the
        input collections.
    policies : Policies or sequence of str, optional
        What becomes of conflicts: ``CODE=fail``, ``CODE=keep``, ``CODE=take``.

    Returns
    -------
    PullPlan
        What there is to do.

    Raises
    ------
    UsageError
        If there is no such policy.
    NotFoundError
        If an input collection is on neither side.

    Notes
    -----
    A fixed number of questions a dataset type and a dimension element, whatever the number of rows; all rows that were
    fetched are read on both sides.
    """
    said = policies if isinstance(policies, Policies) else Policies.parse(policies)
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        conflicts = universe_conflicts(ours.universe, schema_version(ours), theirs)
        if conflicts:
            return PullPlan(Rows(), {}, conflicts=tuple(conflicts))
        return Pull(theirs, ours, wanted, upstream, said).plan()


def execute_pull(
    plan: PullPlan,
    staging: Repo,
    artifacts: ArtifactPlan | None = None,
    *,
    at: At = no_fault,
    on_progress: Callable[[int, int], None] | None = None,
) -> PullResult:
    """Write a plan into staging: new files first, then rows in one transaction, then what no row names any more goes.

    Parameters
    ----------
    plan : PullPlan
        From `plan_pull`.
    staging : Repo
        Open for writing.
    artifacts : ArtifactPlan, optional
        From `sync.fetching.artifacts.plan_artifacts`, of the plan's new datasets; by default files stay where they are.
    at : callable
        Called between durable steps, with the step's name.
    on_progress : callable, optional
        Called with the numbers of files done and in all.

    Returns
    -------
    PullResult
        The counts.

    Raises
    ------
    ConflictError
        If the plan has conflicts; nothing is written.
    BusyError
        If another process holds staging for too long; no row is written.
    TransferError
        If some files did not arrive; no row is written.
    """
    if plan.conflicts:
        raise refusal("pull", plan.conflicts)
    size_bytes, datasets = 0, plan.rows.new_datasets
    if artifacts is not None:
        from sync.fetching.artifacts import bring_artifacts

        size_bytes = bring_artifacts(artifacts, at=at, on_progress=on_progress).size_bytes
        datasets = artifacts.batches
    unfinished = dict(plan.unfinished)
    if not plan.rows.is_empty:
        with staging.registry.write() as tx:
            _write(tx, plan.rows, datasets)
            if artifacts is not None:
                artifacts.write(tx)
            if plan.rows.files:
                # Whoever is killed before they are gone leaves a note of them.
                operation = new_id()
                journal.note(tx, operation, PULL, journal.MOVED, {"files": list(plan.rows.files)})
                unfinished[operation] = plan.rows.files
            at("rows-written")
        at("committed")
    n_removed = _remove_files(staging, unfinished, at) if unfinished else 0
    return PullResult(plan.counts, size_bytes, n_removed)


def _write(tx: Change, rows: Rows, datasets: Sequence[DatasetBatch]) -> None:
    """Write rows: what goes first, since what comes may be in its place."""
    if rows.gone_datasets:
        tx.delete_datasets(rows.gone_datasets)
    for dataset_type in rows.dataset_types:
        tx.register_dataset_type(dataset_type)
    for element, records in rows.new_records.items():
        tx.insert_records(element, records, on_existing="compare")
    for element, records in rows.changed_records.items():
        tx.replace_records(element, records)
    for element, keys in rows.gone_records.items():
        tx.remove_records(element, keys)
    for collection in rows.new_collections:
        tx.register_collection(collection.name, collection.type, collection.doc)
        if collection.type is CollectionType.CHAINED:
            tx.set_chain(collection.name, collection.children)
    for batch in datasets:
        tx.insert_datasets(batch.dataset_type.name, batch.run, batch.rows, on_existing="skip")
    if rows.changed_artifacts.n_rows:
        tx.insert_artifacts(rows.changed_artifacts)
    rows.members.write(tx)
    for name in rows.gone_collections:
        tx.remove_collection(name, unlink=True, purge=True)
    if rows.forgotten.n_rows:
        tx.delete_listed("baseline", rows.forgotten)
    tx.insert_rows("baseline", rows.baselines, on_existing="replace")


def _remove_files(staging: Repo, unfinished: Mapping[bytes, Sequence[str]], at: At) -> int:
    """Remove the campaign's own copies that no row names any more, and the notes of them."""
    names = {name for files in unfinished.values() for name in files}
    with staging.registry.read() as snapshot:
        names -= snapshot.recorded_uris(sorted(names))
    for name in sorted(names):
        staging.datastore.remove(name)
    at("files-removed")
    with staging.registry.write() as tx:
        for operation in unfinished:
            tx.delete_rows("journal", operation=operation)
    at("acknowledged")
    return len(names)
