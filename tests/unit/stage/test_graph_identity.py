"""Ids of graphs of which rows were dropped or added, and the files that keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from registry.errors import IntegrityError
from registry.model.refs import derived_id
from stage.graph.changing.adopt import check_import
from stage.graph.dependencies import producers
from stage.graph.file import form
from stage.graph.file.reader import GraphFile
from stage.graph.identity import Identity, Ids
from stage.graph.layout import QUANTUM_IDS, Header
from tests.graph_helpers import camera_universe, chain_graph

ONE, TWO = bytes(range(16)), bytes(range(1, 17))


def test_a_graph_as_it_was_built_has_no_identities(tmp_path):
    """Its file is of the form that it always was."""
    graph = chain_graph(run="u/run")
    graph.save(tmp_path / "g.qg")
    data = (tmp_path / "g.qg").read_bytes()
    assert data[8:12] == form.VERSION.to_bytes(4, "little")
    assert "origins" not in graph.header.to_document()
    assert all(rows.identity is None for rows in GraphFile.open(tmp_path / "g.qg").load().task_rows)


def test_a_part_says_where_its_rows_come_from(tmp_path):
    """By the id of the whole graph and the ordinals there."""
    graph = chain_graph(run="u/run")
    part = graph.select([1, 7])
    assert part.header.origins == (graph.id,)
    assert part.id != graph.id
    assert [derived_id(graph.id, QUANTUM_IDS + o) for o in (1, 7)] == part.quantum_ids([0, 1])
    part.save(tmp_path / "p.qg")
    assert (tmp_path / "p.qg").read_bytes()[8:12] == form.WITH_ORIGINS.to_bytes(4, "little")
    with GraphFile.open(tmp_path / "p.qg") as file:
        assert file.header == part.header
        assert [q.id for q in file.quanta([0, 1])] == part.quantum_ids([0, 1])
        assert file.quantum(1) == part.quantum(1)


def test_a_part_of_a_part_names_the_first_graph_alone():
    """However often it is cut, what a graph remembers does not grow."""
    graph = chain_graph()
    part = graph.select(labels=["task0", "task1"]).select(labels="task1").select(data_id={"shot": 101})
    assert part.header.origins == (graph.id,)
    assert part.quantum_ids([0, 1]) == graph.quantum_ids(graph.find("task1", {"shot": 101}))


def test_another_run_means_other_ids(tmp_path):
    """In memory and in a file that is copied without being read: the identities in it count no more."""
    part = chain_graph(run="u/run").select([1, 7])
    part.save(tmp_path / "p.qg")
    moved = GraphFile.open(tmp_path / "p.qg").retarget(tmp_path / "m.qg", "u/two", graph_id=ONE)
    assert moved.header.origins == ()
    expected = [derived_id(ONE, QUANTUM_IDS + o) for o in (0, 1)]
    assert [q.id for q in moved.quanta([0, 1])] == expected
    assert part.retarget("u/two", ONE).quantum_ids([0, 1]) == expected == moved.load().quantum_ids([0, 1])
    moved.verify()


def test_identities_take_next_to_no_room(tmp_path):
    """Of a graph of which every third quantum went: some bytes for each."""
    graph = chain_graph(60, 40)
    kept = np.setdiff1d(np.arange(graph.n_quanta), np.arange(0, graph.n_quanta, 3))
    part = graph.select(kept)
    n_bytes = part.save(tmp_path / "p.qg")
    assert n_bytes < 40 * part.n_quanta
    plain = part.retarget("").save(tmp_path / "q.qg")
    assert n_bytes - plain < 2 * part.n_quanta + 4096


def test_ids_one_by_one_are_those_of_many():
    """Of this graph and of those that it names."""
    ids = Ids(Header(ONE, origins=(TWO,)))
    assert [ids.one(3), ids.one(4)] == ids.many(np.array([3, 4])) == [derived_id(ONE, n) for n in (3, 4)]
    other = Identity(np.array([-1, 0]), np.array([3, 9]))
    assert [derived_id(ONE, 3), derived_id(TWO, 9)] == ids.many(np.array([0, 1]), other)
    assert derived_id(TWO, QUANTUM_IDS + 9) == ids.one(QUANTUM_IDS + 9, 0)
    with pytest.raises(ValueError, match="graph 1, and 1 are named"):
        ids.one(0, 1)


@pytest.mark.parametrize(
    ("origin", "ordinal"), [([0, 2], [1, 2]), ([0, 0], [1, 1 << 40]), ([0, -1], [0, 0]), ([0], [0])]
)
def test_identities_that_nobody_can_have_written_are_refused(origin, ordinal):
    """A graph or an ordinal that there is not, or too few of them."""
    with pytest.raises(ValueError, match=r"identit|ordinal"):
        Identity(np.array(origin), np.array(ordinal)).check(2, 2)


def test_a_file_with_identities_of_no_graph_is_damaged(tmp_path, monkeypatch):
    """It is said when the file is read, whole or quantum by quantum."""
    part = chain_graph().select([1, 7])
    wrong = Identity(np.array([5]), np.array([1]))
    monkeypatch.setattr(
        Identity, "_asdict", lambda self: dict(zip(("origin", "ordinal"), wrong, strict=True))
    )
    part.save(tmp_path / "p.qg")
    file = GraphFile.open(tmp_path / "p.qg")
    with pytest.raises(IntegrityError, match="damaged"):
        file.quantum(0)
    with pytest.raises(IntegrityError, match="damaged"):
        file.load()


def test_a_file_of_the_first_form_is_read():
    """Written by the version that knew no other; its ids are what they were."""
    sample = Path(__file__).parents[2] / "data" / "samples" / "graph-form-1.qg"
    file = GraphFile.open(sample)
    assert file.quantum(7).id.hex() == "0001020304058607a4f8c4c800000007"
    assert file.quantum(0).outputs["result"][0].id.hex() == "0001020304058607a4f8c4c000000006"
    graph = file.load()
    assert graph.counts() == {"task0": 6, "task1": 6, "gather": 3}
    assert graph.select(labels=">=task1").quantum_ids([1]) == graph.quantum_ids([7])
    check_import(graph, camera_universe())
    file.verify()


@pytest.mark.parametrize("is_part", [False, True])
def test_ordinals_of_ids_undo_ids_of_ordinals(is_part):
    """For quanta and planned datasets of a whole graph and of a part; ids of others, and of what was dropped, have none."""
    whole = chain_graph(run="u/run")
    graph = whole.select([1, 7]) if is_part else whole
    quanta, planned = np.arange(graph.n_quanta), np.flatnonzero(producers(graph) >= 0)
    assert graph.quantum_ordinals(graph.quantum_ids(quanta)).tolist() == quanta.tolist()
    assert graph.dataset_ordinals(graph.dataset_ids(planned)).tolist() == planned.tolist()
    assert graph.dataset_ordinals(graph.quantum_ids(quanta)).tolist() == [-1] * len(quanta)
    assert graph.quantum_ordinals(graph.dataset_ids(planned)).tolist() == [-1] * len(planned)
    strangers = [ONE, derived_id(TWO, 0), derived_id(TWO, QUANTUM_IDS), derived_id(graph.id, QUANTUM_IDS - 1)]
    assert (
        graph.quantum_ordinals(strangers).tolist() == [-1] * 4 == graph.dataset_ordinals(strangers).tolist()
    )
    if is_part:
        assert graph.quantum_ordinals(whole.quantum_ids([0, 7, 1, 2])).tolist() == [-1, 1, 0, -1]
    assert graph.quantum_ordinals([]).tolist() == []
