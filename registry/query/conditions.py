"""Binding of conditions: comparisons, lists, overlaps, patterns, and what they say about governors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatchmethod
from typing import Any

from registry.errors import QueryError
from registry.model.dimensions import DimensionGroup, DimensionUniverse
from registry.query import ast, bound
from registry.query.terms import TermBinder, is_whole, kind_of
from registry.query.types import Kind, comparable
from registry.query.values import Constants

__all__ = ["ConditionBinder"]

_LONGEST_PATTERN = 1000
_NULL_HINT = "Write x = NULL or x != NULL."


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
            hint = _comparison_hint({kind_of(operand)})
            raise self.error(node, f"{kind_of(operand).value} cannot be looked for in a list", hint=hint)
        ranges, values, others, null = [], [], [], False
        for item in node.items:
            if isinstance(item, ast.Range):
                ranges.append(self._range(item, operand))
            elif (several := self.bound_list(item)) is not None:
                self._check_list(item, operand, several)
                values += several.values
                null = null or several.null
            else:
                term = self._item(item, operand)
                null = null or term is None
                values += [term.value] if isinstance(term, bound.Const) else []
                others += [term] if term is not None and not isinstance(term, bound.Const) else []
        some = tuple(r for r in ranges if r[0] <= r[1])
        return bound.Contains(operand, tuple(values), some, tuple(others), null, node.negated)

    @condition.register
    def _(self, node: ast.Overlaps) -> bound.Node:
        left, right = self.term(node.left), self.term(node.right)
        kinds = [kind_of(left), kind_of(right)]
        if left is not None and right is not None:
            if kinds == [Kind.REGION, Kind.REGION]:
                if isinstance(left, bound.Const) and isinstance(right, bound.Const):
                    hint = "Write visit.region OVERLAPS …"
                    raise self.error(node, "two constant regions say nothing about the data", hint=hint)
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
        if not isinstance(operand, bound.Field) or operand.kind is not Kind.STRING:
            raise self.error(node.arguments[0], "GLOB looks at a column of strings", hint=hint)
        if (
            not isinstance(pattern, bound.Const)
            or pattern.kind is not Kind.STRING
            or isinstance(node.arguments[1], ast.Name)
        ):
            raise self.error(node.arguments[1], "the pattern of GLOB is a string or :name", hint=hint)
        if len(pattern.value) > _LONGEST_PATTERN:
            raise self.error(node.arguments[1], f"a pattern has at most {_LONGEST_PATTERN} characters")
        self._note_governor(operand)
        # As the reference has it, the pattern of everything matches nulls too.
        return bound.ALWAYS if pattern.value == "*" else bound.Glob(operand, pattern.value)

    def _null_test(self, node: ast.Comparison, term: bound.Node | None) -> bound.Node:
        if term is None:
            raise self.error(node, "NULL can only be compared with a column", hint=_NULL_HINT)
        if node.operator not in {"=", "!="}:
            raise self.error(node, f"nothing is {node.operator} NULL", hint=_NULL_HINT)
        negated = node.operator == "!="
        if isinstance(term, bound.Const | bound.Span):
            return bound.ALWAYS if negated else bound.NEVER
        return bound.IsNull(term, negated=negated)

    def _item(self, item: ast.Node, operand: bound.Node) -> bound.Node | None:
        term = self.term(item)
        if term is not None:
            if not comparable(kind_of(operand), kind_of(term)):
                raise self._unlike(item, operand, kind_of(term))
            # An item by itself compares, and so says something of a governor; a list given beside the text does not.
            self._note_governor(operand, term)
        return term

    def _check_list(self, item: ast.Node, operand: bound.Node, several: Constants) -> None:
        """Refuse a list whose values are not all of the type that is looked for."""
        kinds = sorted(k.value for k in several.kinds)
        if len(kinds) > 1:
            hint = "Give values of one type."
            raise self.error(item, f"a list that mixes {' and '.join(kinds)}", hint=hint)
        own = Kind.INT if is_whole(operand) else kind_of(operand)
        if several.kinds - {own}:
            hint = "Values in a list are of the column's own type: 1.0 is not 1."
            raise self._unlike(item, operand, next(iter(several.kinds)), hint)

    def _unlike(self, item: ast.Node, operand: bound.Node, kind: Kind, hint: str = "") -> QueryError:
        chosen = hint or _comparison_hint({kind_of(operand), kind})
        return self.error(item, f"{kind_of(operand).value} is looked for, not {kind.value}", hint=chosen)

    def _range(self, item: ast.Range, operand: bound.Node) -> tuple[int, int, int]:
        if not is_whole(operand):
            hint = "Write x >= a AND x <= b."
            raise self.error(item, f"a range holds integers, not {kind_of(operand).value}", hint=hint)
        if item.start > item.stop + 1:
            # One that ends just before it starts is empty; users of the field write it.
            hint = f"Write {item.stop}..{item.start}."
            raise self.error(item, f"the range {item.start}..{item.stop} goes backwards", hint=hint)
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
        for governor, (name, position) in self.needs.items():
            if governor not in known:
                raise QueryError(
                    f"'{name}' says nothing without '{governor}'",
                    expression=self.text,
                    position=position,
                    code="query-missing-governor",
                    hint=f"Add {governor} = '…' AND.",
                    context={"governor": governor},
                )


def _comparison_hint(kinds: set[Kind]) -> str:
    if Kind.BOOL in kinds:
        return "A truth value stands alone: x, or NOT x."
    if Kind.REGION in kinds or Kind.TIMESPAN in kinds:
        return "Regions and timespans are tested with OVERLAPS."
    if Kind.TIME in kinds:
        return "Times are written T'2015-01-21T14:00:00' (UTC), T'2015-01-21/tai' or T'57023.5' (MJD)."
    return "Strings stand in quotes, numbers do not." if Kind.STRING in kinds else ""
