"""Intermediates that are ephemeral: their files go once all that read them have been done, and are recorded so.

What stays is the dataset in the registry, so that its quantum counts as done. The record of a file goes first, in the
very transaction in which its last reader is recorded, and then the file: a process that dies in between leaves a file
that nothing names, and the next run of the graph removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from registry import keeping
from registry.errors import ConflictError, StageError, UsageError, nearest
from registry.model.columns import unique_values
from stage.execution.progress import Removed
from stage.graph.dependencies import consumers, producers
from stage.graph.table import Csr, Ints

if TYPE_CHECKING:
    from registry.change import Change
    from registry.registry import Snapshot
    from stage.execution.outcome import QuantumOutcome
    from stage.execution.resume import Completed
    from stage.graph.access import QuantumSource
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["Ephemerals", "ephemeral_types"]

_log = logging.getLogger(__name__)


# -- which dataset types are ephemeral ------------------------------------------------------------------------


def ephemeral_types(
    graph: QuantumSource,
    chosen: Sequence[str] = (),
    keep: Sequence[str] = (),
    *,
    needed: Collection[str] = (),
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say which dataset types of a graph are ephemeral.

    Parameters
    ----------
    graph : QuantumSource
        The graph; its tasks name some of their outputs.
    chosen : sequence of str, optional
        Further dataset types, patterns allowed.
    keep : sequence of str, optional
        Dataset types that stay, whoever says otherwise; patterns allowed.
    needed : collection of str, optional
        Dataset types that are read by what is still to come, and so stay.

    Returns
    -------
    types : tuple of str
        Their names.
    notes : tuple of str
        What a task says is ephemeral and stays nevertheless, and why.

    Raises
    ------
    UsageError
        If one that is named has to stay (``not-ephemeral``), or nothing is meant by a name or pattern.
    """
    reasons = _reasons(graph, needed)
    for pattern in (*chosen, *keep):
        if not any(fnmatchcase(name, pattern) for name in reasons):
            raise UsageError(
                f"the graph has no dataset type '{pattern}'",
                code="unknown-dataset-type",
                hint=nearest(pattern, reasons),
            )
    able = [name for name, why in reasons.items() if not why]
    for pattern in chosen:
        if not any(fnmatchcase(name, pattern) for name in able):
            name, why = next((n, w) for n, w in reasons.items() if fnmatchcase(n, pattern))
            raise UsageError(
                f"'{name}' cannot be ephemeral: {why}",
                code="not-ephemeral",
                hint=f"Those that can: {', '.join(able)}." if able else "No dataset type of this graph can.",
            )
    by_task = [n.connection(name).dataset_type for n in graph.tasks for name in n.ephemeral]
    wanted = {n for n in reasons if n in by_task or any(fnmatchcase(n, pattern) for pattern in chosen)}
    wanted -= {n for n in wanted if any(fnmatchcase(n, pattern) for pattern in keep)}
    return (
        tuple(name for name in able if name in wanted),
        tuple(f"'{n}' is not removed although a task says so: {reasons[n]}" for n in by_task if reasons[n]),
    )


def _reasons(graph: QuantumSource, needed: Collection[str]) -> dict[str, str]:
    """Return all dataset types of a graph, and why the files of each have to stay; nothing for those that can go."""
    makers = {c.dataset_type: c for node in graph.tasks for c in node.connections if c.role == "output"}
    out: dict[str, str] = {}
    for kind in graph.layout.types:
        maker = makers.get(kind.name)
        if maker is None:
            out[kind.name] = (
                "it is a log, metadata or what a run is begun with"
                if kind.is_planned
                else "it is an overall input"
            )
        elif kind.name in needed:
            out[kind.name] = "a later step reads it"
        elif kind.role != "intermediate":
            out[kind.name] = "it is an overall output, which nothing in the graph reads"
        else:
            out[kind.name] = (
                "it holds dimension records, which later graphs are built from" if maker.records else ""
            )
    return out


# -- what goes when -------------------------------------------------------------------------------------------


