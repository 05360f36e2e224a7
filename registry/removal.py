"""Removes a whole registry: for one that was made and could not be filled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from registry.errors import NotFoundError, StorageError
from registry.sql.engine import Database, connect, parse_url, sqlite_path
from registry.sql.failures import translated

__all__ = ["has_schema", "remove_registry"]

_TIMEOUT_S = 60.0


def has_schema(url: str) -> bool:
    """Tell whether the schema of a PostgreSQL URL is there; the place of a file of SQLite always is.

    Parameters
    ----------
    url : str
        Of a registry that may not be there yet.

    Returns
    -------
    bool
        Whether it is.
    """
    if parse_url(url).get_backend_name() == "sqlite":
        return True
    with _opened(url) as database, translated(database.place):
        return bool(database.query("SELECT to_regnamespace(%s) IS NOT NULL", [f'"{_schema(url)}"'])[0][0])


def remove_registry(url: str, *, schema: bool = False) -> None:
    """Remove a registry with all that it holds.

    Parameters
    ----------
    url : str
        Which; nobody has it open.
    schema : bool, optional
        Whether its PostgreSQL schema goes too, if nothing else is in it.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        _drop_tables(url, schema=schema)
        return
    path = sqlite_path(parsed)
    try:
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"{path} cannot be removed: {exc.strerror}", code="cannot-remove") from exc


def _drop_tables(url: str, *, schema: bool) -> None:
    with _opened(url) as database:
        database.begin_write(_TIMEOUT_S)
        try:
            with translated(database.place):
                names = sa.inspect(database.connection).get_table_names(schema=_schema(url))
            quote = database.dialect.identifier_preparer.quote
            ours = [n for n in names if "repository" in names and _is_ours(n)]
            if ours:
                database.run(f"DROP TABLE {', '.join(map(quote, ours))} CASCADE")
            if schema and set(ours) == set(names):
                database.run(f"DROP SCHEMA {quote(_schema(url))}")
        except BaseException:
            database.rollback()
            raise
        database.commit(_TIMEOUT_S)


def _is_ours(name: str) -> bool:
    from registry.sql.fixed_tables import fixed_tables

    made = ("dim_", "overlap_", "tags_", "calibs_", "alembic_version")
    return name.startswith(made) or name in fixed_tables(sa.MetaData())


def _schema(url: str) -> str:
    return str(parse_url(url).query.get("schema", "public"))


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Database]:
    try:
        database = connect(parse_url(url), writable=True)
    except NotFoundError as exc:
        raise StorageError(exc.message, code="cannot-open", hint=exc.hint) from exc
    try:
        yield database
    finally:
        database.close()
