"""Why quanta lack a prerequisite: unknown, nowhere, for other data IDs, at other times, too few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from registry.errors import NotFoundError, QueryError
from registry.model.columns import Columns
from registry.model.times import span_text
from stage.graph.building.found import shown_data_ids
from stage.graph.building.plan import unregistered
from stage.graph.building.question import Question
from stage.graph.explaining.cause import Cause
from stage.graph.explaining.steps import path_text
from stage.graph.explaining.whereabouts import nowhere
from stage.graph.table import Table

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan
    from stage.graph.building.prerequisites import Lack, Prerequisites
    from stage.graph.building.question import View

__all__ = ["lack_cause", "lack_document", "raise_lacking"]

_READ = 20_000
"""Of a search path of more datasets than these it is not told when calibrations are valid: that would be read whole."""

_HINT = "Add the collection that holds it to the inputs, or leave these data IDs out."


def raise_lacking(lookup: Prerequisites) -> NoReturn:
    """Raise the error for quanta that lack prerequisites.

    Parameters
    ----------
    lookup : Prerequisites
        Knows which they are, and where was looked.

    Raises
    ------
    NotFoundError
        With code ``missing-prerequisite``; its context has ``lacking`` and ``causes`` as documents.
    """
    reasons = [_why(lookup, lack) for lack in lookup.lacking]
    causes = [_cause(lack, *reason) for lack, reason in zip(lookup.lacking, reasons, strict=True)]
    first, path = lookup.lacking[0], path_text(lookup.path)
    own = lookup.plan.task_dimensions(first.node)
    c = first.connection
    needs = "a prerequisite" if c.minimum == 1 else f"{c.minimum} datasets of a prerequisite"
    # Rows are kept of the first few only; how many more there are is known.
    more = first.n_lacking - first.first.n_rows
    shown = _shown(first.first, own) + (f" and {more} more" if more else "")
    others = "".join(f"; {cause}" for cause in causes[1:4])
    others += f"; and {len(causes) - 4} more such" if len(causes) > 4 else ""
    raise NotFoundError(
        f"{first.n_lacking} of {first.n_quanta} quanta of '{first.node.label}' lack {needs}: no "
        f"'{c.dataset_type}' in {path} for {shown} ({reasons[0][1]}){others}",
        code="missing-prerequisite",
        hint=causes[0].hint or _HINT,
        context={
            "lacking": [lack_document(lookup.plan, lack) for lack in lookup.lacking],
            "causes": [cause.to_document() for cause in causes],
        },
    )


def lack_document(plan: GraphPlan, lack: Lack) -> dict[str, Any]:
    """Return what quanta lack as JSON values.

    Parameters
    ----------
    plan : GraphPlan
        What the pipeline means.
    lack : Lack
        What they lack.

    Returns
    -------
    dict
        ``task``, ``connection``, ``dataset_type``, ``minimum``, ``lacking``, ``of``, ``found`` (by that quantum of them
        which found most), ``first`` (data IDs).
    """
    own, c = plan.task_dimensions(lack.node), lack.connection
    return {
        "task": lack.node.label,
        "connection": c.name,
        "dataset_type": c.dataset_type,
        "minimum": c.minimum,
        "lacking": lack.n_lacking,
        "of": lack.n_quanta,
        "found": lack.most,
        "first": [dict(zip(own, row, strict=True)) for row in _rows(lack.first, own)],
    }


def lack_cause(lookup: Prerequisites, lack: Lack) -> Cause:
    """Find why quanta lack a prerequisite.

    Parameters
    ----------
    lookup : Prerequisites
        Knows where was looked.
    lack : Lack
        What they lack.

    Returns
    -------
    Cause
        ``not-registered``, ``no-datasets``, ``not-valid``, ``other-data-ids``, ``no-overlap`` or ``too-few-found``.

    Notes
    -----
    A few questions with at most some rows of answer each.
    """
    return _cause(lack, *_why(lookup, lack))


def _cause(lack: Lack, code: str, why: str, hint: str) -> Cause:
    c = lack.connection
    needs = f"a '{c.dataset_type}'" if c.minimum == 1 else f"{c.minimum} '{c.dataset_type}'"
    text = f"{lack.n_lacking} of {lack.n_quanta} quanta lack {needs} for '{c.name}': {why}"
    return Cause(code, (lack.node.label,), text, hint)


def _why(lookup: Prerequisites, lack: Lack) -> tuple[str, str, str]:
    """Return code, reason and next step."""
    view, c = lookup.view, lack.connection
    unknown = unregistered(view, c.dataset_type)
    if unknown:
        reason, _, hint = unknown.partition(". ")
        return "not-registered", reason[:1].lower() + reason[1:].rstrip("."), hint
    some = _some(lookup, c.dataset_type, None)
    # Of collections of calibrations it is not known how many datasets of which type they hold.
    is_nowhere = None if some else nowhere(view, lookup.path, c.dataset_type)
    if is_nowhere is not None:
        return "no-datasets", *is_nowhere
    if c.lookup:
        return "too-few-found", f"its own lookup '{c.lookup}' found {lack.most or 'none'}", ""
    if lack.most:
        return (
            "too-few-found",
            f"at most {lack.most} were found",
            "Ask for fewer (minimum), or add the others.",
        )
    return _elsewhere(lookup, lack, some)


def _elsewhere(lookup: Prerequisites, lack: Lack, some: str) -> tuple[str, str, str]:
    """Return why none of the datasets that there are is one for these quanta."""
    kind = lookup.plan.types[lack.connection.dataset_type]
    not_valid = _not_valid(lookup, lack) if lookup.view.is_calibration(kind.type) else ""
    if not_valid:
        return "not-valid", not_valid, "Certify one for that time, or add the collection that has it."
    there = f"there are some, as of {some}" if some else "there are some"
    if not set(kind.dimensions) <= set(lack.first.names):
        return "no-overlap", f"{there}, but none that go with these", ""
    return "other-data-ids", f"{there}, but for none of these", ""


def _some(lookup: Prerequisites, dataset_type: str, table: Columns | None) -> str:
    """Return the first data IDs for which there is a dataset, as text; empty if they cannot be asked for."""
    kind = lookup.plan.types[dataset_type]
    try:
        rows = lookup.view.data_ids(
            kind.type.dimensions, Question(table=table), [kind.type], lookup.path, limit=3
        )
    except QueryError:
        return ""
    if not rows.n_rows or not kind.dimensions:
        return ""
    return _shown(Table.of(rows), kind.dimensions)


def _rows(table: Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return table.select(names).rows(np.arange(table.n_rows))


def _shown(table: Table, names: Sequence[str]) -> str:
    return shown_data_ids(table, np.arange(min(table.n_rows, 3)), names)


def _not_valid(lookup: Prerequisites, lack: Lack) -> str:
    """Say when there is a calibration for the first quantum that lacks one, and when it would have to be."""
    kind = lookup.plan.types[lack.connection.dataset_type]
    if not set(kind.dimensions) <= set(lack.first.names):
        return ""
    first = lack.first.take(np.arange(1))
    wanted = first.select(kind.dimensions).decode()
    if kind.dimensions and not _some(lookup, kind.name, wanted):
        return ""
    at = _time(lookup.view, first)
    spans = _spans(lookup, kind.name, wanted)
    told = f"valid {' and '.join(spans)}" if spans else "valid at other times"
    return f"there is one for {_shown(first, kind.dimensions) or 'it'}, {told}, and not {at}"


def _time(view: View, quantum: Table) -> str:
    """Say when a quantum takes place."""
    columns = quantum.decode()
    element = view.universe.temporal_element(columns)
    if element is None:
        return "at all times"
    records = view.records(element.name, columns.select(element.required))
    spans = records.rows(("timespan_begin", "timespan_end")) if records.n_rows else []
    if not spans or None in spans[0]:
        return f"at the time of its {element.name}, of which none is recorded"
    return f"at the time of its {element.name}, {span_text(*spans[0])}"


def _spans(lookup: Prerequisites, name: str, wanted: Columns) -> list[str]:
    """Return when the datasets of one data ID are valid, as texts; none if that is too much to read."""
    held = lookup.view.contents(lookup.path)["n"]
    if int(held.sum()) > _READ:
        return []
    kind = lookup.plan.types[name]
    rows = lookup.view.every_dataset(kind.type, lookup.path)
    mine = np.ones(rows.n_rows, dtype=np.bool_)
    for dimension in kind.dimensions:
        mine &= rows[dimension] == wanted[dimension][0]
    spans = list(dict.fromkeys(rows.take(mine).rows(("valid_begin", "valid_end"))))
    return [span_text(*s) for s in spans[:3]] + (["at more times"] if len(spans) > 3 else [])
