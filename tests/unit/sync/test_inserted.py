"""`sync.pushing.inserted`: what a push notes of its rows comes back as it was, or is told to be damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import IntegrityError
from sync.pushing.inserted import (
    ids_of,
    pack_ids,
    pack_rows,
    pack_uris,
    unpack_ids,
    unpack_rows,
    unpack_uris,
)

IDS = st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=40)
NAMES = ("quantum_id", "dataset_id", "connection")


@given(IDS)
def test_ids_come_back_sorted(ids: list[bytes]) -> None:
    """Whatever ids there are, and however many: none takes no room."""
    assert sorted(ids) == unpack_ids(pack_ids(ids))
    assert (pack_ids(ids) == "") is (ids == [])


@given(IDS, st.text(max_size=8))
def test_rows_come_back(ids: list[bytes], name: str) -> None:
    """Ids, texts and their columns."""
    rows = [(i, i[::-1], name) for i in ids]

    assert rows == unpack_rows(pack_rows(rows), NAMES).rows(NAMES)


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_paths_come_back_sorted(uris: list[str]) -> None:
    """Of any characters."""
    assert sorted(uris) == unpack_uris(pack_uris(uris))


@pytest.mark.parametrize("text", ["?", "AAAA", pack_uris(["a"])[:-4], pack_uris(["a"])[4:]])
def test_what_is_something_else_is_told(text: str) -> None:
    """Nothing is taken for rows that was not written as such."""
    for unpack in (unpack_ids, unpack_uris, lambda t: unpack_rows(t, NAMES)):
        with pytest.raises(IntegrityError, match="what a push noted"):
            unpack(text)


def test_rows_of_other_columns_are_told() -> None:
    """A row that is too short, and ids that are none."""
    for packed in (pack_rows([(b"x",)]), pack_rows([("zz", "zz", "c")])):
        with pytest.raises(IntegrityError, match="what a push noted"):
            unpack_rows(packed, NAMES)
    with pytest.raises(IntegrityError, match="no ids"):
        unpack_ids(pack_uris(["odd"]))


def test_what_was_not_noted_is_nothing() -> None:
    """A kind of thing that the push has not brought."""
    assert ids_of({"ids": {"datasets": "x"}}, "quanta") == ""
    assert ids_of({}, "datasets") == ""
    assert unpack_ids("") == []
    assert unpack_uris("") == []
    assert unpack_rows("", NAMES).n_rows == 0
