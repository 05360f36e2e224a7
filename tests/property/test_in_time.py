"""Lookups of many things at their times against the plain rule, one thing after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from registry.model.in_time import Members, Times, first_in_time, row_in

Member = tuple[int, int, bool, int, int, int]
"""Thing, position, whether it is dated, begin, end, dataset."""


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """Draw what a search path holds: at each position what is valid always, or spans that do not overlap."""
    out: list[Member] = []
    for position in range(draw(st.integers(0, 4))):
        dated = draw(st.booleans())
        for thing in draw(st.sets(st.integers(0, 3))):
            edges = sorted(draw(st.sets(st.integers(0, 9), min_size=2, max_size=6))) if dated else [0, 0]
            spans = [s for s in pairwise(edges) if not dated or draw(st.booleans())]
            out += [(thing, position, dated, *span, draw(st.integers(0, 2))) for span in spans]
    return draw(st.permutations(out))


def _one(held: list[Member], thing: int, begin: int, end: int) -> list[Member]:
    """Return all that is valid at the first position that has something."""
    valid = [m for m in held if m[0] == thing and (not m[2] or (begin < end and m[3] < end and begin < m[4]))]
    return [m for m in valid if m[1] == min(v[1] for v in valid)]


@given(
    held=members(),
    asked=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 9)), max_size=12),
)
def test_the_first_that_is_valid_is_found(held: list[Member], asked: list[tuple[int, int, int]]) -> None:
    """Each thing gets a member that the plain rule gives, and a second one exactly where that gives several datasets."""
    columns = np.array(held, dtype=np.int64).reshape(-1, 6).T
    code, position, dated, begin, end, ids = columns
    times = Times(*np.array(asked, dtype=np.int64).reshape(-1, 3).T)
    found, other = first_in_time(times, Members(code, position, dated.astype(bool), begin, end, ids))
    for row, at, second in zip(asked, found.tolist(), other.tolist(), strict=True):
        expected = _one(held, *row)
        if not expected:
            assert (-1, -1) == (at, second)
            continue
        assert held[at] in expected
        assert (second >= 0) == (len({m[5] for m in expected}) > 1)
        if second >= 0:
            assert held[second] in expected
            assert held[second][5] != held[at][5]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz"))),
    st.sets(st.tuples(st.integers(0, 3), st.sampled_from("xyz"))),
)
def test_rows_are_found_by_their_keys(keys: list[tuple[int, str]], of: set[tuple[int, str]]) -> None:
    """Each row of keys gets the number of the equal row, or -1."""
    rows = sorted(of)

    def columns(values: list[tuple[int, str]]) -> list[np.ndarray]:
        return [np.array([v[i] for v in values], dtype=t) for i, t in ((0, np.int64), (1, object))]

    expected = [rows.index(k) if k in of else -1 for k in keys]
    assert expected == row_in(columns(keys), columns(rows)).tolist()