class Ephemerals:
    """Keeps count of who is still to read each ephemeral dataset, and removes those that nobody is.

    A dataset that no quantum of the graph reads stays: nobody has had any use of it yet.

    Parameters
    ----------
    staging : Repo
        Whose files go.
    graph : QuantumGraph
        The graph.
    types : sequence of str
        The dataset types that are ephemeral.
    done : Completed
        What was complete when the run began.

    Attributes
    ----------
    removed : Removed
        What went so far.
    """

    def __init__(self, staging: Repo, graph: QuantumGraph, types: Sequence[str], done: Completed) -> None:
        self._store = staging.datastore
        self._graph = graph
        self._types = tuple(types)
        self.removed = Removed()
        self._left_behind: list[str] = []
        self._folders: set[str] = set()
        self._readers = self._readers_of(graph)
        datasets = self._readers.rows()
        self._open = np.bincount(datasets[~done.mask[self._readers.indices]], minlength=graph.n_datasets)
        self._of_reader = Csr.from_pairs(
            graph.n_quanta, *_sorted_pairs(self._readers.indices.astype(np.int64), datasets)
        )
        maker = producers(graph)
        made = (maker >= 0) & np.append(done.mask, np.False_)[maker]
        self._due = np.flatnonzero(made & (np.diff(self._readers.indptr) > 0) & (self._open == 0))

    def _readers_of(self, graph: QuantumGraph) -> Csr:
        """Return who reads each ephemeral dataset; of others, nobody."""
        ours = np.zeros(graph.n_datasets, dtype=np.bool_)
        for name in self._types:
            kind = graph.layout.types[graph.layout.type_index[name]]
            ours[kind.offset : kind.offset + kind.n_datasets] = True
        ours &= producers(graph) >= 0
        everybody = consumers(graph)
        datasets = everybody.rows()
        chosen = ours[datasets]
        return Csr.from_pairs(graph.n_datasets, datasets[chosen], everybody.indices[chosen].astype(np.int64))

    def check_held(self, snapshot: Snapshot) -> None:
        """Refuse to remove files of datasets that somebody has put into a collection besides their run.

        Parameters
        ----------
        snapshot : Snapshot
            Of staging.

        Raises
        ------
        ConflictError
            If there are some (``datasets-held``).
        """
        ours = np.flatnonzero(np.diff(self._readers.indptr) > 0)
        if not self._open.any() and not len(self._due):
            return
        held = keeping.holders(snapshot, self._graph.dataset_ids(ours)) if len(ours) else {}
        held.pop(self._graph.output_run, None)
        for name, n in held.items():
            raise ConflictError(
                f"'{name}' holds {n:,} of the datasets that are ephemeral ({', '.join(self._types)})",
                code="datasets-held",
                hint="Keep them (--keep), or take them out of that collection first.",
            )

    def begin(self, change: Change) -> list[str]:
        """Take what nobody is still to read from the start: it was made before it was called ephemeral, or was left.

        Parameters
        ----------
        change : Change
            A write transaction of the staging registry.

        Returns
        -------
        list of str
            Files to `remove` when the transaction is over.
        """
        due, self._due = self._due, np.zeros(0, dtype=np.int64)
        if not len(due):
            return []
        taken = self._take(change, due)
        # A run that was killed between row and file has left the file.
        planned = (
            p.uri for name, rows in self._graph.by_type(due).items() for p in self._graph.planned(name, rows)
        )
        return list(dict.fromkeys([*taken, *(u for u in planned if u is not None and self._store.exists(u))]))

    def release(self, change: Change, outcomes: Sequence[QuantumOutcome]) -> list[str]:
        """Note that quanta are recorded, and take what nobody is still to read.

        Parameters
        ----------
        change : Change
            The transaction that records them.
        outcomes : sequence of QuantumOutcome
            What became of them; only those that are complete count as having read.

        Returns
        -------
        list of str
            Files to `remove` when the transaction is over.
        """
        done = np.array([o.ordinal for o in outcomes if o.is_complete], dtype=np.int64)
        read = self._of_reader.take(done).indices.astype(np.int64)
        if not len(read):
            return []
        np.subtract.at(self._open, read, 1)
        last = unique_values(read)
        return self._take(change, last[self._open[last] == 0])

    def remove(self, uris: Sequence[str]) -> None:
        """Remove files that no row names any more.

        Parameters
        ----------
        uris : sequence of str
            As `begin` and `release` gave them.
        """
        for uri in uris:
            try:
                self._store.remove(uri)
            except StageError as error:
                self._left_behind.append(f"{uri}: {error.message}")
            else:
                self._folders.add(uri.rpartition("/")[0])

    def end(self) -> None:
        """Remove directories that are empty now, and say what could not be removed."""
        # Not before: a worker may be about to write there.
        for folder in self._folders:
            self._store.prune(f"{folder}/x")
        if self._left_behind:
            _log.warning(
                "%d ephemeral files could not be removed (%s); the next run tries again",
                len(self._left_behind), self._left_behind[0],
            )  # fmt: skip

    def _take(self, change: Change, datasets: Ints) -> list[str]:
        if not len(datasets):
            return []
        rows = keeping.take_artifacts(change, self._graph.dataset_ids(datasets))
        self.removed += Removed(rows.n_rows, int(rows["size"].sum()) if rows.n_rows else 0)
        return [uri for uri in rows["uri"].tolist() if not uri.startswith("/") and "://" not in uri]


def _sorted_pairs(rows: Ints, values: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort((values, rows))
    return rows[order], values[order]
