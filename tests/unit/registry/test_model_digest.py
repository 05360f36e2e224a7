"""Canonical bytes and digests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.model.digest import canonical_json, digest_bytes, digest_json, digest_rows, new_hasher

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_json_and_one_for_equal_values(value: object) -> None:
    """The text reads back as the value, and does not depend on the order of keys."""
    text = canonical_json(value)

    assert value == json.loads(text)
    assert text == canonical_json(json.loads(text))
    assert digest_json(value) == digest_json(json.loads(text))


def test_bytes_and_sets_have_a_canonical_form() -> None:
    """Bytes in hexadecimal, sets sorted; other objects are refused."""
    assert canonical_json({"b": {2, 1}, "a": b"\x00\xff"}) == '{"a":{"$hex":"00ff"},"b":[1,2]}'
    with pytest.raises(TypeError, match="object has no canonical form"):
        canonical_json(object())


def test_checksums_do_not_depend_on_how_bytes_arrive() -> None:
    """A hasher fed piece by piece gives what the whole gives; the known value of nothing is right."""
    hasher = new_hasher()
    for piece in (b"ab", b"", b"c"):
        hasher.update(piece)

    assert digest_bytes(b"abc") == "blake3:" + hasher.hexdigest()
    # The test vector of an empty input from the BLAKE3 authors.
    assert digest_bytes(b"") == "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


@given(st.lists(st.tuples(st.text() | st.none(), st.integers() | st.booleans(), st.binary()), max_size=6))
def test_rows_have_the_digest_of_what_they_hold(rows: list[tuple[object, ...]]) -> None:
    """Equal rows (value and type) have equal digests of 16 bytes, different ones different digests."""
    digests = digest_rows(rows)

    assert {16} >= set(map(len, digests))
    assert len(set(map(repr, rows))) == len(set(digests))
    assert digests == digest_rows([list(r) for r in rows])
