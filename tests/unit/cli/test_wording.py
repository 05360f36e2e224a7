"""Reports in words."""

from __future__ import annotations

import pytest

from cli.wording import change_lines


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (None, "a", "x: a"),
        ("", "a", "x: a"),
        ("a", "", "x: a -> -"),
        ("a", None, "x: a -> -"),
        (1.5, 2, "x: 1.5 -> 2"),
        (False, True, "x: false -> true"),
        ([], ["r/1"], "x: r/1"),
        (["r/1"], ["r/2", "r/1"], "x: +r/2"),
        (["r/1", "r/2"], ["r/2", "r/3"], "x: +r/3 -r/1"),
        (["r/1", "r/2"], ["r/2", "r/1"], "x: r/1, r/2 -> r/2, r/1"),
        ({"a": 1}, {"a": "ü"}, 'x: {"a": 1} -> {"a": "ü"}'),
    ],
)
def test_a_change_is_told_briefly(old: object, new: object, line: str) -> None:
    """The new value alone where there was none; of lists what came and went; else both values."""
    assert list(change_lines({"x": (old, new)})) == [line]
