"""`Registry`: one database of rows, the face that the upper layers see."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from registry.change import Change
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_id
from registry.snapshot import Snapshot
from registry.sql.creation import create
from registry.sql.engine import Database, connect, parse_url
from registry.sql.transaction import Transactions
from registry.sql.version import check_version, create_tables, read_attributes, schema_of

__all__ = ["Change", "Registry", "Snapshot"]


class Registry:
    """One open database.

    It holds one connection, belongs to the thread that opened it, and has at most one transaction at a time.
    Get one from `create` or `open`.

    Parameters
    ----------
    database : Database
        An open database.
    facts : mapping of str to str
        What the repository tells about itself.
    """

    def __init__(self, database: Database, facts: Mapping[str, str]) -> None:
        self._database = database
        self._facts = dict(facts)
        schema = schema_of(facts, database.place)
        self.universe: DimensionUniverse = schema.universe
        self.repo_id: bytes = bytes.fromhex(facts["repo_id"])
        self.writable: bool = database.writable
        self.dialect: str = database.dialect.name
        self._transactions = Transactions(database, schema)

    @classmethod
    def create(
        cls,
        url: str,
        universe: DimensionUniverse,
        *,
        wal: bool = False,
        attributes: Mapping[str, str] | None = None,
        repo_id: bytes | None = None,
    ) -> Registry:
        """Make an empty registry and open it for writing.

        Parameters
        ----------
        url : str
            ``sqlite:///path`` or ``postgresql://user@host/database?schema=name``.
        universe : DimensionUniverse
            Its dimensions.
        wal : bool
            Whether readers and the writer go on beside each other through a write-ahead log: for a staging registry
            on a local disk. An upstream one keeps a rollback journal, so that a read-only mount can be read. In
            PostgreSQL they always do.
        attributes : mapping of str to str, optional
            Facts to keep, for `attribute`.
        repo_id : bytes, optional
            The identity of what it mirrors, 16 bytes; a new one by default.

        Returns
        -------
        Registry
            Open for writing.

        Raises
        ------
        AlreadyExistsError
            If there is a file, or a registry in the schema, already.
        StorageError
            If it cannot be made. Nothing is left at `url`.
        """
        facts = attributes or {}
        identity = new_id() if repo_id is None else repo_id
        create(parse_url(url), lambda made: create_tables(made, universe, identity, facts), wal=wal)
        return cls.open(url, writable=True)

    @classmethod
    def open(cls, url: str, *, writable: bool = False) -> Registry:
        """Open a registry.

        Parameters
        ----------
        url : str
            ``sqlite:///path`` or ``postgresql://user@host/database?schema=name``.
        writable : bool
            Whether it may be changed. Otherwise not one byte of the file, or beside it, is touched; except that a
            registry with a write-ahead log needs its side files even to be read.

        Returns
        -------
        Registry
            Open.

        Raises
        ------
        NotFoundError
            If there is no such file, or no registry in the schema.
        IntegrityError
            If it is no registry, or damaged.
        SchemaVersionError
            If another version of this software made it.
        BusyError
            If a writer died in the middle of a change and this opening may not repair it.
        StorageError
            If it cannot be opened.
        """
        database = connect(parse_url(url), writable=writable)
        try:
            facts = read_attributes(database)
            check_version(facts, database.place)
            return cls(database, facts)
        except BaseException:
            database.close()
            raise

    @classmethod
    def upgrade(cls, url: str) -> str:
        """Bring a registry of an older version to this one's, in one transaction.

        Parameters
        ----------
        url : str
            ``sqlite:///path`` or ``postgresql://user@host/database?schema=name``.

        Returns
        -------
        str
            The version it had.

        Raises
        ------
        SchemaVersionError
            If it is newer than this software.
        StorageError
            If it cannot be written. It stays as it was.
        """
        from registry.migrations.run import upgrade

        return upgrade(url).found

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return self._database.url

    def __str__(self) -> str:
        return self._database.place

    def __repr__(self) -> str:
        return f"Registry({self.url!r}, writable={self.writable})"

    def attribute(self, key: str) -> str | None:
        """Return a fact that was given when the registry was made.

        Parameters
        ----------
        key : str
            Its name.

        Returns
        -------
        str or None
            None if there is none.
        """
        return self._facts.get(key)

    @contextlib.contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Read one consistent state.

        Yields
        ------
        Snapshot
            Usable within the block.

        Raises
        ------
        UsageError
            If a transaction is open already, or the registry was opened in another thread.
        BusyError
            If a writer holds the database for too long, or died in the middle of a change.
        """
        with self._transactions.read() as session:
            yield Snapshot(session)

    @contextlib.contextmanager
    def write(self, timeout_s: float = 60.0) -> Iterator[Change]:
        """Change the registry: everything within the block, or on any exception nothing.

        Parameters
        ----------
        timeout_s : float
            Longest wait for other processes, in seconds.

        Yields
        ------
        Change
            Usable within the block.

        Raises
        ------
        UsageError
            If it is open for reading only, or a transaction is open already.
        BusyError
            If others held it for longer; nothing was written.
        """
        with self._transactions.write(timeout_s) as session:
            yield Change(session)

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
