"""What universe a table speaks of: dimensions from its key columns, metadata where its values are determined.

Column b is *determined* by columns A where equal values in A always come with equal values in b. All that is decided
here rests on that, and on the order in which the key columns were named:

- A key that does not determine the keys named before it (lane numbers repeat from sample to sample) requires them.
- A key that determines an earlier one (each well plate number is of one batch) implies it instead.
- A calendar date is the same day for everybody: it requires nothing.
- A metadata column belongs to the smallest key that determines it; a pair of times (begin and end), or a single one,
  is its element's timespan too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.errors import UsageError
from registry.model.elements import RESERVED, is_element_name
from sync.tables.facts import Facts

__all__ = ["column_names", "dimension_name", "infer_universe", "span_columns"]

_ENDS = (
    ("begin", "end"), ("start", "end"), ("start", "stop"), ("from", "until"), ("from", "to"), ("first", "last"),
)  # fmt: skip
"""Words of two columns that are the ends of one span of time."""


def dimension_name(column: str) -> str:
    """Return what a dimension is called that a column names the units of.

    Parameters
    ----------
    column : str
        The column's name.

    Returns
    -------
    str
        Lower-case, with ``_`` for what is no letter or digit, and not a name that this program uses itself.

    Raises
    ------
    UsageError
        If nothing is left of it.
    """
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:36]
    name = f"{name}_id" if name in RESERVED else name
    if name and not is_element_name(name):
        name = f"n_{name}"
    if not is_element_name(name):
        raise UsageError(
            f"no name for a dimension can be made of column '{column}'", code="bad-name",
            hint=f"Say one: --key 'thing={column}'.",
        )  # fmt: skip
    return name


def column_names(columns: Sequence[str], elements: Iterable[str]) -> dict[str, str]:
    """Return what metadata columns are called in a registry.

    Parameters
    ----------
    columns : sequence of str
        All metadata columns of a table.
    elements : iterable of str
        Names that are taken.

    Returns
    -------
    dict of str to str
        Name (letters, digits and ``_``, a letter first) to the column of the table.
    """
    out: dict[str, str] = {}
    # Databases do not tell capitals from small letters in the names of columns.
    taken = {*elements, "region", "timespan_begin", "timespan_end"}
    for column in columns:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")[:56]
        plain = name = plain if plain[:1].isalpha() else f"c_{plain}"
        number = 2
        while name.lower() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.lower())
        out[name] = column
    return out


def infer_universe(facts: Facts, name: str) -> tuple[dict[str, Any], list[str]]:
    """Work out the universe that a table speaks of.

    Parameters
    ----------
    facts : Facts
        The table.
    name : str
        What the universe shall be called.

    Returns
    -------
    document : dict
        As `DimensionUniverse.from_document` takes it.
    notes : list of str
        Why it came out so, a sentence an element.
    """
    elements: dict[str, dict[str, Any]] = {}
    notes = []
    for position, dimension in enumerate(facts.keys):
        earlier = list(facts.keys)[:position]
        requires, implies, why = _place(facts, dimension, earlier, elements)
        body: dict[str, Any] = {
            "doc": f"Column '{facts.keys[dimension]}' of {facts.table.place.rpartition('/')[2]}."
        }
        body |= {"requires": requires} if requires else {}
        body |= {"implies": implies} if implies else {}
        elements[dimension] = body
        notes.append(f"{dimension}: {why}")
    _add_metadata(facts, elements, notes)
    for dimension, column in facts.keys.items():
        elements[dimension] = _with_key(facts, elements[dimension], column)
    return {"name": name, "version": 1, "elements": elements}, notes


def closure(elements: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """Return dimensions with all that they require, in order.

    Parameters
    ----------
    elements : mapping
        Elements of a universe's document.
    names : iterable of str
        Dimensions.

    Returns
    -------
    list of str
        Their primary key.
    """
    wanted, todo = set(), list(names)
    while todo:
        one = todo.pop()
        wanted.add(one)
        todo += elements[one].get("requires", ())
    return [n for n in elements if n in wanted]


def _place(
    facts: Facts, dimension: str, earlier: list[str], elements: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[str], str]:
    """Decide which earlier dimensions one requires, and which it implies."""
    column = facts.keys[dimension]
    if not earlier:
        return [], [], "the first key"
    if facts.values[column].kind == "time":
        return [], [], f"a date is the same for every {' and '.join(earlier)}, so it requires nothing"
    needed, implied = list(earlier), []
    for other in reversed(earlier):
        rest = [facts.keys[n] for n in needed if n != other]
        # Where there is one value, or as many as of the other, nothing tells which of the two is the larger thing.
        telling = 1 < facts.n_distinct([facts.keys[other]]) < facts.n_distinct([*rest, column])
        if telling and facts.determines([*rest, column], facts.keys[other]):
            needed.remove(other)
            implied.append(other)
    requires = _leaves(elements, needed)
    if not implied:
        larger = " and ".join(requires)
        if facts.n_distinct([column]) < facts.n_distinct([*(facts.keys[n] for n in earlier), column]):
            return (
                requires,
                [],
                f"the same values are found in one {larger} and the next, so it belongs to its {larger}",
            )
        return requires, [], f"it belongs to its {larger}; the table does not tell otherwise"
    implied.reverse()
    held = {*closure(elements, needed)}
    implies = [n for n in _leaves(elements, implied) if n not in held]
    return requires, implies, f"each is of one {' and '.join(implies or implied)} only"


def _leaves(elements: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Return the names that no other one brings along."""
    brought = {b for n in names for b in _brought(elements, n)}
    return [n for n in names if n not in brought]


