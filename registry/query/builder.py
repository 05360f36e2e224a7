"""Nodes made while the parser runs, so that the depth of an expression costs no stack; imports lark."""

from __future__ import annotations

import re
import sys

from lark import Token, Transformer, v_args

from registry.query import ast

__all__ = ["BadTokenError", "make_builder"]


_RANGE = re.compile(r"(-?[0-9]+)\s*\.\.\s*(-?[0-9]+)(?:\s*:\s*([0-9]+))?")


class BadTokenError(ValueError):
    """A token of the right form with an impossible value.

    Parameters
    ----------
    message : str
        What is wrong with it.
    position : int
        Where it stands.
    hint : str
        What to write instead.
    """

    def __init__(self, message: str, position: int, hint: str) -> None:
        super().__init__(message)
        self.position = position
        self.hint = hint


def _at(token: Token) -> int:
    return int(token.start_pos or 0)


def _whole(text: str, position: int) -> int:
    """Read an integer; very long ones are not even converted."""
    if len(text.lstrip("-0")) > 19 or not -(2**63) <= int(text) < 2**63:
        raise BadTokenError("an integer beyond 64 bits", position, "Write it with a decimal point.")
    return int(text)


def _number(sign: str, token: Token) -> int | float:
    if token.type == "INT":
        return _whole(sign.replace("+", "") + token, _at(token))
    # What is too large for a float is larger than every float.
    value = min(float(token), sys.float_info.max)
    return -value if sign == "-" else value


def make_builder() -> Transformer:  # type: ignore[type-arg]
    """Return what the parser calls for each rule that it has recognised.

    Returns
    -------
    lark.Transformer
        Its methods are named after the rules of the grammar.
    """
    return _Builder()


@v_args(inline=True)
class _Builder(Transformer):  # type: ignore[type-arg]
    def string(self, token: Token) -> ast.Node:
        return ast.Literal(_at(token), str(token)[1:-1])

    def integer(self, token: Token) -> ast.Node:
        return ast.Literal(_at(token), _number("", token))

    def real(self, token: Token) -> ast.Node:
        return ast.Literal(_at(token), _number("", token))

    def time(self, token: Token) -> ast.Node:
        return ast.Time(_at(token), str(token)[2:-1])

    def null(self, token: Token) -> ast.Node:
        return ast.Null(_at(token))

    def name(self, token: Token) -> ast.Node:
        return ast.Name(_at(token), tuple(token.split(".")))

    def bind(self, token: Token) -> ast.Node:
        return ast.Bind(_at(token), str(token)[1:])

    def call(self, function: Token, *arguments: ast.Node | None) -> ast.Node:
        return ast.Call(_at(function), str(function), tuple(a for a in arguments if a is not None))

    def pair(self, begin: ast.Node, end: ast.Node) -> ast.Node:
        return ast.Pair(begin.position, begin, end)

    def sign(self, sign: Token, operand: ast.Node) -> ast.Node:
        return ast.Sign(_at(sign), str(sign), operand)

    def signed(self, sign: Token, number: Token) -> ast.Node:
        return ast.Literal(_at(sign), _number(str(sign), number))

    def arithmetic(self, left: ast.Node, operator: Token, right: ast.Node) -> ast.Node:
        return ast.Arithmetic(_at(operator), str(operator), left, right)

    def comparison(self, left: ast.Node, operator: Token, right: ast.Node) -> ast.Node:
        return ast.Comparison(_at(operator), str(operator), left, right)

    def overlaps(self, left: ast.Node, operator: Token, right: ast.Node) -> ast.Node:
        return ast.Overlaps(_at(operator), left, right)

    def contained(self, operand: ast.Node, word: Token, *items: ast.Node) -> ast.Node:
        return ast.In(_at(word), operand, items, negated=False)

    def not_contained(self, operand: ast.Node, no: Token, _word: Token, *items: ast.Node) -> ast.Node:
        return ast.In(_at(no), operand, items, negated=True)

    def range(self, token: Token) -> ast.Node:
        start, stop, step = _RANGE.fullmatch(token).groups(default="1")  # type: ignore[union-attr]
        if step.startswith("0"):
            message, hint = "the step of a range must be at least 1", "Write first..last:2."
            raise BadTokenError(message, _at(token) + token.rindex(step), hint)
        return ast.Range(_at(token), *(_whole(n, _at(token)) for n in (start, stop, step)))

    def negation(self, word: Token, operand: ast.Node) -> ast.Node:
        return ast.Not(_at(word), operand)

    def conjunction(self, *operands: ast.Node) -> ast.Node:
        return ast.BoolOp(operands[0].position, "AND", operands)

    def disjunction(self, *operands: ast.Node) -> ast.Node:
        return ast.BoolOp(operands[0].position, "OR", operands)
