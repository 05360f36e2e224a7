"""The tables that were made of the grammar beforehand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.model.digest import digest_bytes
from registry.query import grammar_tables
from registry.query.builder import make_builder

EXPRESSIONS = (
    "instrument = 'CAM' AND exposure IN (1..30:2, -4, :x) OR NOT visit.exposure_time > 3e1",
    "T'2024-01-31' < visit.timespan.begin AND (a, b) OVERLAPS visit.timespan",
    "-x * 2 % 3 + GLOB(name, 'a*') != NULL",
)


def test_tables_are_of_the_grammar() -> None:
    """The tables in the package are of the grammar beside them; else: python -m registry.query.grammar_tables."""
    folder = Path(grammar_tables.__file__).parent
    tables = json.loads((folder / grammar_tables.TABLES).read_text())
    assert tables["of"]["grammar"] == digest_bytes((folder / "grammar.lark").read_bytes())


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_both_ways_give_one_parser(text: str) -> None:
    """The parser made of the tables reads what the one made of the grammar reads, to the same tree."""
    loaded = grammar_tables.load(make_builder())
    if loaded is None:
        pytest.skip("the tables are of another version of lark")
    assert loaded.parse(text) == grammar_tables.make(make_builder()).parse(text)


def test_tables_of_another_grammar_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of another grammar, damaged ones and none at all leave it to the grammar."""
    whole = Path(grammar_tables.__file__).with_name(grammar_tables.TABLES).read_text()
    for text in (whole.replace('"grammar":"', '"grammar":"0'), whole[:100]):
        monkeypatch.setattr(grammar_tables, "_read", lambda name, text=text: text)
        assert grammar_tables.load(make_builder()) is None
