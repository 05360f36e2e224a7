"""What a question is held to, one constraint at a time, and what it takes for granted that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from registry.errors import nearest
from registry.queries.constraints import Constraints, Join
from registry.queries.statements import record_statement
from registry.queries.words import bare_names, bind_names, conditions
from registry.query import bound
from registry.query.bind import bind
from registry.query.parser import parse
from registry.sql.datasets import count_datasets

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from registry.sql.dataset_types import TypeEntry
    from registry.sql.session import Session

__all__ = ["Constraint", "constraints_of", "missing_datasets", "missing_governor", "missing_records"]

_SHOWN = 5


@dataclass(frozen=True)
class Constraint:
    """One of several.

    Parameters
    ----------
    text : str
        As it was given.
    verb : str
        What stands between a row and the text: ``fulfils``, ``has``, ``is in``.
    added_to : callable
        Adds it to others.
    is_essential : bool, optional
        Whether others mean nothing without it: it says which instrument, sky map and the like.
    join : Join, optional
        The dataset that must exist, if it is about one.
    """

    text: str
    verb: str
    added_to: Callable[[Constraints], Constraints]
    is_essential: bool = False
    join: Join | None = None


def constraints_of(asked: Constraints, universe: DimensionUniverse) -> list[Constraint]:
    """Take a question apart.

    Parameters
    ----------
    asked : Constraints
        All of it.
    universe : DimensionUniverse
        Tells what is essential.

    Returns
    -------
    list of Constraint
        Essential ones first, else in the order in which they were given.
    """
    found = [*_values(asked, universe), *_expressions(asked, universe), *_others(asked)]
    return sorted(found, key=lambda c: not c.is_essential)


def _values(asked: Constraints, universe: DimensionUniverse) -> Iterator[Constraint]:
    for name, value in asked.defaults.items():
        add = partial(Constraints.with_defaults, values={name: value}, universe=universe)
        yield Constraint(f"{name} = {value!r}, by default", "has", add, is_essential=True)
    for name, value in asked.data_id.items():
        add = partial(Constraints.with_data_id, values={name: value}, universe=universe)
        yield Constraint(f"{name} = {value!r}", "has", add, is_essential=name in universe.governors)


def _expressions(asked: Constraints, universe: DimensionUniverse) -> Iterator[Constraint]:
    for text in (piece for where in asked.wheres for piece in conditions(where)):
        names = bare_names(text)
        values = {n: asked.bind[n] for n in bind_names(text) | names if n in asked.bind}
        add = partial(Constraints.with_expression, text=text, bind=values)
        is_essential = bool(names) and names - set(values) <= universe.governors
        yield Constraint(f"`{text}`", "fulfils", add, is_essential=is_essential)


def _others(asked: Constraints) -> Iterator[Constraint]:
    for join in asked.joins:
        where = "" if join.collections is None else f" in {', '.join(join.collections)}"
        add = partial(Constraints.with_join, dataset_type=join.dataset_type, collections=join.collections)
        yield Constraint(f"a '{join.dataset_type}'{where}", "has", add, join=join)
    if asked.table is not None:
        n = asked.table.n_rows
        add = partial(Constraints.with_table, table=asked.table)
        yield Constraint(f"the table of {n:,} data ID{'s' * (n != 1)}", "is in", add)


def missing_governor(session: Session, group: DimensionGroup, asked: Constraints) -> tuple[str, str] | None:
    """Look for an instrument, sky map and the like that is asked for and does not exist.

    Parameters
    ----------
    session : Session
        Where.
    group : DimensionGroup
        The dimensions asked for.
    asked : Constraints
        What the rows fulfil.

    Returns
    -------
    (str, str) or None
        What is wrong and one next step; None if nothing is.
    """
    universe = session.schema.universe
    expression = bind(
        parse(asked.where), universe, group, asked.bind, data_id=asked.data_id, defaults=asked.defaults
    )
    named = [(n, v) for n, v in expression.data_id.items() if n in universe.governors]
    for name, value in [*named, *_governors_in(expression.root, universe)]:
        with record_statement(session, universe.element(name), Constraints()) as statement:
            known = session.fetch(statement)[name].tolist()
        if value not in known:
            return f"there is no {name} {value!r}", nearest(str(value), map(str, known))
    return None


def _governors_in(root: bound.Node | None, universe: DimensionUniverse) -> Iterator[tuple[str, Any]]:
    """Find the only values of governors that an expression allows."""
    for node in bound.conjuncts(root):
        match node:
            case bound.Compare("=", bound.Field() as field, bound.Const(value)):
                pass
            case bound.Compare("=", bound.Const(value), bound.Field() as field):
                pass
            case bound.Contains(bound.Field() as field, (value,), (), (), False, False):
                pass
            case _:
                continue
        if field.is_key and field.element in universe.governors:
            yield field.element, value


def missing_records(session: Session, group: DimensionGroup) -> tuple[str, str]:
    """Say why there are no data IDs of some dimensions at all.

    Parameters
    ----------
    session : Session
        Where.
    group : DimensionGroup
        The dimensions.

    Returns
    -------
    (str, str)
        What is wrong and one next step.
    """
    for name in group.required:
        element = session.schema.universe.elements[name]
        if element.has_table:
            with record_statement(session, element, Constraints(), limit=1) as statement:
                if not session.fetch(statement).n_rows:
                    return f"there are no records of '{name}'", "Import some: stage repo import."
    return f"no records combine to data IDs of {group}", "Ask for fewer dimensions."


def missing_datasets(
    session: Session, found: TypeEntry, collections: Sequence[str] | None
) -> tuple[str, str]:
    """Say that collections hold nothing of a dataset type, and which do.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The type.
    collections : sequence of str or None
        Where it was looked for; None for every RUN.

    Returns
    -------
    (str, str)
        What is wrong and one next step.
    """
    name = found.type.name
    counts = count_datasets(session, None)
    runs = counts["run"][counts["dataset_type"] == name].tolist()
    if not runs:
        return f"there is no dataset '{name}' yet", ""
    shown = ", ".join(runs[:_SHOWN]) + (", …" if len(runs) > _SHOWN else "")
    where = ", ".join(collections or ()) or "no collection"
    return f"there is no dataset '{name}' in {where}", f"There are some in: {shown}."
