"""Lineages as trees: what was read and made, sorted by task and dataset type, however many there are of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from registry.model.columns import Array, Columns, unique_values
from registry.model.refs import id_text
from stage.campaign.graph_reports import Document

if TYPE_CHECKING:
    import numpy.typing as npt

    from registry.registry import Snapshot

    Mask = npt.NDArray[np.bool_]

__all__ = ["REMOVED", "Datasets", "LineageTree", "Quanta", "unique_ids"]

REMOVED = "(removed)"
"""The dataset type of what is recorded as read or made, and is no longer there."""
_QUANTA = ("id", "run", "task", "data_id", "status")


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
        there = np.isin(getattr(self, side), chosen)
        return _Links(self.quantum[there], self.dataset[there], self.was_read[there])


class _Names:
    """What is known of ids: a number for each, and a few texts for each number."""

    def __init__(self, ids: Sequence[bytes], known: Columns) -> None:
        self.ids = ids
        self.number = {each: n for n, each in enumerate(ids)}
        self._places = np.full(len(ids), -1, dtype=np.int64)
        self._places[[self.number[i] for i in known["id"].tolist()]] = np.arange(known.n_rows)
        self._known = known

    def column(self, name: str, numbers: Array, default: str) -> list[str]:
        places = self._places[numbers]
        out = np.full(len(numbers), default, dtype=object)
        out[places >= 0] = self._known[name][places[places >= 0]]
        return out.tolist()


class LineageTree:
    """A lineage in one direction, from which trees are made.

    Parameters
    ----------
    snapshot : Snapshot
        Of the registry that was asked.
    links : Columns
        `registry.sql.lineage.LINEAGE`.
    up : bool
        Whether the way leads to what things came from.
    """

    def __init__(self, snapshot: Snapshot, links: Columns, *, up: bool) -> None:
        self._up = up
        self._snapshot = snapshot
        quanta = unique_ids(links["quantum_id"])
        datasets = unique_ids(links["dataset_id"])
        self._quanta = _Names(quanta, snapshot.quanta_by_id(quanta, _QUANTA))
        self._datasets = _Names(datasets, snapshot.dataset_types_by_id(datasets))
        numbered = _Links(
            np.array([self._quanta.number[i] for i in links["quantum_id"].tolist()], dtype=np.int64),
            np.array([self._datasets.number[i] for i in links["dataset_id"].tolist()], dtype=np.int64),
            np.array([r is not False for r in links["was_read"].tolist()], dtype=np.bool_),
        )
        made = links["made"].astype(np.bool_)
        self._made = _Links(*(column[made] for column in numbered))
        self._read = _Links(*(column[~made] for column in numbered))
        self._shown = np.zeros(len(quanta), dtype=np.bool_)

    @property
    def n_quanta(self) -> int:
        """How many quanta it has."""
        return len(self._quanta.ids)

    @property
    def tasks(self) -> list[tuple[str, str]]:
        """Each run and task that has part in it, sorted."""
        every = np.arange(self.n_quanta)
        return sorted(
            set(
                zip(
                    self._quanta.column("run", every, ""), self._quanta.column("task", every, ""), strict=True
                )
            )
        )

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
        number = self._datasets.number.get(dataset_id)
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
        number = self._quanta.number.get(quantum_id)
        if number is None:
            return ()
        self._shown[number] = True
        return tuple(self._datasets_at(np.array([number])))

    def _quanta_at(self, datasets: Array) -> Iterator[Quanta]:
        towards = self._made if self._up else self._read
        found = unique_values(towards.of("dataset", datasets).quantum)
        pairs = zip(
            self._quanta.column("run", found, ""), self._quanta.column("task", found, ""), strict=True
        )
        for (run, task), mine in _grouped(found, pairs):
            new = mine[~self._shown[mine]]
            self._shown[new] = True
            behind = tuple(self._datasets_at(new)) if len(new) else ()
            yield Quanta(
                task, run, len(mine), _counted(self._quanta.column("status", mine, "")),
                *self._single_quantum(mine), shown_above=not len(new), datasets=behind,
            )  # fmt: skip

    def _datasets_at(self, quanta: Array) -> Iterator[Datasets]:
        links = (self._read if self._up else self._made).of("quantum", quanta)
        found = unique_values(links.dataset)
        was_read = np.isin(found, links.dataset[links.was_read])
        for kind, mine in _grouped(found, self._datasets.column("dataset_type", found, REMOVED)):
            behind = tuple(self._quanta_at(mine))
            if not self._up and not behind and _is_own_record(kind, self._quanta.column("task", quanta, "")):
                continue  # a log tells nothing about where something led to
            yield Datasets(
                kind, len(mine), _counted(self._datasets.column("run", mine, "")),
                *self._single_dataset(mine, kind),
                n_unread=int(np.count_nonzero(~was_read[np.isin(found, mine)])), quanta=behind,
            )  # fmt: skip

    def _single_quantum(self, numbers: Array) -> tuple[str, str]:
        if len(numbers) != 1:
            return "null", ""
        data_id = self._quanta.column("data_id", numbers, "null")[0]
        return data_id, id_text(self._quanta.ids[int(numbers[0])])

    def _single_dataset(self, numbers: Array, kind: str) -> tuple[str, str]:
        if len(numbers) != 1:
            return "null", ""
        wanted = self._datasets.ids[int(numbers[0])]
        values = None if kind == REMOVED else dict(self._snapshot.dataset(wanted).data_id)
        return json.dumps(values, ensure_ascii=False), id_text(wanted)


def unique_ids(column: Array) -> list[bytes]:
    """Return each id of a column once.

    Parameters
    ----------
    column : numpy.ndarray
        Ids.

    Returns
    -------
    list of bytes
        Sorted.
    """
    return sorted(set(column.tolist()))


def _is_own_record(kind: str, tasks: Sequence[str]) -> bool:
    from stage.pipeline.node import LOG, METADATA

    return any(kind == task + ending for task in set(tasks) for ending in (LOG, METADATA))


def _grouped(numbers: Array, keys: Any) -> Iterator[tuple[Any, Array]]:
    """Yield each key, in order, with the numbers that have it."""
    listed = list(keys)
    place = {key: n for n, key in enumerate(sorted(set(listed)))}
    codes = np.fromiter(map(place.__getitem__, listed), np.int64, len(listed))
    for key, code in place.items():
        yield key, numbers[codes == code]


def _counted(values: Sequence[str]) -> dict[str, int]:
    from collections import Counter

    return dict(sorted(Counter(values).items()))
