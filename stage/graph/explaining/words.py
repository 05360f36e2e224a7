"""What a constraint speaks of: its dimensions, and the values that it names of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from registry.query import ast
from registry.query.parser import parse

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.graph.explaining.steps import Constraint

__all__ = ["key_values", "subjects"]


def key_values(where: str, universe: DimensionUniverse) -> Iterator[tuple[str, list[Any]]]:
    """Find the dimension of which a condition names values, and these values.

    Parameters
    ----------
    where : str
        One condition.
    universe : DimensionUniverse
        Where dimensions are defined.

    Yields
    ------
    (str, list)
        At most one: of ``visit = 5``, ``5 = visit``, ``visit.id IN (5, 6)``.
    """
    parsed = parse(where)
    match parsed.root if parsed else None:
        case ast.Comparison(_, "=", ast.Name() as name, ast.Literal() as value):
            values = [value.value]
        case ast.Comparison(_, "=", ast.Literal() as value, ast.Name() as name):
            values = [value.value]
        case ast.In(_, ast.Name() as name, items, False) if all(isinstance(i, ast.Literal) for i in items):
            values = [i.value for i in items if isinstance(i, ast.Literal)]
        case _:
            return
    element = universe.elements.get(name.parts[0])
    if element is None or element.key is None or element.skypix is not None:
        return
    if name.parts[1:] in {(), (element.key.name,)}:
        yield element.name, values


def subjects(constraint: Constraint, universe: DimensionUniverse) -> set[str] | None:
    """Return the dimensions that a constraint speaks of.

    Parameters
    ----------
    constraint : Constraint
        A value, a condition or a table.
    universe : DimensionUniverse
        Where dimensions are defined.

    Returns
    -------
    set of str or None
        What they require included; None where it cannot be told.
    """
    if constraint.table is not None:
        return set(constraint.table.names)
    if constraint.data_id:
        return {r for name in constraint.data_id for r in universe.element(name).required}
    if not constraint.where:
        return None
    names: set[str] = set()
    for name in _names(parse(constraint.where)):
        element = universe.elements.get(name.parts[0])
        if element is None:
            return None
        names.update(element.required)
    return names or None


def _names(node: object) -> Iterator[ast.Name]:
    todo: list[Any] = [node]
    while todo:
        found = todo.pop()
        if isinstance(found, ast.Name):
            yield found
        elif isinstance(found, tuple):
            todo += found
        elif is_dataclass(found):
            todo += [getattr(found, f.name) for f in fields(found)]
