"""``workflow.jobs``: a workflow in one file of which each job reads its own part, from a disk or by range requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import zstandard

from registry.errors import NotFoundError
from stage.batch.workflow.form import HEAD, BlockIndex, damaged, read_trailer
from stage.batch.workflow.model import JobKind, JobSettings, WhenRun, Workflow
from stage.batch.workflow.values import PerKind
from stage.graph.file.encoding import KINDS, decode
from stage.graph.file.form import MAX_BLOCK_BYTES, checksum, inflate, unpack_json
from stage.graph.file.scrutiny import MALFORMED
from stage.graph.file.source import ByteSource
from stage.graph.table import Csr

if TYPE_CHECKING:
    from sync.filesystem.files import Uri

__all__ = ["JobsFile", "find_job", "load_workflow", "read_job", "save_workflow"]

_FIXED = ("name", "settings", "quanta", "parents")


def save_workflow(workflow: Workflow, path: Uri) -> int:
    """Write a workflow to a file, at once or not at all.

    Parameters
    ----------
    workflow : Workflow
        What.
    path : str or path
        Where.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    StorageError
        If it cannot be written; a file that was there stays.
    """
    from stage.batch.workflow.writing import write_workflow

    return write_workflow(workflow, path)


def load_workflow(path: Uri) -> Workflow:
    """Read a whole workflow.

    Parameters
    ----------
    path : str or path
        Where it is.

    Returns
    -------
    Workflow
        Equal to the one that was saved.

    Raises
    ------
    NotFoundError
        If there is no such file.
    IntegrityError
        If it is no workflow file, or damaged.
    """
    return JobsFile(path).load()


def read_job(uri: Uri, number: int) -> tuple[JobSettings, str, list[int]]:
    """Read what one job needs, with three reads however many jobs there are.

    Parameters
    ----------
    uri : str or path
        The file.
    number : int
        The job.

    Returns
    -------
    settings : JobSettings
        Shared by all jobs of its kind.
    name : str
        Its name.
    quanta : list of int
        Its quanta, in the order in which they are run.

    Raises
    ------
    NotFoundError
        If there is no such file (``no-such-file``) or no such job (``unknown-job``).
    IntegrityError
        If it is no workflow file, or damaged.
    """
    return JobsFile(uri).job(number)


def find_job(uri: Uri, name: str) -> int:
    """Return the number of the job of a name.

    Parameters
    ----------
    uri : str or path
        The file.
    name : str
        The job's.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    NotFoundError
        If there is no such job (``unknown-job``), or no such file.
    IntegrityError
        If it is no workflow file, or damaged.
    """
    return JobsFile(uri).find(name)


class JobsFile:
    """An open workflow file.

    Parameters
    ----------
    uri : str or path
        Where it is.

    Raises
    ------
    NotFoundError
        If there is none.
    IntegrityError
        If it is no workflow file, or damaged.
    """

    def __init__(self, uri: Uri) -> None:
        self.source = ByteSource(uri)
        self.name = self.source.name
        # The magic stands at both ends: the head is asked for only to say what else a file is.
        tail = self.source.tail
        head = b"" if tail.endswith(HEAD[:8]) else self.source.read(0, len(HEAD))
        trailer = read_trailer(self.name, head, tail, self.source.size)
        header = self._section("header", *trailer.header)
        try:
            self.header: Mapping[str, Any] = unpack_json(header)
            self.n_jobs = int(self.header["jobs"])
            self.settings = tuple(_settings(d) for d in self.header["settings"])
            self.columns = [(str(n), str(k)) for n, k in self.header["columns"]]
            if not KINDS.issuperset(k for _, k in self.columns) or _fixed_of(self.columns) != _FIXED:
                raise ValueError(f"columns {self.columns}")
        except (*MALFORMED, zstandard.ZstdError) as error:
            raise damaged(self.name, "header", f"it cannot be understood ({error!r})") from error
        self._index_at = trailer.blocks
        self._index: BlockIndex | None = None

    def _section(self, what: str, offset: int, length: int, digest: bytes) -> bytes:
        data = self.source.read(offset, length)
        if checksum(data) != digest:
            raise damaged(self.name, what)
        return data

    @property
    def index(self) -> BlockIndex:
        """Where the blocks are."""
        if self._index is None:
            data = self._section("index", *self._index_at)
            self._index = BlockIndex(self.name, data, self.n_jobs, self._index_at[0])
        return self._index

    def block(self, place: int) -> dict[str, Any]:
        """Return the columns of one block.

        Parameters
        ----------
        place : int
            Which.

        Returns
        -------
        dict of str to StoredColumn
            By name.

        Raises
        ------
        IntegrityError
            If it is damaged.
        """
        offset, length, n = self.index.place(place)
        data = self.source.read(offset, length)
        self.index.check(place, data)
        found: dict[str, Any] = {}
        try:
            buffer = inflate(zstandard.ZstdDecompressor(), data, MAX_BLOCK_BYTES)
            at = 0
            for name, kind in self.columns:
                found[name] = decode(kind, buffer, at, n)
                at = found[name].end
            if at != len(buffer):
                raise ValueError(f"{len(buffer)} bytes, and {at} are of columns")
        except (*MALFORMED, zstandard.ZstdError) as error:
            raise damaged(self.name, f"block {place}", f"it cannot be understood ({error!r})") from error
        return found

    def job(self, number: int) -> tuple[JobSettings, str, list[int]]:
        """Return one job; see `read_job`.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        settings : JobSettings
            Of its kind.
        name : str
            Its name.
        quanta : list of int
            Its quanta.
        """
        if not 0 <= number < self.n_jobs:
            raise NotFoundError(
                f"no job {number} in {self.name}: there are {self.n_jobs}, from 0 on", code="unknown-job"
            )
        place = self.index.block_of(number)
        row = number - int(self.index.first[place])
        columns = self.block(place)
        try:
            settings = self.settings[columns["settings"].item(row)]
            quanta = [int(q) for q in columns["quanta"].item(row)]
            return settings, str(columns["name"].item(row)), quanta
        except MALFORMED as error:
            raise damaged(self.name, f"job {number}", f"it cannot be understood ({error!r})") from error

    def find(self, name: str) -> int:
        """Return the number of the job of a name.

        Parameters
        ----------
        name : str
            The job's.

        Returns
        -------
        int
            Its number.
        """
        for place in range(self.index.n_blocks):
            names = self.block(place)["name"].all().tolist()
            if name in names:
                return int(self.index.first[place]) + int(names.index(name))
        raise NotFoundError(f"no job '{name}' in {self.name}", code="unknown-job")

    def load(self) -> Workflow:
        """Return all of it.

        Returns
        -------
        Workflow
            In memory.
        """
        parts: dict[str, list[Any]] = {name: [] for name, _ in self.columns}
        for place in range(self.index.n_blocks):
            for name, column in self.block(place).items():
                parts[name].append(column.all())
        try:
            return self._workflow(parts)
        except MALFORMED as error:
            raise damaged(self.name, "jobs", f"they cannot be understood ({error!r})") from error

    def _workflow(self, parts: Mapping[str, list[Any]]) -> Workflow:
        settings_of = np.concatenate([np.zeros(0, dtype=np.int64), *parts["settings"]]).astype(np.int32)
        quanta, parents = _lists(parts["quanta"]), _lists(parts["parents"])
        if len(settings_of) != self.n_jobs or not _below(settings_of, len(self.settings)):
            raise ValueError("jobs of kinds that are not there")
        if np.any(parents.indices >= parents.rows()) or not _below(parents.indices, self.n_jobs):
            raise ValueError("jobs that wait for later ones")
        values: dict[str, Any] = {}
        for name, form, given in self.header["values"]:
            if form == "column":
                values[name] = [v for part in parts[f"value/{name}"] for v in part.tolist()]
            else:
                values[name] = range(*given) if form == "range" else PerKind(given, settings_of)
        final = self.header["final"]
        return Workflow(
            str(self.header["name"]),
            self.settings,
            [n for part in parts["name"] for n in part.tolist()],
            settings_of,
            quanta,
            parents,
            values,
            None if final is None else _settings(final),
            WhenRun(self.header["when_final"]),
            dict(self.header["attributes"]),
        )


def _fixed_of(columns: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(n for n, _ in columns if not n.startswith("value/"))


def _below(values: Any, bound: int) -> bool:
    return not len(values) or bool(values.min() >= 0 and values.max() < bound)


def _lists(parts: Sequence[Csr]) -> Csr:
    counts = np.concatenate([np.zeros(1, dtype=np.int64), *(np.diff(p.indptr) for p in parts)])
    indices = np.concatenate([np.zeros(0, dtype=np.int32), *(p.indices for p in parts)])
    return Csr(np.cumsum(counts), indices.astype(np.int32, copy=False))


def _settings(document: Mapping[str, Any]) -> JobSettings:
    pairs = {k: tuple((a, b) for a, b in document.get(k, ())) for k in ("environment", "extra")}
    exits = {"retry_unless_exit": tuple(document.get("retry_unless_exit", ()))}
    return JobSettings(**{**document, **pairs, **exits, "kind": JobKind(document["kind"])})
