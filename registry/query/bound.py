"""The tree of an expression after binding: names are columns, values are constants, every node has a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.model.dimensions import DimensionGroup
from registry.query.types import Kind

__all__ = [
    "ALWAYS",
    "NEVER",
    "And",
    "Arithmetic",
    "BoundExpression",
    "Compare",
    "Const",
    "Contains",
    "Field",
    "Glob",
    "IsNull",
    "Negate",
    "Node",
    "Not",
    "Or",
    "Order",
    "Overlaps",
    "Span",
    "Truth",
    "conjuncts",
    "fields",
]


@dataclass(frozen=True, slots=True)
class Node:
    """Any bound node."""


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A value known before the query runs.

    Parameters
    ----------
    value : object
        Regions as encoded bytes, times as TAI nanoseconds, timespans as `Timespan`.
    kind : Kind
        What it is.
    """

    value: Any
    kind: Kind


@dataclass(frozen=True, slots=True)
class Field(Node):
    """A column.

    Parameters
    ----------
    element : str
        The element it belongs to; for the key of a dimension, that dimension.
    column : str
        Its name in the element's table; for the key of a dimension, the dimension's name.
    kind : Kind
        What it holds; a timespan is the columns ``<column>_begin`` and ``<column>_end``.
    """

    element: str
    column: str
    kind: Kind

    @property
    def is_key(self) -> bool:
        """Whether it is a dimension's own key."""
        return self.element == self.column


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """Minus a number.

    Parameters
    ----------
    operand : Node
        A number.
    kind : Kind
        That of the operand.
    """

    operand: Node
    kind: Kind


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """``+ - * / %`` of two numbers; division is true division, the remainder has the sign of the dividend.

    Parameters
    ----------
    operator : str
        The sign.
    left, right : Node
        Two numbers.
    kind : Kind
        Float for a division or a float, else int.
    """

    operator: str
    left: Node
    right: Node
    kind: Kind


@dataclass(frozen=True, slots=True)
class Span(Node):
    """A timespan of two times; None is unbounded.

    Parameters
    ----------
    begin, end : Node or None
        Two times.
    kind : Kind
        Always that of a timespan.
    """

    begin: Node | None
    end: Node | None
    kind: Kind = Kind.TIMESPAN


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """``= != < > <= >=`` between two terms that are ordered alike, or ``= !=`` between two timespans.

    Parameters
    ----------
    operator : str
        The sign.
    left, right : Node
        The two sides.
    """

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class IsNull(Node):
    """Whether a term is null, or is not.

    Parameters
    ----------
    operand : Node
        The term.
    negated : bool
        Whether it must not be null.
    """

    operand: Node
    negated: bool


@dataclass(frozen=True, slots=True)
class Contains(Node):
    """Whether a term is in a list.

    Parameters
    ----------
    operand : Node
        The term.
    values : tuple
        Constants in the list.
    ranges : tuple of (int, int, int)
        Ranges in it: first, last, step.
    others : tuple of Node
        Columns in it.
    null : bool
        Whether NULL is in it; then nulls are found.
    negated : bool
        ``NOT IN``.
    """

    operand: Node
    values: tuple[Any, ...]
    ranges: tuple[tuple[int, int, int], ...]
    others: tuple[Node, ...]
    null: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class Glob(Node):
    """Whether a string matches a pattern of ``*`` and ``?``.

    Parameters
    ----------
    operand : Node
        A string.
    pattern : str
        All other characters mean themselves.
    """

    operand: Node
    pattern: str


@dataclass(frozen=True, slots=True)
class Overlaps(Node):
    """Whether two timespans or times, or two regions, have something in common.

    Parameters
    ----------
    left, right : Node
        The two sides.
    kind : Kind
        Region, or timespan (then one side may be a time).
    """

    left: Node
    right: Node
    kind: Kind


@dataclass(frozen=True, slots=True)
class Truth(Node):
    """A boolean column that stands alone.

    Parameters
    ----------
    field : Field
        The column.
    """

    field: Field


@dataclass(frozen=True, slots=True)
class Not(Node):
    """Negation.

    Parameters
    ----------
    operand : Node
        A condition.
    """

    operand: Node


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of several conditions.

    Parameters
    ----------
    operands : tuple of Node
        Conditions; none at all always hold.
    """

    operands: tuple[Node, ...]


ALWAYS = And(())
"""The condition that holds for every row."""


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Any of several conditions.

    Parameters
    ----------
    operands : tuple of Node
        Conditions.
    """

    operands: tuple[Node, ...]


NEVER = Or(())
"""The condition that holds for no row."""


@dataclass(frozen=True, slots=True)
class Order:
    """One term of an ordering.

    Parameters
    ----------
    field : Field
        The column.
    descending : bool
        Whether the largest comes first.
    """

    field: Field
    descending: bool


@dataclass(frozen=True)
class BoundExpression:
    """A question, bound to a universe.

    Parameters
    ----------
    root : Node or None
        The condition; None for none.
    group : DimensionGroup
        All dimensions that take part: those asked for, those that the condition or the data ID names.
    data_id : mapping
        Equality constraints, defaults included.
    elements : tuple of str
        Elements whose tables hold columns of the condition, in universe order.
    dimensions : tuple of str
        Dimensions whose keys the condition or `data_id` uses, in universe order.
    """

    root: Node | None
    group: DimensionGroup
    data_id: Mapping[str, Any]
    elements: tuple[str, ...]
    dimensions: tuple[str, ...]


def conjuncts(root: Node | None) -> tuple[Node, ...]:
    """Split a condition at its outermost ``AND``.

    Parameters
    ----------
    root : Node or None
        A condition.

    Returns
    -------
    tuple of Node
        Conditions that all must hold.
    """
    if root is None:
        return ()
    return tuple(c for o in root.operands for c in conjuncts(o)) if isinstance(root, And) else (root,)


def fields(node: Node | None) -> Iterator[Field]:
    """Find the columns in a tree.

    Parameters
    ----------
    node : Node or None
        Any node.

    Yields
    ------
    Field
        Each column, as often as it occurs.
    """
    match node:
        case Field():
            yield node
        case Negate(operand=o) | IsNull(operand=o) | Glob(operand=o) | Not(operand=o):
            yield from fields(o)
        case Arithmetic(left=a, right=b) | Compare(left=a, right=b) | Overlaps(left=a, right=b):
            yield from fields(a)
            yield from fields(b)
        case Span(begin=a, end=b):
            yield from fields(a)
            yield from fields(b)
        case Contains(operand=o, others=others):
            yield from fields(o)
            for other in others:
                yield from fields(other)
        case Truth(field=f):
            yield f
        case And(operands=operands) | Or(operands=operands):
            for o in operands:
                yield from fields(o)
        case _:
            return
