"""What quanta of a graph have made, straight from graph file and files: no campaign, and none of its databases.

It becomes a *scratch* repository: a registry of its own in a temporary directory, over the datastore that the jobs wrote
to. What a push then takes from it is what it would take from a campaign's staging, because the same code has filled it:
`stage.execution.merge` and `stage.execution.record`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QuantumStatus
from stage.execution.earlier import read_earlier
from stage.execution.merge import MergeResult, check_graph, merge_outcomes, rank
from stage.execution.record_file import load_all
from stage.execution.starts import STARTED_AGAIN, newest_of
from stage.pipeline.node import METADATA
from sync.filesystem import files
from sync.filesystem.listing import sizes_below
from sync.lookups import known_collections
from sync.paths import safe_part
from sync.plan import Wanted

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot
    from stage.execution.outcome import QuantumOutcome
    from stage.graph.graph import QuantumGraph
    from stage.graph.quantum import PlannedDataset
    from sync.repo import Repo

__all__ = ["check_whole", "fill_scratch", "found_outcomes", "load_records", "run_files"]

_SHOWN = 20
_RECORDS = (".jsonl", ".jsonl.zst")


def run_files(graph: QuantumGraph, root: str) -> dict[str, int]:
    """List what there is of a graph's RUN.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    root : str
        Root of the datastore that its outputs are in.

    Returns
    -------
    dict of str to int
        Path relative to the root to bytes.

    Raises
    ------
    StorageError
        If it cannot be listed.
    """
    return sizes_below(root, ["/".join(map(safe_part, graph.output_run.split("/")))])


def load_records(graph: QuantumGraph, place: str) -> list[QuantumOutcome]:
    """Read what jobs of a graph have recorded.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    place : str
        A record file, or a directory; of the record files there (``*.jsonl``, ``*.jsonl.zst``) those of this graph count.

    Returns
    -------
    list of QuantumOutcome
        In no order, of one quantum perhaps several.

    Raises
    ------
    NotFoundError
        If there is no record of this graph.
    IntegrityError
        If one is damaged.
    ConflictError
        If the one file that is named is of another graph.
    """
    uris = [place]
    if not place.endswith(_RECORDS):
        names = [n for n in files.list_files(place) if n.partition(STARTED_AGAIN)[0].endswith(_RECORDS)]
        uris = [files.join(place, name) for name in newest_of(names)]
    found = load_all(uris)
    # The one that is named has to be of this graph; in a directory others of the same run may lie.
    mine = found if uris == [place] else [(uri, r) for uri, r in found if r.graph_id == graph.id]
    if not mine:
        raise NotFoundError(
            f"{files.redact(place)} has no records of this graph (run '{graph.output_run}')"
            + (f", only of {', '.join(sorted({r.run for _, r in found}))}" if found else ""),
            code="no-records",
            hint="Leave --records out: then the files that the graph predicts are looked for.",
        )
    for uri, record in mine:
        check_graph(uri, record, graph)
    return [outcome for _, record in mine for outcome in record.outcomes]


def found_outcomes(graph: QuantumGraph, store: Any, sizes: Mapping[str, int]) -> list[QuantumOutcome]:
    """Read what quanta came to from their metadata, where records are lost.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    store : Datastore
        Where its outputs are.
    sizes : mapping of str to int
        The files that are there.

    Returns
    -------
    list of QuantumOutcome
        Of the quanta that are complete; of others files tell nothing.
    """
    out = []
    for quantum in graph.quanta(range(graph.n_quanta)):
        uri = quantum.outputs[METADATA][0].uri
        if uri is not None and uri in sizes:
            outcome = read_earlier(quantum, store, uri)
            if outcome is not None:
                out.append(outcome)
    return out


def check_whole(graph: QuantumGraph, outcomes: Sequence[QuantumOutcome], *, recorded: bool) -> None:
    """Refuse what is not whole: a quantum of which nothing is known, though nothing that it rests on has failed.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    outcomes : sequence of QuantumOutcome
        What is known.
    recorded : bool
        Whether records say so; else files do.

    Raises
    ------
    NotFoundError
        If there is one; names some.
    """
    best: dict[int, QuantumOutcome] = {}
    for outcome in outcomes:
        if outcome.ordinal not in best or rank(outcome) > rank(best[outcome.ordinal]):
            best[outcome.ordinal] = outcome
    known = np.zeros(graph.n_quanta, dtype=np.bool_)
    known[list(best)] = True
    failed = [o.ordinal for o in best.values() if o.status not in QuantumStatus.COMPLETE]
    if failed:
        known[graph.descendants(failed)] = True
    missing = np.flatnonzero(~known)
    if not len(missing):
        return
    if recorded:
        told = f"no record of {len(missing):,} of {graph.n_quanta:,} quanta"
        hint = "Give the records of all jobs; or execute what is missing: 'stage exec GRAPH --quanta all --record FILE'."
    else:
        told = (
            f"{len(missing):,} of {graph.n_quanta:,} quanta have left no metadata, so they are not complete"
        )
        hint = "Execute them: 'stage exec GRAPH --quanta all --record FILE'; or say by --records what became of them."
    error = NotFoundError(
        f"{told} (first: {graph.quantum(int(missing[0]))})", code="quanta-missing", hint=hint,
        context={"quanta": missing.tolist()},
    )  # fmt: skip
    for ordinal in missing[:_SHOWN].tolist():
        error.add_note(str(graph.quantum(ordinal)))
    raise error


def fill_scratch(
    scratch: Repo,
    upstream: Repo,
    graph: QuantumGraph,
    outcomes: Sequence[QuantumOutcome],
    sizes: Mapping[str, int],
) -> MergeResult:
    """Record in an empty registry what a graph's quanta read and made.

    Parameters
    ----------
    scratch : Repo
        Writable, without a row, over the datastore that outputs are in.
    upstream : Repo
        Where the graph was built; only read.
    graph : QuantumGraph
        The graph.
    outcomes : sequence of QuantumOutcome
        What became of its quanta.
    sizes : mapping of str to int
        The files that are there.

    Returns
    -------
    MergeResult
        What was recorded.

    Raises
    ------
    NotFoundError
        If a file is not there.
    IntegrityError
        If one has another size than was recorded.
    ConflictError
        If upstream has other dimensions than the graph.
    """
    from sync.clone import execute_fetch, plan_fetch

    wanted = graph.wanted()
    with upstream.registry.read() as snapshot:
        outcomes = _as_known(snapshot, graph, outcomes)
        there = snapshot.existing_ids(list(wanted.dataset_ids))
        taken = _init_outputs_there(snapshot, graph)
    # What upstream has lost since is told of by the push, as of a campaign's.
    inputs = [i for i in wanted.dataset_ids if i in there]
    execute_fetch(
        plan_fetch(upstream, scratch, Wanted(inputs, wanted.records, wanted.dataset_types)), scratch
    )
    with scratch.registry.write() as change:
        _record_elements(change, graph)
        change.register_run(graph.output_run)
        for kind in graph.layout.types:
            dims = graph.universe.group(kind.dimensions)
            change.register_dataset_type(
                DatasetType(kind.name, dims, kind.storage_class, kind.is_calibration)
            )
        _record_found(change, graph)
        for dataset_type, rows in _init_rows(graph, scratch.datastore.root, sizes, taken):
            change.insert_datasets(dataset_type, graph.output_run, rows)
    return merge_outcomes(scratch, graph, outcomes, sizes)


def _as_known(
    upstream: Snapshot, graph: QuantumGraph, outcomes: Sequence[QuantumOutcome]
) -> list[QuantumOutcome]:
    """Return outcomes as upstream knows them where it does: metadata tell less of the same attempt than a record."""
    names = ("status", "started_ns", "finished_ns", "cpu_ns", "peak_bytes", "host", "message")
    known: dict[tuple[bytes, int], dict[str, Any]] = {}
    if known_collections(upstream, [graph.output_run]):
        rows = upstream.quanta([graph.output_run], latest=False)
        keys, values = rows.rows(("id", "attempt")), rows.rows(names)
        known = {key: dict(zip(names, row, strict=True)) for key, row in zip(keys, values, strict=True)}
    if not known:
        return list(outcomes)
    ids = graph.quantum_ids([o.ordinal for o in outcomes])
    return [
        o._replace(**theirs) if (theirs := known.get((i, o.attempt))) and theirs["status"] == o.status else o
        for i, o in zip(ids, outcomes, strict=True)
    ]


def _record_elements(change: Change, graph: QuantumGraph) -> None:
    """Record dimension records that the graph carries and upstream does not have (any more)."""
    for name, element in graph.universe.elements.items():
        if name in graph.record_tables and element.has_table:
            change.insert_records(name, graph.records(name), on_existing="skip")


def _record_found(change: Change, graph: QuantumGraph) -> None:
    """Record inputs that are not upstream: outputs of other runs of the campaign, which quanta were offered."""
    for kind in graph.type_rows:
        if kind.found is None:
            continue
        rows, found = kind.table.decode(), kind.found.select(("id", "run")).decode()
        ids = found["id"].tolist()
        here = change.existing_ids([i for i in ids if i is not None])
        chosen = np.array([i is not None and i not in here for i in ids], dtype=np.bool_)
        if not chosen.any():
            continue
        lacking = rows.with_column("id", ids).with_column("run", found["run"]).take(chosen)
        for run in dict.fromkeys(lacking["run"].tolist()):
            change.register_run(run)
            mine = lacking.take(np.array([r == run for r in lacking["run"].tolist()], dtype=np.bool_))
            change.insert_datasets(kind.layout.name, run, mine.select([*kind.table.names, "id"]))


def _init_outputs(graph: QuantumGraph) -> Iterator[PlannedDataset]:
    for node in graph.tasks:
        yield from graph.init_outputs(node.label).values()
    if graph.packages is not None:
        yield graph.packages


def _init_outputs_there(upstream: Snapshot, graph: QuantumGraph) -> dict[str, str]:
    """Return the checksums of what upstream's RUN has already of what is written once: another graph's of that RUN."""
    own = {planned.dataset_type: planned.id for planned in _init_outputs(graph)}
    run = list(known_collections(upstream, [graph.output_run]))
    known = {t.name for t in upstream.dataset_types()} & own.keys() if run else set()
    out: dict[str, str] = {}
    for name in known:
        rows = upstream.datasets(name, run, find_first=False, artifacts=True)
        for dataset_id, checksum in rows.rows(("id", "checksum")):
            if dataset_id != own[name]:
                out[name] = str(checksum)
    return out


def _init_rows(
    graph: QuantumGraph, root: str, sizes: Mapping[str, int], taken: Mapping[str, str]
) -> Iterator[tuple[str, Columns]]:
    """Yield the rows of what was written once for the tasks; nothing but the file tells of it."""
    names = ("id", "uri", "size", "checksum", "formatter")
    seen: set[str] = set()
    for planned in _init_outputs(graph):
        if planned.dataset_type in seen:
            continue
        seen.add(planned.dataset_type)
        if planned.uri is None or planned.uri not in sizes:
            raise NotFoundError(
                f"{planned.dataset_type} of run '{graph.output_run}' is not at {planned.uri}",
                code="artifact-gone",
                hint="It is written by 'stage prep'. Say where the run's files are: --datastore URI.",
            )
        size, checksum = files.checksum(files.join(root, planned.uri))
        if taken.get(planned.dataset_type) != checksum:
            row = (planned.id, planned.uri, size, checksum, planned.formatter)
            yield planned.dataset_type, Columns.from_rows(names, [row])