def _brought(elements: Mapping[str, Mapping[str, Any]], name: str) -> set[str]:
    out: set[str] = set()
    todo = [name]
    while todo:
        body = elements[todo.pop()]
        new = {*body.get("requires", ()), *body.get("implies", ())} - out
        out |= new
        todo += new
    return out


def _add_metadata(facts: Facts, elements: dict[str, dict[str, Any]], notes: list[str]) -> None:
    """Give each column to the smallest key that determines it; what needs several keys, to a relation of them."""
    keys = {n: [facts.keys[k] for k in closure(elements, [n])] for n in elements}
    order = sorted(keys, key=lambda n: len(keys[n]))
    everything = _leaves(elements, list(elements))
    owned: dict[str, list[str]] = {}
    for column in facts.metadata:
        owner = next((n for n in order if facts.determines(keys[n], column)), "")
        owned.setdefault(owner or "_".join(everything)[:40], []).append(column)
    for owner in owned:
        if owner not in elements:
            elements[owner] = {
                "doc": f"What is known of each {' and '.join(everything)}.",
                "requires": everything,
            }
            notes.append(f"{owner}: its columns depend on {' and '.join(everything)} together")
    for owner, body in elements.items():
        key = facts.keys.get(owner)
        span = span_columns(facts, owned.get(owner, []), key)
        metadata = _metadata(facts, owned.get(owner, []), elements)
        if metadata:
            body["metadata"] = metadata
        if span:
            body["timespan"] = True
            notes.append(f"{owner}: its timespan is {' to '.join(dict.fromkeys(span))}")


def _metadata(facts: Facts, columns: Sequence[str], elements: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, column in column_names(facts.metadata, elements).items():
        if column in columns:
            kind = facts.values[column].kind
            out[name] = {"type": "string" if kind == "time" else kind}
            if name != column:
                out[name]["doc"] = f"Column '{column}'."
    return out


def span_columns(facts: Facts, columns: Sequence[str], key: str | None) -> tuple[str, ...]:
    """Find the times that are an element's timespan.

    Parameters
    ----------
    facts : Facts
        The table.
    columns : sequence of str
        Columns that the element may use.
    key : str or None
        Its own key column.

    Returns
    -------
    tuple of str
        Two columns (begin and end), one (a moment, or a day), or none.
    """
    times = [c for c in columns if facts.values[c].kind == "time"]
    for begin in times:
        for end in times:
            if _pairs(begin.lower(), end.lower()):
                return begin, end
    if len(times) == 1:
        return (times[0],)
    return (key,) if key is not None and not times and facts.values[key].kind == "time" else ()


def _pairs(begin: str, end: str) -> bool:
    """Tell whether two names differ only in that one says begin where the other says end."""
    return any(b in begin and begin.replace(b, e) == end for b, e in _ENDS)


def _with_key(facts: Facts, body: Mapping[str, Any], column: str) -> dict[str, Any]:
    kind = "int" if facts.values[column].kind == "int" else "string"
    taken = {n.lower() for n in body.get("metadata", ())}
    named = next(
        n for n in (("id", "number", "key") if kind == "int" else ("name", "id", "key")) if n not in taken
    )
    order = ("doc", "requires", "implies")
    first = {k: body[k] for k in order if k in body}
    rest = {k: v for k, v in body.items() if k not in order}
    return {**first, "key": {"name": named, "type": kind}, **rest}
