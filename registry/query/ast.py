"""The tree of an expression as written: frozen nodes with their position in the text; names not yet resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Arithmetic",
    "Bind",
    "BoolOp",
    "Call",
    "Comparison",
    "Expression",
    "In",
    "Literal",
    "Name",
    "Node",
    "Not",
    "Null",
    "Overlaps",
    "Pair",
    "Range",
    "Sign",
    "Time",
]


@dataclass(frozen=True, slots=True)
class Node:
    """Any node.

    Parameters
    ----------
    position : int
        Offset in the text of the character that an error about the node points at.
    """

    position: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A string, an integer or a float.

    Parameters
    ----------
    position : int
        Where errors about it point.
    value : str or int or float
        What was written.
    """

    value: str | int | float

    def __str__(self) -> str:
        return f"'{self.value}'" if isinstance(self.value, str) else repr(self.value)


@dataclass(frozen=True, slots=True)
class Time(Node):
    """A time literal.

    Parameters
    ----------
    position : int
        Where errors about it point.
    text : str
        What stands between the quotes.
    """

    text: str

    def __str__(self) -> str:
        return f"T'{self.text}'"


@dataclass(frozen=True, slots=True)
class Null(Node):
    """The word ``NULL``.

    Parameters
    ----------
    position : int
        Where errors about it point.
    """

    def __str__(self) -> str:
        return "NULL"


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name of one to three parts: ``band``, ``visit.id``, ``visit.timespan.begin``.

    Parameters
    ----------
    position : int
        Where errors about it point.
    parts : tuple of str
        What the dots separate.
    """

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """``:name``, a value given beside the text.

    Parameters
    ----------
    position : int
        Where errors about it point.
    name : str
        Without the colon.
    """

    name: str

    def __str__(self) -> str:
        return f":{self.name}"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of arguments: ``GLOB(band, 'g*')``.

    Parameters
    ----------
    position : int
        Where errors about it point.
    function : str
        As written.
    arguments : tuple of Node
        What stands between the brackets.
    """

    function: str
    arguments: tuple[Node, ...]

    def __str__(self) -> str:
        return f"{self.function}({_join(', ', self.arguments)})"


@dataclass(frozen=True, slots=True)
class Pair(Node):
    """``(begin, end)``: a timespan.

    Parameters
    ----------
    position : int
        Where errors about it point.
    begin, end : Node
        Times, or `Null` for no bound.
    """

    begin: Node
    end: Node

    def __str__(self) -> str:
        return f"({self.begin}, {self.end})"


@dataclass(frozen=True, slots=True)
class Sign(Node):
    """``+`` or ``-`` before a term.

    Parameters
    ----------
    position : int
        Where errors about it point.
    operator : str
        As written.
    operand : Node
        What it applies to.
    """

    operator: str
    operand: Node

    def __str__(self) -> str:
        return f"({self.operator} {self.operand})"


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """``+ - * / %`` between two terms.

    Parameters
    ----------
    position : int
        Where errors about it point.
    operator : str
        As written.
    left, right : Node
        The two sides.
    """

    operator: str
    left: Node
    right: Node

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """``= != < > <= >=`` between two terms.

    Parameters
    ----------
    position : int
        Where errors about it point.
    operator : str
        As written.
    left, right : Node
        The two sides.
    """

    operator: str
    left: Node
    right: Node

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


@dataclass(frozen=True, slots=True)
class Overlaps(Node):
    """``OVERLAPS`` between two timespans, times or regions.

    Parameters
    ----------
    position : int
        Where errors about it point.
    left, right : Node
        The two sides.
    """

    left: Node
    right: Node

    def __str__(self) -> str:
        return f"({self.left} OVERLAPS {self.right})"


@dataclass(frozen=True, slots=True)
class Range(Node):
    """``start..stop:stride`` in a list; both ends count.

    Parameters
    ----------
    position : int
        Where errors about it point.
    start, stop : int
        First and last integer.
    stride : int
        Step, at least 1.
    """

    start: int
    stop: int
    stride: int

    def __str__(self) -> str:
        return f"{self.start}..{self.stop}:{self.stride}"


@dataclass(frozen=True, slots=True)
class In(Node):
    """``IN`` or ``NOT IN`` a list.

    Parameters
    ----------
    position : int
        Where errors about it point.
    operand : Node
        What it applies to.
    items : tuple of Node
        What the list holds.
    negated : bool
        Whether it says ``NOT IN``.
    """

    operand: Node
    items: tuple[Node, ...]
    negated: bool

    def __str__(self) -> str:
        return f"({self.operand} {'NOT ' * self.negated}IN ({_join(', ', self.items)}))"


@dataclass(frozen=True, slots=True)
class Not(Node):
    """``NOT`` before a condition.

    Parameters
    ----------
    position : int
        Where errors about it point.
    operand : Node
        What it applies to.
    """

    operand: Node

    def __str__(self) -> str:
        return f"(NOT {self.operand})"


@dataclass(frozen=True, slots=True)
class BoolOp(Node):
    """Two or more conditions joined by ``AND``, or by ``OR``.

    Parameters
    ----------
    position : int
        Where errors about it point.
    operator : str
        As written.
    operands : tuple of Node
        At least two.
    """

    operator: str
    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return f"({_join(f' {self.operator} ', self.operands)})"


@dataclass(frozen=True, slots=True)
class Expression:
    """A whole expression.

    Parameters
    ----------
    text : str
        As it was written; errors show it.
    root : Node
        Its tree. ``str`` of it is text that parses to the same tree, positions apart.
    """

    text: str
    root: Node


def _join(separator: str, nodes: Sequence[Node]) -> str:
    return separator.join(map(str, nodes))
