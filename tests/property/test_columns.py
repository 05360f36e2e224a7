"""Laws of `group_codes` and of distinct rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from registry.model.columns import Columns, group_codes

VALUES = [
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(["", "a", "b", "ab"]),
    st.sampled_from([b"", b"\0", b"\0\0", b"a"]),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.none() | st.integers(-2, 2),
    st.none() | st.sampled_from(["", "x"]),
]


@st.composite
def batches(draw: st.DrawFn) -> Columns:
    """Draw up to five columns, each of one kind, of up to twelve rows."""
    kinds = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=5))
    n = draw(st.integers(0, 12))
    return Columns({f"c{i}": draw(st.lists(k, min_size=n, max_size=n)) for i, k in enumerate(kinds)})


def sort_key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Order rows as tuples, nulls first."""
    return tuple((v is not None, v if v is not None else 0) for v in row)


@given(batches())
def test_codes_sort_as_rows_do(batch: Columns) -> None:
    """Two rows have equal codes exactly where they are equal, and codes are in the order of the rows."""
    codes = group_codes([batch[n] for n in batch.names]).tolist()
    keys = [sort_key(r) for r in batch.rows()]
    for i, a in enumerate(keys):
        for j, b in enumerate(keys):
            assert (a < b, a == b) == (codes[i] < codes[j], codes[i] == codes[j])


@given(batches())
def test_distinct_rows_are_the_sorted_set(batch: Columns) -> None:
    """`unique` gives each row once, in order."""
    assert sorted(set(batch.rows()), key=sort_key) == batch.unique().rows()


@given(batches(), st.data())
def test_taking_commutes_with_rows(batch: Columns, data: st.DataObject) -> None:
    """Rows of a selection are the selection of the rows; all parts together are the whole."""
    index = data.draw(st.lists(st.integers(0, batch.n_rows - 1), max_size=8)) if batch.n_rows else []
    rows = batch.rows()

    assert [rows[i] for i in index] == batch.take(np.array(index, dtype=np.int64)).rows()
    cut = data.draw(st.integers(0, batch.n_rows))
    assert (
        rows == Columns.concat([batch.take(np.arange(cut)), batch.take(np.arange(cut, batch.n_rows))]).rows()
    )


@given(st.integers(1, 12))
def test_codes_of_many_wide_columns_do_not_overflow(n: int) -> None:
    """Columns whose numbers of values multiply beyond 64 bits are still told apart."""
    wide = np.arange(1000, dtype=np.int64) * 2**40
    rng = np.random.default_rng(n)
    columns = [rng.permutation(wide) for _ in range(n)]

    codes = group_codes(columns)
    assert len(set(codes.tolist())) == 1000
    assert sorted(range(1000), key=lambda i: tuple(c[i] for c in columns)) == np.argsort(codes).tolist()
