"""`Registry`: one database of rows, the face that the upper layers see."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from registry.change import Change
from registry.errors import AlreadyExistsError, StorageError
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_id
from registry.snapshot import Snapshot
from registry.sql.engine import Database, connect, parse_url, sqlite_path
from registry.sql.transaction import Transactions
from registry.sql.version import check_version, create_tables, read_attributes, schema_of

__all__ = ["Change", "Registry", "Snapshot"]

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


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
    ) -> Registry:
        """Make an empty registry and open it for writing.

        Parameters
        ----------
        url : str
            ``sqlite:///path``.
        universe : DimensionUniverse
            Its dimensions.
        wal : bool
            Whether readers and the writer go on beside each other through a write-ahead log: for a staging registry
            on a local disk. An upstream one keeps a rollback journal, so that a read-only mount can be read.
        attributes : mapping of str to str, optional
            Facts to keep, for `attribute`.

        Returns
        -------
        Registry
            Open for writing.

        Raises
        ------
        AlreadyExistsError
            If there is a file already.
        StorageError
            If the file cannot be made. Nothing is left at `url`.
        """
        path = sqlite_path(parse_url(url))
        if path.exists():
            raise AlreadyExistsError(
                f"there is a file at {path} already", code="registry-exists", hint="Choose another path."
            )
        aside = path.with_name(f".{path.name}.new-{new_id().hex()}")
        try:
            _build(aside, universe, attributes or {}, wal=wal)
            _publish(aside, path)
        except OSError as exc:
            raise StorageError(f"{path} cannot be made: {exc.strerror}", code="cannot-create") from exc
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                aside.with_name(aside.name + suffix).unlink(missing_ok=True)
        return cls.open(url, writable=True)

    @classmethod
    def open(cls, url: str, *, writable: bool = False) -> Registry:
        """Open a registry.

        Parameters
        ----------
        url : str
            ``sqlite:///path``.
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
            If there is no such file.
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
            ``sqlite:///path``.

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

        return upgrade(url)

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return f"sqlite:///{self._database.place}"

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


def _build(path: Path, universe: DimensionUniverse, attributes: Mapping[str, str], *, wal: bool) -> None:
    database = connect(parse_url(f"sqlite:///{path}"), writable=True, create=True)
    try:
        database.begin_write(0.0)
        create_tables(database, universe, new_id(), attributes)
        database.commit(0.0)
        if wal:  # only now: what was still in the log at the end would not get the file's new name
            database.use_log()
    finally:
        database.close()


def _publish(aside: Path, path: Path) -> None:
    """Give a finished file its name, durably, unless somebody else took it."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise AlreadyExistsError(f"there is a file at {path} already", code="registry-exists") from None
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        # A file system without hard links: a rename is as atomic, but would not notice a rival just now.
        aside.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
