"""Write a workflow to a file: one pass over its columns, block by block."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import zstandard

from stage.batch.workflow.form import HEAD, BlockIndex, write_trailer
from stage.batch.workflow.values import PerKind
from stage.graph.file.encoding import column_kind, encode
from stage.graph.file.form import LEVEL, checksum, pack_json
from stage.graph.table import Csr
from sync.filesystem import files

if TYPE_CHECKING:
    from stage.batch.workflow.model import JobSettings, Workflow
    from sync.filesystem.files import Uri

__all__ = ["write_workflow"]

_BLOCK_WEIGHT = 1 << 14
_PIECE_BYTES = 1 << 20


def write_workflow(workflow: Workflow, path: Uri) -> int:
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
    return files.write_stream(path, _pieces(_parts(workflow)))[0]


def _document(settings: JobSettings) -> dict[str, Any]:
    return {k: v for k, v in asdict(settings).items() if k in {"label", "kind"} or v not in (None, (), "")}


def _parts(workflow: Workflow) -> Iterator[bytes]:
    """Yield the parts of the file in order: head, blocks, index, header, trailer."""
    columns, values = _columns(workflow)
    header = pack_json(
        {
            "name": workflow.name,
            "jobs": workflow.n_jobs,
            "settings": [_document(s) for s in workflow.settings],
            "columns": [(n, k) for n, k, _ in columns],
            "values": values,
            "final": None if workflow.final is None else _document(workflow.final),
            "when_final": workflow.when_final,
            "attributes": dict(workflow.attributes),
        }
    )
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    at = len(HEAD)
    yield HEAD
    starts, offsets, digests = _starts(workflow), [at], []
    for first, last in itertools.pairwise(starts):
        content = b"".join(
            [p for _, kind, column in columns for p in encode(kind, _cut(column, first, last))]
        )
        block = compressor.compress(content)
        digests.append(checksum(block))
        at += len(block)
        offsets.append(at)
        yield block
    index = BlockIndex.pack(starts, offsets, digests)
    yield index
    yield header
    yield write_trailer(at + len(index) + len(header), index, header)


def _columns(workflow: Workflow) -> tuple[list[tuple[str, str, Any]], list[tuple[str, str, Any]]]:
    """Return what is stored job by job, and how each value is stored."""
    names = np.empty(workflow.n_jobs, dtype=object)
    names[:] = list(workflow.names)
    columns: list[tuple[str, str, Any]] = [
        ("name", "text", names),
        ("settings", "int", workflow.settings_of),
        ("quanta", "list", workflow.quanta),
        ("parents", "list", workflow.parents),
    ]
    values: list[tuple[str, str, Any]] = []
    for name, given in workflow.values.items():
        if isinstance(given, range):
            values.append((name, "range", [given.start, given.stop, given.step]))
        elif isinstance(given, PerKind) and np.array_equal(given.kind_of, workflow.settings_of):
            values.append((name, "kind", list(given.values)))
        else:
            column = np.empty(workflow.n_jobs, dtype=object)
            column[:] = list(given)
            values.append((name, "column", None))
            columns.append((f"value/{name}", column_kind(column), column))
    return columns, values


def _cut(column: Any, first: int, last: int) -> Any:
    if not isinstance(column, Csr):
        return column[first:last]
    indptr = column.indptr[first : last + 1]
    return Csr(indptr, column.indices[indptr[0] : indptr[-1]])


def _starts(workflow: Workflow) -> list[int]:
    """Cut the jobs into blocks of about equal weight: what a job reads does not grow with the number of jobs."""
    n = workflow.n_jobs
    if not n:
        return [0]
    weight = 8 + np.diff(workflow.quanta.indptr) + np.diff(workflow.parents.indptr)
    blocks = (np.cumsum(weight) - weight) // _BLOCK_WEIGHT
    return [*np.flatnonzero(np.diff(blocks, prepend=-1)).tolist(), n]


def _pieces(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Put small parts together."""
    held = bytearray()
    for part in parts:
        held += part
        if len(held) >= _PIECE_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held)
