"""Lines of JSON as a form of datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from registry.errors import IntegrityError, UsageError
from sync.storage import decode, formatter


def test_a_list_of_dicts_is_a_line_each() -> None:
    """Keys are sorted, NumPy's numbers are numbers, and what is written is read back."""
    rows = [{"b": np.int64(2), "a": "ü"}, {}]
    data = formatter("jsonl").encode(rows)

    assert '{"a":"ü","b":2}\n{}\n'.encode() == data
    assert decode(data, "jsonl", "DimensionRecords", "here") == [{"a": "ü", "b": 2}, {}]
    assert formatter("jsonl").decode(b"") == []


def test_an_array_and_empty_lines_are_read_too() -> None:
    """Scripts may write one array, and leave lines empty."""
    assert formatter("jsonl").decode(b' [{"a": 1},\n {"a": 2}]\n') == [{"a": 1}, {"a": 2}]
    assert formatter("jsonl").decode(b'\n{"a": 1}\n\n{"a": 2}') == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("data", [b"{", b'{"a": 1}\n3\n', b"[1]", b'{"a": 1} {"a": 2}', b"[{}", b"\xff"])
def test_what_is_no_list_of_dicts_is_refused(data: bytes) -> None:
    """A line that is no object is an error of ours that names it."""
    with pytest.raises(IntegrityError):
        formatter("jsonl").decode(data)


@pytest.mark.parametrize("obj", [{"a": 1}, "x", [1], [{"a": object()}]])
def test_only_lists_of_dicts_are_written(obj: Any) -> None:
    """Anything else is refused, with what was expected."""
    with pytest.raises(UsageError):
        formatter("jsonl").encode(obj)
