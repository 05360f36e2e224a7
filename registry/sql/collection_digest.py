"""A digest of what collections hold, to tell later whether they hold the same."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from registry.model.collections import CollectionType
from registry.model.digest import digest_json
from registry.model.dimensions import DimensionGroup
from registry.sql.collections import Entry, all_entries, is_glob, search
from registry.sql.dataset_types import TypeEntry, types_matching
from registry.sql.fixed_tables import LastId
from registry.sql.session import Session

__all__ = ["content_digests"]

_PRIME = 1_000_000_007
"""Times are summed modulo a prime, since sums of nanoseconds would leave 64 bits."""


class _IdSum(FunctionElement[int]):
    """A sum that depends on each id of a group of rows, and not on their order."""

    name = "id_sum"
    type = sa.BigInteger()
    inherit_cache = True


@compiles(_IdSum)
def _id_sum(element: _IdSum, compiler: Any, **kw: Any) -> str:
    column = compiler.process(element.clauses, **kw)
    # The four middle digits of what is random in an id; SQLite turns no digits into a number.
    digits = [f"unicode(substr(hex({column}), {at}, 1)) * {97**n}" for n, at in enumerate((21, 24, 27, 32))]
    return f"sum({' + '.join(digits)})"


@compiles(_IdSum, "postgresql")
def _id_sum_postgres(element: _IdSum, compiler: Any, **kw: Any) -> str:
    return f"CAST(sum(hashtext(CAST({compiler.process(element.clauses, **kw)} AS TEXT))) AS BIGINT)"


def content_digests(
    session: Session, names: Iterable[str], dataset_types: Sequence[str], leave_out: Container[str] = ()
) -> dict[str, str]:
    """Return a text for each collection that changes when what a search finds in it may do.

    Parameters
    ----------
    session : Session
        Where.
    names : iterable of str
        Collections and patterns.
    dataset_types : sequence of str
        The types that matter; those that are not registered hold nothing.
    leave_out : container of str
        RUN, TAGGED and CALIBRATION collections that do not count, also where a chain has them.

    Returns
    -------
    dict of str to str
        Name to digest of its search path (chains expanded) and, by type, of number and ids of the datasets, and of
        their validity. Names of which there is no collection are absent. Digests of one database engine mean nothing
        to another.

    Notes
    -----
    The database scans the members of these types and hands over a few numbers: at most three statements for each
    set of dimensions.
    """
    known = {e.name for e in all_entries(session)}
    paths = {
        name: [e for e in search(session, [name]) if e.name not in leave_out]
        for name in dict.fromkeys(names)
        if name in known or is_glob(name)
    }
    entries = {e.id: e for path in paths.values() for e in path}
    facts = _facts(session, list(entries.values()), types_matching(session, list(dataset_types)))
    return {
        name: digest_json([[e.name, e.type.name, sorted(facts[e.id])] for e in path])
        for name, path in paths.items()
    }


def _facts(session: Session, entries: Sequence[Entry], kinds: Sequence[TypeEntry]) -> dict[int, list[Any]]:
    """Return for each collection a list for each type of which it holds something."""
    out: dict[int, list[Any]] = {e.id: [] for e in entries}
    names = {k.id: k.type.name for k in kinds}
    for group in dict.fromkeys(k.type.dimensions for k in kinds):
        of_group = [k for k in kinds if k.type.dimensions == group]
        for table, of_type, sums in _sources(session, group, of_group):
            held = [e.id for e in entries if e.type is of_type]
            for collection, kind, *found in _counts(session, table, held, [k.id for k in of_group], sums):
                out[collection].append([names[kind], *found])
    return out


def _sources(
    session: Session, group: DimensionGroup, kinds: Sequence[TypeEntry]
) -> Iterator[tuple[sa.Table, CollectionType, list[Any]]]:
    """Yield what has to be asked about types of one set of dimensions: table, type of collection, sums."""
    tags = session.schema.tags(group)
    # A RUN takes no other dataset in the place of one: number and highest id are enough.
    yield tags, CollectionType.RUN, []
    yield tags, CollectionType.TAGGED, [_IdSum(tags.c.dataset_id)]
    if any(k.type.is_calibration for k in kinds):
        calibs = session.schema.calibs(group)
        spans = (calibs.c.valid_begin % _PRIME) * 3 + calibs.c.valid_end % _PRIME
        yield calibs, CollectionType.CALIBRATION, [_IdSum(calibs.c.dataset_id), sa.func.sum(spans)]


def _counts(
    session: Session, table: sa.Table, collections: list[int], kinds: list[int], sums: list[Any]
) -> Iterator[list[Any]]:
    """Yield collection, type, number, highest id and sums."""
    if not collections:
        return
    statement = (
        sa.select(
            table.c.collection_id, table.c.dataset_type_id, sa.func.count().label("n"),
            LastId(table.c.dataset_id).label("last"), *(s.label(f"sum_{n}") for n, s in enumerate(sums)),
        )
        .where(table.c.collection_id.in_(collections), table.c.dataset_type_id.in_(kinds))
        .group_by(table.c.collection_id, table.c.dataset_type_id)
    )  # fmt: skip
    for collection, kind, n, last, *found in session.fetch(statement).rows():
        yield [collection, kind, n, last.hex(), *map(int, found)]
