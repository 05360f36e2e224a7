"""Text of expressions to trees."""

from __future__ import annotations

import pytest

from registry.errors import QueryError
from registry.query import ast
from registry.query.parser import parse


def _text(source: str) -> str:
    parsed = parse(source)
    assert parsed is not None
    return str(parsed.root)


@pytest.mark.parametrize("blank", ["", "   ", "\n\t"])
def test_blank_text_is_no_expression(blank: str) -> None:
    """Blank text constrains nothing."""
    assert parse(blank) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = 1 OR b = 2 AND c = 3", "((a = 1) OR ((b = 2) AND (c = 3)))"),
        ("NOT a = 1 AND b", "((NOT (a = 1)) AND b)"),
        ("NOT a IN (1)", "(NOT (a IN (1)))"),
        ("a + 1 * 2 - 3 = b", "(((a + (1 * 2)) - 3) = b)"),
        ("a % 2 / -b = 0", "(((a % 2) / (- b)) = 0)"),
        ("--a = 1", "((- (- a)) = 1)"),
        ("(a OR b) AND c", "((a OR b) AND c)"),
        ("a AND b AND c", "(a AND b AND c)"),
        (
            "a not In (1..10:2, -5..3, 'x', NULL, b, :c, -1.5)",
            "(a NOT IN (1..10:2, -5..3:1, 'x', NULL, b, :c, -1.5))",
        ),
        ("t oVeRlAps (T'2014-01-01', null)", "(t OVERLAPS (T'2014-01-01', NULL))"),
        (
            "glob(x, 'a*') and v.r OVERLAPS POINT(1., .5)",
            "(glob(x, 'a*') AND (v.r OVERLAPS POINT(1.0, 0.5)))",
        ),
        ("x < 3.2E2", "(x < 320.0)"),
        ("ANDROMEDA = NOTHING", "(ANDROMEDA = NOTHING)"),
        ("x=''", "(x = '')"),
        ("band='g'and x>1", "((band = 'g') AND (x > 1))"),
    ],
)
def test_precedence_and_forms(source: str, expected: str) -> None:
    """OR binds weakest, then AND, NOT, comparison, sums, products, signs; keywords ignore case."""
    assert _text(source) == expected


def test_nodes_know_where_they_stand() -> None:
    """Each node points at the character that an error about it shows."""
    parsed = parse("ab = 1 AND\n cd IN (2)")
    assert parsed is not None
    assert isinstance(parsed.root, ast.BoolOp)
    comparison, contained = parsed.root.operands
    assert isinstance(comparison, ast.Comparison)
    assert isinstance(contained, ast.In)
    assert (comparison.position, comparison.left.position, comparison.right.position) == (3, 0, 5)
    assert (contained.position, contained.operand.position, contained.items[0].position) == (15, 12, 19)


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("a = ", 3),
        ("= 'g'", 0),
        ("a = 'x", 4),
        ("a = = 1", 4),
        ("a < b < c", 6),
        ("a IN ()", 6),
        ("a IN (1,)", 8),
        ("a IN (1..2:0)", 11),
        ("a IN (1.5..2)", 9),
        ("()", 1),
        ("a.b.c.d = 1", 5),
        ("1band = 2", 1),
        ("a = 1_000", 5),
        ('"a" = 1', 0),
        ("a = 12345678901234567890", 4),
        ("a = T 2015", 6),
        ("f(a = 1, ", 9),
        ("NOT IN (1)", 4),
        ("a = :1", 4),
        ("(a, b, c) OVERLAPS d", 5),
    ],
)
def test_errors_point_at_the_place(source: str, position: int) -> None:
    """What is not in the language is refused, with the offset of the first character that does not fit."""
    with pytest.raises(QueryError) as caught:
        parse(source)
    assert caught.value.code == "query-syntax"
    assert caught.value.position == min(position, len(source.rstrip()))


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("a == 1", "Comparisons are"),
        ("a <> 1", "Comparisons are"),
        ("a IS NULL", "x = NULL"),
        ("a LIKE 'x'", "GLOB"),
        ("a BETWEEN 1 AND 2", "x >= a AND x <= b"),
        ("a < b < c", "do not chain"),
        ('a = "x"', "single quotes"),
        ("a = 1 && b", "Write AND"),
        ("a = 'it''s'", "bind value"),
    ],
)
def test_what_other_languages_have_gets_a_hint(source: str, hint: str) -> None:
    """Words of SQL that this language lacks are refused with what to write instead."""
    with pytest.raises(QueryError) as caught:
        parse(source)
    assert hint in caught.value.hint


def test_error_text_shows_line_and_caret() -> None:
    """The text of an error ends with the line and a caret below the character."""
    with pytest.raises(QueryError) as caught:
        parse("a = 1\nAND b ! 2")
    assert str(caught.value).splitlines()[1:] == ["  AND b ! 2", "        ^"]


@pytest.mark.parametrize(
    "source",
    [
        "NOT " * 100 + "a",
        "-" * 100 + "a = 1",
        " + ".join(["1"] * 100) + " = a",
        " OR ".join(["a = 1"] * 2000),
    ],
)
def test_what_would_exhaust_a_stack_is_refused(source: str) -> None:
    """Depth and size are bounded, so that neither we nor a database run out of stack."""
    with pytest.raises(QueryError) as caught:
        parse(source)
    assert caught.value.code == "query-too-long"


def test_brackets_cost_no_depth() -> None:
    """Brackets around brackets, however many, mean nothing and are read without recursion."""
    assert _text("(" * 5000 + "a = 1" + ")" * 5000) == "(a = 1)"


@pytest.mark.parametrize("source", ["a = '\0'", "a = '\ud800'"])
def test_characters_that_are_no_text_are_refused(source: str) -> None:
    """Nulls and halves of surrogate pairs, which databases refuse, are refused before."""
    with pytest.raises(QueryError, match="not text"):
        parse(source)
