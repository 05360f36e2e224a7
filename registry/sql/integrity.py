"""Statements that look for rows which contradict each other, whoever wrote them: the database's side of a check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import id_text
from registry.sql.dataset_types import all_types
from registry.sql.fixed_tables import IdType
from registry.sql.session import Session

__all__ = [
    "OURS", "Fault", "artifacts_recorded", "bare_datasets", "chain_faults", "engine_faults", "member_faults", "provenance_faults",
    "reference_faults", "table_faults", "validity_faults",
]  # fmt: skip

_MADE_ON_DEMAND = ("tags_", "calibs_")
OURS = ("dim_", "overlap_", *_MADE_ON_DEMAND)
"""How the names of tables begin that not every registry has."""
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table'",
    "postgresql": "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()",
}
_UNSOUND = """
SELECT 'index ' || c.relname || ' is not valid' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))
UNION ALL
SELECT 'constraint ' || conname || ' of ' || conrelid::regclass::text || ' was never validated' FROM pg_constraint
WHERE NOT convalidated AND connamespace = to_regnamespace(quote_ident(current_schema()))
"""
_MOST_LINES = 100
_UNDECLARED = (
    ("dataset", "dataset_type", "dataset_type_id"), ("dataset", "collection", "run_id"),
    ("quantum_input", "quantum", "quantum_id"), ("quantum_output", "quantum", "quantum_id"),
)  # fmt: skip
"""References that no database checks: table, what it refers to, and by which column."""


class Fault(NamedTuple):
    """Rows of one table that are wrong in one way.

    Parameters
    ----------
    code : str
        In which way.
    table : str
        Whose rows.
    items : tuple of str
        What names each of them.
    detail : str, optional
        More than the code says.
    """

    code: str
    table: str
    items: tuple[str, ...]
    detail: str = ""


def engine_faults(session: Session, *, quick: bool) -> list[Fault]:
    """Let the database check what it stores.

    Parameters
    ----------
    session : Session
        Where.
    quick : bool
        Whether SQLite may leave out holding indexes against their tables.

    Returns
    -------
    list of Fault
        With what the database says.

    Notes
    -----
    PostgreSQL is asked here for indexes and constraints that it does not rely on itself; what it stores it checks table
    by table (`registry.sql.integrity_postgres`).
    """
    query = session.database.query
    if session.database.dialect.name == "sqlite":
        lines = query(f"PRAGMA {'quick_check' if quick else 'integrity_check'}({_MOST_LINES})", [])
        said = [str(line[0]) for line in lines if line[0] != "ok"]
    else:
        said = [str(line[0]) for line in query(_UNSOUND, [])]
    return [Fault("database-damaged", "database", tuple(said), said[0])] if said else []


def _present(session: Session) -> set[str]:
    """Return the tables that there are."""
    return {str(row[0]) for row in session.database.query(_TABLES[session.database.dialect.name], [])}


def _on_demand(session: Session) -> set[str]:
    """Return the tables that the dataset types need."""
    out = set()
    for entry in all_types(session):
        out.add(session.schema.tags(entry.type.dimensions).name)
        if entry.type.is_calibration:
            out.add(session.schema.calibs(entry.type.dimensions).name)
    return out


def _fixed(session: Session) -> set[str]:
    """Return the tables that each registry of this universe has."""
    return {name for name in session.schema.metadata.tables if not name.startswith(_MADE_ON_DEMAND)}


def table_faults(session: Session) -> list[Fault]:
    """Find tables that are missing, and those that nothing needs.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``table-missing``; ``table-extra`` for those that hold rows, since an empty one is what a dataset type that was
        removed leaves.
    """
    present = _present(session)
    needed = _fixed(session) | (_on_demand(session) if "dataset_type" in present else set())
    extra = sorted(name for name in present - needed if name.startswith(OURS))
    quote = session.database.dialect.identifier_preparer.quote
    full = [n for n in extra if session.database.query(f"SELECT 1 FROM {quote(n)} LIMIT 1", [])]
    found = {"table-missing": tuple(sorted(needed - present)), "table-extra": tuple(full)}
    return [Fault(code, "database", items) for code, items in found.items() if items]


def reference_faults(session: Session) -> list[Fault]:
    """Find rows that refer to rows which are not there.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        One a table and a reference of it. One statement for each reference; SQLite tells first which ones to look at.
    """
    # The tables of a universe are described once for all its registries: of those of dataset types only ours count.
    present = _present(session) & (_fixed(session) | _on_demand(session))
    suspects = None
    if session.database.dialect.name == "sqlite":
        suspects = {(row[0], row[2]) for row in session.database.query("PRAGMA foreign_key_check", [])}
    out: dict[tuple[str, str], list[str]] = {}
    for table, parent, pairs in _references(session, present):
        declared = any(fk.column.table is parent for fk in table.foreign_keys)
        if suspects is not None and declared and (table.name, parent.name) not in suspects:
            continue
        out.setdefault((_code(table.name, parent.name), table.name), []).extend(
            _without(session, table, parent, pairs)
        )
    return [Fault(code, table, tuple(dict.fromkeys(items))) for (code, table), items in out.items() if items]


_Pairs = Sequence[tuple[str, str]]


def _references(session: Session, present: set[str]) -> Iterator[tuple[sa.Table, sa.Table, _Pairs]]:
    """Yield what refers to what, by which columns: what the tables declare, and what is only checked when rows go in."""
    tables = session.schema.metadata.tables
    for table in list(tables.values()):
        for reference in table.foreign_key_constraints:
            parent = reference.referred_table
            if {table.name, parent.name} <= present:
                yield table, parent, [(e.parent.name, e.column.name) for e in reference.elements]
    for name, other, column in _UNDECLARED:
        if {name, other} <= present:
            yield tables[name], tables[other], [(column, "id")]


def _without(session: Session, table: sa.Table, parent: sa.Table, pairs: _Pairs) -> list[str]:
    other = parent.alias("referred_to")
    there = sa.exists().where(*(table.c[a] == other.c[b] for a, b in pairs))
    given = [table.c[a].is_not(None) for a, _ in pairs]
    return _named(session, table, sa.and_(~there, *given))


def _named(session: Session, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> list[str]:
    """Return what names rows: the values of their primary key."""
    keys = list(table.primary_key)
    return _texts(
        [c.name for c in keys], session.fetch(sa.select(*keys).where(*conditions).order_by(*keys)).rows()
    )


def _texts(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    return [", ".join(f"{n} {_shown(v)}" for n, v in zip(names, row, strict=True)) for row in rows]


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return id_text(value) if len(value) == 16 else value.hex()
    return str(value)


def _code(table: str, parent: str) -> str:
    """Name the fault that a row of a table refers to none of another."""
    if table.startswith(_MADE_ON_DEMAND):
        if parent == "dataset":
            return "tag-without-dataset"
        return "data-id-without-record" if parent.startswith("dim_") else "tag-without-collection"
    if table.startswith("dim_"):
        return "record-parent-missing"
    if table.startswith("overlap_"):
        return "overlap-differs"
    return {
        "artifact": "artifact-without-dataset", "collection_chain": "chain-child-missing",
        "dataset": "dataset-without-run", "quantum": "quantum-without-run",
        "quantum_input": "provenance-without-quantum", "quantum_output": "provenance-without-quantum",
    }.get(table, "reference-missing")  # fmt: skip


def member_faults(session: Session) -> list[Fault]:
    """Find datasets that their RUN does not hold, and members of RUNs that are other RUNs' or of another type.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``dataset-without-tag`` and ``tag-differs``; two statements for each set of dimensions.
    """
    d, c = session.schema["dataset"], session.schema["collection"]
    present = _present(session)
    by_group: dict[Any, list[int]] = {}
    for entry in all_types(session):
        by_group.setdefault(entry.type.dimensions, []).append(entry.id)
    out = []
    for group, numbers in by_group.items():
        t = session.schema.tags(group)
        if t.name not in present:
            continue
        own = sa.and_(t.c.dataset_id == d.c.id, t.c.collection_id == d.c.run_id)
        held = sa.exists().where(own, t.c.dataset_type_id == d.c.dataset_type_id)
        bare = _named(session, d, d.c.dataset_type_id.in_(numbers), ~held)
        joined = t.join(d, d.c.id == t.c.dataset_id).join(c, c.c.id == t.c.collection_id)
        is_other = sa.or_(
            t.c.dataset_type_id != d.c.dataset_type_id,
            sa.and_(c.c.type == int(CollectionType.RUN), t.c.collection_id != d.c.run_id),
        )
        keys = list(t.primary_key)
        odd = session.fetch(sa.select(*keys).select_from(joined).where(is_other).order_by(*keys)).rows()
        out += [Fault("dataset-without-tag", t.name, tuple(bare))] if bare else []
        out += [Fault("tag-differs", t.name, tuple(_texts([k.name for k in keys], odd)))] if odd else []
    return out


def provenance_faults(session: Session) -> list[Fault]:
    """Find what quanta have made, or read, and is no dataset any more.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``output-missing`` and ``input-gone``.
    """
    d = session.schema["dataset"]
    out = []
    for name, code in (("quantum_output", "output-missing"), ("quantum_input", "input-gone")):
        t = session.schema[name]
        found = session.fetch(
            sa.select(t.c.dataset_id).distinct()
            .where(~sa.exists().where(d.c.id == t.c.dataset_id)).order_by(t.c.dataset_id)
        )["dataset_id"].tolist()  # fmt: skip
        out += [Fault(code, name, tuple(map(id_text, found)))] if found else []
    return out


def chain_faults(session: Session) -> list[Fault]:
    """Find chains that lead to themselves.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``chain-cycle``, with the chains' names; one statement.
    """
    link, c = session.schema["collection_chain"], session.schema["collection"]
    rows = session.fetch(sa.select(link.c.parent_id, link.c.child_id)).rows()
    below: dict[int, set[int]] = {}
    for parent, child in rows:
        below.setdefault(parent, set()).add(child)
    # Whoever has no children left is none of a circle; what stays when all of those are taken away, leads to one.
    while ends := {parent for parent, children in below.items() if not children & set(below)}:
        for parent in ends:
            del below[parent]
    if not below:
        return []
    names = session.fetch(sa.select(c.c.name).where(c.c.id.in_(sorted(below))).order_by(c.c.name))["name"]
    return [Fault("chain-cycle", "collection_chain", tuple(names.tolist()))]


def validity_faults(session: Session) -> list[Fault]:
    """Find calibrations of one data ID that are valid at the same time in one collection, or never.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``validity-overlaps``; one statement for each set of dimensions.
    """
    present = _present(session)
    groups = dict.fromkeys(e.type.dimensions for e in all_types(session) if e.type.is_calibration)
    out = []
    for t in (session.schema.calibs(group) for group in groups):
        if t.name not in present:
            continue
        keys = [k for k in t.primary_key if k.name != "valid_begin"]
        before = sa.func.max(t.c.valid_end).over(
            partition_by=keys, order_by=t.c.valid_begin, rows=(None, -1)
        ).label("end_before")  # fmt: skip
        ranked = sa.select(*t.primary_key, t.c.valid_end, before).subquery()
        names = [k.name for k in t.primary_key]
        odd = session.fetch(
            sa.select(*(ranked.c[n] for n in names))
            .where(sa.or_(ranked.c.end_before > ranked.c.valid_begin, ranked.c.valid_end <= ranked.c.valid_begin))
            .order_by(*(ranked.c[n] for n in names))
        ).rows()  # fmt: skip
        out += [Fault("validity-overlaps", t.name, tuple(_texts(names, odd)))] if odd else []
    return out


def artifacts_recorded(session: Session) -> Columns:
    """Return all artifact records.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    Columns
        ``id``, ``uri``, ``size``, ``checksum``; in no order.
    """
    a = session.schema["artifact"]
    return session.fetch(sa.select(a.c.id, a.c.uri, a.c.size, a.c.checksum))


def bare_datasets(session: Session, ids: Sequence[bytes]) -> Columns:
    """Return those of some datasets that are on record without an artifact.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        16 bytes each; unknown ones are ignored.

    Returns
    -------
    Columns
        ``id``, ``run``; in no order.
    """
    d, a, c = (session.schema[name] for name in ("dataset", "artifact", "collection"))
    with session.stash(Columns({"id": ids}), {"id": IdType()}, key=("id",)) as stash:
        return session.fetch(
            sa.select(d.c.id, c.c.name.label("run"))
            .select_from(stash.join(d, d.c.id == stash.c.id).join(c, c.c.id == d.c.run_id))
            .where(~sa.exists().where(a.c.id == d.c.id))
        )
