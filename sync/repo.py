"""`Repo`: one registry and one datastore, opened and closed together; upstream and staging alike.

A repository is a root with a ``repo.yaml``, which names the database (SQLite beside it by default) and the root of
the datastore. The database records the datastore's root too, so that its URL alone names the repository.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from registry.errors import AlreadyExistsError, NotFoundError, StageError, UsageError
from registry.model.collections import check_collection_name
from registry.model.columns import Columns
from registry.model.data_id import DataId
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.records import Artifact
from registry.model.refs import DatasetRef, id_text, new_id, parse_id
from registry.registry import Registry
from sync import files
from sync.beside import DATABASE_NAME, create_beside, sqlite_url
from sync.datastore import Datastore
from sync.fsspec_store import FsspecDatastore
from sync.paths import artifact_stem
from sync.repo_file import REPO_FILE, RepoFile, is_database_url, place_of

if TYPE_CHECKING:
    from registry.registry import Snapshot

__all__ = ["Repo"]

_DATASTORE_NAME = "data"
_DATASTORE_ATTRIBUTE = "datastore"


class Repo:
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

    def __init__(self, root: str, registry: Registry, datastore: Datastore) -> None:
        self.root = root
        self.registry = registry
        self.datastore = datastore

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
        if files.exists(files.join(where, REPO_FILE)):
            raise AlreadyExistsError(
                f"there is a repository at {files.redact(where)} already",
                code="repository-exists",
                hint="Choose another directory, or use that one.",
            )
        store = _DATASTORE_NAME if datastore_root is None else files.absolute(datastore_root)
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
            return cls(files.redact(where), registry, FsspecDatastore(_recorded_datastore(registry, where)))
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
        return cls(files.redact(registry_url), registry, FsspecDatastore(datastore_root))

    def close(self) -> None:
        """Close the registry."""
        self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(
        self, obj: object, dataset_type: str, data_id: Mapping[str, Any], run: str, *, durable: bool = True
    ) -> DatasetRef:
        """Store one object as a dataset.

        Parameters
        ----------
        obj : object
            What the dataset type's storage class takes.
        dataset_type : str
            Its kind, which is registered.
        data_id : mapping
            Which one.
        run : str
            The RUN collection, made if need be.
        durable : bool, optional
            Whether the file must survive a power cut before its row is written.

        Returns
        -------
        DatasetRef
            The new dataset.

        Raises
        ------
        NotFoundError
            If there is no such dataset type.
        DataIdError
            If the data ID is wrong, or a dimension record of it is missing.
        ConflictError
            If the run has that dataset already. In all these cases nothing has changed.
        """
        check_collection_name(run)
        with self.registry.read() as snapshot:
            kind = snapshot.dataset_type(dataset_type)
        ref = DatasetRef(new_id(), kind, DataId.standardize(kind.dimensions, data_id), run)
        artifact = self.datastore.put(obj, kind.storage_class, _stem(ref), durable=durable)
        # Bytes first, rows second: a crash between them leaves a file that nothing names.
        try:
            with self.registry.write() as change:
                change.register_run(run)
                change.insert_datasets(kind.name, run, _one_row(ref, artifact))
        except BaseException:
            with contextlib.suppress(StageError):
                if not self.holds(ref.id):
                    self.datastore.remove(artifact.uri)
            raise
        return ref

    def holds(self, dataset_id: bytes) -> bool:
        """Tell whether the registry has a row of a dataset.

        An interruption can come when a transaction has just been committed: before files are taken back, the
        registry has to say that no row names them.

        Parameters
        ----------
        dataset_id : bytes
            16 bytes.

        Returns
        -------
        bool
            Whether it has.

        Raises
        ------
        StorageError
            If it cannot be asked.
        """
        with self.registry.read() as snapshot:
            return bool(snapshot.existing_ids([dataset_id]))

    def get(
        self,
        dataset: DatasetRef | bytes | str,
        data_id: Mapping[str, Any] | None = None,
        collections: Sequence[str] = (),
        *,
        storage_class: str | None = None,
        verify: bool = False,
    ) -> object:
        """Read one dataset.

        Parameters
        ----------
        dataset : DatasetRef, bytes or str
            A reference, an id (its bytes or, without `data_id`, its text), or the name of a dataset type.
        data_id : mapping, optional
            With a dataset type: which one.
        collections : sequence of str, optional
            With a dataset type: where to search, in order.
        storage_class : str, optional
            What it has to be in memory, if not what its dataset type says.
        verify : bool, optional
            Whether to compare the file with its record.

        Returns
        -------
        object
            What was put.

        Raises
        ------
        NotFoundError
            If there is no such dataset, or its file is gone.
        IntegrityError
            If its file is not what was written.
        """
        ref, artifact = self._resolve(dataset, data_id, collections)
        return self.datastore.get(artifact, storage_class or ref.dataset_type.storage_class, verify=verify)

    def locate(
        self,
        dataset: DatasetRef | bytes | str,
        data_id: Mapping[str, Any] | None = None,
        collections: Sequence[str] = (),
    ) -> str:
        """Return where a dataset's file is.

        Parameters
        ----------
        dataset : DatasetRef, bytes or str
            As for `get`.
        data_id : mapping, optional
            As for `get`.
        collections : sequence of str, optional
            As for `get`.

        Returns
        -------
        str
            An absolute path or URI.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        return self.datastore.locate(self._resolve(dataset, data_id, collections)[1].uri)

    def _resolve(
        self, dataset: DatasetRef | bytes | str, data_id: Mapping[str, Any] | None, collections: Sequence[str]
    ) -> tuple[DatasetRef, Artifact]:
        with self.registry.read() as snapshot:
            ref = (
                dataset if isinstance(dataset, DatasetRef) else _find(snapshot, dataset, data_id, collections)
            )
            artifact = snapshot.artifact(ref.id)
        if artifact is None:
            raise NotFoundError(
                f"dataset {ref} has no file", code="no-artifact", context={"id": id_text(ref.id)}
            )
        return ref, artifact


def _find(
    snapshot: Snapshot, dataset: bytes | str, data_id: Mapping[str, Any] | None, collections: Sequence[str]
) -> DatasetRef:
    if isinstance(dataset, bytes):
        return snapshot.dataset(dataset)
    if data_id is None:
        try:
            return snapshot.dataset(parse_id(dataset))
        except ValueError as exc:
            raise UsageError(
                f"'{dataset}' is not the id of a dataset",
                code="bad-id",
                hint="Give an id, or a dataset type with a data ID and collections.",
            ) from exc
    found = snapshot.find(dataset, data_id, collections)
    if found is None:
        raise NotFoundError(
            f"no dataset '{dataset}' with {dict(data_id)} in {', '.join(collections) or 'no collection'}",
            code="no-dataset",
            hint="Ask what there is: stage query datasets.",
        )
    return found


def _stem(ref: DatasetRef) -> str:
    kind: DatasetType = ref.dataset_type
    return artifact_stem(ref.run, kind.name, kind.dimensions.required, ref.data_id.values_tuple, ref.id)


def _one_row(ref: DatasetRef, artifact: Artifact) -> Columns:
    names = (*ref.dataset_type.dimensions.required, "id", *Artifact._fields)
    return Columns.from_rows(names, [(*ref.data_id.values_tuple, ref.id, *artifact)])


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
