"""What a graph needs from upstream, as columns that `sync` can fetch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["UPSTREAM", "GraphWanted", "graph_wanted"]

UPSTREAM, STAGING = "upstream", "staging"
"""Where a dataset was found."""


@dataclass(frozen=True, slots=True)
class GraphWanted:
    """Rows that a staging registry needs before the graph can be run there.

    Parameters
    ----------
    dataset_ids : sequence of bytes
        Overall inputs that upstream holds.
    records : mapping of str to Columns
        For each dimension element the keys (its required dimensions) of the records.
    dataset_types : sequence of DatasetType
        All of the graph's, inputs and outputs.
    collections : sequence of str
        The input collections, in order, as they were named.
    """

    dataset_ids: Sequence[bytes]
    records: Mapping[str, Columns]
    dataset_types: Sequence[DatasetType]
    collections: Sequence[str]


def graph_wanted(graph: QuantumGraph) -> GraphWanted:
    """Return what a graph needs from upstream.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.

    Returns
    -------
    GraphWanted
        As columns.
    """
    ids: list[bytes] = []
    for rows in graph.type_rows:
        if rows.found is not None:
            found = rows.found.select(("id", "origin")).decode()
            ids += found["id"][np.array(found["origin"] == UPSTREAM, dtype=np.bool_)].tolist()
    universe = graph.universe
    keys = {
        name: table.select(universe.element(name).required).decode()
        for name, table in graph.record_tables.items()
    }
    types = [
        DatasetType(t.name, universe.group(t.dimensions), t.storage_class, t.is_calibration)
        for t in graph.layout.types
    ]
    return GraphWanted(ids, keys, types, graph.header.input_collections)
