"""Bring a graph up to date with the collections that it reads: never more quanta, perhaps fewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from registry.errors import ConflictError, UsageError
from stage.graph.building.bare import Wire, bare_rows, without_needed
from stage.graph.building.found import find_datasets, shown_data_ids
from stage.graph.building.prune import Dropped, Mask, Refused, counts, members
from stage.graph.building.relate import match_rows
from stage.graph.building.skip import Skipped, is_complete
from stage.graph.changing.join import found_mask
from stage.graph.changing.refind import find_again, overlaid, plan_of, same_rows
from stage.graph.changing.retask import with_header
from stage.graph.changing.trim import changed, restrict
from stage.graph.changing.viable import Viable, find_viable
from stage.graph.explaining.afterwards import refreshed_explanation

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan
    from stage.graph.building.question import Place, View
    from stage.graph.graph import QuantumGraph
    from stage.graph.table import Table

__all__ = ["Refreshed", "leave_out", "refresh"]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did.

    Parameters
    ----------
    graph : QuantumGraph
        The graph as it is now; the very graph that was given if nothing differs.
    resolved : dict of str to int
        By dataset type that the graph reads and does not make, how many datasets were found.
    replaced : dict of str to int
        How many of these are other datasets than before.
    unresolved : dict of str to int
        How many are not there any more.
    trimmed : dict of str to int
        By task, quanta that went since all their outputs exist.
    pruned : dict of str to int
        By task, quanta that went for want of an input.
    """

    graph: QuantumGraph
    resolved: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    unresolved: dict[str, int] = field(default_factory=dict)
    trimmed: dict[str, int] = field(default_factory=dict)
    pruned: dict[str, int] = field(default_factory=dict)


def refresh(
    graph: QuantumGraph,
    view: View,
    *,
    input_collections: Sequence[str],
    skip_run: str = "",
    trim_existing_in: Sequence[str] = (),
    allow_pruning: bool = False,
    allow_empty: bool = False,
    explain: bool = False,
) -> Refreshed:
    """Look again for all that a graph reads, and leave out what need not or cannot be done any more.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    view : View
        Upstream and staging; open.
    input_collections : sequence of str
        Where inputs are searched, in order: past runs first, then the inputs proper.
    skip_run : str, optional
        The RUN that is being written, which need not exist: searched before all others.
    trim_existing_in : sequence of str, optional
        Collections and patterns: a quantum all whose outputs exist there is left out.
    allow_pruning : bool, optional
        Whether quanta may go that lack an input now.
    allow_empty : bool, optional
        Whether a graph without quanta is a graph.
    explain : bool, optional
        Whether to tell in the header what went, also of a graph that was built without an explanation.

    Returns
    -------
    Refreshed
        The graph, and what has become of its quanta and datasets. Quanta and planned datasets keep their ids.

    Raises
    ------
    NotFoundError
        If there is no such input collection.
    ConflictError
        If quanta would go that may not (``refresh-would-prune``): says which is the first, and how many.
    UsageError
        If nothing would be left to do (``empty-graph``).

    Notes
    -----
    What a quantum of the graph makes stays planned, wherever it exists besides: whoever reads it gets what that quantum
    makes. What no quantum of the graph makes is read from where it is found. A quantum that has lost an input is judged as
    when a graph is built: by the fewest inputs that its task requires, and by the task's own ``adjust_quantum``.

    A constant number of questions for each task and dataset type, whatever the number of quanta.
    """
    plan = plan_of(graph)
    path = _joined_path(view.known_path([skip_run] if skip_run else []), view.search_path(input_collections))
    again = find_again(graph, view, plan, path)
    trim_path = view.known_path(trim_existing_in) if trim_existing_in else ()
    trimmed = _done(graph, view, plan, trim_path)
    viable = find_viable(
        again.graph, graph, view, plan,
        path=_joined_path(path, trim_path), there=again.there, trimmed=trimmed,
    )  # fmt: skip
    facts = Refreshed(
        graph,
        again.resolved,
        again.replaced,
        again.unresolved,
        {label: int(np.count_nonzero(mask)) for label, mask in trimmed.items()},
        _pruned(graph, trimmed, viable),
    )
    if facts.pruned and not allow_pruning:
        _refuse_pruning(graph, facts, viable, path)
    if not allow_empty and not any(mask.any() for mask in viable.quanta):
        _refuse_empty(graph, facts)
    _count_intermediates(facts, viable)
    new = _assembled(graph, again.graph, viable, facts)
    if explain or (new is not graph and "explanation" in graph.header.metadata):
        new = with_header(new, metadata={"explanation": refreshed_explanation(graph, facts, new.counts())})
    if tuple(input_collections) != new.header.input_collections:
        new = with_header(new, input_collections=tuple(input_collections))
    return replace(facts, graph=new)


