"""Our side of a push: what the chosen RUNs hold and need, read set-wise in one staging snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.records import QuantumStatus
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.explain import schema_version
from sync.manifest import DATASET, UPSTREAM, read_baselines, record_kind
from sync.plan import DatasetBatch, Note, Outgoing
from sync.pushing.members import members
from sync.pushing.provenance import ids_in, quanta_behind

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
    where: str = "",
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
    where : str
        An expression; only datasets go whose data IDs fulfil it, and the quanta from which these came.
    only_complete : bool
        Whether to leave out RUNs with quanta that did not succeed.

    Returns
    -------
    Outgoing
        Rows as columns.

    Raises
    ------
    NotFoundError
        If there is no such collection, a pattern matches no dataset type, or an expression no dataset.
    UsageError
        If one is not a RUN.
    QueryError
        If `where` is not understood.
    """
    docs = _docs(staging, runs)
    every = staging.quanta(list(docs), latest=False) if docs else Columns({})
    chosen, notes = _choose(docs, every, only_complete=only_complete)
    batches = read_batches(staging, chosen, dataset_types, where=where)
    if where:
        batches, chosen, notes = _with_some(batches, chosen, notes, where)
    quanta = every.take(np.isin(every["run"], chosen)) if len(chosen) < len(docs) else every
    inputs, outputs = staging.quantum_inputs(chosen), staging.quantum_outputs(chosen)
    if where:
        quanta, inputs, outputs = _behind(batches, quanta, inputs, outputs)
    records = close_records(staging, _record_keys(staging, batches))
    used = ids_in(inputs, "dataset_id")
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
        quantum_outputs=outputs,
        fetched_inputs=frozenset(used & read_baselines(staging, DATASET).keys()) if fetched else frozenset(),
        notes=(*notes, *_without_files(batches)),
        marks=staging.run_marks(chosen),
        globs=tuple(dataset_types),
        where=where,
    )


def _with_some(
    batches: Sequence[DatasetBatch], runs: Sequence[str], notes: Sequence[Note], where: str
) -> tuple[tuple[DatasetBatch, ...], list[str], list[Note]]:
    """Leave out RUNs of which an expression chooses nothing."""
    kept = tuple(batch for batch in batches if batch.rows.n_rows)
    holding = {batch.run for batch in kept}
    if runs and not holding:
        raise NotFoundError(
            f"no dataset of {', '.join(runs)} fulfils {where}",
            code="no-such-dataset",
            hint=f"'stage query datasets TYPE -i {runs[0]}' shows what there is.",
        )
    empty = [
        Note("run-left-out", f"run '{run}': none of its datasets fulfils {where}", "")
        for run in runs
        if run not in holding
    ]
    return kept, [run for run in runs if run in holding], [*notes, *empty]


def _behind(
    batches: Sequence[DatasetBatch], quanta: Columns, inputs: Columns, outputs: Columns
) -> tuple[Columns, Columns, Columns]:
    """Keep the quanta from which datasets came, and what these read and made."""
    chosen = {i for batch in batches for i in batch.rows["id"].tolist()}
    ids = quanta_behind(chosen, inputs, outputs)
    named = ((quanta, "id"), (inputs, "quantum_id"), (outputs, "quantum_id"))
    kept = [rows.take(members(rows[name].tolist(), ids)) if rows.n_rows else rows for rows, name in named]
    return kept[0], kept[1], kept[2]


def read_batches(
    staging: Snapshot, runs: Sequence[str], globs: Sequence[str], *, where: str = ""
) -> tuple[DatasetBatch, ...]:
    """Read the datasets of RUNs.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.
    runs : sequence of str
        RUN collections.
    globs : sequence of str
        Patterns of dataset types; all by default.
    where : str
        An expression that their data IDs fulfil.

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
        rows = staging.datasets(name, [run], find_first=False, artifacts=True, where=where)
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
