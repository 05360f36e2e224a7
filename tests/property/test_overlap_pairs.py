"""What the tables say of overlaps is what the library says of every two regions that share a pixel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.registry import Registry
from tests.databases import DATABASES, Database
from tests.regions import patches, square, survey, visits

regions = pytest.importorskip("registry.model.regions")
pytest.importorskip("lsst.sphgeom")


@pytest.fixture(scope="module", params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A camera and a sky map, with no visits and no patches."""
    folder: Path = tmp_path_factory.mktemp("pairs")
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else ""
    database = Database(request.param, folder, server)
    made = database.registry()
    with made.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        tract = patches([None]).select(["skymap", "tract"])
        change.insert_records("tract", tract)
    yield made
    database.drop()


_place = st.tuples(st.integers(-40, 40).map(lambda x: x / 8), st.integers(-16, 16).map(lambda y: y / 8))
_shape = st.one_of(
    st.none(),
    st.builds(lambda at, half: square(at[0], at[1], half), _place, st.sampled_from([0.125, 0.5, 1.0, 2.5])),
    st.builds(lambda at, r: regions.encode_circle(*at, r), _place, st.sampled_from([0.0, 0.125, 1.0])),
    st.builds(
        lambda at, w, h: regions.encode_box(*at, w, h), _place, st.just(0.25), st.sampled_from([0.5, 3])
    ),
)


def _touch(a: bytes, b: bytes) -> bool:
    # Of boxes near longitude 0 the library may say that they touch what is far away.
    return bool(regions.overlaps(a, b)) and not set(regions.pixels(a)).isdisjoint(regions.pixels(b))


class _UndoneError(Exception):
    """Ends a transaction that is not to be kept."""


def _undo() -> None:
    raise _UndoneError


_shapes = st.lists(_shape, min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(_shapes, _shapes, st.booleans(), st.integers(0, 8))
def test_tables_hold_what_touches(
    registry: Registry, seen: list[bytes | None], cells: list[bytes | None], visits_first: bool, cut: int
) -> None:
    """Whichever comes first, and in however many parts, every pair that touches is there, and no other."""
    expected = {
        (v, p)
        for v, a in enumerate(seen, 1)
        for p, b in enumerate(cells)
        if a is not None and b is not None and _touch(a, b)
    }
    steps = [("visit", visits(seen[:cut])), ("patch", patches(cells)), ("visit", visits(seen[cut:], cut + 1))]
    if not visits_first:
        steps = [steps[1], steps[0], steps[2]]
    with contextlib.suppress(_UndoneError), registry.write() as change:
        for element, rows in steps:
            change.insert_records(element, rows)
        table = change._session.schema.pair("patch", "visit")
        assert table is not None
        found = change._session.fetch(sa.select(table.c.visit, table.c.patch))
        _undo()

    assert expected == set(found.rows())
