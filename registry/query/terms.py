"""Binding of terms: literals, names, bind values, arithmetic, times and regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatchmethod
from typing import Any, TypeVar

from registry.errors import QueryError, UsageError, nearest
from registry.model.dimensions import DimensionGroup, DimensionUniverse
from registry.model.time_text import read_time
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END
from registry.query import ast, bound
from registry.query.evaluate import arithmetic
from registry.query.functions import REGIONS
from registry.query.names import NameProblemError, Resolved, Resolver
from registry.query.types import Kind
from registry.query.values import Constants, constant, constants, is_list, span

__all__ = ["TermBinder", "is_whole", "kind_of"]

_INT_MAX = 2**63 - 1
_NO_VALUE = "Conditions are joined with AND and OR; they are not compared."
_FLOAT_MAX = 1.7976931348623157e308
_T = TypeVar("_T")


def kind_of(term: bound.Node | None) -> Kind:
    """Return the kind of a bound term.

    Parameters
    ----------
    term : Node or None
        A term; None is NULL.

    Returns
    -------
    Kind
        Its kind.
    """
    return Kind.NULL if term is None else term.kind  # type: ignore[attr-defined]


def is_whole(term: bound.Node | None) -> bool:
    """Say whether a number is made of integers alone, so that ``%`` and ranges have a meaning.

    Parameters
    ----------
    term : Node or None
        A term.

    Returns
    -------
    bool
        Whether it is; the quotient of two integers is, though its value may have a fraction.
    """
    match term:
        case bound.Arithmetic(left=left, right=right):
            return is_whole(left) and is_whole(right)
        case bound.Negate(operand=operand):
            return is_whole(operand)
        case _:
            return kind_of(term) is Kind.INT


class TermBinder:
    """Binds the terms of one expression, and collects what it names.

    Parameters
    ----------
    text : str
        The expression; errors show it.
    universe : DimensionUniverse
        Where names are resolved.
    group : DimensionGroup
        The dimensions asked for.
    values : mapping
        Bind values.
    """

    def __init__(
        self, text: str, universe: DimensionUniverse, group: DimensionGroup, values: Mapping[str, Any]
    ) -> None:
        self.text = text
        self.universe = universe
        self.values = values
        self.resolver = Resolver(universe, group)
        self.dimensions: dict[str, None] = {}
        self.needs: dict[str, tuple[str, int]] = {}

    def error(self, node: ast.Node, message: str, code: str = "query-type", hint: str = "") -> QueryError:
        """Return an error that points at a node.

        Parameters
        ----------
        node : ast.Node
            Where it is.
        message, code, hint : str
            As for every error.

        Returns
        -------
        QueryError
            To be raised.
        """
        return QueryError(message, expression=self.text, position=node.position, code=code, hint=hint)

    def guarded(self, node: ast.Node, make: Callable[[], _T]) -> _T:
        """Make a value; turn a complaint about it into one that shows where it stands.

        Parameters
        ----------
        node : ast.Node
            Where the value stands.
        make : callable
            Makes it.

        Returns
        -------
        object
            What was made.
        """
        try:
            return make()
        except UsageError as exc:
            raise self.error(node, exc.message, exc.code, exc.hint) from exc

    @singledispatchmethod
    def term(self, node: ast.Node) -> bound.Node | None:
        """Bind a term.

        Parameters
        ----------
        node : ast.Node
            As written.

        Returns
        -------
        Node or None
            None is NULL.

        Raises
        ------
        QueryError
            If it has no meaning.
        """
        raise self.error(node, "a condition where a value is expected", hint=_NO_VALUE)

    @term.register
    def _(self, _node: ast.Null) -> bound.Node | None:
        return None

    @term.register
    def _(self, node: ast.Literal) -> bound.Node | None:
        return self.constant(node, node.value)

    @term.register
    def _(self, node: ast.Time) -> bound.Node | None:
        moment = self.guarded(node, lambda: read_time(node.text))
        # What lies before or after all that can be stored is compared as the first or last moment that can.
        return bound.Const(min(max(moment, UNBOUNDED_BEGIN + 1), UNBOUNDED_END - 1), Kind.TIME)

    @term.register
    def _(self, node: ast.Bind) -> bound.Node | None:
        return self._bound_value(node, node.name)

    @term.register
    def _(self, node: ast.Name) -> bound.Node | None:
        if self.is_bound(node):
            return self._bound_value(node, str(node))
        try:
            found = self.resolver.resolve(node.parts)
        except NameProblemError as exc:
            raise self.error(node, str(exc), exc.code, exc.hint) from exc
        self.dimensions.update(dict.fromkeys(found.dimensions))
        if found.identifies:
            self._need_governors(found, node)
        return found.field

    @term.register
    def _(self, node: ast.Sign) -> bound.Node | None:
        operand = self._number(node, self.term(node.operand))
        if node.operator == "+":
            return operand
        if isinstance(operand, bound.Const):
            return bound.Const(-operand.value, operand.kind)
        return (
            operand.operand if isinstance(operand, bound.Negate) else bound.Negate(operand, kind_of(operand))
        )

    @term.register
    def _(self, node: ast.Arithmetic) -> bound.Node | None:
        left, right = (self._number(node, self.term(t)) for t in (node.left, node.right))
        if node.operator == "%" and not (is_whole(left) and is_whole(right)):
            raise self.error(node, "% takes integers", hint="A number with a decimal point is none.")
        kinds = {kind_of(left), kind_of(right)} - ({Kind.FLOAT} if node.operator == "%" else set())
        kind = Kind.FLOAT if node.operator == "/" or Kind.FLOAT in kinds else Kind.INT
        # The quotient of integers stays as it is: its value would not tell that it is made of integers.
        kept = node.operator == "/" and Kind.FLOAT not in kinds
        if isinstance(left, bound.Const) and isinstance(right, bound.Const) and not kept:
            value = self.guarded(node, lambda: _compute(node.operator, left.value, right.value))
            if value is not None:
                return bound.Const(value, kind)
        return bound.Arithmetic(node.operator, left, right, kind)

    @term.register
    def _(self, node: ast.Pair) -> bound.Node | None:
        return span(self._end_of_span(node.begin), self._end_of_span(node.end))

    @term.register
    def _(self, node: ast.Call) -> bound.Node | None:
        name = node.function.upper()
        if name == "GLOB":
            raise self.error(node, "a condition where a value is expected", hint=_NO_VALUE)
        if name not in REGIONS:
            hint = nearest(name, [*REGIONS, "GLOB"])
            raise self.error(node, f"unknown function '{node.function}'", "query-unknown-name", hint)
        return self._region(node)

    def is_bound(self, node: ast.Node) -> bool:
        """Say whether a node stands for a bind value.

        Parameters
        ----------
        node : ast.Node
            As written: ``:name``, or a bare name that a value was given for.

        Returns
        -------
        bool
            Whether it does; a bind value goes before a dimension of its name.
        """
        if isinstance(node, ast.Name):
            return str(node) in self.values
        return isinstance(node, ast.Bind)

    def bound_list(self, item: ast.Node) -> Constants | None:
        """Return the values that a node stands for, if it stands for several.

        Parameters
        ----------
        item : ast.Node
            As written.

        Returns
        -------
        Constants or None
            What was given; None unless it is a bind value, and that a list.
        """
        given = self.values.get(str(item).removeprefix(":")) if self.is_bound(item) else None
        return self.guarded(item, lambda: constants(given)) if given is not None and is_list(given) else None

    def constant(self, node: ast.Node, value: Any) -> bound.Node | None:
        """Bind a value.

        Parameters
        ----------
        node : ast.Node
            Where it stands.
        value : object
            A Python value.

        Returns
        -------
        Node or None
            None is NULL.
        """
        if is_list(value):
            raise self.error(node, "a list where one value is expected", hint="Write x IN (:name).")
        return self.guarded(node, lambda: constant(value))

    def _need_governors(self, found: Resolved, node: ast.Name) -> None:
        """Remember governors without which a key says nothing; the key of a governor is one itself."""
        for name in self.universe.elements[found.field.element].required:
            if name in self.universe.governors and not (found.field.is_key and name == found.field.element):
                self.needs.setdefault(name, (str(node), node.position))

    def _bound_value(self, node: ast.Node, name: str) -> bound.Node | None:
        if name not in self.values:
            hint = (
                nearest(name, self.values) if self.values else f"Give it beside the expression, as '{name}'."
            )
            raise self.error(node, f"no value was given for ':{name}'", "query-unknown-name", hint)
        return self.constant(node, self.values[name])

    def _number(self, node: ast.Sign | ast.Arithmetic, term: bound.Node | None) -> bound.Node:
        if term is None or not kind_of(term).is_number:
            hint = "Arithmetic is for numbers; times and timespans are compared as they are."
            raise self.error(node, f"{node.operator} takes numbers, not {kind_of(term).value}", hint=hint)
        return term

    def _end_of_span(self, node: ast.Node) -> bound.Node | None:
        term = self.term(node)
        if term is not None and kind_of(term) is not Kind.TIME:
            raise self.error(node, f"a timespan ends with a time or NULL, not with {kind_of(term).value}")
        if term is not None and not isinstance(term, bound.Const):
            hint = "Compare columns with <, =, >: visit.timespan.begin < …"
            raise self.error(node, "a timespan ends with a constant time, not with a column", hint=hint)
        return term

    def _region(self, node: ast.Call) -> bound.Node:
        function = REGIONS[node.function.upper()]
        hint = f"Write {function.usage}."
        if not function.accepts(len(node.arguments)):
            raise self.error(node, "wrong number of arguments", "query-syntax", hint)
        values = []
        for argument in node.arguments:
            term = self.term(argument)
            if not isinstance(term, bound.Const):
                raise self.error(argument, "the arguments of a region are constants", hint=hint)
            if not (term.kind is Kind.STRING if function.text else term.kind.is_number):
                raise self.error(argument, f"{term.kind.value} cannot be an argument here", hint=hint)
            values.append(term.value)
        return self.guarded(node, lambda: bound.Const(function.make(values), Kind.REGION))


def _compute(operator: str, left: Any, right: Any) -> Any:
    """Compute with constants; None where the result is null."""
    try:
        value = arithmetic(operator, left, right)
    except OverflowError as exc:
        raise UsageError("the result is too large", code="query-type") from exc
    if value is not None and not abs(value) <= (_INT_MAX if isinstance(value, int) else _FLOAT_MAX):
        raise UsageError("the result is too large", code="query-type")
    return value
