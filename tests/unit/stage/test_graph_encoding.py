"""Columns as bytes: every kind of column comes back as it was, in few bytes where it can."""

from __future__ import annotations

import numpy as np
import pytest

from stage.graph.file.encoding import KINDS, column_kind, decode, encode
from stage.graph.table import Csr


def back(kind, values, n=None):
    """Return what a column reads as after it was written."""
    data = b"".join(encode(kind, values))
    n = len(values) if n is None else n
    column = decode(kind, b"head" + data + b"tail", 4, n)
    assert 4 + len(data) == column.end
    whole = column.all()
    for row in range(n):  # one row at a time says the same as all at once
        one = decode(kind, data, 0, n).item(row)
        kept = column.item(row)
        if kind == "list":
            assert list(one) == list(kept) == whole.of(row).tolist()
        else:
            assert repr(one) == repr(kept) == repr(whole.tolist()[row])
    return whole


INTEGERS = {
    "none": [],
    "one": [7],
    "constant": [5] * 9,
    "progression": list(range(10, 1000, 3)),
    "falling": list(range(50, 0, -1)),
    "small range far out": [2**40 + i % 7 for i in range(100)],
    "few steps": [i // 10 * 1000003 for i in range(100)],
    "uneven steps": [i * i for i in range(300)],
    "extremes": [-(2**63), 2**63 - 1, 0, -1],
    "huge": [2**62 + 5, -(2**62), 2**61],
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_come_back(name):
    """Over the whole range of 64 bits, in any order."""
    values = np.array(INTEGERS[name], dtype=np.int64)
    assert values.tolist() == back("int", values).tolist()


@pytest.mark.parametrize("name", ["constant", "progression", "falling"])
def test_regular_integers_take_no_bytes_but_a_head(name):
    """A constant and a progression are stored as such."""
    assert len(b"".join(encode("int", np.array(INTEGERS[name], dtype=np.int64)))) == 24


def test_integers_of_small_range_take_a_byte_each():
    """They are counted from the smallest."""
    assert len(b"".join(encode("int", np.array(INTEGERS["small range far out"])))) == 24 + 100


@pytest.mark.parametrize(
    "values",
    [["a", "", "bc"], ["é", None, "∞ off"], ["\x00", "\n"], [None, None], ["same", "long"], []],
    ids=["ascii", "unicode and null", "control", "nulls", "one width", "none"],
)
def test_text_comes_back(values):
    """Whatever the strings hold."""
    column = np.array(values, dtype=object)
    assert values == back("text", column).tolist()


@pytest.mark.parametrize("values", [[b"", b"ab"], [bytes(16), b"\xff" * 16], [None, b"x"]])
def test_bytes_come_back(values):
    """Of one width or of several."""
    column = np.array(values, dtype=object)
    assert values == back("bytes", column).tolist()


def test_single_values_are_read_without_the_others():
    """A row of variable length is cut out alone."""
    data = b"".join(encode("text", np.array(["é", None, "xyz"], dtype=object)))
    column = decode("text", data, 0, 3)
    assert [column.item(i) for i in range(3)] == ["é", None, "xyz"]


def test_floats_and_booleans_come_back_exactly():
    """Not a number and infinity included."""
    floats = np.array([0.1, -0.0, np.inf, np.nan, 5e-324])
    assert floats.tobytes() == back("float", floats).tobytes()
    assert back("bool", np.array([True, False])).tolist() == [True, False]


def test_nullable_numbers_come_back_with_their_types():
    """Numbers among nulls are what they were."""
    values = [1, None, 2.5, True, 2**70]
    found = back("json", np.array(values, dtype=object)).tolist()
    assert values == found
    assert [type(v) for v in values] == [type(v) for v in found]


def test_lists_come_back():
    """Empty lists among them."""
    csr = Csr.from_pairs(4, np.array([0, 0, 3]), np.array([9, 1, 2]))
    found = back("list", csr, 4)
    assert csr.indptr.tolist() == found.indptr.tolist()
    assert csr.indices.tolist() == found.indices.tolist()


def test_a_part_of_the_lists_can_be_written():
    """A block holds lists that do not begin at the first entry."""
    part = Csr(np.array([2, 3, 5], dtype=np.int64), np.array([7, 8, 9], dtype=np.int32))
    assert [back("list", part, 2).of(i).tolist() for i in range(2)] == [[7], [8, 9]]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([1]), "int"),
        (np.array([1.0]), "float"),
        (np.array([True]), "bool"),
        (np.array(["x", None], dtype=object), "text"),
        (np.array([b"x", None], dtype=object), "bytes"),
        (np.array([1, None], dtype=object), "json"),
        (np.array([None], dtype=object), "text"),
    ],
)
def test_a_column_is_stored_by_what_it_holds(values, kind):
    """Nulls do not hide the type of strings."""
    assert kind == column_kind(values)
    assert kind in KINDS


def test_an_unknown_encoding_is_refused():
    """Bytes of another form raise instead of giving numbers."""
    with pytest.raises(ValueError, match="unknown form of integers"):
        decode("int", bytes([9]) + bytes(23), 0, 1)
