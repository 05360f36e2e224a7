"""Nodes made while the parser runs, so that the depth of an expression costs no stack; imports lark."""

from __future__ import annotations

from lark import Token, Transformer, v_args

from registry.query import ast

__all__ = ["BadTokenError", "make_builder"]


class BadTokenError(ValueError):
    """A token of the right form with an impossible value.

    Parameters
    ----------
    message : str
        What is wrong with it.
    position : int
        Where it stands.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def _at(token: Token) -> int:
    return int(token.start_pos or 0)


def _integer(token: Token) -> int:
    if len(token) > 19 or int(token) > 2**63 - 1:
        raise BadTokenError("an integer beyond 64 bits", _at(token))
    return int(token)


def _real(token: Token) -> float:
    value = float(token)
    if value == float("inf"):
        raise BadTokenError("a number that is too large", _at(token))
    return value


def make_builder() -> Transformer:  # type: ignore[type-arg]
    """Return what the parser calls for each rule that it has recognised.

    Returns
    -------
    lark.Transformer
        Its methods are named after the rules of the grammar.
    """
    return _Builder()


def _signed_integers(tokens: list[Token]) -> list[int]:
    """Read integers, each perhaps after its sign."""
    out: list[int] = []
    negative = False
    for token in tokens:
        if token.type == "SIGN":
            negative = str(token) == "-"
        else:
            out.append(-_integer(token) if negative else _integer(token))
            negative = False
    return out


@v_args(inline=True)
class _Builder(Transformer):  # type: ignore[type-arg]
    def string(self, token: Token) -> ast.Node:
        return ast.Literal(_at(token), str(token)[1:-1])

    def integer(self, token: Token) -> ast.Node:
        return ast.Literal(_at(token), _integer(token))

    def real(self, token: Token) -> ast.Node:
        return ast.Literal(_at(token), _real(token))

    def time(self, token: Token) -> ast.Node:
        return ast.Time(_at(token), str(token)[2:-1])

    def null(self, token: Token) -> ast.Node:
        return ast.Null(_at(token))

    def name(self, first: Token, *more: Token) -> ast.Node:
        return ast.Name(_at(first), (str(first), *map(str, more)))

    def bind(self, token: Token) -> ast.Node:
        return ast.Bind(_at(token), str(token)[1:])

    def call(self, function: Token, *arguments: ast.Node | None) -> ast.Node:
        return ast.Call(_at(function), str(function), tuple(a for a in arguments if a is not None))

    def pair(self, begin: ast.Node, end: ast.Node) -> ast.Node:
        return ast.Pair(begin.position, begin, end)

    def sign(self, sign: Token, operand: ast.Node) -> ast.Node:
        return ast.Sign(_at(sign), str(sign), operand)

    def signed(self, sign: Token, number: Token) -> ast.Node:
        value = _integer(number) if number.type == "INT" else _real(number)
        return ast.Literal(_at(sign), -value if sign == "-" else value)

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

    def range(self, *parts: Token | None) -> ast.Node:
        *ends, step = parts
        tokens = [t for t in ends if t is not None]
        start, stop = _signed_integers(tokens)
        stride = 1 if step is None else _integer(step)
        if step is not None and stride < 1:
            raise BadTokenError("the step of a range must be at least 1", _at(step))
        return ast.Range(_at(tokens[0]), start, stop, stride)

    def negation(self, word: Token, operand: ast.Node) -> ast.Node:
        return ast.Not(_at(word), operand)

    def conjunction(self, *operands: ast.Node) -> ast.Node:
        return ast.BoolOp(operands[0].position, "AND", operands)

    def disjunction(self, *operands: ast.Node) -> ast.Node:
        return ast.BoolOp(operands[0].position, "OR", operands)
