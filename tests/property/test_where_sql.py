"""SQL and plain Python select the same rows for every expression, nulls included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from registry.model.columns import Columns
from registry.query.bind import bind
from registry.query.evaluate import evaluate
from registry.query.parser import parse
from registry.registry import Registry
from tests.databases import DATABASES, database_of
from tests.property.where_cases import UNIVERSE, conditions, lookup, rows

ROWS = rows()
GROUP = UNIVERSE.group(["sample"])


@pytest.fixture(scope="module", params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that holds `ROWS`."""
    with database_of(request, tmp_path_factory.mktemp("where")) as database:
        made = database.registry(UNIVERSE)
        with made.write() as change:
            change.insert_records("lab", Columns({"lab": ["L"]}))
            change.insert_records("sample", Columns({n: [r[n] for r in ROWS] for n in ROWS[0]}))
        yield made


def _selected(registry: Registry, text: str) -> list[int]:
    with registry.read() as snapshot:
        found: list[Any] = snapshot.data_ids(GROUP, where=text, data_id={"lab": "L"})["sample"].tolist()
    return sorted(found)


@settings(max_examples=300, deadline=None)
@given(conditions)
def test_sql_and_python_select_the_same_rows(registry: Registry, text: str) -> None:
    """The database selects exactly the rows for which the condition is true in Python."""
    bound = bind(parse(text), UNIVERSE, GROUP, data_id={"lab": "L"})
    expected = sorted(r["sample"] for r in ROWS if evaluate(bound.root, lookup(r)) is True)
    assert expected == _selected(registry, text)


@settings(max_examples=100, deadline=None)
@given(conditions)
def test_negation_selects_what_is_false_not_what_is_unknown(registry: Registry, text: str) -> None:
    """A row is selected by a condition, by its negation, or, where it is unknown, by neither."""
    bound = bind(parse(text), UNIVERSE, GROUP, data_id={"lab": "L"})
    expected = sorted(r["sample"] for r in ROWS if evaluate(bound.root, lookup(r)) is False)
    assert expected == _selected(registry, f"NOT ({text})")
