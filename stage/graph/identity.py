"""Which ids the quanta and planned datasets of a graph have: the only place where an ordinal becomes an id.

In a graph as it was built, ids follow from the graph's own id and the ordinals. In one of which rows were dropped, or
to which rows were added, each row remembers the graph that it came from and its ordinal there, so that it keeps its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.model.columns import Array, unique_values
from registry.model.refs import derived_id, derived_ids, derived_ordinals, id_numbers
from stage.graph.layout import QUANTUM_IDS
from stage.graph.table import Ints

if TYPE_CHECKING:
    from stage.graph.layout import Header

__all__ = ["Identity", "Ids", "identity_keys"]


class Identity(NamedTuple):
    """Where the rows of one task or one dataset type come from.

    Parameters
    ----------
    origin : numpy.ndarray of int64
        For each row, the place of a graph in `stage.graph.layout.Header.origins`.
    ordinal : numpy.ndarray of int64
        For each row, its ordinal in that graph.
    """

    origin: Ints
    ordinal: Ints

    @classmethod
    def of_block(cls, origin: int, first: int, n_rows: int) -> Identity:
        """Return the identity of rows that follow one another in one graph.

        Parameters
        ----------
        origin : int
            Place of the graph.
        first : int
            Ordinal of the first row.
        n_rows : int
            How many.

        Returns
        -------
        Identity
            A constant and a progression, which take no room in a file.
        """
        return cls(np.full(n_rows, origin, dtype=np.int64), np.arange(first, first + n_rows, dtype=np.int64))

    def take(self, rows: Array) -> Identity:
        """Return chosen rows.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers or a mask.

        Returns
        -------
        Identity
            Of those rows.
        """
        return Identity(self.origin[rows], self.ordinal[rows])

    def check(self, n_rows: int, n_origins: int) -> Identity:
        """Refuse what no graph can have written.

        Parameters
        ----------
        n_rows : int
            Rows that there should be.
        n_origins : int
            Graphs that the header names.

        Returns
        -------
        Identity
            This one.

        Raises
        ------
        ValueError
            If it has another length, or names a graph or an ordinal that there cannot be.
        """
        if len(self.origin) != n_rows or len(self.ordinal) != n_rows:
            raise ValueError(f"{len(self.ordinal)} identities for {n_rows} rows")
        if n_rows and not (0 <= self.origin.min() <= self.origin.max() < n_origins):
            raise ValueError(f"an identity of a graph beyond the {n_origins} that are named")
        if n_rows and not (0 <= self.ordinal.min() <= self.ordinal.max() < QUANTUM_IDS):
            raise ValueError("an ordinal out of range")
        return self


class Ids:
    """Makes the ids that belong to ordinals.

    Parameters
    ----------
    header : Header
        The graph's.
    """

    def __init__(self, header: Header) -> None:
        self._graphs: Sequence[bytes] = (header.id, *header.origins)
        # The id of ordinal 0 as a number: that of any other ordinal is greater by it.
        self._firsts = [int.from_bytes(derived_id(graph, 0), "big") for graph in self._graphs]

    def one(self, ordinal: int, origin: int = -1) -> bytes:
        """Return one id.

        Parameters
        ----------
        ordinal : int
            Of a dataset; of a quantum with `QUANTUM_IDS` added.
        origin : int, optional
            Place of the graph whose ordinal it is; this graph itself by default.

        Returns
        -------
        bytes
            16 bytes.

        Raises
        ------
        ValueError
            If no such graph is named.
        """
        if not -1 <= origin < len(self._firsts) - 1:
            raise ValueError(f"an identity of graph {origin}, and {len(self._firsts) - 1} are named")
        return (self._firsts[origin + 1] + ordinal).to_bytes(16, "big")

    def many(self, ordinals: Ints, identity: Identity | None = None, base: int = 0) -> list[bytes]:
        """Return many ids.

        Parameters
        ----------
        ordinals : numpy.ndarray of int64
            Their ordinals in this graph.
        identity : Identity, optional
            Where the rows come from, one entry an ordinal; then that counts.
        base : int, optional
            `stage.graph.layout.QUANTUM_IDS` for quanta.

        Returns
        -------
        list of bytes
            16 bytes each.
        """
        if identity is None:
            return derived_ids(self._graphs[0], ordinals + base)
        out = np.empty(len(ordinals), dtype=object)
        for origin in unique_values(identity.origin).tolist():
            mine = np.flatnonzero(identity.origin == origin)
            out[mine] = derived_ids(self._graphs[origin + 1], identity.ordinal[mine] + base)
        return out.tolist()

    def keys(self, ids: Iterable[bytes]) -> Ints:
        """Return what tells of ids whose they are: what undoes `many`, without the ids of all.

        Parameters
        ----------
        ids : iterable of bytes
            16 bytes each.

        Returns
        -------
        numpy.ndarray of int64
            As of `identity_keys`, quanta with `QUANTUM_IDS` added; -1 for ids of no graph that the header names.
        """
        numbers = id_numbers(ids)
        out = np.full(len(numbers), -1, dtype=np.int64)
        for place, graph in enumerate(self._graphs):
            mine, ordinals = derived_ordinals(numbers, graph)
            out[mine] = ordinals + place * 2 * QUANTUM_IDS
        return out


def identity_keys(identity: Identity) -> Ints:
    """Return the identity of each row as one number.

    Parameters
    ----------
    identity : Identity
        Where rows come from; place -1 is the graph itself.

    Returns
    -------
    numpy.ndarray of int64
        Those of the graph's own rows are their ordinals.
    """
    return (identity.origin + 1) * (2 * QUANTUM_IDS) + identity.ordinal
