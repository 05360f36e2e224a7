"""The second schema version: tables of what overlaps what, made and filled in a registry that had none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from registry.errors import SchemaVersionError
from registry.migrations import run
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from registry.registry import Registry
from registry.sql.engine import connect, parse_url
from registry.sql.schema import Schema
from registry.sql.version import HEAD
from tests.databases import Database, ask
from tests.regions import UNIVERSE, patches, square, survey, visits

pytest.importorskip("lsst.sphgeom")

PLAIN = DimensionUniverse.from_yaml(
    """
name: plain
version: 1
elements:
  place: {key: {name: id, type: int}, region: true}
  flood: {key: {name: id, type: int}, region: true}
"""
)


def filled(database: Database) -> str:
    """Make a registry of visits and patches that overlap; closed."""
    url = database.url()
    with Registry.create(url, UNIVERSE) as registry, registry.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        change.insert_records("tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(3, 0, 1)]}))
        change.insert_records("patch", patches([square(x, 0, 0.5) for x in range(6)]))
        change.insert_records("visit", visits([*(square(x + 0.6, 0, 0.3) for x in range(5)), None]))
    return url


def overlaps(url: str) -> dict[str, list[Any]]:
    """Tables of a registry that tell of overlaps, with all they hold."""
    with Registry.open(url) as registry:
        schema = Schema(registry.universe)
        tables = [
            schema.overlap(e.name) for e in registry.universe.elements.values() if e.region and e.has_table
        ]
        with registry.read() as snapshot:
            fetch = snapshot._session.fetch
            return {t.name: sorted(fetch(sa.select(t)).rows()) for t in [*tables, *schema.pairs.values()]}


def set_back(url: str, *, pixels: bool = True) -> None:
    """Make of a registry one of the first version, which kept no pairs, and pixels only where the universe named them."""
    with Registry.open(url, writable=True) as registry:
        for table in Schema(registry.universe).pairs.values():
            ask(registry, f"DROP TABLE {table.name}")
        if not pixels:
            for element in ("place", "flood"):
                ask(registry, f"DELETE FROM overlap_{element}")
        ask(registry, "UPDATE repository SET value = '0001' WHERE key = 'schema_version'")
        ask(registry, "UPDATE alembic_version SET version_num = '0001'")


def test_an_upgrade_makes_and_fills_the_tables(database: Database) -> None:
    """An older registry is refused until it is upgraded; then it holds what a new one would, and goes on so."""
    url = filled(database)
    expected = overlaps(url)
    set_back(url)
    with pytest.raises(SchemaVersionError, match="0001"):
        Registry.open(url)
    assert "0001" == run.upgrade(url).found

    assert len(expected["overlap_visit_patch"]) > 5
    assert expected == overlaps(url)
    with Registry.open(url, writable=True) as registry, registry.write() as change:
        change.insert_records("visit", visits([square(0, 0)], 100))
    assert len(overlaps(url)["overlap_visit_patch"]) == len(expected["overlap_visit_patch"]) + 2


def test_a_universe_without_a_common_pixelisation(database: Database) -> None:
    """Its regions were in no pixel table; they are afterwards, and joined."""
    url = database.url()
    with Registry.create(url, PLAIN) as registry, registry.write() as change:
        for element in ("place", "flood"):
            rows = Columns({element: [1, 2], "region": [square(0, 0), square(9, 0)]})
            change.insert_records(element, rows)
    expected = overlaps(url)
    set_back(url, pixels=False)
    run.upgrade(url)

    assert [(1, 1), (2, 2)] == expected["overlap_place_flood"]
    assert expected == overlaps(url)


def test_a_downgrade_drops_the_tables(database: Database) -> None:
    """Nothing is lost by it: they hold what can be computed."""
    url = filled(database)
    base = connect(parse_url(url), writable=True)
    base.begin_write(10.0)
    config = Config()
    config.set_main_option("script_location", str(Path(run.__file__).parent))
    config.attributes["connection"] = base.connection
    base.connection.begin()
    command.downgrade(config, "0001")
    names = sa.inspect(base.connection).get_table_names()
    base.rollback()
    base.close()

    assert not {"overlap_visit_patch", "overlap_visit_tract"} & set(names)
    assert {"overlap_visit", "overlap_patch"} <= set(names)
    assert HEAD != "0001"
