"""What is said of an expression that is refused: what is wrong, where, and what to write instead."""

from __future__ import annotations

import pytest

from registry.errors import QueryError
from registry.model.dimensions import default_universe
from registry.query.bind import bind
from registry.query.parser import parse

UNIVERSE = default_universe()


def _refusal(text: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]))
    return caught.value


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        # What other languages have.
        ("band == 'g'", "= 'g'", "unexpected '='", "Comparisons are"),
        ("band <> 'g'", "> 'g'", "unexpected '>'", "Comparisons are"),
        ("band =< 'g'", "< 'g'", "unexpected '<'", "Comparisons are"),
        ("band ~ 'g'", "~ 'g'", "unexpected character", "Comparisons are"),
        ("band IS NULL", "IS", "unexpected 'IS'", "x = NULL"),
        ("band is not null", "is", "unexpected 'is'", "x != NULL"),
        ("band LIKE 'g%'", "LIKE", "unexpected 'LIKE'", "GLOB(x, 'pattern')"),
        ("band GLOB 'g*'", "GLOB", "unexpected 'GLOB'", "GLOB(x, 'pattern')"),
        ("visit BETWEEN 1 AND 3", "BETWEEN", "unexpected 'BETWEEN'", "x IN (a..b)"),
        ("exposure.can_see_sky = TRUE", "TRUE", "unknown name 'TRUE'", "stands alone"),
        ("exposure.can_see_sky IN (FALSE)", "IN", "a truth value", "stands alone"),
        ("FALSE", "FALSE", "unknown name 'FALSE'", "stands alone"),
        ("band = None", "None", "unknown name 'None'", "the null is NULL"),
        ('band = "g"', '"g"', "unexpected character", "single quotes"),
        ("`band` = 'g'", "`band", "unexpected character", "single quotes"),
        ("band = g", "g", "unknown name 'g'", "write 'g' in quotes"),
        ("band = 'it''s'", "'s'", "unexpected", ":name"),
        ("band='g' && band='r'", "&&", "unexpected character", "AND, OR"),
        ("band='g' || band='r'", "||", "unexpected character", "AND, OR"),
        ("!exposure.can_see_sky", "!", "unexpected character", "NOT"),
        ("visit.exposure_time ^ 2 = 4", "^", "unexpected character", "+ - * / %"),
        ("visit.seq_num IN [1, 2]", "[", "unexpected character", "round brackets"),
        ("band = %s", "%s", "unexpected '%'", ":name"),
        ("band = ?", "?", "unexpected character", ":name"),
        ("band = $1", "$1", "unexpected character", ":name"),
        ("band = 'g';", ";", "unexpected character", "semicolon"),
        ("band = 'g' # mine", "#", "unexpected character", "no comments"),
        # What is missing, or too much.
        ("band = 'g", "'g", "does not end", "between single quotes"),
        ("band = g'", "'", "does not end", "between single quotes"),
        ("band = 'g' = 'r'", "= 'r'", "unexpected '='", "do not chain"),
        ("1 < visit.seq_num < 5", "< 5", "unexpected '<'", "do not chain"),
        ("band = 'g' band = 'r'", "band = 'r'", "unexpected 'band'", "AND or OR"),
        ("band = 'g' AND OR band = 'r'", "OR", "unexpected 'OR'", "missing before it"),
        ("(band = 'g'", "", "ends too early", "bracket"),
        ("band = 'g')", ")", "unexpected ')'", "no bracket to close"),
        ("band =  ", "  ", "ends too early", "has to follow"),
        ("band IN 'g'", "'g'", "unexpected", "in brackets"),
        ("band IN ()", ")", "unexpected ')'", "at least one item"),
        ("band IN ('g',)", ")", "unexpected ')'", "no comma after the last"),
        ("visit.name IN ('x', visit.target_name)", "visit.target", "unexpected", "one part"),
        ("visit .name = 'x'", ".name", "unexpected character", "no spaces"),
        ("a.b.c.d = 1", ".d", "unexpected character", "three parts"),
        # Names.
        ("bnad = 'g'", "bnad", "unknown name 'bnad'", "'band'"),
        ("vist.name = 'x'", "vist", "unknown name 'vist.name'", "'visit'"),
        ("visit.exposure_tme > 3", "visit", "unknown name", "'exposure_time'"),
        ("name = 'x'", "name", "is ambiguous", "visit.name"),
        ("visit.region OVERLAPS CIRCL(1, 2, 3)", "CIRCL", "unknown function 'CIRCL'", "'CIRCLE'"),
        (":v = band", ":v", "no value was given", "beside the expression"),
        ("visit = 1", "visit", "says nothing without 'instrument'", "Add instrument"),
        # Values.
        ("visit.seq_num = '1'", "=", "cannot compare an integer with a string", "numbers do not"),
        ("visit.timespan.begin > '2015-01-01'", ">", "a time with a string", "T'2015-"),
        ("visit.timespan.begin > T'57000'", "'57000'", "not a time", "numbers need a point"),
        ("visit.timespan < T'2015-01-01'", "<", "cannot compare a timespan", "OVERLAPS"),
        ("visit.region OVERLAPS 'x'", "OVERLAPS", "cannot overlap a string", "two regions"),
        ("visit.region OVERLAPS POINT(1)", "POINT", "wrong number of arguments", "POINT(lon, lat)"),
        ("visit.region OVERLAPS POINT(1, 91)", "POINT", "beyond the pole", "longitude, latitude"),
        ("visit.seq_num IN (5..1)", "5..1", "goes backwards", "1..5"),
        ("visit.seq_num IN (1..5:0)", "0)", "at least 1", "first..last:step"),
        ("visit.seq_num IN (1.5..2)", "..2", "unexpected", "integers"),
        ("visit.exposure_time IN (1..3)", "1..3", "holds integers", "x >= a AND x <= b"),
        ("visit.seq_num = 99999999999999999999", "99999999999999999999", "beyond 64 bits", "decimal point"),
        ("band < NULL", "<", "nothing is < NULL", "x = NULL"),
        ("band", "band", "a string alone is no condition", "Compare it"),
        ("GLOB(band)", "GLOB", "two arguments", "GLOB(name, 'pattern')"),
    ],
)
def test_refusals_say_what_where_and_what_to_do(text: str, at: str, message: str, hint: str) -> None:
    """A refusal names the fault, points at it with a caret, and says what to write."""
    error = _refusal(text)
    assert message in error.message
    assert hint in error.hint
    place = text.rindex(at) if at.strip() else len(text.rstrip())
    if text[place:].startswith("'") and text[:place].endswith("T"):
        place -= 1
    assert place == error.position
    *_, line, caret = str(error).splitlines()
    assert line == f"  {text}"
    assert caret == " " * (2 + place) + "^"


def test_of_a_long_line_only_the_surroundings_are_shown() -> None:
    """The caret stands below its place also where the line is cut."""
    text = "band = 'x' OR " * 100 + "bnad = 'g'" + " OR band = 'y'" * 100
    _, line, caret = str(_refusal(text)).splitlines()
    assert len(line) < 420
    assert line[caret.index("^") :].startswith("bnad = 'g'")
    assert line.strip().startswith("…")
    assert line.endswith("…")


def test_of_several_lines_the_one_is_shown() -> None:
    """An expression of several lines shows the line of the fault."""
    assert str(_refusal("band = 'g'\n  OR bnad = 'r'\n")).splitlines()[1:] == [
        "    OR bnad = 'r'",
        "       ^",
    ]


def test_long_words_are_cut() -> None:
    """A message stays readable whatever was written."""
    error = _refusal(f"{'x' * 5000} = 1")
    assert len(error.message) < 400
    assert len(error.hint) < 400
