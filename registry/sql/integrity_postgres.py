"""How PostgreSQL checks what it stores: by its extension amcheck where it may be called, else by reading every row.

Every lock taken is that of a reader (ACCESS SHARE), which no writer waits for. `bt_index_parent_check` sees more of an
index, and keeps writers out of the table meanwhile: it is never called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from registry.errors import IntegrityError, StageError
from registry.sql.fixed_tables import fixed_tables
from registry.sql.integrity import OURS, Fault
from registry.sql.session import Session

__all__ = ["Means", "means_of", "server_notes", "storage_faults", "tables_of"]

_MOST_LINES = 100
_HEAP, _INDEX, _UNIQUE = ("verify_heapam", 6), ("bt_index_check", 2), ("bt_index_check", 3)
_TAKES = {
    _HEAP: "regclass, boolean, boolean, text, bigint, bigint",
    _INDEX: "regclass, boolean",
    _UNIQUE: "regclass, boolean, boolean",
}
"""Functions of amcheck by name and number of parameters, with those."""
_SINCE = {_HEAP: 14, _INDEX: 0, _UNIQUE: 17}
"""In which version of the server they came."""
_SERVER = """
SELECT current_setting('server_version_num')::integer / 10000, current_setting('data_checksums') = 'on',
quote_ident(current_user), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'amcheck'),
EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck')
"""
_FUNCTIONS = """
SELECT p.proname::text, p.pronargs::integer, quote_ident(n.nspname),
has_schema_privilege(n.oid, 'USAGE'), has_function_privilege(p.oid, 'EXECUTE')
FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE e.extname = 'amcheck'
"""
_FAILURES = """
SELECT checksum_failures, to_char(checksum_last_failure AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0
"""
_TABLES = """
SELECT c.relname::text FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) ORDER BY 1
"""
_STORED = """
WITH heap AS (
SELECT c.oid, c.reltoastrelid AS toast FROM pg_class c
WHERE c.relname = %s AND c.relnamespace = to_regnamespace(quote_ident(current_schema())))
SELECT 0, oid::bigint, '' FROM heap
UNION ALL SELECT 1, toast::bigint, toast::regclass::text FROM heap WHERE toast <> 0
UNION ALL SELECT 2, i.indexrelid::bigint, i.indexrelid::regclass::text
FROM pg_index i JOIN heap ON i.indrelid IN (heap.oid, heap.toast)
JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam WHERE a.amname = 'btree' AND i.indisvalid
ORDER BY 1, 3
"""
_OF_ROWS = ("damaged-database", "bad-statement", "bad-value", "io-error")
"""Codes of what can only come from what is stored, when a statement without values reads it."""

_Rows = list[tuple[Any, ...]]


class Means(NamedTuple):
    """What a server offers this role for looking at its pages.

    Parameters
    ----------
    functions : dict of (str, int) to str
        Those of amcheck that may be called, by name and number of parameters, as they are called.
    lacks : str
        What keeps the others from being called; empty if nothing.
    statements : tuple of str
        What an administrator has to run to change that.
    has_checksums : bool
        Whether the server keeps a checksum with each page.
    """

    functions: dict[tuple[str, int], str]
    lacks: str
    statements: tuple[str, ...]
    has_checksums: bool


def means_of(session: Session, *, full: bool) -> Means:
    """Ask a server what it offers this role for looking at its pages.

    Parameters
    ----------
    session : Session
        Where.
    full : bool
        Whether all that there is, is wanted.

    Returns
    -------
    Means
        From two statements.
    """
    version, checksums, role, is_mighty, has_it, could_have = session.database.query(_SERVER, [])[0]
    found = {(n, k): (schema, *rights) for n, k, schema, *rights in session.database.query(_FUNCTIONS, [])}
    wanted = [k for k, since in _SINCE.items() if version >= since]
    functions = {k: f"{found[k][0]}.{k[0]}" for k in wanted if k in found and all(found[k][1:])}
    if set(functions) >= {k for k in wanted if full or k != _UNIQUE}:
        return Means(functions, "", (), checksums)
    old = has_it and not set(wanted) <= set(found)
    lacks = "this role may not call them"
    statements = []
    if old:
        lacks = "its extension amcheck is of an older version"
        statements = ["ALTER EXTENSION amcheck UPDATE"]
    elif not has_it:
        lacks = "its extension amcheck is not installed"
        statements = ["CREATE EXTENSION amcheck SCHEMA public"]
        if not could_have:
            statements.insert(0, "-- first the server's package of further extensions (postgresql-contrib)")
    if not is_mighty:
        schema = next((row[0] for row in found.values()), "public")
        calls = ", ".join(f"{schema}.{k[0]}({_TAKES[k]})" for k in wanted if k not in functions)
        if not all(row[1] for row in found.values()):
            statements.append(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        statements.append(f"GRANT EXECUTE ON FUNCTION {calls} TO {role}")
    return Means(functions, lacks, tuple(statements), checksums)


def server_notes(session: Session, means: Means) -> list[Fault]:
    """Tell what is to be known of the server, whatever its pages are like.

    Parameters
    ----------
    session : Session
        Where.
    means : Means
        What the server offers.

    Returns
    -------
    list of Fault
        ``pages-unchecked``: what is not looked at, with the statements that change it; ``checksum-failures``.
    """
    out = []
    if means.lacks:
        left = [] if _HEAP in means.functions else ["rows are read instead of pages being checked"]
        if _INDEX not in means.functions:
            left.append("indexes are not looked at")
        elif _HEAP in means.functions:
            left.append("whether indexes that are to be unique are so is not looked at")
        if not means.has_checksums and _HEAP not in means.functions:
            left.append("without data checksums (pg_checksums --enable) damage may pass for something sound")
        text = f"{means.lacks}: {'; '.join(left)}"
        out.append(Fault("pages-unchecked", "database", means.statements, text))
    met = session.database.query(_FAILURES, [])
    return [*out, *(Fault("checksum-failures", "database", (f"{n:,}, the last {last}",)) for n, last in met)]


def tables_of(session: Session) -> list[str]:
    """Return the tables of the registry that the server has.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of str
        Their names; what else is in the schema is somebody else's.
    """
    fixed = {*fixed_tables(sa.MetaData()), "alembic_version"}
    names = [str(name) for (name,) in session.database.query(_TABLES, [])]
    return [name for name in names if name in fixed or name.startswith(OURS)]


def storage_faults(session: Session, table: str, means: Means, *, quick: bool, full: bool) -> list[Fault]:
    """Let a server check one table, with its long values and its indexes.

    Parameters
    ----------
    session : Session
        In a transaction of its own, which is a reader's.
    table : str
        Its name.
    means : Means
        What the server offers.
    quick : bool
        Whether long values may be left out, and indexes need not be held against the table.
    full : bool
        Whether what is to be unique is seen to be so, where the server can.

    Returns
    -------
    list of Fault
        ``table-damaged``, ``index-damaged``; with what the server says.
    """
    quoted = session.database.dialect.identifier_preparer.quote(table)
    try:
        # Neither it nor its indexes can then be replaced in the middle. Only a change of the schema waits for this.
        session.database.run(f"LOCK TABLE ONLY {quoted} IN ACCESS SHARE MODE")
    except IntegrityError as exc:
        if exc.code != "table-missing":
            raise
        return []  # gone since it was listed; what has to be there is asked for elsewhere
    out: list[Fault] = []
    for kind, number, name in session.database.query(_STORED, [table]):
        if kind == 2:
            # A damaged table is no measure for its indexes.
            lines = _index(session, number, means, alone=quick or bool(out), unique=full)
            where, code = f"index {name} of {table}", "index-damaged"
        else:
            lines = _heap(session, number, quoted if kind == 0 else "", means, quick=quick)
            where, code = f"table {table}" + (f", its long values in {name}" if kind else ""), "table-damaged"
        if lines:
            out.append(Fault(code, where, tuple(lines)))
    return out


def _heap(session: Session, number: int, quoted: str, means: Means, *, quick: bool) -> Sequence[str]:
    """Check the pages of a table, or read its rows; long values, which have no rows of their own, come with those."""
    call = means.functions.get(_HEAP)
    if call is not None:
        text = (
            f"SELECT blkno::bigint, offnum::bigint, msg FROM {call}(%s::bigint::oid, check_toast => %s) "
            f"LIMIT {_MOST_LINES}"
        )
        rows, said = _asked(session, lambda: session.database.query(text, [number, not quick]))
        return [*(f"page {page}, row {row}: {words}" for page, row, words in rows), *said]
    if not quoted:
        return []
    # Neither can be had from an index; of a row as text every value is looked at, however long.
    read = "count(r.ctid)" if quick else "sum(octet_length(r.*::text))"
    text = f"SELECT {read}::text FROM ONLY {quoted} AS r"
    return _asked(session, lambda: session.database.query(text, []))[1]


def _index(session: Session, number: int, means: Means, *, alone: bool, unique: bool) -> Sequence[str]:
    """Check an index, and unless it is to be looked at alone, that each row is in it."""
    call, more = means.functions.get(_INDEX), ""
    if unique and not alone and _UNIQUE in means.functions:
        call, more = means.functions[_UNIQUE], ", true"
    if call is None:
        return []
    text = f"SELECT {call}(%s::bigint::oid, %s{more})::text"
    return _asked(session, lambda: session.database.query(text, [number, not alone]))[1]


def _asked(session: Session, ask: Callable[[], _Rows]) -> tuple[_Rows, list[str]]:
    """Return the rows of a statement, and what the server said in place of them; others can be asked afterwards."""
    try:
        with session.savepoint():
            return ask(), []
    except StageError as exc:
        if exc.code not in _OF_ROWS:
            raise
        return [], [str(exc.context.get("what", exc.message))]
