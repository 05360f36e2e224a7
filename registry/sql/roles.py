"""Roles of PostgreSQL with the least rights: one that reads, one that may only add, and only under its prefix.

What a pusher may do is said by grants, and for tables whose rows belong to somebody by row-level security:

- It may add collections (RUN and CHAINED) under its prefix, and datasets, artifact records and quanta of its own RUNs.
- It may add dimension records, which belong to nobody, and change none.
- It may reorder chains under its prefix: the only rows that it may delete are those that say what such a chain searches.
- It may write the ledger in its own name, and tell again what a campaign is that only it has pushed.
- It may make no table but temporary ones, which is how many rows travel: COPY does not work under row-level security.

Who owns the tables is not bound by any of this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.errors import StorageError, UsageError
from registry.model.collections import CollectionType
from registry.sql.engine import Database
from registry.sql.failures import translated

__all__ = ["apply", "check_rights", "extend", "make_role", "own_prefix", "remember"]

_KEY = "roles"
_OWNED = ("collection", "collection_chain", "dataset", "artifact", "quantum", "quantum_input", "quantum_output",
          "push_ledger", "campaign")  # fmt: skip
_ADDED = ("dim_", "overlap_", "tags_")
"""Tables to which a pusher adds; those of validity ranges, types and facts are the keeper's."""

_RUNS = "(SELECT c.id FROM collection c WHERE c.type = {run} AND starts_with(c.name, {prefix}))"
_CHAINS = "(SELECT c.id FROM collection c WHERE c.type = {chain} AND starts_with(c.name, {prefix}))"
_OWN_QUANTUM = "EXISTS (SELECT 1 FROM quantum q WHERE q.id = {table}.quantum_id AND q.run_id IN {runs})"
_OWN_CAMPAIGN = "id IN (SELECT l.campaign_id FROM push_ledger l WHERE l.who = current_user::text)"
_CHECKS = {
    "collection": "type IN ({run}, {chain}) AND starts_with(name, {prefix})",
    "collection_chain": "parent_id IN {chains}",
    "dataset": "run_id IN {runs}",
    "artifact": "EXISTS (SELECT 1 FROM dataset d WHERE d.id = artifact.id AND d.run_id IN {runs})",
    "quantum": "run_id IN {runs} AND NOT EXISTS "
    "(SELECT 1 FROM quantum q WHERE q.id = quantum.id AND q.run_id <> quantum.run_id)",
    "quantum_input": _OWN_QUANTUM,
    "quantum_output": _OWN_QUANTUM,
    "push_ledger": "who = current_user::text AND NOT EXISTS "
    "(SELECT 1 FROM jsonb_array_elements_text(runs::jsonb) r WHERE NOT starts_with(r, {prefix})) AND NOT EXISTS "
    "(SELECT 1 FROM push_ledger o WHERE o.campaign_id = push_ledger.campaign_id AND o.who <> current_user::text)",
    "campaign": _OWN_CAMPAIGN,
}  # fmt: skip
_TAGS_CHECK = (
    "collection_id IN {runs} AND EXISTS (SELECT 1 FROM dataset d WHERE d.id = {table}.dataset_id "
    "AND d.run_id = {table}.collection_id AND d.dataset_type_id = {table}.dataset_type_id)"
)
_CAMPAIGN_COLUMNS = "name, doc, document, at_ns"


