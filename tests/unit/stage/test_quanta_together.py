"""Quanta that are read many at a time are those that are read one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry.errors import NotFoundError
from registry.model.refs import id_text, parse_id
from stage.execution.ahead import Ahead
from stage.graph import access
from stage.graph.file.reader import GraphFile
from tests.execution_lab import Lab, chain, make_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Make a graph of three tasks, the last of which gathers."""
    made = make_lab(tmp_path_factory.mktemp("together"), chain(), batches=3, samples=30)
    yield made
    made.staging.close()


@pytest.mark.parametrize("at_once", [1, 4, 1 << 12])
def test_in_whatever_order_they_are_asked_for(
    lab: Lab, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory and from a file, however many datasets are looked up together, each quantum has its own."""
    monkeypatch.setattr(access, "_DATASETS_AT_ONCE", at_once)
    numbers = [*range(lab.graph.n_quanta), *range(lab.graph.n_quanta - 1, -1, -7), 5, 5]
    for source in (lab.graph, GraphFile.open(lab.graph_uri)):
        assert list(source.quanta(numbers)) == [lab.graph.quantum(n) for n in numbers]


def test_what_is_read_ahead_is_what_was_asked_for(lab: Lab) -> None:
    """Tasks by turns, quanta passed over and asked for twice: each answer is the graph's."""
    ahead = Ahead(lab.graph)
    half = lab.graph.n_quanta // 2
    for number in [
        n for pair in zip(range(0, half, 2), range(half, 2 * half), strict=False) for n in (*pair, 0)
    ]:
        assert ahead.quantum(number) == lab.graph.quantum(number)


def test_a_number_that_is_none_is_refused(lab: Lab) -> None:
    """Among others too, it ends in the error that it has alone."""
    with pytest.raises(NotFoundError, match=f"no quantum {lab.graph.n_quanta}"):
        list(lab.graph.quanta([0, lab.graph.n_quanta, 1]))


def test_ids_have_sixteen_bytes() -> None:
    """The text of an id can be read back; another length has none."""
    assert parse_id(id_text(bytes(range(16)))) == bytes(range(16))
    with pytest.raises(ValueError, match="15 bytes"):
        id_text(bytes(15))
