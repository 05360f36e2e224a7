"""Objects into a repository and out of it, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, StageError, UsageError
from registry.model.collections import check_collection_name
from registry.model.columns import Columns
from registry.model.data_id import DataId
from registry.model.dataset_type import DatasetType
from registry.model.records import Artifact
from registry.model.refs import DatasetRef, id_text, new_id, parse_id
from registry.registry import Registry
from sync.datastore import Datastore
from sync.paths import artifact_stem

if TYPE_CHECKING:
    from registry.registry import Snapshot

__all__ = ["Objects"]


class Objects:
    """The half of a repository that stores objects and reads them.

    Parameters
    ----------
    registry : Registry
        The rows.
    datastore : Datastore
        The files.
    """

    def __init__(self, registry: Registry, datastore: Datastore) -> None:
        self.registry = registry
        self.datastore = datastore

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
