"""Laws of three-way comparison."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync.compare import compare

SIDES = st.dictionaries(st.integers(0, 12), st.sampled_from([b"a", b"b", b"c"]), max_size=13)


@given(SIDES, SIDES, SIDES)
def test_every_key_is_in_exactly_one_class(
    base: dict[int, bytes], ours: dict[int, bytes], theirs: dict[int, bytes]
) -> None:
    """The four classes are disjoint and cover all keys of the three sides."""
    found = compare(base, ours, theirs)
    classes = (found.same, found.ahead, found.behind, found.conflicting)

    assert base.keys() | ours.keys() | theirs.keys() == frozenset().union(*classes)
    assert len(base.keys() | ours.keys() | theirs.keys()) == sum(map(len, classes))


@given(SIDES, SIDES, SIDES)
def test_changing_sides_swaps_ahead_and_behind(
    base: dict[int, bytes], ours: dict[int, bytes], theirs: dict[int, bytes]
) -> None:
    """What is ahead seen from here is behind seen from there; same and conflicting stay."""
    here, there = compare(base, ours, theirs), compare(base, theirs, ours)

    assert (there.same, there.behind, there.ahead, there.conflicting) == (
        here.same, here.ahead, here.behind, here.conflicting,
    )  # fmt: skip


@given(SIDES, SIDES)
def test_one_unchanged_side_never_conflicts(base: dict[int, bytes], theirs: dict[int, bytes]) -> None:
    """Where we are as the base, nothing is ahead and nothing conflicts."""
    found = compare(base, base, theirs)

    assert not found.ahead
    assert not found.conflicting


@given(SIDES, SIDES, SIDES)
def test_taking_what_is_ahead_resolves_it(
    base: dict[int, bytes], ours: dict[int, bytes], theirs: dict[int, bytes]
) -> None:
    """When they take what we are ahead with, a second comparison finds nothing ahead."""
    ahead = compare(base, ours, theirs).ahead
    merged = {k: v for k, v in theirs.items() if k not in ahead} | {k: ours[k] for k in ahead if k in ours}

    assert not compare(base, ours, merged).ahead