def leave_out(graph: QuantumGraph, view: View, *, existing_in: Sequence[str]) -> Refreshed:
    """Leave out what is done already, and look for nothing else.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    view : View
        Upstream and staging; open.
    existing_in : sequence of str
        Collections and patterns: a quantum all whose outputs exist there is left out, and others read these.

    Returns
    -------
    Refreshed
        The graph, perhaps without quanta, and how many were ``trimmed``. Inputs are those that it had.
    """
    plan = plan_of(graph)
    path = view.known_path(existing_in)
    trimmed = _done(graph, view, plan, path)
    there = {t.name: np.ones(t.n_datasets, dtype=np.bool_) for t in graph.layout.types if not t.is_planned}
    viable = find_viable(graph, graph, view, plan, path=path, there=there, trimmed=trimmed, stays=True)
    facts = Refreshed(graph, trimmed={label: int(np.count_nonzero(mask)) for label, mask in trimmed.items()})
    new = _assembled(graph, graph, viable, facts, stays=True)
    if new is not graph and "explanation" in graph.header.metadata:
        new = with_header(new, metadata={"explanation": refreshed_explanation(graph, facts, new.counts())})
    return replace(facts, graph=new)


def _joined_path(*paths: tuple[Place, ...]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(place for path in paths for place in path))


def _done(graph: QuantumGraph, view: View, plan: GraphPlan, path: tuple[Place, ...]) -> dict[str, Mask]:
    """Return by task the quanta all whose outputs exist; tasks without such are absent.

    Not those of which a file is gone that a quantum reads which is to be done.
    """
    out: dict[str, Mask] = {}
    bare: dict[str, Mask] = {}
    for rows, node in zip(graph.task_rows, plan.nodes, strict=True) if path else ():
        done = np.full(rows.table.n_rows, any(c.is_output for c in node.connections), dtype=np.bool_)
        filed = done.copy()
        # Of what was never done not even the metadata exist: then nothing else is asked for.
        for c in sorted(node.outputs, key=lambda c: c.role != "metadata"):
            if not done.any():
                break
            kind = plan.types[c.dataset_type]
            table = graph.type_rows[graph.layout.type_index[kind.name]].table
            found = find_datasets(view, kind, path, table)
            match = match_rows(table, found.data_ids, kind.dimensions)
            there = match >= 0
            if c.role == "metadata":
                there &= np.append(is_complete(found), np.False_)[match]
                # Where not even the metadata have a file, files are none of the registry's business.
                filed = counts(rows.edges[c.name], bare_rows(found, match)) == 0
            elif c.role == "output":
                bare[c.dataset_type] = bare_rows(found, match)
                bare[c.dataset_type][members(rows.edges[c.name], ~filed)] = False
            edges = rows.edges[c.name]
            done &= counts(edges, there) == np.diff(edges.indptr)
        if done.any():
            out[rows.label] = done
    wires = [
        Wire(rows.label, c.dataset_type, c.is_input, rows.edges[c.name])
        for rows in graph.task_rows
        for c in rows.connections
        if c.has_edges
    ]
    return without_needed(wires, out, bare)


def _pruned(graph: QuantumGraph, trimmed: Mapping[str, Mask], viable: Viable) -> dict[str, int]:
    out = {}
    for rows, kept in zip(graph.task_rows, viable.quanta, strict=True):
        gone = ~kept & ~trimmed[rows.label] if rows.label in trimmed else ~kept
        if gone.any():
            out[rows.label] = int(np.count_nonzero(gone))
    return out


