"""Our side of a push: what the chosen RUNs hold and need, read set-wise in one staging snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.collections import CollectionType
from registry.model.columns import Array, Columns
from registry.model.records import QuantumStatus
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.explain import schema_version
from sync.manifest import DATASET, UPSTREAM, read_baselines, record_kind
from sync.plan import DatasetBatch, Note, Outgoing

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["ARTIFACT_COLUMNS", "gather", "members", "read_batches"]

ARTIFACT_COLUMNS = ("uri", "size", "checksum", "formatter")


def gather(
    staging: Snapshot,
    runs: Sequence[str],
    *,
    upstream_id: bytes,
    dataset_types: Sequence[str] = (),
    only_complete: bool = False,
) -> Outgoing:
    """Read all that a push of RUNs is about.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.
    runs : sequence of str
        RUN collections, newest first.
    upstream_id : bytes
        Identity of the repository to push to; baselines count only if they are of that one.
    dataset_types : sequence of str
        Patterns; only datasets of types that match one go. All by default.
    only_complete : bool
        Whether to leave out RUNs with quanta that did not succeed.

    Returns
    -------
    Outgoing
        Rows as columns.

    Raises
    ------
    NotFoundError
        If there is no such collection, or a pattern matches no dataset type.
    UsageError
        If one is not a RUN.
    """
    docs = _docs(staging, runs)
    every = staging.quanta(list(docs), latest=False) if docs else Columns({})
    chosen, notes = _choose(docs, every, only_complete=only_complete)
    batches = read_batches(staging, chosen, dataset_types)
    quanta = every.take(np.isin(every["run"], chosen)) if len(chosen) < len(docs) else every
    records = close_records(staging, _record_keys(staging, batches))
    inputs = staging.quantum_inputs(chosen)
    used = set(inputs["dataset_id"].tolist())
    fetched = upstream_id in read_baselines(staging, UPSTREAM)
    return Outgoing(
        universe=staging.universe,
        schema_version=schema_version(staging),
        upstream_id=upstream_id,
        runs=tuple(chosen),
        run_docs={run: docs[run] for run in chosen},
        batches=batches,
        records=records,
        baselines={kind: read_baselines(staging, kind) for kind in map(record_kind, records) if fetched},
        quanta=quanta,
        quantum_inputs=inputs,
        quantum_outputs=staging.quantum_outputs(chosen),
        fetched_inputs=frozenset(used & read_baselines(staging, DATASET).keys()) if fetched else frozenset(),
        notes=(*notes, *_without_files(batches)),
        marks=staging.run_marks(chosen),
        globs=tuple(dataset_types),
    )


def read_batches(staging: Snapshot, runs: Sequence[str], globs: Sequence[str]) -> tuple[DatasetBatch, ...]:
    """Read the datasets of RUNs.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.
    runs : sequence of str
        RUN collections.
    globs : sequence of str
        Patterns of dataset types; all by default.

    Returns
    -------
    tuple of DatasetBatch
        One a dataset type and RUN, with artifacts.

    Raises
    ------
    NotFoundError
        If a pattern matches none of their dataset types.
    """
    counts = staging.count_datasets(list(runs)).rows(("dataset_type", "run")) if runs else []
    names = {name for name, _ in counts}
    for glob in globs if names else ():
        if not any(fnmatchcase(name, glob) for name in names):
            raise NotFoundError(
                f"no dataset type of {', '.join(runs)} matches '{glob}'",
                code="no-such-dataset-type",
                hint=nearest(glob, names),
            )
    out = []
    for name, run in counts:
        if globs and not any(fnmatchcase(name, glob) for glob in globs):
            continue
        found = staging.dataset_type(name)
        rows = staging.datasets(name, [run], find_first=False, artifacts=True)
        out.append(
            DatasetBatch(found, run, rows.select([*found.dimensions.required, "id", *ARTIFACT_COLUMNS]))
        )
    return tuple(out)


def _without_files(batches: Sequence[DatasetBatch]) -> list[Note]:
    """Note what goes without its files, which were removed here."""
    counts: dict[str, int] = {}
    for batch in batches:
        if n := batch.rows["uri"].tolist().count(None):
            counts[batch.dataset_type.name] = counts.get(batch.dataset_type.name, 0) + n
    named = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    hint = "What is recorded of them is pushed; that they were ephemeral or unstored is why."
    return [Note("file-removed", f"the files of {named} were removed here", hint)] if counts else []


def members(values: Sequence[bytes], of: set[bytes] | frozenset[bytes]) -> Array:
    """Tell for each value whether it is in a set.

    Parameters
    ----------
    values : sequence of bytes
        The values.
    of : set of bytes
        The set.

    Returns
    -------
    numpy.ndarray of bool
        A mask.
    """
    return np.fromiter(map(of.__contains__, values), np.bool_, len(values))


def _docs(staging: Snapshot, runs: Sequence[str]) -> dict[str, str]:
    found = {c.name: c for c in staging.collections(list(dict.fromkeys(runs)))} if runs else {}
    for name, collection in found.items():
        if collection.type is not CollectionType.RUN:
            raise UsageError(
                f"'{name}' is a {collection.type.name} collection, not a RUN",
                code="not-a-run",
                hint="Push the RUNs that it holds.",
            )
    return {name: found[name].doc for name in dict.fromkeys(runs)}


def _choose(docs: Mapping[str, str], quanta: Columns, *, only_complete: bool) -> tuple[list[str], list[Note]]:
    """Choose the RUNs to push, and note which are not complete."""
    chosen, notes = [], []
    for run in docs:
        total, incomplete = _incomplete(quanta, run)
        if not incomplete:
            chosen.append(run)
            continue
        text = f"run '{run}': {incomplete:,} of {total:,} quanta did not succeed"
        if only_complete:
            notes.append(
                Note("run-left-out", text, "Finish it with 'stage run', or push without --only-complete.")
            )
        else:
            chosen.append(run)
            notes.append(
                Note("run-incomplete", text, "Finish it with 'stage run', or leave it out: --only-complete.")
            )
    return chosen, notes


def _incomplete(quanta: Columns, run: str) -> tuple[int, int]:
    """Return the number of a RUN's quanta, and of those whose last attempt did not succeed."""
    if not quanta.n_rows:
        return 0, 0
    mine = quanta.take(quanta["run"] == run)
    # Ordered by id and attempt, so that of equal ids the last one stays.
    last = dict(zip(mine["id"].tolist(), mine["status"].tolist(), strict=True))
    return len(last), sum(status not in QuantumStatus.COMPLETE for status in last.values())


def _record_keys(staging: Snapshot, batches: Sequence[DatasetBatch]) -> dict[str, Columns]:
    universe = staging.universe
    return merge_keys(
        universe, [keys_of_datasets(universe, b.dataset_type.dimensions.required, b.rows) for b in batches]
    )
