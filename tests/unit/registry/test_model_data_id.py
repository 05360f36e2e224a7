"""Data IDs: checked, canonical, frozen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import DataIdError
from registry.model.data_id import DataId, check_value, parse_assignments
from registry.model.dimensions import default_universe

UNIVERSE = default_universe()
GROUP = UNIVERSE.group(["visit", "detector"])


def test_order_and_extra_words_do_not_matter() -> None:
    """Data IDs of equal values are equal, hash alike and print alike, in universe order."""
    a = DataId.standardize(GROUP, {"visit": 7, "instrument": "Cam", "detector": "3", "band": "g"})
    b = DataId.standardize(GROUP, {"detector": np.int64(3)}, instrument="Cam", visit=7)

    assert a == b == {"instrument": "Cam", "detector": 3, "visit": 7}
    assert hash(a) == hash(b)
    assert str(a) == "{instrument=Cam, detector=3, visit=7}"
    assert ("Cam", 3, 7) == tuple(a.values()) == a.values_tuple
    assert a != DataId.standardize(GROUP, a, visit=8)
    with pytest.raises(KeyError):
        a["band"]


@pytest.mark.parametrize(
    ("values", "says", "code"),
    [
        ({"instrument": "Cam", "visit": 7}, "lacks detector", "data-id-missing"),
        (
            {"instrument": "Cam", "visit": 7, "detector": 3, "dectector": 3},
            "'dectector', which is not",
            "data-id-unknown",
        ),
        (
            {"instrument": "Cam", "visit": "x7", "detector": 3},
            "visit='x7': expected an integer",
            "data-id-value",
        ),
        ({"instrument": "Cam", "visit": 7.0, "detector": 3}, "expected an integer", "data-id-value"),
        ({"instrument": "Cam", "visit": True, "detector": 3}, "expected an integer", "data-id-value"),
        ({"instrument": 5, "visit": 7, "detector": 3}, "expected a non-empty string", "data-id-value"),
        ({"instrument": "", "visit": 7, "detector": 3}, "expected a non-empty string", "data-id-value"),
        ({"instrument": "a\0b", "visit": 7, "detector": 3}, "expected a non-empty string", "data-id-value"),
        (
            {"instrument": "a\ud800", "visit": 7, "detector": 3},
            "expected a non-empty string",
            "data-id-value",
        ),
        ({"instrument": "Cam", "visit": "--7", "detector": 3}, "expected an integer", "data-id-value"),
        ({"instrument": "Cam", "visit": "²", "detector": 3}, "expected an integer", "data-id-value"),
        ({"instrument": "Cam", "visit": 2**63, "detector": 3}, "expected an integer", "data-id-value"),
        ({"instrument": None, "visit": 7, "detector": 3}, "expected a non-empty string", "data-id-value"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, Any], says: str, code: str) -> None:
    """A missing, unknown or mistyped value is an error that says which."""
    with pytest.raises(DataIdError, match=says) as caught:
        DataId.standardize(GROUP, values)
    assert code == caught.value.code


@given(st.integers(-(2**62), 2**62))
def test_integers_may_come_as_text(value: int) -> None:
    """Digits are taken for an integer where the key is one, signs too."""
    assert value == check_value(UNIVERSE, "visit", str(value)) == check_value(UNIVERSE, "visit", value)


def test_a_relation_has_no_value() -> None:
    """Only dimensions have values."""
    with pytest.raises(DataIdError, match="relation"):
        check_value(UNIVERSE, "visit_definition", 1)


def test_assignments_are_read_as_words() -> None:
    """Commas separate too, the last value of a name counts, and a word without = is refused."""
    assert parse_assignments(["instrument=Cat, visit=7,", " instrument = Cam", "detector=a=b"]) == {
        "instrument": "Cam",
        "visit": "7",
        "detector": "a=b",
    }
    with pytest.raises(DataIdError, match="'visit' is not of the form"):
        parse_assignments(["visit"])
