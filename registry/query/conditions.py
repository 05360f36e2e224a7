"""Binding of conditions: comparisons, lists, overlaps, patterns, and what they say about governors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatchmethod
from typing import Any

from registry.errors import QueryError
from registry.model.dimensions import DimensionGroup, DimensionUniverse
from registry.query import ast, bound
from registry.query.terms import TermBinder, kind_of
from registry.query.types import Kind, comparable

__all__ = ["ConditionBinder"]

_LONGEST_PATTERN = 1000


class ConditionBinder(TermBinder):
    """Binds one expression, and collects what it names.

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
        super().__init__(text, universe, group, values)
        self.governors: set[str] = set()

    @singledispatchmethod
    def condition(self, node: ast.Node) -> bound.Node:
        """Bind a condition.

        Parameters
        ----------
        node : ast.Node
            As written.

        Returns
        -------
        Node
            True, false or unknown for each row.

        Raises
        ------
        QueryError
            If it has no meaning, or is none.
        """
        term = self.term(node)
        if isinstance(term, bound.Field) and term.kind is Kind.BOOL:
            return bound.Truth(term)
        message = f"{kind_of(term).value} alone is no condition"
        raise self.error(node, message, "query-not-boolean", "Compare it with something.")

    @condition.register
    def _(self, node: ast.BoolOp) -> bound.Node:
        operands = tuple(self.condition(o) for o in node.operands)
        return bound.And(operands) if node.operator == "AND" else bound.Or(operands)

    @condition.register
    def _(self, node: ast.Not) -> bound.Node:
        return bound.Not(self.condition(node.operand))

    @condition.register
    def _(self, node: ast.Comparison) -> bound.Node:
        left, right = self.term(node.left), self.term(node.right)
        if left is None or right is None:
            return self._null_test(node, right if left is None else left)
        a, b = kind_of(left), kind_of(right)
        spans = a is b is Kind.TIMESPAN and node.operator in {"=", "!="}
        if not spans and not comparable(a, b):
            raise self.error(node, f"cannot compare {a.value} with {b.value}", hint=_comparison_hint({a, b}))
        self._note_governor(left, right)
        return bound.Compare(node.operator, left, right)

    @condition.register
    def _(self, node: ast.In) -> bound.Node:
        operand = self.term(node.operand)
        if operand is None or not kind_of(operand).is_ordered:
            raise self.error(node, f"{kind_of(operand).value} cannot be looked for in a list")
        ranges = tuple(self._range(i, operand) for i in node.items if isinstance(i, ast.Range))
        terms = [self._items(i, operand) for i in node.items if not isinstance(i, ast.Range)]
        flat = [t for some in terms for t in some]
        values = tuple(t.value for t in flat if isinstance(t, bound.Const))
        others = tuple(t for t in flat if t is not None and not isinstance(t, bound.Const))
        if not any(self.is_bound(i) for i in node.items):
            self._note_governor(operand)
        return bound.Contains(operand, values, ranges, others, None in flat, node.negated)

    @condition.register
    def _(self, node: ast.Overlaps) -> bound.Node:
        left, right = self.term(node.left), self.term(node.right)
        kinds = [kind_of(left), kind_of(right)]
        if left is not None and right is not None:
            if kinds == [Kind.REGION, Kind.REGION]:
                return bound.Overlaps(left, right, Kind.REGION)
            if Kind.TIMESPAN in kinds and set(kinds) <= {Kind.TIMESPAN, Kind.TIME}:
                return bound.Overlaps(left, right, Kind.TIMESPAN)
        hint = "OVERLAPS takes two timespans, a timespan and a time, or two regions."
        raise self.error(node, f"{kinds[0].value} cannot overlap {kinds[1].value}", hint=hint)

    @condition.register
    def _(self, node: ast.Call) -> bound.Node:
        if node.function.upper() != "GLOB":
            message = f"{kind_of(self.term(node)).value} alone is no condition"
            raise self.error(node, message, "query-not-boolean", "Compare it with something.")
        hint = "Write GLOB(name, 'pattern')."
        if len(node.arguments) != 2:
            raise self.error(node, "GLOB takes two arguments", "query-syntax", hint)
        operand, pattern = (self.term(a) for a in node.arguments)
        if operand is None or kind_of(operand) is not Kind.STRING:
            raise self.error(node.arguments[0], "GLOB looks at a string", hint=hint)
        if not isinstance(pattern, bound.Const) or pattern.kind is not Kind.STRING:
            raise self.error(node.arguments[1], "the pattern of GLOB is a constant string", hint=hint)
        if len(pattern.value) > _LONGEST_PATTERN:
            raise self.error(node.arguments[1], f"a pattern has at most {_LONGEST_PATTERN} characters")
        self._note_governor(operand)
        # As the reference has it, the pattern of everything matches nulls too.
        return bound.ALWAYS if pattern.value == "*" else bound.Glob(operand, pattern.value)

    def _null_test(self, node: ast.Comparison, term: bound.Node | None) -> bound.Node:
        if term is None or isinstance(term, bound.Const | bound.Span):
            raise self.error(node, "NULL can only be compared with a column")
        if node.operator not in {"=", "!="}:
            raise self.error(node, f"nothing is {node.operator} NULL", hint="Write x = NULL or x != NULL.")
        return bound.IsNull(term, negated=node.operator == "!=")

    def _items(self, item: ast.Node, operand: bound.Node) -> list[bound.Node | None]:
        terms = self.list_item(item)
        for term in terms:
            if term is not None and not comparable(kind_of(operand), kind_of(term)):
                raise self.error(item, f"{kind_of(operand).value} is looked for, not {kind_of(term).value}")
        return terms

    def _range(self, item: ast.Range, operand: bound.Node) -> tuple[int, int, int]:
        if kind_of(operand) is not Kind.INT:
            raise self.error(item, f"a range holds integers, not {kind_of(operand).value}")
        if item.start > item.stop:
            raise self.error(item, f"the range {item.start}..{item.stop} goes backwards")
        return (item.start, item.stop, item.stride)

    def _note_governor(self, *terms: bound.Node) -> None:
        """Remember governors that an ordinary comparison constrains."""
        for term in terms:
            if isinstance(term, bound.Field) and term.is_key and term.element in self.universe.governors:
                self.governors.add(term.element)

    def check_governors(self, known: set[str]) -> None:
        """Refuse keys that say nothing without the governor they depend on.

        Parameters
        ----------
        known : set of str
            Governors that the question says something about.

        Raises
        ------
        QueryError
            If one is missing.
        """
        for element, position in self.needs.items():
            for governor in self.universe.elements[element].required:
                if governor in self.universe.governors and governor not in known and governor != element:
                    raise QueryError(
                        f"'{element}' says nothing without '{governor}'",
                        expression=self.text,
                        position=position,
                        code="query-missing-governor",
                        hint=f"Add {governor} = '…' AND.",
                    )


def _comparison_hint(kinds: set[Kind]) -> str:
    if Kind.BOOL in kinds:
        return "A truth value stands alone: x, or NOT x."
    if Kind.REGION in kinds or Kind.TIMESPAN in kinds:
        return "Regions and timespans are tested with OVERLAPS."
    return "Strings stand in quotes, numbers do not." if Kind.STRING in kinds else ""
