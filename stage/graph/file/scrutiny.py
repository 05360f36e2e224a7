"""What a graph file must be beyond its checksums, which anybody can compute: so that no file, whoever made it, does a reader harm."""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, Any

import zstandard

from registry.errors import StageError
from stage.graph.file import form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stage.graph.graph import QuantumGraph
    from stage.graph.layout import Header, Layout

__all__ = [
    "BYTES_A_VALUE",
    "MALFORMED",
    "Allowance",
    "check_graph",
    "check_header",
    "check_layout",
    "reading",
]

MALFORMED = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError, struct.error,
    zstandard.ZstdError,
)  # fmt: skip
"""What reading bytes of another form may raise; each becomes one `IntegrityError`."""

_FREE_BYTES = 1 << 28
_BYTES_A_STORED_BYTE = 1 << 10
BYTES_A_VALUE = 8
"""What a value of a column, or an entry of a list, counts for."""


class reading:  # noqa: N801 - reads as a word in `with reading(name, "header")`
    """Turn what malformed bytes raise in its block into one error of ours.

    Parameters
    ----------
    name : str
        The file, as messages show it.
    what : str
        Which part of it is read.
    """

    __slots__ = ("name", "what")

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, MALFORMED) and not isinstance(exc, StageError):
            raise form.damaged(self.name, self.what, f"it cannot be understood ({exc!r})") from exc


class Allowance:
    """How much memory a whole graph may take: more than a writer makes of a file of that size, but not all there is.

    A constant or a progression takes no bytes in a file, however many rows it has: without this a forged file of a few
    kilobytes could ask for more than the machine has. A block of the writer's weighs 2^13 values and takes some eighty
    bytes at least, with its line in the index; only lists of very many rows in a row could need more.

    Parameters
    ----------
    file_bytes : int
        Size of the file.
    """

    def __init__(self, file_bytes: int) -> None:
        self.left = _FREE_BYTES + _BYTES_A_STORED_BYTE * file_bytes
        self.most = self.left

    def take(self, n_bytes: int) -> None:
        """Take some of it.

        Parameters
        ----------
        n_bytes : int
            How much is about to be allocated.

        Raises
        ------
        ValueError
            If so much is not left.
        """
        self.left -= n_bytes
        if self.left < 0:
            raise ValueError("its rows take far more memory than a file of this size can need")


def check_header(header: Header) -> Header:
    """Refuse a header whose fields are not of their types.

    Parameters
    ----------
    header : Header
        As read.

    Returns
    -------
    Header
        The same.

    Raises
    ------
    TypeError
        If one is not.
    """
    _texts((header.output_run, header.where, header.pipeline_fingerprint, header.upstream))
    _texts(header.input_collections)
    _texts(header.search_path)
    if type(header.created_ns) is not int or not isinstance(header.metadata, dict):
        raise TypeError("a field is of another type")
    return header


def check_layout(layout: Layout) -> Layout:
    """Refuse a layout whose parts do not fit each other.

    Parameters
    ----------
    layout : Layout
        As read.

    Returns
    -------
    Layout
        The same.

    Raises
    ------
    TypeError, ValueError
        If a field is of another type, numbers do not follow from counts, or a connection has no dataset type.
    """
    quanta = datasets = 0
    known = layout.type_index
    texts: list[Any] = []
    for task in layout.tasks:
        texts += (task.label, *task.dimensions, *chain.from_iterable(task.connections))
        quanta = _next(quanta, task.offset, task.n_quanta)
    for kind in layout.types:
        texts += (kind.name, kind.storage_class, kind.role, kind.formatter, kind.extension, *kind.dimensions)
        datasets = _next(datasets, kind.offset, kind.n_datasets)
    _texts(texts)
    named = {connection.dataset_type for task in layout.tasks for connection in task.connections}
    if not named <= known.keys():
        raise ValueError(f"no dataset types {sorted(named - known.keys())}")
    if len(known) != len(layout.types) or len(layout.task_index) != len(layout.tasks):
        raise ValueError("a name is there twice")
    return layout


def _texts(values: Iterable[Any]) -> None:
    others = {*map(type, values)} - {str}
    if others:
        raise TypeError(f"a {others.pop().__name__} where a text should be")


def _next(expected: int, offset: Any, n: Any) -> int:
    if type(n) is not int or type(offset) is not int or n < 0 or offset != expected:
        raise ValueError(f"{n!r} rows from {offset!r}, and the next is {expected}")
    return expected + n


def check_graph(graph: QuantumGraph, layout: Layout) -> QuantumGraph:
    """Refuse a graph whose tables do not have the rows that their file promised, or name rows that are not there.

    Parameters
    ----------
    graph : QuantumGraph
        As loaded.
    layout : Layout
        As its file has it.

    Returns
    -------
    QuantumGraph
        The same.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    if graph.layout != layout:
        raise ValueError("its tables do not have the rows that were promised")
    for task, rows in zip(layout.tasks, graph.task_rows, strict=True):
        for connection in task.connections:
            if not connection.has_edges:
                continue
            edges = rows.edges[connection.name]
            n = layout.types[layout.type_index[connection.dataset_type]].n_datasets
            if len(edges.indptr) != task.n_quanta + 1:
                raise ValueError(f"'{connection.name}' of {task.label} has {len(edges.indptr) - 1} lists")
            if len(edges.indices) and not 0 <= int(edges.indices.min()) <= int(edges.indices.max()) < n:
                raise ValueError(f"'{connection.name}' of {task.label} names rows that are not there")
    for kind, held in zip(layout.types, graph.type_rows, strict=True):
        if held.found is not None and held.found.n_rows != kind.n_datasets:
            raise ValueError(f"{held.found.n_rows} artifacts for {kind.n_datasets} of {kind.name}")
    return graph
