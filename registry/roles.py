"""Roles of a registry in PostgreSQL: a reader, and a pusher that may only add under its prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import UsageError
from registry.lookups import session_of
from registry.model.collections import check_collection_name
from registry.sql.engine import connect, parse_url

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["Roles", "database_user", "make_roles", "push_prefix"]

_NAME = re.compile(r"(?!pg_)[A-Za-z_][A-Za-z0-9_-]{0,62}")
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Roles:
    """Roles that were given their rights.

    Parameters
    ----------
    reader : str or None
        Who may read.
    pusher : str or None
        Who may push.
    prefix : str or None
        What the names of the pusher's collections begin with.
    made : tuple of str
        Those that were not there before.
    """

    reader: str | None
    pusher: str | None
    prefix: str | None
    made: tuple[str, ...]


def make_roles(
    url: str,
    *,
    reader: str | None = None,
    pusher: str | None = None,
    prefix: str | None = None,
    reader_password: str | None = None,
    pusher_password: str | None = None,
) -> Roles:
    """Give two roles the least rights that they need, making them unless they are there.

    Parameters
    ----------
    url : str
        The registry, opened as the user that owns its tables and may make roles.
    reader : str, optional
        Who may read.
    pusher : str, optional
        Who may push.
    prefix : str, optional
        What the names of the pusher's runs and chains begin with; ``u/<pusher>/`` by default.
    reader_password, pusher_password : str, optional
        Passwords of new roles; without one the server has to let them in otherwise.

    Returns
    -------
    Roles
        Who there is now.

    Raises
    ------
    UsageError
        If the registry is not in PostgreSQL, or a name is not usable.
    StorageError
        If this user may make no roles, or a role has rights that cannot be limited. Nothing has changed.
    """
    if parse_url(url).get_backend_name() != "postgresql":
        raise UsageError(
            "only PostgreSQL has roles", code="no-roles",
            hint="An SQLite registry is guarded by the rights on its file and directory.",
        )  # fmt: skip
    place = None if pusher is None else _prefix(prefix or f"u/{pusher}/")
    wanted = {name: None for name in [reader] if name} | {name: place for name in [pusher] if name}
    if not wanted or reader == pusher:
        raise UsageError("name a reader, a pusher, or two different roles", code="bad-role")
    for name in wanted:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"'{name}' is no usable name for a role", code="bad-role",
                hint="Letters, digits, _ and -, at most 63, not beginning with pg_.",
            )  # fmt: skip
    passwords = {reader: reader_password, pusher: pusher_password}
    from registry.sql import roles

    database = connect(parse_url(url), writable=True)
    try:
        database.begin_write(_TIMEOUT_S)
        try:
            made = [name for name in wanted if roles.make_role(database, name, passwords[name])]
            for name, limit in wanted.items():
                roles.remember(database, name, limit)
            roles.apply(database)
            for name in wanted:
                roles.check_rights(database, name)
        except BaseException:
            database.rollback()
            raise
        database.commit(_TIMEOUT_S)
    finally:
        database.close()
    return Roles(reader, pusher, place, tuple(made))


def database_user(snapshot: Snapshot) -> str | None:
    """Return who the database takes this process for.

    Parameters
    ----------
    snapshot : Snapshot
        An open transaction.

    Returns
    -------
    str or None
        A role of PostgreSQL; None for SQLite, which knows nobody.
    """
    database = session_of(snapshot).database
    if database.dialect.name != "postgresql":
        return None
    return str(database.query("SELECT current_user::text", [])[0][0])


def push_prefix(snapshot: Snapshot) -> str | None:
    """Return what the names of collections have to begin with that this process may make.

    Parameters
    ----------
    snapshot : Snapshot
        An open transaction.

    Returns
    -------
    str or None
        None for who is not limited; an empty text for who may make none.
    """
    database = session_of(snapshot).database
    if database.dialect.name != "postgresql":
        return None
    from registry.sql.roles import own_prefix

    return own_prefix(database)


def _prefix(text: str) -> str:
    name = text.rstrip("/")
    check_collection_name(name)
    return f"{name}/"
