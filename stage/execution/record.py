"""Recording outcomes in the staging registry: set-wise, one transaction a batch, one writer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from registry.model.columns import Columns
from registry.model.records import QUANTUM
from registry.registry import Registry
from stage.execution.discovered import Discoveries, RecordsRefusedError, insert_found
from stage.execution.outcome import QuantumOutcome, StoredArtifact

if TYPE_CHECKING:
    from registry.registry import Change
    from stage.execution.ephemeral import Ephemerals
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["Recorder", "record_discoveries", "record_outcomes"]

_PERIOD_S = 0.2
_BATCH = 500


def record_outcomes(
    change: Change,
    graph: QuantumGraph,
    outcomes: Sequence[QuantumOutcome],
    *,
    outdone: Sequence[QuantumOutcome] = (),
) -> None:
    """Write what became of some quanta: their datasets and artifacts, and the quanta with their links.

    Parameters
    ----------
    change : Change
        A write transaction of the staging registry. What is recorded already stays as it is.
    graph : QuantumGraph
        The graph whose quanta they are.
    outcomes : sequence of QuantumOutcome
        What counts for each quantum.
    outdone : sequence of QuantumOutcome, optional
        Attempts that others have made obsolete: only that they were made is recorded.

    Notes
    -----
    A constant number of statements for each dataset type, whatever the number of outcomes.
    """
    stored = [a for outcome in outcomes for a in outcome.artifacts]
    if stored:
        _record_datasets(change, graph, stored)
    ids = _record_quanta(change, graph, [*outdone, *outcomes])
    _record_inputs(change, graph, outcomes, ids)
    if stored:
        _record_outputs(change, graph, outcomes, ids)


def record_discoveries(
    registry: Registry,
    graph: QuantumGraph,
    discoveries: Discoveries,
    outcome: QuantumOutcome,
    *,
    keep: bool = False,
) -> QuantumOutcome:
    """Record a quantum and the dimension records that it found out: both, or that it failed.

    Parameters
    ----------
    registry : Registry
        Of staging, writable.
    graph : QuantumGraph
        The graph whose quantum it is.
    discoveries : Discoveries
        Reads what it found out.
    outcome : QuantumOutcome
        One that `Discoveries.has` is true of.
    keep : bool, optional
        Whether the files of one that is refused stay, so that the same can be tried again.

    Returns
    -------
    QuantumOutcome
        The same; a failure where the registry holds other records of those keys, or lacks what they refer to.
    """
    try:
        found = discoveries.of(outcome)
        with registry.write() as change:
            insert_found(change, found)
            record_outcomes(change, graph, [outcome])
    except RecordsRefusedError as error:
        failed = discoveries.refused(outcome, error, keep=keep)
        with registry.write() as change:
            record_outcomes(change, graph, [failed])
        return failed
    return outcome


def _record_datasets(change: Change, graph: QuantumGraph, stored: list[StoredArtifact]) -> None:
    ordinals, uris, sizes, checksums, formatters = zip(*stored, strict=True)
    for dataset_type, rows in graph.by_type(ordinals).items():
        columns = graph.dataset_columns(dataset_type, rows)
        change.insert_datasets(dataset_type, graph.output_run, columns, on_existing="skip")
    # Apart from the datasets, because a later attempt's log and metadata replace an earlier one's.
    change.insert_artifacts(
        Columns(
            {
                "id": graph.dataset_ids(ordinals),
                "uri": uris,
                "size": sizes,
                "checksum": checksums,
                "formatter": formatters,
            }
        )
    )


def _record_quanta(
    change: Change, graph: QuantumGraph, outcomes: Sequence[QuantumOutcome]
) -> dict[int, bytes]:
    rows = graph.quantum_rows([o.ordinal for o in outcomes])
    n = len(outcomes)
    columns: dict[str, Any] = {
        "id": rows["id"],
        "run": [graph.output_run] * n,
        "task": rows["task"],
        "data_id": rows["data_id"],
        "graph_id": [graph.id] * n,
    }
    columns |= {name: [getattr(o, name) for o in outcomes] for name in QUANTUM if name not in columns}
    change.insert_quanta(Columns({name: columns[name] for name in QUANTUM}))
    return dict(zip(rows["ordinal"].tolist(), rows["id"].tolist(), strict=True))


def _record_inputs(
    change: Change, graph: QuantumGraph, outcomes: Sequence[QuantumOutcome], ids: dict[int, bytes]
) -> None:
    ran = [o for o in outcomes if o.started_ns]
    edges = graph.inputs_of([o.ordinal for o in ran])
    if not len(edges.quantum):
        return
    read = np.array([o.ordinal * graph.n_datasets + d for o in ran for d in o.read], dtype=np.int64)
    was_read = np.isin(edges.quantum * graph.n_datasets + edges.dataset, read)
    rows = Columns(
        {
            "quantum_id": [ids[q] for q in edges.quantum.tolist()],
            "dataset_id": graph.dataset_ids(edges.dataset),
            "connection": edges.connection,
            "was_read": was_read,
        }
    )
    if not was_read.all():
        # An input that was planned and never made is no input.
        there = change.existing_ids(rows["dataset_id"][~was_read].tolist())
        rows = rows.take(
            was_read | np.array([i in there for i in rows["dataset_id"].tolist()], dtype=np.bool_)
        )
    if rows.n_rows:
        change.insert_quantum_inputs(rows)


def _record_outputs(
    change: Change, graph: QuantumGraph, outcomes: Sequence[QuantumOutcome], ids: dict[int, bytes]
) -> None:
    edges = graph.outputs_of([o.ordinal for o in outcomes if o.artifacts])
    made = np.isin(
        edges.dataset, np.array([a.dataset for o in outcomes for a in o.artifacts], dtype=np.int64)
    )
    change.insert_quantum_outputs(
        Columns(
            {
                "quantum_id": [ids[q] for q in edges.quantum[made].tolist()],
                "dataset_id": graph.dataset_ids(edges.dataset[made]),
                "connection": edges.connection[made],
            }
        )
    )


class _Item(NamedTuple):
    """One outcome in the queue, and where somebody waits for it to be recorded."""

    outcome: QuantumOutcome
    answer: queue.SimpleQueue[QuantumOutcome] | None = None


class Recorder:
    """The single writer of a run: takes outcomes as they come and records them in batches, in a thread of its own.

    A context manager: at its end all outcomes are recorded, or the error that prevented it is raised. What a
    killed process had not recorded is run again by the next one.

    Parameters
    ----------
    staging : Repo
        Writable.
    graph : QuantumGraph
        The graph whose quanta are run.
    period_s : float, optional
        How long a batch is gathered, in seconds.
    batch : int, optional
        How many outcomes end a batch before that.
    ephemerals : Ephemerals, optional
        What is removed when the last quantum that reads it is recorded.
    """

    def __init__(
        self,
        staging: Repo,
        graph: QuantumGraph,
        *,
        period_s: float = _PERIOD_S,
        batch: int = _BATCH,
        ephemerals: Ephemerals | None = None,
    ) -> None:
        self._staging = staging
        self._graph = graph
        self._period_s = period_s
        self._batch = batch
        self._ephemerals = ephemerals
        self._discoveries = Discoveries(graph, staging.datastore)
        self._settled: set[tuple[int, int]] = set()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._enough = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def add(self, outcome: QuantumOutcome) -> None:
        """Take one outcome.

        Parameters
        ----------
        outcome : QuantumOutcome
            To be recorded soon.

        Raises
        ------
        StageError
            The error that recording an earlier one ended with; nothing is recorded after it.
        """
        if self._error is not None:
            raise self._error
        if (outcome.ordinal, outcome.attempt) not in self._settled:
            self._put(_Item(outcome))

    def settle(self, outcome: QuantumOutcome) -> QuantumOutcome:
        """Record a quantum that found out dimension records at once: only the registry can tell whether it takes them.

        Parameters
        ----------
        outcome : QuantumOutcome
            What became of it, before anybody acts on it.

        Returns
        -------
        QuantumOutcome
            The same; a failure if its records are refused. Others come back as they are, and are not recorded.

        Raises
        ------
        StageError
            The error that recording ended with.
        """
        if not self._discoveries.has(outcome):
            return outcome
        answer: queue.SimpleQueue[QuantumOutcome] = queue.SimpleQueue()
        self._settled.add((outcome.ordinal, outcome.attempt))
        self._put(_Item(outcome, answer))
        while True:
            if self._error is not None:
                raise self._error
            try:
                return answer.get(timeout=self._period_s)
            except queue.Empty:
                continue

    def _work(self) -> None:
        try:
            # A registry belongs to the thread that opened it.
            with Registry.open(self._staging.registry.url, writable=True) as registry:
                self._record_all(registry)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that uses the recorder
            self._error = error

    def _record_all(self, registry: Registry) -> None:
        if self._ephemerals is not None:
            self._write(registry, self._ephemerals.begin)
        more = True
        while more:
            batch, urgent, more = self._gather()
            if batch:
                self._write(registry, partial(self._record_batch, batch=batch))
            if urgent is not None and urgent.answer is not None:
                settled = record_discoveries(registry, self._graph, self._discoveries, urgent.outcome)
                if self._ephemerals is not None:
                    self._write(registry, partial(self._ephemerals.release, outcomes=[settled]))
                urgent.answer.put(settled)
        if self._ephemerals is not None:
            self._ephemerals.end()

    def _record_batch(self, change: Change, batch: Sequence[QuantumOutcome]) -> list[str]:
        """Record outcomes; return the files that nobody needs any more."""
        # Of a quantum that was tried again before this was written, the last attempt counts.
        last = {outcome.ordinal: outcome for outcome in batch}
        outdone = [outcome for outcome in batch if outcome is not last[outcome.ordinal]]
        record_outcomes(change, self._graph, list(last.values()), outdone=outdone)
        return [] if self._ephemerals is None else self._ephemerals.release(change, list(last.values()))

    def _write(self, registry: Registry, what: Callable[[Change], list[str]]) -> None:
        """Do something in a transaction, and then remove the files that it gives: rows first, then bytes."""
        with registry.write() as change:
            files = what(change)
        if files and self._ephemerals is not None:
            self._ephemerals.remove(files)

    def _put(self, item: _Item | None) -> None:
        self._queue.put(item)
        if item is None or item.answer is not None or self._queue.qsize() >= self._batch:
            self._enough.set()

    def _gather(self) -> tuple[list[QuantumOutcome], _Item | None, bool]:
        """Wait for outcomes; return a batch, one that somebody waits for, and whether there may be more.

        The thread sleeps until there is a first one, and then until there are enough: to be woken by each would
        take the interpreter's lock from the thread that runs the quanta, several times a quantum.
        """
        item = self._queue.get()
        if item is not None and item.answer is None:
            self._enough.wait(self._period_s)
        self._enough.clear()
        batch: list[QuantumOutcome] = []
        while item is not None and item.answer is None:
            batch.append(item.outcome)
            if len(batch) >= self._batch:
                # What is left may have been enough as well: a wait in vain would hold it up.
                self._enough.set()
                return batch, None, True
            if self._queue.empty():
                return batch, None, True
            item = self._queue.get()
        return batch, item, item is not None
