"""Helpers for testing tasks without a repository: a repository in memory, and a check that `run` changes nothing."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from registry.errors import NotFoundError
from stage.pipeline.config import Config
from stage.pipeline.node import ConnectionDef
from stage.pipeline.task import Task

__all__ = ["MemoryQuantum", "MemoryRef", "MemoryRepo", "assert_stateless", "make_quantum"]

_PER_RUN = frozenset({"metadata", "log"})


class MemoryRef(NamedTuple):
    """Which dataset: what tests use where a graph has planned datasets.

    Parameters
    ----------
    dataset_type, storage_class : str
        What it is.
    dims, values : tuple
        Its data ID.
    """

    dataset_type: str
    storage_class: str
    dims: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def data_id(self) -> dict[str, Any]:
        """The data ID as a dict."""
        return dict(zip(self.dims, self.values, strict=True))


@dataclass(frozen=True)
class MemoryQuantum:
    """One unit of work.

    Parameters
    ----------
    data_id : mapping
        Of the quantum.
    inputs, outputs : mapping of str to list of MemoryRef
        By connection.
    """

    data_id: Mapping[str, Any]
    inputs: Mapping[str, Sequence[MemoryRef]] = field(default_factory=dict)
    outputs: Mapping[str, Sequence[MemoryRef]] = field(default_factory=dict)


def make_quantum(
    task: Task,
    data_id: Mapping[str, Any],
    data_ids: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> MemoryQuantum:
    """Make a quantum of a task.

    Parameters
    ----------
    task : Task
        Whose connections to follow.
    data_id : mapping
        Of the quantum; also of each of its datasets, unless `data_ids` says otherwise.
    data_ids : mapping, optional
        Data IDs of datasets, by connection: for connections that are multiple, and none for those that are absent.

    Returns
    -------
    MemoryQuantum
        With refs for all inputs and outputs.
    """

    def refs(c: ConnectionDef) -> list[MemoryRef]:
        given = (data_ids or {}).get(c.name, [data_id])
        values = [tuple({**data_id, **one}[d] for d in c.dimensions) for one in given]
        return [MemoryRef(c.dataset_type, c.storage_class, c.dimensions, v) for v in values]

    ins, outs = task.connections.by_role("input", "prerequisite"), task.connections.by_role("output")
    return MemoryQuantum(dict(data_id), {c.name: refs(c) for c in ins}, {c.name: refs(c) for c in outs})


class MemoryRepo:
    """Datasets in a dict: does for a task what a limited repository does.

    Parameters
    ----------
    objects : mapping of MemoryRef to object, optional
        What is there.

    Attributes
    ----------
    objects : dict
        What is there now.
    read : list of MemoryRef
        What was read, in order.
    """

    def __init__(self, objects: Mapping[Any, Any] | None = None) -> None:
        self.objects: dict[Any, Any] = dict(objects or {})
        self.read: list[Any] = []
        self._directory: Path | None = None

    def get(self, ref: Any) -> Any:
        """Return an object.

        Parameters
        ----------
        ref : MemoryRef
            Which.

        Returns
        -------
        object
            The very object that was put.

        Raises
        ------
        NotFoundError
            If it is not there.
        """
        self.read.append(ref)
        try:
            return self.objects[ref]
        except KeyError:
            raise NotFoundError(f"no dataset {ref}", code="no-dataset") from None

    def put(self, obj: Any, ref: Any) -> None:
        """Keep an object.

        Parameters
        ----------
        obj : object
            Anything.
        ref : MemoryRef
            Which it is.
        """
        self.objects[ref] = obj

    def exists(self, ref: Any) -> bool:
        """Tell whether a dataset is there.

        Parameters
        ----------
        ref : MemoryRef
            Which.

        Returns
        -------
        bool
            Whether it is.
        """
        return ref in self.objects

    def local_path(self, ref: Any) -> Path:
        """Write an object to a file, as its storage class does, or to a directory if it is a file set.

        Of an output that is not there yet, only the place is returned, a directory made.

        Parameters
        ----------
        ref : MemoryRef
            Which.

        Returns
        -------
        Path
            Gone when the repository object is.
        """
        from sync.storage import directory_formatter, formatter, storage_class

        packer = directory_formatter(ref.storage_class)
        writer = formatter(storage_class(ref.storage_class).formatter)
        name = "_".join(map(str, (ref.dataset_type, *ref.values))).replace("/", "_")
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="stage-memory-repo-"))
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        path = self._directory / (name + writer.extension)
        if ref in self.objects:
            path.write_bytes(writer.encode(self.get(ref)))
        if packer is None:
            return path
        directory = self._directory / f"{name}.files"
        directory.mkdir(exist_ok=True)
        if ref in self.objects:
            packer.unpack(path, directory)
        return directory

    def put_file(self, path: str | Path, ref: Any) -> None:
        """Keep what a file holds, read as its storage class does; or the files of a directory.

        Parameters
        ----------
        path : str or Path
            A local file.
        ref : MemoryRef
            Which it is.
        """
        from sync.storage import decode, directory_formatter, storage_class

        kind, packer = storage_class(ref.storage_class), directory_formatter(ref.storage_class)
        if packer is not None and Path(path).is_dir():
            directory, path = path, Path(path).with_suffix(".packed")
            packer.pack(directory, path)
        self.objects[ref] = decode(Path(path).read_bytes(), kind.formatter, kind.name, str(path))


def assert_stateless(task: Task, **inputs: Any) -> Any:
    """Run a task and make sure that it is what it was before.

    Parameters
    ----------
    task : Task
        Constructed.
    **inputs
        For `run`.

    Returns
    -------
    object
        What `run` returned.

    Raises
    ------
    AssertionError
        If an attribute of the task or of a subtask was changed; names it. Metadata is per run and does not count.
    """
    before = _state(task)
    result = task.run(**inputs)
    after = _state(task)
    changed = sorted(n for n in {*before, *after} if before.get(n) != after.get(n))
    if changed:
        raise AssertionError(
            f"run() of task '{task.name}' changed {', '.join(changed)}: a task must not keep state between quanta"
        )
    return result


def _state(task: Task, above: str = "") -> dict[str, bytes]:
    """Return each attribute of a task, pickled."""
    out: dict[str, bytes] = {}
    for name, value in vars(task).items():
        if name in _PER_RUN or name == "_subtasks":
            continue
        if isinstance(value, Task):
            out |= _state(value, f"{above}{name}.")
        elif name == "connections":
            out[above + name] = pickle.dumps(value.defs)
        else:
            plain = value.to_document() if isinstance(value, Config) else value
            out[above + name] = pickle.dumps(plain)
    return out
