"""Lineages as trees: what was read and made, sorted by task and dataset type, however many there are of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.model.columns import Array, Columns, unique_values
from registry.model.refs import id_text
from stage.campaign.graph_reports import Document

if TYPE_CHECKING:
    from registry.model.records import Walk
    from registry.registry import Snapshot

__all__ = ["REMOVED", "Datasets", "LineageTree", "Quanta"]

REMOVED = "(removed)"
"""The dataset type of what is recorded as read or made, and is no longer there."""


@dataclass(frozen=True)
class Quanta(Document):
    """Quanta of one task in one run, at one place of a lineage.

    Parameters
    ----------
    task, run : str
        What they are.
    n : int
        How many.
    statuses : dict of str to int
        What became of them.
    data_id : str
        Of a single one, as compact JSON; ``null`` for several.
    id : str
        Of a single one; empty for several.
    shown_above : bool
        Whether `datasets` is left empty since all of them stand further up in the tree.
    datasets : sequence of Datasets
        What they read, or made.
    """

    task: str
    run: str
    n: int
    statuses: dict[str, int]
    data_id: str = "null"
    id: str = ""
    shown_above: bool = False
    datasets: Sequence[Datasets] = ()


@dataclass(frozen=True)
class Datasets(Document):
    """Datasets of one type, at one place of a lineage.

    Parameters
    ----------
    dataset_type : str
        Their type.
    n : int
        How many.
    runs : dict of str to int
        RUN to how many of them it holds.
    data_id : str
        Of a single one, as compact JSON; ``null`` for several.
    id : str
        Of a single one; empty for several.
    n_unread : int
        How many were offered to all the quanta that could have read them here, and not read by any.
    quanta : sequence of Quanta
        What made them, or read them.
    """

    dataset_type: str
    n: int
    runs: dict[str, int] = field(default_factory=dict)
    data_id: str = "null"
    id: str = ""
    n_unread: int = 0
    quanta: Sequence[Quanta] = ()


class _Links(NamedTuple):
    """Numbers of quanta and datasets that belong together."""

    quantum: Array
    dataset: Array
    was_read: Array

    def of(self, side: str, chosen: Array) -> _Links:
        numbers = getattr(self, side)
        is_chosen = np.zeros(max(numbers.max(initial=-1), chosen.max(initial=-1)) + 1, dtype=np.bool_)
        is_chosen[chosen] = True
        there = is_chosen[numbers]
        return _Links(self.quantum[there], self.dataset[there], self.was_read[there])


class LineageTree:
    """A lineage in one direction, from which trees are made.

    Parameters
    ----------
    snapshot : Snapshot
        Of the registry that was asked.
    walk : Walk
        What lies on the ways.
    up : bool
        Whether the way leads to what things came from.
    """

    def __init__(self, snapshot: Snapshot, walk: Walk, *, up: bool) -> None:
        self._up = up
        self._snapshot = snapshot
        self._quanta, self._datasets = walk.quanta, walk.datasets
        self._read, self._made = (
            _Links(rows["quantum"], rows["dataset"], rows["was_read"]) for rows in (walk.read, walk.made)
        )
        self._tasks = _Kinds(_texts(walk.quanta["run"]), _texts(walk.quanta["task"]))
        self._types = _Kinds(_texts(walk.datasets["dataset_type"], REMOVED))
        self._shown = np.zeros(walk.quanta.n_rows, dtype=np.bool_)

    @property
    def n_quanta(self) -> int:
        """How many quanta it has."""
        return self._quanta.n_rows

    def of_dataset(self, dataset_id: bytes) -> tuple[Quanta, ...]:
        """Return what made a dataset, or what read it.

        Parameters
        ----------
        dataset_id : bytes
            Where the lineage begins.

        Returns
        -------
        tuple of Quanta
            One a task and run, with all that is behind them.
        """
        number = self._number(self._datasets, dataset_id)
        return () if number is None else tuple(self._quanta_at(np.array([number])))

    def of_quantum(self, quantum_id: bytes) -> tuple[Datasets, ...]:
        """Return what a quantum read, or made.

        Parameters
        ----------
        quantum_id : bytes
            Where the lineage begins.

        Returns
        -------
        tuple of Datasets
            One a dataset type, with all that is behind them.
        """
        number = self._number(self._quanta, quantum_id)
        if number is None:
            return ()
        self._shown[number] = True
        return tuple(self._datasets_at(np.array([number])))

    @staticmethod
    def _number(rows: Columns, wanted: bytes) -> int | None:
        # What the question is about was met first.
        return next((n for n, each in enumerate(rows["id"].tolist()) if each == wanted), None)

    def _quanta_at(self, datasets: Array) -> Iterator[Quanta]:
        towards = self._made if self._up else self._read
        found = unique_values(towards.of("dataset", datasets).quantum)
        for (run, task), mine in self._tasks.grouped(found):
            new = mine[~self._shown[mine]]
            self._shown[new] = True
            behind = tuple(self._datasets_at(new)) if len(new) else ()
            yield Quanta(
                task, run, len(mine), _counted(_texts(self._quanta["status"][mine])),
                *self._single_quantum(mine), shown_above=not len(new), datasets=behind,
            )  # fmt: skip

    def _datasets_at(self, quanta: Array) -> Iterator[Datasets]:
        links = (self._read if self._up else self._made).of("quantum", quanta)
        found = unique_values(links.dataset)
        was_read = np.zeros(self._datasets.n_rows, dtype=np.bool_)
        was_read[links.dataset[links.was_read]] = True
        tasks = {task for (_, task), _ in self._tasks.grouped(quanta)}
        for (kind,), mine in self._types.grouped(found):
            behind = tuple(self._quanta_at(mine))
            if not self._up and not behind and _is_own_record(kind, tasks):
                continue  # a log tells nothing about where something led to
            yield Datasets(
                kind, len(mine), _counted(_texts(self._datasets["run"][mine])), *self._single_dataset(mine, kind),
                n_unread=int(np.count_nonzero(~was_read[mine])), quanta=behind,
            )  # fmt: skip

    def _single_quantum(self, numbers: Array) -> tuple[str, str]:
        if len(numbers) != 1:
            return "null", ""
        wanted = self._quanta["id"][int(numbers[0])]
        known = self._snapshot.quanta_by_id([wanted], ("run", "data_id"))["data_id"].tolist()
        return known[0] if known else "null", id_text(wanted)

    def _single_dataset(self, numbers: Array, kind: str) -> tuple[str, str]:
        if len(numbers) != 1:
            return "null", ""
        wanted = self._datasets["id"][int(numbers[0])]
        values = None if kind == REMOVED else dict(self._snapshot.dataset(wanted).data_id)
        return json.dumps(values, ensure_ascii=False), id_text(wanted)


class _Kinds:
    """Rows that are grouped by some texts, over and over."""

    def __init__(self, *columns: Sequence[str]) -> None:
        listed = list(zip(*columns, strict=True))
        self._kinds = sorted(set(listed))
        place = {kind: n for n, kind in enumerate(self._kinds)}
        self._codes = np.fromiter(map(place.__getitem__, listed), np.int64, len(listed))

    def grouped(self, numbers: Array) -> Iterator[tuple[tuple[str, ...], Array]]:
        """Yield each kind, in order, with the rows that are of it."""
        codes = self._codes[numbers]
        for code in unique_values(codes).tolist():
            yield self._kinds[code], numbers[codes == code]


def _texts(column: Array, default: str = "") -> list[str]:
    return [default if value is None else value for value in column.tolist()]


def _is_own_record(kind: str, tasks: Collection[str]) -> bool:
    from stage.pipeline.node import LOG, METADATA

    return any(kind == task + ending for task in tasks for ending in (LOG, METADATA))


def _counted(values: Sequence[str]) -> dict[str, int]:
    from collections import Counter

    return dict(sorted(Counter(values).items()))
