"""Rows as a table, JSON and CSV, however many there are."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING

import numpy as np

from cli import rows
from cli.rows import show_rows
from registry.model.columns import Columns
from registry.model.refs import id_text, new_ids
from registry.model.times import UNBOUNDED_END, parse_time

if TYPE_CHECKING:
    import pytest


def test_rows_are_written_piece_by_piece(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several batches make one list, one table and one CSV file."""
    monkeypatch.setattr(rows, "_AT_ONCE", 3)
    ids = new_ids(7)
    columns = Columns({"n": np.arange(7), "id": ids})
    written = {}
    for form in ("json", "csv", "table"):
        show_rows(columns, form)
        written[form] = capsys.readouterr().out

    assert [{"n": i, "id": id_text(v)} for i, v in enumerate(ids)] == json.loads(written["json"])
    assert [["n", "id"], *([str(i), id_text(v)] for i, v in enumerate(ids))] == list(
        csv.reader(io.StringIO(written["csv"]))
    )
    assert [id_text(v) for v in ids] == [line.split()[1] for line in written["table"].splitlines()[2:]]


def test_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list, a header, and heads with a rule."""
    nothing = Columns({"a": np.empty(0, dtype=object), "b": np.empty(0, dtype=np.int64)})
    for form in ("json", "csv", "table"):
        show_rows(nothing, form)

    assert "[]\na,b\na  b\n-  -\n" == capsys.readouterr().out


def test_a_table_is_made_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns of nothing are left out, times are dates in UTC, regions a size; JSON has all as it is."""
    begin = parse_time("2024-03-01T12:00:00")
    columns = Columns(
        {
            "visit": [1, 2],
            "region": [b"x" * 33, None],
            "timespan_begin": [begin, begin],
            "timespan_end": [begin + 1_000_000_000, UNBOUNDED_END],
            "nothing": [None, None],
        }
    )
    show_rows(columns)
    table = capsys.readouterr().out
    show_rows(columns, "json")

    assert "nothing" not in table
    assert "(33 bytes)" in table
    assert "2024-03-01T12:00:00" in table
    assert table.rstrip().endswith("open")
    assert json.loads(capsys.readouterr().out)[1] == {
        "visit": 2, "region": None, "timespan_begin": begin, "timespan_end": UNBOUNDED_END, "nothing": None,
    }  # fmt: skip


def test_a_table_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a narrow terminal the last columns are left out, and named."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 24)))
    show_rows(Columns({"first": ["x" * 10], "second": ["y"], "third": ["z" * 10]}))
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split() == ["first", "second"]
    assert lines[-1] == "(not shown, for want of room: third; --json and --csv have all)"


def test_mappings_in_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """A data ID is an object in JSON and text elsewhere."""
    columns = Columns({"data_id": [{"visit": 1, "band": "r"}], "n": [1]})
    for form in ("json", "csv", "table"):
        show_rows(columns, form)
    out = capsys.readouterr().out

    assert '{"data_id": {"visit": 1, "band": "r"}, "n": 1}' in out
    assert '"visit=1,band=r",1' in out
    assert "visit=1, band=r  1" in out
