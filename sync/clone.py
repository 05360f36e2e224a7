"""Fetching into staging what a piece of work needs from upstream: plan, then execute.

One upstream snapshot is read, one staging transaction writes. What is there already stays as it was fetched; of
what is new, a digest is kept as the base of later comparisons. Artifacts stay where they are, or come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.model.collections import CollectionType
from registry.model.garbage import without_collection
from sync.explain import refusal, schema_version, universe_conflicts
from sync.faults import At, no_fault
from sync.fetching.planning import Fetch
from sync.manifest import baseline_rows
from sync.plan import FetchPlan, Wanted

if TYPE_CHECKING:
    from sync.fetching.artifacts import ArtifactPlan
    from sync.repo import Repo

__all__ = ["FetchResult", "execute_fetch", "plan_fetch"]


@dataclass(frozen=True)
class FetchResult:
    """What a fetch did.

    Parameters
    ----------
    counts : mapping
        Kind to class to number, as in the plan.
    size_bytes : int
        Bytes copied.
    """

    counts: Mapping[str, Mapping[str, int]]
    size_bytes: int = 0


def plan_fetch(upstream: Repo, staging: Repo, wanted: Wanted) -> FetchPlan:
    """Decide what has to come from upstream, without writing anywhere.

    Parameters
    ----------
    upstream, staging : Repo
        Open repositories; read access is enough.
    wanted : Wanted
        What the work needs. Datasets and records that only staging has are left alone.

    Returns
    -------
    FetchPlan
        What is new, and what differs.

    Raises
    ------
    NotFoundError
        If a dataset or an input collection is on neither side.

    Notes
    -----
    A fixed number of queries a dataset type and a dimension element, whatever the number of rows.
    """
    with upstream.registry.read() as theirs, staging.registry.read() as ours, without_collection():
        conflicts = universe_conflicts(ours.universe, schema_version(ours), theirs)
        if conflicts:
            return FetchPlan((), (), {}, (), baseline_rows({}), {}, conflicts=tuple(conflicts))
        return Fetch(theirs, ours, wanted, upstream).plan()


def execute_fetch(
    plan: FetchPlan,
    staging: Repo,
    artifacts: ArtifactPlan | None = None,
    *,
    at: At = no_fault,
    on_progress: Callable[[int, int], None] | None = None,
) -> FetchResult:
    """Write a plan into staging: files first, if they are to come too, then rows in one transaction.

    Parameters
    ----------
    plan : FetchPlan
        From `plan_fetch`.
    staging : Repo
        Open for writing.
    artifacts : ArtifactPlan, optional
        From `sync.fetching.artifacts.plan_artifacts`; by default files stay where they are.
    at : callable
        Called between durable steps, with the step's name.
    on_progress : callable, optional
        Called with the numbers of files done and in all.

    Returns
    -------
    FetchResult
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
        raise refusal("fetch", plan.conflicts)
    size_bytes, datasets = 0, plan.datasets
    if artifacts is not None:
        from sync.fetching.artifacts import bring_artifacts

        size_bytes = bring_artifacts(artifacts, at=at, on_progress=on_progress).size_bytes
        datasets = artifacts.batches
    if not plan.is_empty or (artifacts is not None and not artifacts.is_empty):
        with without_collection(), staging.registry.write() as tx:
            for dataset_type in plan.dataset_types:
                tx.register_dataset_type(dataset_type)
            for collection in plan.collections:
                tx.register_collection(collection.name, collection.type, collection.doc)
                if collection.type is CollectionType.CHAINED:
                    tx.set_chain(collection.name, collection.children)
            for element, records in plan.records.items():
                tx.insert_records(element, records, on_existing="skip")
            for batch in datasets:
                tx.insert_datasets(batch.dataset_type.name, batch.run, batch.rows, on_existing="skip")
            if artifacts is not None:
                artifacts.write(tx)
            plan.members.write(tx)
            if plan.forgotten.n_rows:
                tx.delete_listed("baseline", plan.forgotten)
            tx.insert_rows("baseline", plan.baselines, on_existing="replace")
            at("rows-written")
        at("committed")
    return FetchResult(plan.counts, size_bytes)
