"""Tables, JSON and CSV of the same values."""

from __future__ import annotations

import json

import pytest

from cli.render import count_text, plain, size_text, table_text
from cli.rows import show_rows
from registry.model.columns import Columns

ID = bytes(range(16))


def test_bytes_become_text() -> None:
    """Ids are written as UUIDs, other bytes in hexadecimal, at any depth."""
    assert plain({"id": ID, "hash": [b"\x01\xff"]}) == {
        "id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "hash": ["01ff"],
    }


def test_numbers_are_aligned_right_and_nulls_are_dashes() -> None:
    """A table's columns are as wide as their widest cell."""
    text = table_text(("name", "n"), [("a", 1), ("long", None), ("b", 1000)])

    assert text.split("\n") == ["name     n", "----  ----", "a        1", "long     -", "b     1000"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    """What could drive a terminal is written as its escape."""
    assert "\x1b" not in table_text(("a",), [("\x1b[31mred",)])


def test_rows_in_three_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """Table, JSON and CSV hold the same values."""
    rows = Columns({"name": ["a,b", "c"], "n": [1, 2], "id": [ID, None]})
    show_rows(rows, "json")
    show_rows(rows, "csv")
    out = capsys.readouterr().out
    cut = out.index("]\n") + 2

    assert json.loads(out[:cut])[1] == {"name": "c", "n": 2, "id": None}
    assert out[cut:].split("\n")[1] == '"a,b",1,00010203-0405-0607-0809-0a0b0c0d0e0f'


def test_json_is_json_whatever_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """What JSON has no number for is null."""
    show_rows(Columns({"x": [1.5, float("nan"), float("inf")]}), "json")

    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [
        {"x": 1.5},
        {"x": None},
        {"x": None},
    ]


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_200_000_000, "1.2 GB"), (5e15, "5000.0 TB")],
)
def test_sizes_for_people(n: int, text: str) -> None:
    """Decimal units with one digit."""
    assert size_text(int(n)) == text


def test_counts_for_people() -> None:
    """One is singular; thousands are separated."""
    assert (count_text(1, "quantum", "quanta"), count_text(2000, "quantum", "quanta")) == (
        "1 quantum",
        "2,000 quanta",
    )
