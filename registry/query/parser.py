"""Text to tree: the grammar is in ``grammar.lark``, the tree in `registry.query.ast`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from registry.errors import QueryError
from registry.query import ast
from registry.query.hints import syntax_hint

if TYPE_CHECKING:
    from lark import Lark

__all__ = ["parse"]

MAX_LENGTH = 1_000_000
MAX_DEPTH = 24
MAX_TERMS = 800


@lru_cache(maxsize=1)
def _parser() -> Lark:
    """Make the parser once a process; importing lark is left until there is something to parse."""
    from registry.query import grammar_tables
    from registry.query.builder import make_builder

    builder = make_builder()
    return grammar_tables.load(builder) or grammar_tables.make(builder)


def parse(text: str) -> ast.Expression | None:
    """Read an expression.

    Parameters
    ----------
    text : str
        An expression in the language of data queries.

    Returns
    -------
    ast.Expression or None
        Its tree; None for blank text, which constrains nothing.

    Raises
    ------
    QueryError
        If it cannot be understood; shows where.
    """
    return _expression(text) if text.strip() else None


@lru_cache(maxsize=32)
def _expression(text: str) -> ast.Expression:
    """Read an expression once, though several parts of a question need its tree, which nobody can change."""
    _check_text(text)
    root = _parse(text)
    _check_size(text, root)
    return ast.Expression(text, root)


def _check_text(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"the expression is {len(text)} characters long; at most {MAX_LENGTH} are read",
            code="query-too-long",
            hint="Give long lists as a bind value or as a table of data IDs.",
        )
    for position, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise QueryError(
                "a character that is not text", expression=text, position=position, code="query-syntax"
            )


def _parse(text: str) -> ast.Node:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    from registry.query.builder import BadTokenError

    try:
        return _parser().parse(text)  # type: ignore[return-value]
    except UnexpectedCharacters as exc:
        position = int(exc.pos_in_stream or 0)
        message = f"unexpected character {text[position]!r}"
        if text[position] == "'":
            message = "a string that does not end"
        raise _syntax(message, text, position) from exc
    except UnexpectedToken as exc:
        if exc.token.type == "$END":
            raise _syntax("the expression ends too early", text, len(text.rstrip())) from exc
        raise _syntax(f"unexpected '{exc.token}'", text, int(exc.pos_in_stream or 0)) from exc
    except BadTokenError as exc:
        raise _syntax(str(exc), text, exc.position, exc.hint) from exc


def _syntax(message: str, text: str, position: int, otherwise: str = "") -> QueryError:
    hint = syntax_hint(text, position, otherwise)
    return QueryError(message, expression=text, position=position, code="query-syntax", hint=hint)


def _check_size(text: str, root: ast.Node) -> None:
    """Refuse what would exhaust the stack of a later step, here or in the database's own parser."""
    terms = 0
    todo = [(root, 1)]
    while todo:
        node, depth = todo.pop()
        terms += _weight(node)
        if depth > MAX_DEPTH or terms > MAX_TERMS:
            what = (
                f"more than {MAX_DEPTH} levels deep"
                if depth > MAX_DEPTH
                else f"of more than {MAX_TERMS} conditions"
            )
            raise QueryError(
                f"the expression is {what}",
                expression=text,
                position=node.position,
                code="query-too-long",
                hint="Use IN, a bind value or a table of data IDs.",
            )
        # A division becomes two levels of SQL: it is guarded against zero.
        below = depth + (2 if isinstance(node, ast.Arithmetic) and node.operator in "/%" else 1)
        todo += [(child, below) for child in _children(node)]


def _weight(node: ast.Node) -> int:
    """Return how many conditions of SQL a node becomes; a list of values is one, however long."""
    if isinstance(node, ast.In):
        return 1 + sum(not isinstance(i, ast.Literal | ast.Time | ast.Null) for i in node.items)
    return int(isinstance(node, ast.Comparison | ast.Overlaps | ast.Call | ast.Name))


def _children(node: ast.Node) -> tuple[ast.Node, ...]:
    match node:
        case ast.BoolOp(operands=operands):
            return operands
        case ast.Not(operand=operand) | ast.Sign(operand=operand) | ast.In(operand=operand):
            return (operand,)
        case (
            ast.Comparison(left=left, right=right)
            | ast.Arithmetic(left=left, right=right)
            | ast.Overlaps(left=left, right=right)
        ):
            return (left, right)
        case ast.Call(arguments=arguments):
            return arguments
        case ast.Pair(begin=begin, end=end):
            return (begin, end)
        case _:
            return ()
