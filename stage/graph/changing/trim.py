"""A graph with only some of its quanta: what remains keeps its ids."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.refs import new_id
from stage.graph.building.prune import Mask, members, surviving
from stage.graph.building.relate import DataIdRows, concat_columns, match_rows
from stage.graph.graph import QuantumGraph
from stage.graph.identity import Identity
from stage.graph.rows import TaskRows, TypeRows
from stage.graph.table import Table

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.graph.layout import Header

__all__ = [
    "Keeping",
    "changed",
    "changed_header",
    "kept_records",
    "own_identity",
    "restrict",
    "with_implied",
    "without_planned",
]


def restrict(
    graph: QuantumGraph,
    quanta: Sequence[Mask],
    *,
    there: Mapping[str, Mask] | None = None,
    unmade: Mapping[str, Mask] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> QuantumGraph:
    """Return a graph with only some quanta, and the datasets that these read and make.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    quanta : sequence of mask
        For each task, which quanta to keep.
    there : mapping of str to mask, optional
        By dataset type, which datasets can be read; all by default. Edges to others go.
    unmade : mapping of str to mask, optional
        By dataset type, which datasets are not made though their quantum is kept; none by default.
    metadata : mapping, optional
        JSON values that are added to the header's.

    Returns
    -------
    QuantumGraph
        The graph itself if all of it is kept. Otherwise one with an id of its own, in which quanta and planned
        datasets have the ids that they had; all tasks are there, some perhaps without quanta.
    """
    kept = _kept_datasets(graph, quanta, there or {}, unmade or {})
    if all(mask.all() for mask in (*quanta, *kept)):
        return graph
    keeping, by_name = Keeping(), {t.name: m for t, m in zip(graph.layout.types, kept, strict=True)}
    tasks = []
    for place, (rows, mask) in enumerate(zip(graph.task_rows, quanta, strict=True)):
        edges = {
            c.name: surviving(rows.edges[c.name], mask, by_name[c.dataset_type])
            for c in rows.connections
            if c.has_edges
        }
        identity = own_identity(graph, rows, graph.layout.tasks[place].offset).take(mask)
        tasks.append(
            replace(
                rows,
                table=keeping.take(rows.table, mask),
                edges=edges,
                identity=identity,
                hints=None if rows.hints is None else rows.hints.take(mask),
            )
        )
    types = []
    for place, (kind, mask) in enumerate(zip(graph.type_rows, kept, strict=True)):
        found = None if kind.found is None else kind.found.take(mask)
        own = own_identity(graph, kind, graph.layout.types[place].offset).take(mask)
        types.append(
            replace(
                kind,
                table=keeping.take(kind.table, mask),
                found=without_planned(found) if kind.layout.is_planned else found,
                identity=own if kind.layout.is_planned else None,
            )
        )
    return QuantumGraph(
        changed_header(graph, metadata=metadata), graph.documents, tasks, types,
        kept_records(graph.universe, graph.record_tables, tasks, types),
    )  # fmt: skip


def _kept_datasets(
    graph: QuantumGraph, quanta: Sequence[Mask], there: Mapping[str, Mask], unmade: Mapping[str, Mask]
) -> list[Mask]:
    """Say which datasets some kept quantum makes, or reads and can read; those of init connections stay."""
    kept = {t.name: np.full(t.n_datasets, t.role == "init", dtype=np.bool_) for t in graph.layout.types}
    for rows, mask in zip(graph.task_rows, quanta, strict=True):
        for c in rows.connections:
            if not c.has_edges:
                kept[c.dataset_type][:] = True
                continue
            mine = members(rows.edges[c.name], mask)
            able = there.get(c.dataset_type) if c.is_input else unmade.get(c.dataset_type)
            if able is not None:
                mine = mine[able[mine] if c.is_input else ~able[mine]]
            kept[c.dataset_type][mine] = True
    return list(kept.values())


def without_planned(found: Table | None) -> Table | None:
    """Return what is found of some datasets, or nothing if all of them are planned.

    Parameters
    ----------
    found : Table or None
        `stage.graph.quantum.FOUND_COLUMNS` of a type whose datasets may be planned.

    Returns
    -------
    Table or None
        The same, or None.
    """
    if found is None:
        return None
    return found if any(i is not None for i in found.select(("id",)).decode()["id"].tolist()) else None


def changed(
    graph: QuantumGraph,
    tasks: Sequence[TaskRows],
    types: Sequence[TypeRows],
    records: Mapping[str, Table],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> QuantumGraph:
    """Return a graph with other edges and other overall inputs.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    tasks : sequence of TaskRows
        The same quanta, row by row.
    types : sequence of TypeRows
        The same planned datasets, row by row; overall inputs may be others.
    records : mapping of str to Table
        Dimension records by element.
    metadata : mapping, optional
        JSON values that are added to the header's.

    Returns
    -------
    QuantumGraph
        With an id of its own; quanta and planned datasets have the ids that they had.
    """
    # Ordinals may be others now: where each row comes from is said outright.
    tasks = [
        replace(rows, identity=own_identity(graph, rows, layout.offset))
        for rows, layout in zip(tasks, graph.layout.tasks, strict=True)
    ]
    types = [
        replace(rows, identity=own_identity(graph, rows, layout.offset) if layout.is_planned else None)
        for rows, layout in zip(types, graph.layout.types, strict=True)
    ]
    return QuantumGraph(changed_header(graph, metadata=metadata), graph.documents, tasks, types, records)


def own_identity(graph: QuantumGraph, rows: TaskRows | TypeRows, offset: int) -> Identity:
    """Return where some rows of a graph come from, said outright.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    rows : TaskRows or TypeRows
        Some of its rows.
    offset : int
        Ordinal of the first.

    Returns
    -------
    Identity
        With places in the origins of `changed_header`.
    """
    known = rows.identity if graph.header.origins else None
    return known or Identity.of_block(0, offset, rows.table.n_rows)


def changed_header(
    graph: QuantumGraph, *, metadata: Mapping[str, Any] | None = None, **fields: Any
) -> Header:
    """Return the header of a graph that was made of another one.

    Parameters
    ----------
    graph : QuantumGraph
        The other one.
    metadata : mapping, optional
        JSON values that are added.
    **fields
        Other fields to be replaced.

    Returns
    -------
    Header
        With an id and a time of its own. Its origins are those of `graph`, or `graph` itself if it has none.
    """
    header = graph.header
    return replace(
        header,
        id=new_id(),
        created_ns=time.time_ns(),
        origins=header.origins or (header.id,),
        metadata={**header.metadata, **(metadata or {})},
        **fields,
    )


@dataclass(slots=True, eq=False)
class Keeping:
    """Takes rows of tables: the same object for the same rows of one table, so that it is stored once."""

    _known: dict[int, tuple[Table, list[tuple[Any, Table]]]] = field(default_factory=dict, init=False)

    def take(self, table: Table, rows: Any) -> Table:
        """Return chosen rows.

        Parameters
        ----------
        table : Table
            Of which.
        rows : numpy.ndarray
            Row numbers or a mask.

        Returns
        -------
        Table
            The table itself for a mask of all.
        """
        if rows.dtype == np.bool_ and rows.all():
            return table
        # The table is held beside its copies, lest another one get its address.
        _, copies = self._known.setdefault(id(table), (table, []))
        for known, copy in copies:
            if np.array_equal(known, rows):
                return copy
        copies.append((rows, table.take(rows)))
        return copies[-1][1]


def with_implied(universe: DimensionUniverse, records: Mapping[str, Table], table: Table) -> Table:
    """Return data IDs with all dimensions that follow from them.

    Parameters
    ----------
    universe : DimensionUniverse
        Where dimensions are defined.
    records : mapping of str to Table
        Dimension records by element.
    table : Table
        Data IDs: required dimensions.

    Returns
    -------
    Table
        The same rows, with the implied dimensions that the records tell.
    """
    columns, todo = dict(table.columns), list(table.names)
    while todo:
        element = universe.elements.get(todo.pop())
        if element is None or element.name not in records:
            continue
        new = [n for n in element.implied if n not in columns]
        if new and all(n in columns for n in element.required):
            held = records[element.name]
            place = match_rows(Table(columns, table.n_rows), held, element.required)
            if len(place) and place.min() < 0:
                continue
            columns |= held.select(new).take(place).columns
            todo += new
    return Table(columns, table.n_rows)


def kept_records(
    universe: DimensionUniverse,
    records: Mapping[str, Table],
    tasks: Sequence[TaskRows],
    types: Sequence[TypeRows],
) -> dict[str, Table]:
    """Return those dimension records that the data IDs of some quanta and datasets name.

    Parameters
    ----------
    universe : DimensionUniverse
        Where dimensions are defined.
    records : mapping of str to Table
        Dimension records by element.
    tasks : sequence of TaskRows
        The quanta.
    types : sequence of TypeRows
        The datasets.

    Returns
    -------
    dict of str to Table
        Fewer rows; all of an element whose dimensions no single data ID has.
    """
    tables = {id(t): t for t in ([r.table for r in tasks] + [r.table for r in types]) if t.columns}
    data_ids = [DataIdRows(with_implied(universe, records, table)) for table in tables.values()]
    out = {}
    for name, held in records.items():
        required = universe.element(name).required
        told = [rows for rows in data_ids if set(required) <= set(rows.table.names)]
        mask = np.full(held.n_rows, not told, dtype=np.bool_)
        for rows in told:
            place = match_rows(rows.places(required).table, held, required)
            mask[place[place >= 0]] = True
        if mask.any():
            out[name] = held if mask.all() else held.take(mask)
    return out


def joined_records(
    universe: DimensionUniverse, one: Mapping[str, Table], other: Mapping[str, Table]
) -> dict[str, Table]:
    """Return the dimension records of two graphs.

    Parameters
    ----------
    universe : DimensionUniverse
        Where dimensions are defined.
    one, other : mapping of str to Table
        Records by element, sorted by key.

    Returns
    -------
    dict of str to Table
        Each record once, sorted; that of `one` where both have one.
    """
    out = dict(one)
    for name, more in other.items():
        if name not in one:
            out[name] = more
            continue
        held, required = one[name], universe.element(name).required
        new = match_rows(more, held, required) < 0
        if new.any():
            columns = {n: concat_columns(c, more.columns[n]) for n, c in held.columns.items()}
            both = Table(columns, held.n_rows + more.n_rows)
            out[name] = both.take(DataIdRows(both).places(required).first)
    return {name: out[name] for name in universe.elements if name in out}