def make_role(database: Database, name: str, password: str | None) -> bool:
    """Make a role that may log in, unless it is there.

    Parameters
    ----------
    database : Database
        In a write transaction.
    name : str
        Its name.
    password : str or None
        Its password, which leaves this process only encrypted; None where the server lets it in otherwise.

    Returns
    -------
    bool
        Whether it is new.

    Raises
    ------
    UsageError
        If it is there and a password was given.
    StorageError
        If this user may make no roles.
    """
    if database.query("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]):
        if password is not None:
            raise UsageError(
                f"role '{name}' is there already, and keeps its password", code="role-exists",
                hint="Leave the password out, or name another role.",
            )  # fmt: skip
        return False
    text = f"CREATE ROLE {_ident(database, name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    if password is not None:
        text += f" PASSWORD {_literal(database, _encrypted(database, name, password))}"
    database.run(text)
    return True


def remember(database: Database, role: str, prefix: str | None) -> None:
    """Note in the registry what a role is, so that tables made later are opened to it too.

    Parameters
    ----------
    database : Database
        In a write transaction.
    role : str
        Its name.
    prefix : str or None
        Where it may push; None for one that only reads.
    """
    known = _known(database)
    known[role] = prefix
    text = json.dumps(known, sort_keys=True)
    database.query(
        "INSERT INTO repository (key, value) VALUES (%s, %s) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING key",
        [_KEY, text],
    )


def apply(database: Database) -> None:
    """Give every role that was noted its rights on all tables, and no others.

    Parameters
    ----------
    database : Database
        In a write transaction, of who owns the tables.
    """
    known = _known(database)
    if not known:
        return
    schema = database.query("SELECT quote_ident(current_schema())", [])[0][0]
    name = database.query("SELECT quote_ident(current_database())", [])[0][0]
    database.run(f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC")
    for role, prefix in known.items():
        who = _ident(database, role)
        database.run_all(
            [
                f"GRANT CONNECT{', TEMPORARY' if prefix else ''} ON DATABASE {name} TO {who}",
                f"REVOKE ALL ON SCHEMA {schema} FROM {who}",
                f"GRANT USAGE ON SCHEMA {schema} TO {who}",
                f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {who}",
                f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {who}",
            ]
        )
        if prefix:
            database.run(f"GRANT USAGE ON SEQUENCE collection_id_seq TO {who}")
    rows = database.query(
        "SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'r' "
        "AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) ORDER BY 1",
        [],
    )
    _open_tables(database, [table for (table,) in rows], known)


def extend(database: Database, tables: Iterable[str]) -> None:
    """Open tables that were made just now to the roles that were noted.

    Parameters
    ----------
    database : Database
        In a write transaction.
    tables : iterable of str
        Their names.
    """
    if database.query("SELECT to_regclass('repository') IS NOT NULL", [])[0][0]:
        _open_tables(database, list(tables), _known(database))


def own_prefix(database: Database) -> str | None:
    """Return the prefix under which this user may push.

    Parameters
    ----------
    database : Database
        In a transaction.

    Returns
    -------
    str or None
        None for who is not bound to one; an empty prefix means that it may push nothing.
    """
    (user,) = database.query("SELECT current_user::text", [])[0]
    known = _known(database)
    return (known[user] or "") if user in known else None


def check_rights(database: Database, role: str) -> None:
    """Refuse a role to which the limits set here mean nothing.

    Parameters
    ----------
    database : Database
        In a transaction.
    role : str
        Its name.

    Raises
    ------
    StorageError
        If it is a superuser, is not bound by row-level security, owns the tables, or may make tables.
    """
    found = database.query(
        "SELECT r.rolsuper, r.rolbypassrls, pg_has_role(r.oid, c.relowner, 'MEMBER'), "
        "has_schema_privilege(r.oid, current_schema(), 'CREATE') "
        "FROM pg_roles r, pg_class c WHERE r.rolname = %s AND c.oid = 'repository'::regclass",
        [role],
    )[0]
    reasons = ("is a superuser", "is not bound by row-level security", "owns the tables", "may make tables")
    for reason, is_so in zip(reasons, found, strict=True):
        if is_so:
            raise StorageError(
                f"role '{role}' {reason} in {database.place}: nothing can be kept from it", code="role-too-mighty",
                hint="Name another role, or take that right from it.",
            )  # fmt: skip


def _open_tables(database: Database, tables: Sequence[str], known: Mapping[str, str | None]) -> None:
    if not known or not tables:
        return
    texts = []
    for table in tables:
        owned = table in _OWNED or table.startswith("tags_")
        if owned and any(known.values()):
            texts += [
                f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
                f'DROP POLICY IF EXISTS stage_read ON "{table}"',
                f'CREATE POLICY stage_read ON "{table}" FOR SELECT USING (true)',
            ]
        for role, prefix in known.items():
            texts += _rights(database, table, role, prefix)
    database.run_all(texts)


def _rights(database: Database, table: str, role: str, prefix: str | None) -> list[str]:
    """Return the statements that give one role its rights on one table."""
    who = _ident(database, role)
    texts = [f'GRANT SELECT ON "{table}" TO {who}']
    if not prefix or not (table in _OWNED or table.startswith(_ADDED)):
        return texts
    texts.append(f'GRANT INSERT ON "{table}" TO {who}')
    check = _check(database, table, prefix)
    if check:
        texts += _policy(database, table, role, "INSERT", f"WITH CHECK ({check})")
    if table == "collection_chain":
        texts.append(f'GRANT DELETE ON "{table}" TO {who}')
        texts += _policy(database, table, role, "DELETE", f"USING ({check})")
    if table == "campaign":
        texts.append(f"GRANT UPDATE ({_CAMPAIGN_COLUMNS}) ON {table} TO {who}")
        texts += _policy(database, table, role, "UPDATE", f"USING ({check}) WITH CHECK ({check})")
    return texts


def _check(database: Database, table: str, prefix: str) -> str:
    names = {
        "prefix": _literal(database, prefix),
        "run": int(CollectionType.RUN),
        "chain": int(CollectionType.CHAINED),
    }
    lists = {"runs": _RUNS.format(**names), "chains": _CHAINS.format(**names)}
    text = _TAGS_CHECK if table.startswith("tags_") else _CHECKS.get(table, "")
    return text.format(table=f'"{table}"', **names, **lists)


def _policy(database: Database, table: str, role: str, verb: str, rule: str) -> list[str]:
    name = _ident(database, f"{role[:50]} {verb.lower()}")
    return [
        f'DROP POLICY IF EXISTS {name} ON "{table}"',
        f'CREATE POLICY {name} ON "{table}" FOR {verb} TO {_ident(database, role)} {rule}',
    ]


def _known(database: Database) -> dict[str, str | None]:
    rows = database.query("SELECT value FROM repository WHERE key = %s", [_KEY])
    found: Any = json.loads(rows[0][0]) if rows else {}
    return dict(found)


def _ident(database: Database, name: str) -> str:
    return str(database.query("SELECT quote_ident(%s)", [name])[0][0])


def _literal(database: Database, text: str) -> str:
    return str(database.query("SELECT quote_literal(%s)", [text])[0][0])


def _encrypted(database: Database, role: str, password: str) -> str:
    """Return a password as the server keeps it: neither its log nor who watches statements sees it."""
    with translated(database.place):
        made: bytes = database.driver.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        )
        return made.decode()
