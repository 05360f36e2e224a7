"""`sync.compare`: three-way comparison."""

from __future__ import annotations

import pytest

from sync.compare import compare


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ("a", "a", "a", "same"),
        (None, "a", "a", "same"),
        ("a", "b", "b", "same"),
        ("a", None, None, "same"),
        ("a", "b", "a", "ahead"),
        (None, "a", None, "ahead"),
        ("a", None, "a", "ahead"),
        ("a", "a", "b", "behind"),
        (None, None, "a", "behind"),
        ("a", "a", None, "behind"),
        ("a", "b", "c", "conflicting"),
        (None, "a", "b", "conflicting"),
        ("a", None, "b", "conflicting"),
        ("a", "b", None, "conflicting"),
    ],
)
def test_each_combination_of_states_has_one_class(
    base: str | None, ours: str | None, theirs: str | None, expected: str
) -> None:
    """All fourteen combinations of absent, equal and different states are classed as stated."""
    sides = [{b"k": state} if state is not None else {} for state in (base, ours, theirs)]

    found = compare(*sides)

    assert {b"k"} == getattr(found, expected)
    assert sum(map(len, (found.same, found.ahead, found.behind, found.conflicting))) == 1


def test_nothing_compares_to_nothing() -> None:
    """Empty sides give four empty classes."""
    found = compare({}, {}, {})

    assert [found.same, found.ahead, found.behind, found.conflicting] == [frozenset()] * 4
