"""The language against answers of the reference that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import Database
from tests.vectors import run
from tests.vectors.load import World

pytest.importorskip("lsst.sphgeom")

OWN = Path(__file__).parent / "own"


@pytest.mark.parametrize("kind", ["query", "fuzz_query"])
def test_simulated_surveys_are_answered_as_by_the_reference(
    kind: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every case about the simulated survey has the reference's answer, on each database."""
    with World(run.data_beside(OWN, OWN), database.name, database.server) as world:
        passed, failed = run.run_kind(kind, OWN, world)
    assert not failed, capsys.readouterr().out
    assert passed > 200
