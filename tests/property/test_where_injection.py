"""Nothing that a user writes becomes text of a statement: only names of the schema and marks for values do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from registry.query.bind import bind
from registry.query.parser import parse
from registry.sql.select import clause
from tests.databases import Database
from tests.property.where_cases import UNIVERSE, conditions, rows

GROUP = UNIVERSE.group(["sample"])
COLUMNS = {n: sa.column(n, _type) for n, _type in {
    "sample": sa.BigInteger(), "n": sa.BigInteger(), "m": sa.BigInteger(), "x": sa.Double(), "y": sa.Double(), "s": sa.String(),
    "t": sa.String(), "b": sa.Boolean(), "c": sa.Boolean(), "timespan_begin": sa.BigInteger(), "timespan_end": sa.BigInteger(),
}.items()}  # fmt: skip
DIALECTS = {"sqlite": sqlite.dialect(paramstyle="qmark"), "postgres": postgresql.dialect(paramstyle="format")}
WORDS = {
    "AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "CAST", "AS", "DOUBLE", "PRECISION", "FLOAT", "NUMERIC", "INTEGER", "BIGINT",
    "VARCHAR", "BOOLEAN", "GLOB", "LIKE", "SELECT", "FROM", "nullif", "trunc", "value", "json_each", "json_array_elements_text", "json",
    "t", "v", "true", "false",
}  # fmt: skip
_PIECE = re.compile(r"[A-Za-z_]\w*|%%|%s|[0-9.]+|[-+*/%=<>!(),?:]|\s+")
_NUMBERS = {"0", "1", "0.0"}
"""Numbers that the translation itself writes: the divisor of nothing, truth and falsehood where a dialect has neither."""

NASTY = [
    "x'; DROP TABLE dim_sample; --", "x\" OR 1=1 --", "); DELETE FROM dim_sample; (", "%(x)s %s :x ? $1 {0}", "\\", "/* zq7 */", "zq7\nzq7",
    "' OR '1'='1", "0x41", "NULL", "sqlite_master", "pg_catalog.pg_user", "éß漢字", "\u202e", "--", ";",
]  # fmt: skip


def _statement(text: str, dialect: str, **values: Any) -> str:
    bound = bind(parse(text), UNIVERSE, GROUP, values, data_id={"lab": "L"})
    assert bound.root is not None
    made = clause(bound.root, lambda field: COLUMNS[field.column])
    return str(made.compile(dialect=DIALECTS[dialect], compile_kwargs={"render_postcompile": True}))


def _strange(statement: str) -> list[str]:
    """Return what in a statement is neither a word that it may hold, nor a column, nor a mark for a value."""
    words = WORDS | set(COLUMNS)
    out, end = [], 0
    for piece in _PIECE.finditer(statement):
        if piece.start() != end:
            out.append(statement[end : piece.start()])
        end = piece.end()
        text = piece[0]
        if (text[0].isalpha() or text[0] == "_") and text not in words:
            out.append(text)
        if text[0].isdigit() and text not in _NUMBERS:
            out.append(text)
    return [*out, statement[end:]] if statement[end:] else out


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@settings(max_examples=300, deadline=None)
@given(conditions)
def test_statements_hold_only_known_words_and_marks(dialect: str, text: str) -> None:
    """Every word of a statement is SQL's or the schema's, and every value is a mark; on each database."""
    statement = _statement(text, dialect)
    assert _strange(statement) == [], statement
    assert "--" not in statement


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@settings(max_examples=150, deadline=None)
@given(st.one_of(st.sampled_from(NASTY), st.text(max_size=20)))
def test_given_text_stays_out(dialect: str, value: str) -> None:
    """Text that is given as a value, alone, in a list or as a pattern, leaves no trace in the statement."""
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        return
    for text, given_value in (
        ("s = :v", value), ("s IN (:v)", [value] * 40), ("s NOT IN (:v, 'a')", [value]), ("GLOB(t, :v)", value), (":v < t OR s != v", value),
    ):  # fmt: skip
        assert _strange(_statement(text, dialect, v=given_value)) == []


@pytest.mark.parametrize("value", NASTY)
def test_databases_take_text_as_text(database: Database, value: str) -> None:
    """Text that would be a statement is found as the text it is, and does nothing else; on each database."""
    from registry.model.columns import Columns

    registry = database.registry(UNIVERSE)
    some = rows(3)
    some[1]["s"], some[1]["t"] = value, f"a{value}b"
    with registry.write() as change:
        change.insert_records("lab", Columns({"lab": ["L"]}))
        change.insert_records("sample", Columns({n: [r[n] for r in some] for n in some[0]}))
    pattern = re.sub(r"[*?]", "?", value)
    with registry.read() as snapshot:
        for text, given_value in (
            ("s = :v", value), ("s IN (:v)", [value, "zq7"]), ("s IN (:v)", [value] * 50), ("GLOB(t, :v)", f"*{pattern}*"),
        ):  # fmt: skip
            found = snapshot.data_ids(GROUP, where=text, bind={"v": given_value}, data_id={"lab": "L"})
            assert [some[1]["sample"]] == found["sample"].tolist(), text
        assert snapshot.data_ids(GROUP)["sample"].size == 3
        if "'" not in value and "\n" not in value:
            assert snapshot.data_ids(GROUP, where=f"s = '{value}'", data_id={"lab": "L"})["sample"].size == 1
