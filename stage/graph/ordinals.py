"""Columns of chosen quanta and datasets, by their ordinals: what recording and merging ask of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from registry.model.columns import Array, Columns, unique_values
from registry.model.in_time import row_in
from stage.graph.access import QuantumSource
from stage.graph.identity import Identity, identity_keys
from stage.graph.layout import QUANTUM_IDS
from stage.graph.rows import TaskRows, TypeRows
from stage.graph.table import Ints
from stage.graph.texts import data_id_texts

__all__ = ["Edges", "OrdinalColumns"]


class Edges(NamedTuple):
    """Quanta and datasets that belong together, pair by pair.

    Parameters
    ----------
    quantum, dataset : numpy.ndarray of int64
        Ordinals.
    connection : numpy.ndarray of object
        Name of the task's connection.
    """

    quantum: Ints
    dataset: Ints
    connection: Array


class OrdinalColumns(QuantumSource):
    """A graph whose columns are in memory, asked by ordinals."""

    task_rows: tuple[TaskRows, ...]
    type_rows: tuple[TypeRows, ...]

    def task_of(self, ordinals: npt.ArrayLike) -> Ints:
        """Return the place of each quantum's task in `layout.tasks`.

        Parameters
        ----------
        ordinals : array-like of int
            Quanta.

        Returns
        -------
        numpy.ndarray of int64
            One place a quantum.
        """
        return _place([t.offset for t in self.layout.tasks], ordinals)

    def quantum_ids(self, ordinals: npt.ArrayLike) -> list[bytes]:
        """Return the ids of quanta.

        Parameters
        ----------
        ordinals : array-like of int
            Quanta.

        Returns
        -------
        list of bytes
            16 bytes each.
        """
        chosen = np.asarray(ordinals, dtype=np.int64)
        return self._ids.many(chosen, self._quantum_identity(chosen), QUANTUM_IDS)

    def quantum_ordinals(self, ids: Iterable[bytes]) -> Ints:
        """Return the quanta that have some ids, by arithmetic on these.

        Parameters
        ----------
        ids : iterable of bytes
            16 bytes each, of whatever.

        Returns
        -------
        numpy.ndarray of int64
            Ordinals, in the order given; -1 for ids of no quantum of this graph.
        """
        keys = self._ids.keys(ids)
        keys = np.where((keys >= 0) & (keys & QUANTUM_IDS > 0), keys - QUANTUM_IDS, -1)
        every = np.arange(self.n_quanta) if self.header.origins else np.zeros(0, dtype=np.int64)
        return _rows_of(keys, self.n_quanta, self._quantum_identity(every))

    def _quantum_identity(self, chosen: Ints) -> Identity | None:
        blocks = [(t.offset, r.identity) for t, r in zip(self.layout.tasks, self.task_rows, strict=True)]
        return self._identity(chosen, self.task_of(chosen), blocks)

    def _identity(
        self, chosen: Ints, places: Ints, blocks: Sequence[tuple[int, Identity | None]]
    ) -> Identity | None:
        """Return where quanta or datasets come from; None where all ids are the graph's own."""
        if not self.header.origins:
            return None
        out = Identity(np.full(len(chosen), -1, dtype=np.int64), chosen.copy())
        for place in unique_values(places).tolist():
            offset, identity = blocks[place]
            if identity is not None:
                mine = np.flatnonzero(places == place)
                taken = identity.take(chosen[mine] - offset)
                out.origin[mine], out.ordinal[mine] = taken.origin, taken.ordinal
        return out

    def quantum_rows(self, ordinals: npt.ArrayLike) -> Columns:
        """Return what a registry records of quanta before they run.

        Parameters
        ----------
        ordinals : array-like of int
            Quanta.

        Returns
        -------
        Columns
            ``ordinal``, ``id``, ``task``, and ``data_id`` as compact JSON; in the order asked for.
        """
        chosen = np.asarray(ordinals, dtype=np.int64)
        places = self.task_of(chosen)
        texts = np.empty(len(chosen), dtype=object)
        labels = np.array([t.label for t in self.layout.tasks], dtype=object)
        for place in unique_values(places).tolist():
            mine = np.flatnonzero(places == place)
            rows = chosen[mine] - self.layout.tasks[place].offset
            texts[mine] = data_id_texts(self.task_rows[place].table, rows)
        return Columns(
            {"ordinal": chosen, "id": self.quantum_ids(chosen), "task": labels[places], "data_id": texts}
        )

    # -- datasets -------------------------------------------------------------------------------------------

    def type_of(self, ordinals: npt.ArrayLike) -> Ints:
        """Return the place of each dataset's type in `layout.types`.

        Parameters
        ----------
        ordinals : array-like of int
            Datasets.

        Returns
        -------
        numpy.ndarray of int64
            One place a dataset.
        """
        return _place([t.offset for t in self.layout.types], ordinals)

    def dataset_ids(self, ordinals: npt.ArrayLike) -> list[bytes]:
        """Return the ids of datasets of any types.

        Parameters
        ----------
        ordinals : array-like of int
            Datasets.

        Returns
        -------
        list of bytes
            16 bytes each: derived ones, and for overall inputs those found.
        """
        chosen = np.asarray(ordinals, dtype=np.int64)
        out = np.empty(len(chosen), dtype=object)
        places = self.type_of(chosen)
        out[:] = self._ids.many(chosen, self._dataset_identity(chosen, places))
        for place in unique_values(places).tolist():
            found = self.type_rows[place].found
            if found is not None:
                mine = np.flatnonzero(places == place)
                ids = found.select(("id",)).decode(chosen[mine] - self.layout.types[place].offset)["id"]
                known = np.array([i is not None for i in ids], dtype=np.bool_)
                out[mine[known]] = ids[known]
        return out.tolist()

    def dataset_ordinals(self, ids: Iterable[bytes]) -> Ints:
        """Return the planned datasets that have some ids, by arithmetic on these; those found elsewhere are not looked for.

        Parameters
        ----------
        ids : iterable of bytes
            16 bytes each, of whatever.

        Returns
        -------
        numpy.ndarray of int64
            Ordinals, in the order given; -1 for ids that this graph gives to no dataset.
        """
        keys = self._ids.keys(ids)
        keys = np.where(keys & QUANTUM_IDS > 0, -1, keys)
        every = np.arange(self.layout.n_datasets) if self.header.origins else np.zeros(0, dtype=np.int64)
        return _rows_of(keys, self.layout.n_datasets, self._dataset_identity(every, self.type_of(every)))

    def _dataset_identity(self, chosen: Ints, places: Ints) -> Identity | None:
        blocks = [(t.offset, r.identity) for t, r in zip(self.layout.types, self.type_rows, strict=True)]
        return self._identity(chosen, places, blocks)

    def dataset_columns(self, dataset_type: str, rows: npt.ArrayLike | None = None) -> Columns:
        """Return what a registry inserts of datasets: data IDs and ids.

        Parameters
        ----------
        dataset_type : str
            Name of a dataset type of the graph.
        rows : array-like of int, optional
            Rows within the type; all by default.

        Returns
        -------
        Columns
            One column a required dimension, and ``id``.
        """
        place = self.layout.type_index[dataset_type]
        kind = self.layout.types[place]
        chosen = np.arange(kind.n_datasets) if rows is None else np.asarray(rows)
        data_ids = self.type_rows[place].table.decode(chosen)
        columns = {n: data_ids[n] for n in data_ids.names}
        return Columns({**columns, "id": self.dataset_ids(chosen.astype(np.int64) + kind.offset)})

    def by_type(self, ordinals: npt.ArrayLike) -> dict[str, Ints]:
        """Sort datasets by type.

        Parameters
        ----------
        ordinals : array-like of int
            Datasets.

        Returns
        -------
        dict of str to numpy.ndarray
            Dataset type to rows within the type, in the order given.
        """
        chosen = np.asarray(ordinals, dtype=np.int64)
        places = self.type_of(chosen)
        types = self.layout.types
        return {types[p].name: chosen[places == p] - types[p].offset for p in unique_values(places).tolist()}

    # -- edges ----------------------------------------------------------------------------------------------

    def inputs_of(self, ordinals: npt.ArrayLike) -> Edges:
        """Return all that some quanta read.

        Parameters
        ----------
        ordinals : array-like of int
            Quanta.

        Returns
        -------
        Edges
            ``quantum`` and ``dataset`` ordinals, and the ``connection``; sorted by nothing in particular.
        """
        return self._edges(ordinals, inputs=True)

    def outputs_of(self, ordinals: npt.ArrayLike) -> Edges:
        """Return all that some quanta write.

        Parameters
        ----------
        ordinals : array-like of int
            Quanta.

        Returns
        -------
        Edges
            ``quantum`` and ``dataset`` ordinals, and the ``connection``; sorted by nothing in particular.
        """
        return self._edges(ordinals, inputs=False)

    def _edges(self, ordinals: npt.ArrayLike, *, inputs: bool) -> Edges:
        chosen = np.asarray(ordinals, dtype=np.int64)
        places = self.task_of(chosen)
        quanta, datasets, names = [], [], []
        for place in unique_values(places).tolist():
            task = self.task_rows[place]
            mine = chosen[places == place]
            for connection in task.connections:
                if not connection.has_edges or connection.is_input is not inputs:
                    continue
                csr = task.edges[connection.name].take(mine - self.layout.tasks[place].offset)
                kind = self.layout.types[self.layout.type_index[connection.dataset_type]]
                quanta.append(np.repeat(mine, np.diff(csr.indptr)))
                datasets.append(csr.indices.astype(np.int64) + kind.offset)
                names.append(np.full(len(csr.indices), connection.name, dtype=object))
        empty = np.zeros(0, dtype=np.int64)
        return Edges(
            np.concatenate([empty, *quanta]),
            np.concatenate([empty, *datasets]),
            np.concatenate([np.empty(0, dtype=object), *names]),
        )


def _place(offsets: list[int], ordinals: npt.ArrayLike) -> Ints:
    chosen = np.asarray(ordinals, dtype=np.int64)
    return np.searchsorted(np.array(offsets, dtype=np.int64), chosen, side="right").astype(np.int64) - 1


def _rows_of(keys: Ints, n_rows: int, identity: Identity | None) -> Ints:
    """Return the rows with some identities, -1 where there is none; without changes an identity is the ordinal."""
    if identity is None:
        return np.where(keys < n_rows, keys, -1)
    rows: Ints = row_in([keys], [identity_keys(identity)])
    return rows
