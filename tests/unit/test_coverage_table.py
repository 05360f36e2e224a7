"""The coverage page: a row a line of the founding documents, and tests that exist behind what it claims."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "coverage.md"
STATES = ("done", "thin", "open")


class Row(NamedTuple):
    """One line of the table."""

    id: str
    what: str
    state: str
    proof: str


def _rows() -> list[Row]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        [c.strip() for c in line.strip("|").split("|")] for line in lines if re.match(r"\| [CSBDT]-\d", line)
    ]
    assert [c for c in cells if len(c) != len(Row._fields)] == []
    return [Row(*c) for c in cells]


ROWS = _rows()


@cache
def _functions(path: Path) -> frozenset[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    methods = [(c.name, n) for c in body if isinstance(c, ast.ClassDef) for n in c.body]
    names = [n.name for n in body if isinstance(n, ast.FunctionDef)]
    return frozenset([*names, *(f"{c}::{n.name}" for c, n in methods if isinstance(n, ast.FunctionDef))])


def test_ids_are_unique() -> None:
    """No line of the documents has two rows."""
    assert [i for i, n in Counter(row.id for row in ROWS).items() if n > 1] == []


def test_every_row_says_what_it_is() -> None:
    """Each has words and one of the three states."""
    assert [row.id for row in ROWS if not row.what or row.state not in STATES] == []


def test_what_is_there_has_a_proof_and_what_is_open_has_none() -> None:
    """Done and thin rows name tests, open ones cannot."""
    assert [row.id for row in ROWS if bool(row.proof) != (row.state != "open")] == []


@pytest.mark.parametrize("row", [r for r in ROWS if r.proof], ids=lambda r: r.id)
def test_proofs_exist(row: Row) -> None:
    """Every proof is a test function in a file that is there."""
    proofs = re.findall(r"`([^`]+)`", row.proof)

    assert re.sub(r"`[^`]+`", "", row.proof).strip() == ""
    for proof in proofs:
        path, _, name = proof.partition("::")

        assert path.startswith("tests/")
        assert name in _functions(ROOT / path), proof
        assert name.rpartition("::")[2].startswith("test_")


def test_the_summary_counts_the_rows() -> None:
    """The figures at the head are those of the tables below."""
    found = Counter((row.id[0], row.state) for row in ROWS)
    section, told = "", {}
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if match := re.fullmatch(r"\| (.+?) \| (\d+) \| (\d+) \| (\d+) \|", line):
            told[match[1]] = tuple(int(n) for n in match.groups()[1:])
    counted = {}
    for line in lines:
        if line.startswith("## "):
            section = line[3:]
        elif match := re.match(r"\| ([CSBDT])-\d", line):
            counted[section] = tuple(found[match[1], state] for state in STATES)

    assert counted == told


def test_every_line_of_the_checklist_has_a_row(shared: Path) -> None:
    """No line is passed over, and none is made up."""
    text = (shared / "seed-checklist.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\b[CSBDT]-\d{2,3}\b", text)) == {row.id for row in ROWS}
