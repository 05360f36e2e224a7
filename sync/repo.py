"""`Repo`: one registry and one datastore, opened and closed together; upstream and staging alike.

A repository is a root with a ``repo.yaml``, which names the database (SQLite beside it by default) and the root of
the datastore. The database records the datastore's root too, so that its URL alone names the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from registry.errors import AlreadyExistsError, NotFoundError, UsageError
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.registry import Registry
from registry.snapshot import query_of
from sync.beside import DATABASE_NAME, create_beside, sqlite_url
from sync.datastore import Datastore
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.filesystem.sharing import sharing
from sync.fsspec_store import FsspecDatastore
from sync.input_store import InputStore
from sync.objects import Objects
from sync.repo_file import REPO_FILE, RepoFile, is_database_url, place_of, refuse_password

if TYPE_CHECKING:
    from registry.queries.query import Query
    from registry.snapshot import Snapshot
    from sync.plan import Conflict, PushPlan
    from sync.pushing.publishing import PushResult
    from sync.transfer import Mode

__all__ = ["Repo"]

_DATASTORE_NAME = "data"
_DATASTORE_ATTRIBUTE = "datastore"


class Repo(Objects):
    """One registry and one datastore.

    Parameters
    ----------
    root : str
        What it is called: its root, or its database's URL without credentials.
    registry : Registry
        The rows.
    datastore : Datastore
        The files.
    """

    is_foreign = False
    """Whether another system's repository is behind it, which is published to through its own interface."""

    def __init__(self, root: str, registry: Registry, datastore: Datastore) -> None:
        super().__init__(registry, datastore)
        self.root = root

    def __repr__(self) -> str:
        return f"Repo({files.redact(self.root)!r})"

    @classmethod
    def create(
        cls,
        root: files.Uri,
        universe: DimensionUniverse | None = None,
        *,
        registry_url: str | None = None,
        datastore_root: files.Uri | None = None,
        shared: str | None = None,
    ) -> Repo:
        """Make a repository and open it to write.

        Parameters
        ----------
        root : str or path
            Its root: a directory at any URI, made if need be; or a database's URL, and then nothing but
            the database names the repository.
        universe : DimensionUniverse, optional
            The default one by default.
        registry_url : str, optional
            The database; an SQLite file in `root` by default.
        datastore_root : str or path, optional
            Where the files go; ``data`` in `root` by default.
        shared : str, optional
            A group that shares it: all that is ever made in it the group may write, whatever the umask of who makes it.
            The empty text is the group of the directory.

        Returns
        -------
        Repo
            Empty.

        Raises
        ------
        AlreadyExistsError
            If there is one, or a database of that name. Nothing has changed.
        UsageError
            If `root` is remote and no database is named.
        StorageError
            If it cannot be written. What had been made is removed.
        """
        where = place_of(root)
        chosen = universe if universe is not None else default_universe()
        if not is_database_url(where) and files.exists(files.join(where, REPO_FILE)):
            raise AlreadyExistsError(
                f"there is a repository at {files.redact(where)} already",
                code="repository-exists",
                hint="Choose another directory, or use that one.",
            )
        with sharing(
            [p for p in (where, datastore_root) if p is not None and not is_database_url(str(p))], shared
        ):
            return cls._create(where, chosen, registry_url, datastore_root)

    @classmethod
    def _create(
        cls, where: str, chosen: DimensionUniverse, registry_url: str | None, datastore_root: files.Uri | None
    ) -> Repo:
        if is_database_url(where):
            if datastore_root is None:
                raise UsageError(
                    "a repository named by its database needs a datastore root",
                    code="no-datastore-root",
                    hint="Say where its files go.",
                )
            store = files.absolute(datastore_root)
            Registry.create(where, chosen, attributes={_DATASTORE_ATTRIBUTE: store}).close()
            return cls.open(where, writable=True)
        store = _DATASTORE_NAME if datastore_root is None else files.absolute(datastore_root)
        refuse_password(registry_url or "", "database URL")
        if registry_url is None:
            create_beside(where, chosen, {_DATASTORE_ATTRIBUTE: store})
        else:
            attributes = {_DATASTORE_ATTRIBUTE: files.join(where, store)}
            Registry.create(registry_url, chosen, attributes=attributes).close()
        RepoFile(registry_url or DATABASE_NAME, store).save(where)
        return cls.open(where, writable=True)

    @classmethod
    def open(cls, root: files.Uri, *, writable: bool = False) -> Repo:
        """Open a repository.

        Parameters
        ----------
        root : str or path
            Its root, its ``repo.yaml``, or its database's URL.
        writable : bool, optional
            Whether it may be changed; otherwise not one byte of it is.

        Returns
        -------
        Repo
            To be closed, or used in a ``with`` statement.

        Raises
        ------
        NotFoundError
            If there is no repository.
        IntegrityError
            If its ``repo.yaml`` is malformed.
        SchemaVersionError
            If it was written by a version that this code does not read.
        StorageError
            If it cannot be reached.
        """
        where = place_of(root)
        if is_database_url(where):
            registry = Registry.open(where, writable=writable)
            return cls(registry.url, registry, FsspecDatastore(_recorded_datastore(registry, where)))
        content = RepoFile.load(where)
        url = content.registry
        if not is_database_url(url):
            url = sqlite_url(files.join(where, url))
        registry = Registry.open(url, writable=writable)
        return cls(where, registry, FsspecDatastore(files.join(where, content.datastore)))

    @classmethod
    def attach(cls, registry_url: str, datastore_root: files.Uri, *, writable: bool = False) -> Repo:
        """Open a registry and a datastore that no ``repo.yaml`` holds together, as a campaign's staging.

        Parameters
        ----------
        registry_url : str
            The database.
        datastore_root : str or path
            Where its files are.
        writable : bool, optional
            Whether it may be changed.

        Returns
        -------
        Repo
            To be closed, or used in a ``with`` statement.
        """
        registry = Registry.open(registry_url, writable=writable)
        return cls(files.redact(registry_url), registry, InputStore(datastore_root))

    def look_at(self, searches: Iterable[tuple[str, str]], storage_classes: Mapping[str, str] = {}) -> None:
        """Say what will be asked: nothing has to be done, since all is at hand. See `sync.upstream.Upstream`.

        Parameters
        ----------
        searches : iterable of (str, str)
            Dataset types, and the collections in which they will be looked for.
        storage_classes : mapping of str to str, optional
            The storage classes that ours have for dataset types.
        """

    def show_runs(self, staging: Snapshot, runs: Sequence[str], chain: str | None) -> None:
        """Say what a push will be compared with: nothing has to be done, since all is at hand.

        Parameters
        ----------
        staging : Snapshot
            Of the staging registry.
        runs : sequence of str
            RUN collections of staging.
        chain : str or None
            The chain to put them in front of.
        """

    def file_conflicts(self, plan: PushPlan, source: str) -> list[Conflict]:
        """Find what is in the way of the files of a push.

        Parameters
        ----------
        plan : PushPlan
            What would be published.
        source : str
            Root of the datastore that the files are in.

        Returns
        -------
        list of Conflict
            ``artifact-differs``: other bytes under the name of one.
        """
        from sync.pushing.moving import differing_files

        return differing_files(plan, source, self.datastore.root)

    def publish(
        self,
        plan: PushPlan,
        push_id: bytes,
        staging: Repo,
        *,
        mode: Mode = "auto",
        at: At = no_fault,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> PushResult:
        """Publish a plan: all of it, or nothing. See `sync.upstream.Upstream`.

        Parameters
        ----------
        plan : PushPlan
            With something to do, and without conflicts.
        push_id : bytes
            Its id.
        staging : Repo
            Open for writing.
        mode : {"auto", "link", "copy"}
            How artifacts get here.
        at : callable
            Called between durable steps.
        on_progress : callable, optional
            Called with the numbers of artifacts done and in all.

        Returns
        -------
        PushResult
            What was done.
        """
        from sync.pushing.publishing import publish

        return publish(plan, push_id, staging, self, mode=mode, at=at, on_progress=on_progress)

    def query(self) -> Query:
        """Begin a question that is put together step by step.

        Returns
        -------
        Query
            Without constraints. Its results can be read as long as the repository is open, each in a transaction of
            its own; within a block of ``registry.read`` use `Snapshot.query`.
        """
        from sync.tables.data_ids import read_data_id_table

        return query_of(self.registry, partial(read_data_id_table, universe=self.registry.universe))

    def close(self) -> None:
        """Close the registry."""
        self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _recorded_datastore(registry: Registry, url: str) -> str:
    """Return the datastore's root as the database records it."""
    recorded = registry.attribute(_DATASTORE_ATTRIBUTE)
    if recorded is None:
        registry.close()
        raise NotFoundError(
            f"the database {files.redact(url)} does not say where its files are",
            code="not-a-repository",
            hint="Name the repository by its root.",
        )
    if files.is_absolute(recorded):
        return recorded
    return files.join(Path("/" + url.partition("://")[2].lstrip("/")).parent, recorded)
