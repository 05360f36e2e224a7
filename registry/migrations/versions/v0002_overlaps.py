"""Tables of the records of two elements with regions that touch, filled from the pixels that they share."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from registry.model.dimensions import DimensionElement, DimensionUniverse
from registry.sql.schema import Schema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BATCH = 10_000


def upgrade() -> None:
    """Make the tables, and fill them."""
    bind = op.get_bind()
    universe = _universe(bind)
    if universe is None:
        return
    schema = Schema(universe)
    for table in schema.pairs.values():
        bind.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            bind.execute(CreateIndex(index, if_not_exists=True))
    if universe.common_skypix is None:
        _fill_pixels(bind, schema)
    for (a, b), table in schema.pairs.items():
        _fill_pairs(bind, schema, table, universe.elements[a], universe.elements[b])


def downgrade() -> None:
    """Drop them: they hold nothing that cannot be computed."""
    bind = op.get_bind()
    universe = _universe(bind)
    for table in Schema(universe).pairs.values() if universe else ():
        op.drop_table(table.name)


def _universe(bind: sa.Connection) -> DimensionUniverse | None:
    """Return the universe that the repository stores; a database without one has no tables of its elements."""
    facts = sa.table("repository", sa.column("key"), sa.column("value"))
    found = bind.execute(sa.select(facts.c.value).where(facts.c.key == "universe")).scalar()
    return None if found is None else DimensionUniverse.from_document(json.loads(found))


def _fill_pixels(bind: sa.Connection, schema: Schema) -> None:
    """Note the pixels of regions, which were not kept where the universe named no common pixelisation."""
    from registry.model.regions import pixels

    for element in schema.universe.elements.values():
        if not (element.has_table and element.region):
            continue
        records, names = schema.dimension(element.name), element.required
        chosen = sa.select(*(records.c[n] for n in names), records.c.region).where(
            records.c.region.is_not(None)
        )
        for rows in _batches(bind, chosen):
            held = [{**row, "skypix": p} for row in rows for p in pixels(row.pop("region"), schema.skypix)]
            bind.execute(sa.insert(schema.overlap(element.name)), held)


def _fill_pairs(
    bind: sa.Connection, schema: Schema, table: sa.Table, a: DimensionElement, b: DimensionElement
) -> None:
    from registry.model.regions import touch

    one, other = schema.overlap(a.name), schema.overlap(b.name)
    shared = [one.c[n] == other.c[n] for n in b.required if n in a.required]
    keys = [*(one.c[n] for n in a.required), *(other.c[n] for n in b.required if n not in a.required)]
    near = sa.select(*keys).select_from(one.join(other, sa.and_(one.c.skypix == other.c.skypix, *shared)))
    pair = near.distinct().subquery()
    first, second = schema.dimension(a.name), schema.dimension(b.name)
    joined = pair.join(first, sa.and_(*(pair.c[n] == first.c[n] for n in a.required)))
    joined = joined.join(second, sa.and_(*(pair.c[n] == second.c[n] for n in b.required)))
    regions = first.c.region.label("region_a"), second.c.region.label("region_b")
    for rows in _batches(bind, sa.select(*pair.c, *regions).select_from(joined)):
        exact = touch([r.pop("region_a") for r in rows], [r.pop("region_b") for r in rows])
        kept = [row for row, touches in zip(rows, exact, strict=True) if touches]
        if kept:
            bind.execute(sa.insert(table), kept)


def _batches(bind: sa.Connection, statement: sa.Select[Any]) -> Any:
    """Yield the rows of a statement as dictionaries, some at a time."""
    with bind.execute(statement.execution_options(stream_results=True)) as result:
        for rows in result.mappings().partitions(_BATCH):
            yield [dict(row) for row in rows]
