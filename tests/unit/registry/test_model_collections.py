"""Chains as pure functions, and names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import ConflictError, UsageError
from registry.model.collections import check_collection_name, check_no_cycle, flatten

NAMES = st.sampled_from("abcdefgh")
CHAINS = st.dictionaries(NAMES, st.lists(NAMES, max_size=4), max_size=5)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (["x"], "x"),
        (["top"], "b x a c"),
        (["a", "top"], "a b x c"),
        (["inner", "inner"], "x a"),
        ([], ""),
    ],
)
def test_chains_are_searched_depth_first(start: list[str], expected: str) -> None:
    """Each collection counts once, at the first place where it is met."""
    chains = {"top": ["b", "inner", "a", "c"], "inner": ["x", "a"], "empty": []}

    assert expected.split() == flatten(start, chains)


@given(st.lists(NAMES, max_size=5), CHAINS)
def test_flattening_ends_and_holds_no_chain(start: list[str], chains: dict[str, list[str]]) -> None:
    """Whatever the chains, cycles included: no chain is in the result, and nothing twice."""
    path = flatten(start, chains)

    assert not set(path) & set(chains)
    assert len(path) == len(set(path))
    assert path == flatten(path, chains)


@given(NAMES, st.lists(NAMES, max_size=4), CHAINS)
def test_a_cycle_is_refused_exactly_where_there_would_be_one(
    name: str, new: list[str], chains: dict[str, list[str]]
) -> None:
    """Refused if and only if the chain can be reached from one of its new children."""
    others = {k: v for k, v in chains.items() if k != name}
    reached, todo = set(new), list(new)
    while todo:
        for child in others.get(todo.pop(), ()):
            if child not in reached:
                reached.add(child)
                todo.append(child)
    if name in reached:
        with pytest.raises(ConflictError, match="contain itself"):
            check_no_cycle(name, new, others)
    else:
        check_no_cycle(name, new, others)


@pytest.mark.parametrize("name", ["a", "u/me/run_1", "HSC/raw/all", "a.b/c..d", "x@y+z%q:1-2"])
def test_names_that_are_taken(name: str) -> None:
    """Words of the usual characters, joined by slashes."""
    assert name == check_collection_name(name)


@pytest.mark.parametrize("name", ["", ".", "a/..", "a/./b", "/a", "a/", "a//b", "a b", "a\n", "*", "a" * 256])
def test_names_that_are_refused(name: str) -> None:
    """Nothing that could mean another directory, a pattern, or two words."""
    with pytest.raises(UsageError, match="not a collection name"):
        check_collection_name(name)