def _refuse_pruning(graph: QuantumGraph, facts: Refreshed, viable: Viable, path: Sequence[Place]) -> NoReturn:
    reasons: list[Dropped | Refused] = [*viable.dropped, *viable.refused]
    first = min(
        reasons, key=lambda reason: graph.layout.task_index[reason.label]
    )  # all else follows from that
    rows = graph.task_rows[graph.layout.task_index[first.label]]
    data_id = shown_data_ids(rows.table, np.array(first.first[:1], dtype=np.int64), rows.table.names)
    total = sum(facts.pruned.values())
    if isinstance(first, Dropped):
        where = ", ".join(p.collection for p in path[:5]) or "no collection"
        why = f"'{first.dataset_type}', which each of them needs, is not in {where} any more"
    else:
        why = f"the task gives them up ({first.reason})"
    n, n_all = facts.pruned[first.label], rows.table.n_rows
    more = f", and {total - n} of other tasks" if total > n else ""
    raise ConflictError(
        f"a refresh would drop {n} of {n_all} quanta of '{first.label}'{more}: {why}; the first is {data_id}",
        code="refresh-would-prune",
        hint="Let them go (--allow-pruning), or bring the datasets back.",
        context={
            "task": first.label,
            "dataset_type": first.dataset_type if isinstance(first, Dropped) else "",
            "pruned": facts.pruned,
            "unresolved": {k: n for k, n in facts.unresolved.items() if n},
        },
    )


def _refuse_empty(graph: QuantumGraph, facts: Refreshed) -> NoReturn:
    told = [f"{label}: {n} of {graph.counts()[label]} done already" for label, n in facts.trimmed.items()]
    told += [f"{label}: {n} of {graph.counts()[label]} lack an input" for label, n in facts.pruned.items()]
    raise UsageError(
        f"no quanta are left of the graph; {'; '.join(told) or 'it had none'}",
        code="empty-graph",
        hint="There is nothing to do; if a graph without quanta is wanted, say so (--allow-empty).",
        context={"trimmed": facts.trimmed, "pruned": facts.pruned},
    )


def _count_intermediates(facts: Refreshed, viable: Viable) -> None:
    """Add what is read of datasets that the graph would have made itself."""
    for name, match in viable.matches.items():
        there = viable.there[name]
        facts.resolved[name] = int(np.count_nonzero(match >= 0))
        facts.unresolved[name] = len(there) - int(np.count_nonzero(there))


def _assembled(
    before: QuantumGraph, graph: QuantumGraph, viable: Viable, facts: Refreshed, *, stays: bool = False
) -> QuantumGraph:
    """Return the graph with what is left of it; the graph that there was before if that is all of it."""
    found = Skipped(found=viable.found, matches=viable.matches)
    types, is_same = list(graph.type_rows), graph is before
    for place, (rows, layout) in enumerate(zip(graph.type_rows, graph.layout.types, strict=True)):
        if not layout.is_planned:
            continue
        old, new = rows.found, found.among_planned(layout.name, np.ones(layout.n_datasets, dtype=np.bool_))
        if stays and old is not None:
            held = found_mask(old, layout.n_datasets)
            new = old if new is None else overlaid(old, new, np.where(held, -1, np.arange(len(held))))
        if not _same_found(old, new):
            types[place], is_same = replace(rows, found=new), False
    gone: dict[str, Any] = {"trimmed": facts.trimmed, "pruned": facts.pruned}
    is_whole = all(mask.all() for mask in (*viable.quanta, *viable.there.values()))
    if is_same and is_whole and not any(mask.any() for mask in viable.unmade.values()):
        return before
    whole = changed(graph, graph.task_rows, types, graph.record_tables, metadata={"refreshed": gone})
    return restrict(whole, viable.quanta, there=viable.there, unmade=viable.unmade)


def _same_found(old: Table | None, new: Table | None) -> bool:
    return old is new or (old is not None and new is not None and same_rows(old, new))
