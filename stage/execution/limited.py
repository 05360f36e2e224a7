"""`LimitedRepo`: what a running task may touch: the datasets of its quantum, nothing more."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from registry.errors import NotFoundError
from registry.model.digest import digest_bytes
from registry.model.records import Artifact
from stage.errors import ExecutionError
from stage.execution.discovered import completed_records
from stage.execution.outcome import StoredArtifact
from stage.tasks.workspace import Workspace
from sync.filesystem import files
from sync.storage import directory_formatter, formatter

if TYPE_CHECKING:
    from stage.graph.quantum import PlannedDataset, Quantum
    from sync.datastore import Datastore

__all__ = ["LimitedRepo", "artifact_of", "stem_of"]


def stem_of(planned: PlannedDataset) -> str:
    """Return where a planned output goes, without the ending that its formatter adds.

    Parameters
    ----------
    planned : PlannedDataset
        An output of a graph that has a RUN.

    Returns
    -------
    str
        Relative to the datastore's root.

    Raises
    ------
    ExecutionError
        If the graph has no RUN yet.
    """
    if planned.uri is None:
        raise ExecutionError(
            f"{planned.dataset_type} has no place: the graph has not been given a RUN",
            code="graph-without-run",
            hint="Give the graph a RUN first (QuantumGraph.retarget).",
        )
    return planned.uri.removesuffix(formatter(planned.formatter).extension)


class LimitedRepo:
    """The repository that a task sees while it runs one quantum.

    It keeps account: `read` names what was really read, `written` what was completely written. Closing it
    (it is a context manager) removes its scratch directory.

    Parameters
    ----------
    quantum : Quantum
        Whose inputs may be read and whose outputs may be written.
    store : Datastore
        The campaign's; inputs elsewhere have absolute URIs.

    Attributes
    ----------
    workspace : Workspace
        Where scripts work.
    """

    def __init__(self, quantum: Quantum, store: Datastore) -> None:
        self._quantum = quantum
        self._store = store
        self._inputs = {d.ordinal: d for refs in quantum.inputs.values() for d in refs}
        self._outputs = {d.ordinal: d for refs in quantum.outputs.values() for d in refs}
        self._records = {
            d.ordinal: c.name
            for c in quantum.node.connections
            if c.records
            for d in quantum.outputs.get(c.name, ())
        }
        self._scratch = ""
        self._held = contextlib.ExitStack()
        self.workspace = Workspace()
        self._standing: dict[int, StoredArtifact] = {}
        self.read: dict[int, None] = {}
        self.written: dict[int, StoredArtifact] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def get(self, ref: PlannedDataset) -> Any:
        """Read an input.

        Parameters
        ----------
        ref : PlannedDataset
            One of the quantum's inputs; its storage class is the one that the connection declares.

        Returns
        -------
        object
            In memory, as that storage class says.

        Raises
        ------
        ExecutionError
            If it is no input of this quantum.
        NotFoundError
            If its file is gone.
        """
        found = self._input(ref)
        obj = self._store.get(artifact_of(found), ref.storage_class)
        self.read[found.ordinal] = None
        return obj

    def protect(self, standing: Iterable[StoredArtifact]) -> None:
        """Let outputs stand that an earlier attempt has made: only the same bytes may be put there.

        Parameters
        ----------
        standing : iterable of StoredArtifact
            Those that are there as they were recorded.
        """
        self._standing = {a.dataset: a for a in standing}

    def put(self, obj: Any, ref: PlannedDataset) -> None:
        """Write an output: whole, under the name that the graph planned, or not at all.

        Parameters
        ----------
        obj : object
            What its storage class takes.
        ref : PlannedDataset
            One of the quantum's outputs.

        Raises
        ------
        ExecutionError
            If it is no output of this quantum, or is there with other bytes.
        StorageError
            If it cannot be written.
        """
        planned = self._output(ref)
        if planned.ordinal in self._records:
            obj = completed_records(self._quantum, self._records[planned.ordinal], obj)
        if planned.ordinal in self._standing:
            data = formatter(planned.formatter).encode(obj)
            self._keep(planned, len(data), digest_bytes(data))
            return
        self.note(planned, self._store.put(obj, planned.storage_class, stem_of(planned)))

    def put_file(self, path: str | Path, ref: PlannedDataset) -> None:
        """Take a file as an output, by moving it.

        Parameters
        ----------
        path : str or path
            A local file in the form of the dataset's formatter; of a file set, its directory, which stays.
        ref : PlannedDataset
            One of the quantum's outputs.

        Raises
        ------
        ExecutionError
            If it is no output of this quantum.
        NotFoundError
            If there is no such file.
        StorageError
            If it cannot be moved.
        """
        planned = self._output(ref)
        packer = directory_formatter(planned.storage_class)
        if packer is not None and Path(path).is_dir():
            directory, path = path, self._packed_path(planned)
            packer.pack(directory, path)
        if planned.ordinal in self._records:
            self.put(formatter(planned.formatter).decode(files.read_bytes(path)), ref)
            return
        if planned.ordinal in self._standing:
            self._keep(planned, *files.checksum(path))
            return
        stored = self._store.put_file(str(path), stem_of(planned), planned.formatter, "move")
        self.note(planned, stored)

    def local_path(self, ref: PlannedDataset) -> str:
        """Return a local file with an input's bytes, or a place where the file of an output may be made.

        A file set is a directory: of an input, with its files; of an output, an empty one.

        Parameters
        ----------
        ref : PlannedDataset
            One of the quantum's inputs or outputs. An output is made one by `put_file`.

        Returns
        -------
        str
            A path. An input is never to be changed there; an output's place is in the scratch directory.
        """
        if ref.ordinal in self._outputs:
            planned = self._output(ref)
            if directory_formatter(planned.storage_class) is None:
                return str(self._packed_path(planned))
            directory = self.scratch / f"out-{planned.ordinal}"
            directory.mkdir(exist_ok=True)
            return str(directory)
        found = self._input(ref)
        uri = self._held.enter_context(self._store.reading(artifact_of(found)))
        self.read[found.ordinal] = None
        local = files.local_path(uri)
        if local is None:
            local = self.scratch / uri.rpartition("/")[2]
            files.copy(uri, str(local))
        elif not local.exists():
            raise NotFoundError(
                f"{found.dataset_type} is gone: there is no file {local}", code="artifact-gone"
            )
        packer = directory_formatter(found.storage_class)
        if packer is not None:
            directory = self.scratch / f"in-{found.ordinal}"
            packer.unpack(local, directory)
            return str(directory)
        return str(local)

    def _packed_path(self, planned: PlannedDataset) -> Path:
        """Return the scratch file of an output, with its planned name."""
        return self.scratch / (stem_of(planned).rpartition("/")[2] + formatter(planned.formatter).extension)

    def exists(self, ref: PlannedDataset) -> bool:
        """Tell whether the file of an input or an output is there.

        Parameters
        ----------
        ref : PlannedDataset
            One of the quantum's inputs or outputs.

        Returns
        -------
        bool
            Whether it is.
        """
        planned = self._outputs.get(ref.ordinal) or self._input(ref)
        return planned.uri is not None and self._store.has(planned.uri)

    @property
    def scratch(self) -> Path:
        """A directory for this quantum alone; it goes when the quantum ends."""
        if not self._scratch:
            self._scratch = tempfile.mkdtemp(prefix=f"stage-{self._quantum.label}-")
        return Path(self._scratch)

    def note(self, planned: PlannedDataset, stored: Artifact) -> None:
        """Account for an output that is completely written.

        Parameters
        ----------
        planned : PlannedDataset
            Which output.
        stored : Artifact
            Where it is.
        """
        self.written[planned.ordinal] = StoredArtifact(planned.ordinal, *stored)

    def _keep(self, planned: PlannedDataset, size: int, checksum: str) -> None:
        """Account for an output that stands, if what was to be put there is the same."""
        found = self._standing[planned.ordinal]
        if (size, checksum) != (found.size, found.checksum):
            raise ExecutionError(
                f"{planned.dataset_type} {planned.data_id} is there already with other bytes: "
                f"{found.size} bytes {found.checksum[:19]}, now {size} bytes {checksum[:19]}",
                code="output-exists",
                hint="Replace all outputs of the quantum ('stage exec --force'), or begin a new run (--new-run).",
            )
        self.written[planned.ordinal] = found

    def _input(self, ref: PlannedDataset) -> PlannedDataset:
        with contextlib.suppress(KeyError):
            return self._inputs[ref.ordinal]
        raise self._refused(ref, "input", "read")

    def _output(self, ref: PlannedDataset) -> PlannedDataset:
        with contextlib.suppress(KeyError):
            return self._outputs[ref.ordinal]
        raise self._refused(ref, "output", "write")

    def _refused(self, ref: PlannedDataset, role: str, verb: str) -> ExecutionError:
        return ExecutionError(
            f"{self._quantum} may not {verb} {ref.dataset_type} {ref.data_id}: it is no {role} of this quantum",
            code="not-in-quantum",
            hint=f"Declare it as an {role} connection of the task.",
        )


def artifact_of(found: PlannedDataset) -> Artifact:
    """Return the record by which the datastore finds an input.

    Parameters
    ----------
    found : PlannedDataset
        An overall input, or an output of an earlier quantum.

    Returns
    -------
    Artifact
        Its size and checksum are not known for outputs of the same graph.

    Raises
    ------
    NotFoundError
        If the graph has no place for it.
    """
    if found.uri is None:
        raise NotFoundError(f"the graph does not know where {found.dataset_type} is", code="artifact-gone")
    return Artifact(found.uri, found.size, found.checksum, found.formatter)
