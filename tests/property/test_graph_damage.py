"""No byte of a graph file can be lost or changed without being noticed, and no content makes a reader crash."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import IntegrityError, SchemaVersionError, StageError
from stage.graph.file import form
from stage.graph.file.reader import GraphFile
from tests.graph_helpers import chain_graph

REFUSALS = (IntegrityError, SchemaVersionError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small graph file."""
    path = tmp_path_factory.mktemp("damage") / "whole.qg"
    chain_graph(n_shots=4, n_chips=3, run="out/1").save(path)
    return path


def read_all(path: Path) -> None:
    """Read everything."""
    with GraphFile.open(path) as file:
        file.load()


def test_every_truncation_is_refused(whole):
    """At any length, down to nothing (all lengths near the ends, each seventh between)."""
    data = whole.read_bytes()
    path = whole.with_name("cut.qg")
    near_an_end = {*range(40), *range(len(data) - form.TRAILER_BYTES - 20, len(data))}
    for length in sorted(near_an_end | set(range(0, len(data), 7))):
        path.write_bytes(data[:length])
        with pytest.raises(REFUSALS, match=r"cut\.qg"):
            GraphFile.open(path)


def test_bytes_after_the_end_are_refused(whole):
    """A file that has grown is not the one that was written."""
    path = whole.with_name("grown.qg")
    for more in (b"\0", b"x" * 5000, whole.read_bytes()):
        path.write_bytes(whole.read_bytes() + more)
        with pytest.raises(REFUSALS, match=r"grown\.qg"):
            GraphFile.open(path)


def test_every_changed_byte_of_head_and_trailer_is_refused_at_once(whole):
    """Opening checks both ends."""
    data = whole.read_bytes()
    path = whole.with_name("flipped.qg")
    ends = [*range(len(form.HEAD)), *range(len(data) - form.TRAILER_BYTES, len(data))]
    for at in ends:
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(REFUSALS, match=r"flipped\.qg"):
            GraphFile.open(path)


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_changed_bit_is_noticed(whole, where, bit):
    """Wherever it is, loading the graph refuses the file."""
    data = bytearray(whole.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path = whole.with_name("flipped.qg")
    path.write_bytes(data)
    with pytest.raises(REFUSALS, match=r"flipped\.qg"):
        read_all(path)


@given(a=st.floats(0, 1, exclude_max=True), b=st.floats(0, 1, exclude_max=True), n=st.integers(1, 400))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_from_elsewhere_in_the_file_are_noticed(whole, a, b, n):
    """A piece that was written to a wrong place is found out."""
    data = bytearray(whole.read_bytes())
    at, other = int(a * len(data)), int(b * len(data))
    before = bytes(data)
    piece = data[other : other + n][: len(data) - at]
    data[at : at + len(piece)] = piece
    if bytes(data) == before:
        return
    path = whole.with_name("moved.qg")
    path.write_bytes(data)
    with pytest.raises(REFUSALS, match=r"moved\.qg"):
        read_all(path)


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(p for k, v in items for p in paths_of(v, (*at, k)))]


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_sealed_file_with_nonsense_in_it_is_refused_cleanly(whole, data):
    """A directory that was forged, checksums and all, leads to an error of ours or to a graph."""
    with GraphFile.open(whole) as file:
        sections = {name: file._source.read(*getattr(file._trailer, name)[:2]) for name in form.SECTIONS}
        stop = file._trailer.documents.offset
        name = data.draw(st.sampled_from(["directory", "header"]))
        document = copy.deepcopy(form.unpack_json(sections[name]))
    *parents, last = data.draw(st.sampled_from(paths_of(document)[1:]))
    inside = document
    for key in parents:
        inside = inside[key]
    nonsense = st.none() | st.integers(-(2**40), 2**40) | st.text(max_size=4) | st.just([]) | st.just({})
    inside[last] = data.draw(nonsense)
    sections[name] = form.pack_json(document)
    body = whole.read_bytes()[:stop] + b"".join(sections[n] for n in form.SECTIONS)
    path = whole.with_name("forged.qg")
    path.write_bytes(body + form.write_trailer(len(body), sections))
    try:
        with GraphFile.open(path) as forged:
            forged.load()
            forged.quantum(0)
    except StageError:
        pass
