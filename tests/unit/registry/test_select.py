"""Bound expressions to SQL clauses."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from registry.model.dimensions import default_universe
from registry.query.bind import bind
from registry.query.parser import parse
from registry.sql.schema import Schema
from registry.sql.select import clause

UNIVERSE = default_universe()
SCHEMA = Schema(UNIVERSE)


def _compiled(text: str, dialect: Any = None, **values: Any) -> Any:
    bound = bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]), values, data_id={"instrument": "I"})
    visit = SCHEMA.dimension("visit")
    assert bound.root is not None
    made = clause(bound.root, lambda f: visit.c[f.column])
    return made.compile(dialect=dialect or sqlite.dialect(), compile_kwargs={"render_postcompile": True})


@pytest.mark.parametrize(
    "text",
    [
        "visit.name = 'x; DROP TABLE dim_visit'",
        "visit.name IN ('x; DROP TABLE dim_visit', 'y')",
        "GLOB(visit.name, 'x; DROP TABLE dim_visit*')",
        "visit.seq_num = 987654",
        "visit.exposure_time > 987.25 * visit.azimuth",
        "visit.timespan OVERLAPS T'2015-01-01'",
        "visit.seq_num IN (987654..987660:3)",
    ],
)
def test_values_are_bound_never_pasted(text: str) -> None:
    """No value of an expression is part of the statement's text."""
    compiled = _compiled(text)
    for secret in ("DROP", "987", "150"):
        assert secret not in str(compiled)
    assert compiled.params


def test_glob_knows_only_star_and_question_mark() -> None:
    """Brackets, per cent signs and underlines mean themselves, in each dialect's own words."""
    assert "a[[]b%_*?" in _compiled("GLOB(visit.name, 'a[b%_*?')").params.values()
    made = _compiled("GLOB(visit.name, 'a[b%_*?')", postgresql.dialect())
    assert " LIKE " in str(made)
    assert "a[b\\%\\_%_" in made.params.values()


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])
def test_long_lists_are_one_parameter(dialect: Any) -> None:
    """A list of any length needs no parameter a value, of which databases take only so many."""
    made = _compiled("visit.seq_num IN (:v)", dialect, v=range(100_000))
    assert len(made.params) == 1
    assert "json" in str(made)


def test_double_minus_is_no_comment() -> None:
    """Signs before signs never become the two hyphens that begin a comment of SQL."""
    for text in (
        "--visit.seq_num = 1",
        "1 - -visit.seq_num = 1",
        "-(-visit.seq_num - -1) = 1",
        "- - - visit.seq_num = -1",
    ):
        assert "--" not in str(_compiled(text)), text


def _sqlite_value(text: str, **row: Any) -> Any:
    """Evaluate a condition in SQLite on one row of constants."""
    bound = bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]), {}, data_id={"instrument": "I"})
    assert bound.root is not None
    types = SCHEMA.dimension("visit").c
    made = clause(
        bound.root, lambda f: sa.cast(sa.literal(row[f.column], types[f.column].type), types[f.column].type)
    )
    with sa.create_engine("sqlite://").connect() as connection:
        return connection.execute(sa.select(sa.type_coerce(made, sa.Integer))).scalar()


@pytest.mark.parametrize(
    ("text", "seq_num", "expected"),
    [
        ("visit.seq_num / 2 = 1.5", 3, 1),
        ("visit.seq_num % 2 = -1", -3, 1),
        ("visit.seq_num / 0 = 1", 3, None),
        ("visit.seq_num % 0 = 1", 3, None),
        ("visit.seq_num = NULL", None, 1),
        ("visit.seq_num != 3", None, None),
        ("visit.seq_num IN (1, NULL)", None, 1),
        ("visit.seq_num IN (2, NULL)", 3, 0),
        ("visit.seq_num NOT IN (1, NULL)", None, 0),
        ("visit.seq_num NOT IN (1)", None, None),
        ("visit.seq_num IN (1..9:4)", 5, 1),
        ("visit.seq_num IN (1..9:4)", 6, 0),
        ("visit.seq_num = 3.0", 3, 1),
    ],
)
def test_meaning_of_numbers_and_nulls(text: str, seq_num: int | None, expected: int | None) -> None:
    """Division is true division and null by zero; nulls are unknown, but found where a list holds NULL."""
    assert expected == _sqlite_value(text, seq_num=seq_num)
