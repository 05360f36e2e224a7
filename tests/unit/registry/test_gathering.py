"""Rows of a driver as columns: in whatever batches they come, the columns are those of all rows."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.gathering import ROWS_AT_ONCE, batches, gathered

KINDS: list[tuple[str, sa.types.TypeEngine[Any]]] = [
    ("number", sa.BigInteger()),
    ("text", sa.String()),
    ("flag", sa.Boolean()),
    ("span", sa.BigInteger()),
]


def rows_of(n: int) -> list[tuple[Any, ...]]:
    """Return rows: numbers, few texts, flags, and numbers of which only the first batch has a null."""
    return [(i, f"t{i % 3}", i % 2, None if i == 1 else i) for i in range(n)]


@pytest.mark.parametrize("n", [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 2 * ROWS_AT_ONCE + 5])
def test_columns_are_those_of_all_rows(n: int) -> None:
    """None, less than a batch, whole ones and a rest, with nulls in some: as all at once."""
    rows = rows_of(n)
    parts = [rows[i : i + ROWS_AT_ONCE] for i in range(0, n, ROWS_AT_ONCE)]
    found = gathered(KINDS, parts)
    plain = [(a, b, bool(c), d) for a, b, c, d in rows]
    assert found.rows() == plain
    assert found["number"].dtype == np.int64
    assert found["flag"].dtype == np.bool_
    if n > 1:
        assert found["span"].dtype == object
        assert {type(v) for v in found["span"].tolist()} <= {int, type(None)}


def test_without_columns_rows_are_counted() -> None:
    """A question that asks for no dimensions has rows all the same."""
    assert gathered([], [[()] * 3, [()]]).n_rows == 4


def test_equal_texts_are_one_object_where_there_are_few() -> None:
    """A column of a million names of three instruments holds three texts; one of paths is left as it is."""
    driver = sqlite3.connect(":memory:")
    n = 2 * ROWS_AT_ONCE
    text = f"WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i < {n - 1}) SELECT 'n' || (i % 3), 'p' || i FROM t"
    found: Columns = gathered([("name", sa.String()), ("path", sa.String())], batches(driver.execute(text)))
    driver.close()
    assert len({id(v) for v in found["name"].tolist()}) == 3
    assert found["path"].tolist() == [f"p{i}" for i in range(n)]
