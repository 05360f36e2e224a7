"""`QuantumGraph`: numbering, ids, columns by ordinal, and single quanta."""

from __future__ import annotations

import json
import uuid
from itertools import pairwise

import numpy as np
import pytest

from registry.errors import NotFoundError
from registry.model.refs import derived_id
from stage.graph.dependencies import consumers, producers
from stage.graph.layout import QUANTUM_IDS
from sync.paths import artifact_stem
from tests.graph_helpers import chain_graph

GRAPH = chain_graph(n_shots=3, n_chips=2, length=2, run="out/1", missing=[1])


def test_counts_are_by_task_in_order():
    """One raw of six is missing, and so is its quantum in each task of the chain."""
    assert GRAPH.counts() == {"task0": 5, "task1": 5, "gather": 3}
    assert GRAPH.n_quanta == 13


def test_quanta_are_numbered_through_tasks_and_sorted_within():
    """An ordinal says task and row."""
    assert GRAPH.task_of([0, 4, 5, 12]).tolist() == [0, 0, 1, 2]
    assert GRAPH.quantum(10).data_id == {"camera": "cam", "shot": 100}
    assert GRAPH.quantum(9).data_id == {"camera": "cam", "shot": 102, "chip": 1}


def test_ids_follow_from_the_graph_and_the_ordinal():
    """Quanta and planned datasets have derived ids, which are version 8."""
    quantum = GRAPH.quantum(7)
    assert derived_id(GRAPH.id, QUANTUM_IDS + 7) == quantum.id == GRAPH.quantum_ids([7])[0]
    (output,) = quantum.outputs["result"]
    assert derived_id(GRAPH.id, output.ordinal) == output.id == GRAPH.dataset_ids([output.ordinal])[0]
    assert uuid.UUID(bytes=output.id).version == 8


def test_found_datasets_keep_their_ids_and_places():
    """What existed is named as it was found."""
    (raw,) = GRAPH.quantum(0).inputs["source"]
    assert (raw.run, raw.uri, raw.size, raw.formatter) == ("in", "/up/in/0.json", 1, "json")
    assert raw.id == GRAPH.dataset_ids([raw.ordinal])[0]
    assert raw.id == GRAPH.dataset_columns("raw", [0])["id"][0]


def test_planned_datasets_know_where_they_will_be():
    """The place holds run, type, data ID and the whole id."""
    (output,) = GRAPH.quantum(0).outputs["result"]
    stem = artifact_stem("out/1", "stage0", ("camera", "shot", "chip"), ("cam", 100, 0), output.id)
    assert stem + ".json" == output.uri
    assert str(uuid.UUID(bytes=output.id)) in output.uri
    (log,) = GRAPH.quantum(0).outputs["_log"]
    assert (log.storage_class, log.formatter, log.dataset_type) == ("Text", "text", "task0_log")


def test_a_graph_without_a_run_predicts_no_place():
    """Where outputs go is known when the RUN is."""
    assert GRAPH.quantum(0).outputs["result"][0].uri
    assert chain_graph().quantum(0).outputs["result"][0].uri is None


def test_retarget_gives_new_ids_and_the_same_columns():
    """A graph may be run again in another RUN."""
    again = GRAPH.retarget("out/2")
    assert again.output_run == "out/2"
    assert GRAPH.id != again.id
    assert GRAPH.quantum(3).id != again.quantum(3).id
    assert GRAPH.task_rows is again.task_rows
    assert GRAPH.quantum(3).inputs["source"][0].id == again.quantum(3).inputs["source"][0].id


def test_a_gather_reads_the_parts_that_exist():
    """The quantum of the shot with a missing chip has one input fewer."""
    assert [len(GRAPH.quantum(i).inputs["parts"]) for i in (10, 11, 12)] == [1, 2, 2]


def test_dependencies_name_the_producers():
    """Each quantum lists those before it, rising."""
    indptr, indices = GRAPH.dependencies()
    lists = [indices[a:b].tolist() for a, b in pairwise(indptr)]
    assert lists == [[]] * 5 + [[0], [1], [2], [3], [4]] + [[5], [6, 7], [8, 9]]
    assert GRAPH.dependencies() is GRAPH.dependencies()


def test_producers_are_known_for_each_dataset():
    """Overall inputs and init datasets have none."""
    maker = producers(GRAPH)
    by_role = {t.name: maker[t.offset : t.offset + t.n_datasets] for t in GRAPH.layout.types}
    assert by_role["raw"].tolist() == [-1] * 5
    assert [0, 1, 2, 3, 4] == by_role["stage0"].tolist() == by_role["task0_log"].tolist()
    assert by_role["packages"].tolist() == [-1]


def test_consumers_are_known_for_each_dataset():
    """Each dataset lists the quanta that read it, whichever their task; outputs have none."""
    readers = consumers(GRAPH)
    of = {
        t.name: [readers.of(t.offset + i).tolist() for i in range(t.n_datasets)] for t in GRAPH.layout.types
    }
    assert of["raw"] == [[0], [1], [2], [3], [4]]
    assert [11, 11] == [i for quanta in of["stage1"][1:3] for i in quanta]
    assert not any(of["task0_log"])
    listed = [
        (ref.id, i)
        for i in range(GRAPH.n_quanta)
        for refs in GRAPH.quantum(i).inputs.values()
        for ref in refs
    ]
    assert len(set(listed)) == len(readers.indices)


def test_rows_for_the_registry_have_compact_data_ids():
    """Columns come in the order asked for."""
    rows = GRAPH.quantum_rows([12, 0])
    assert rows["task"].tolist() == ["gather", "task0"]
    assert json.loads(rows["data_id"][0]) == {"camera": "cam", "shot": 102}
    assert rows["data_id"][1] == '{"camera":"cam","shot":100,"chip":0}'
    assert GRAPH.quantum_ids([12, 0]) == rows["id"].tolist()


def test_edges_by_ordinal_agree_with_the_single_quanta():
    """Columns and views say the same."""
    for get, side in ((GRAPH.inputs_of, "inputs"), (GRAPH.outputs_of, "outputs")):
        edges = get(np.arange(GRAPH.n_quanta))
        found = sorted(
            zip(edges.quantum.tolist(), edges.connection.tolist(), edges.dataset.tolist(), strict=True)
        )
        expected = sorted(
            (q.ordinal, name, d.ordinal)
            for q in GRAPH.quanta(range(GRAPH.n_quanta))
            for name, datasets in getattr(q, side).items()
            for d in datasets
        )
        assert expected == found


def test_datasets_are_sorted_by_type():
    """Ordinals of any types become rows within each."""
    log = GRAPH.quantum(1).outputs["_log"][0].ordinal
    found = GRAPH.by_type([log, 0, 2])
    assert {k: v.tolist() for k, v in found.items()} == {"raw": [0, 2], "task0_log": [1]}


def test_find_selects_by_task_and_data_id():
    """Numbers may be given as text; a task without the dimension has nothing."""
    assert GRAPH.find("task0", {"chip": "0"}).tolist()[:2] == [0, 1]
    assert GRAPH.find("gather", {"shot": 100}).tolist() == [10]
    assert GRAPH.find("gather", {"chip": 0}).tolist() == []
    assert GRAPH.find(None, {"shot": 101, "camera": "cam"}).tolist() == [1, 2, 6, 7, 11]
    assert GRAPH.find("task0", {"camera": "other"}).tolist() == []


def test_an_unknown_task_is_named_with_the_nearest():
    """A typing error is met with an offer."""
    with pytest.raises(NotFoundError) as caught:
        GRAPH.find("gathre")
    assert "gather" in caught.value.hint


@pytest.mark.parametrize("ordinal", [-1, 13])
def test_a_quantum_that_is_not_there_is_refused(ordinal):
    """The message says how many there are."""
    with pytest.raises(NotFoundError, match="13"):
        GRAPH.quantum(ordinal)


def test_records_of_a_quantum_include_what_it_implies():
    """The filter of a shot is known without being in the data ID."""
    records = GRAPH.quantum(0).records
    assert {"camera", "shot", "filter", "chip"} == set(records)
    assert records["filter"]["filter"] == "blue"
    assert records["shot"]["seconds"] == 50.0
    assert GRAPH.quantum(10).record("chip", {"chip": 1})["serial"] == "s1"


def test_a_record_that_is_not_held_is_named():
    """No silent empty answer."""
    with pytest.raises(NotFoundError, match="chip"):
        GRAPH.quantum(10).record("chip", {"chip": 99})


def test_init_outputs_are_one_a_task_and_packages_one_a_run():
    """They have no dimensions."""
    config = GRAPH.init_outputs("gather")["_config"]
    assert (config.dataset_type, config.values, config.run) == ("gather_config", (), "out/1")
    assert GRAPH.packages is not None
    assert GRAPH.init_inputs("gather") == {}


def test_wanted_names_what_upstream_must_give():
    """Datasets found upstream, keys of records, all dataset types, the collections."""
    wanted = GRAPH.wanted()
    assert len(wanted.dataset_ids) == 5
    assert wanted.records["shot"].rows() == [("cam", 100), ("cam", 101), ("cam", 102)]
    assert {"raw", "stage0", "whole", "packages"} <= {t.name for t in wanted.dataset_types}
    assert tuple(wanted.collections) == ("in",)


def test_automatic_outputs_share_their_tasks_columns():
    """Data IDs of metadata and logs are held once."""
    tables = {t.layout.name: t.table for t in GRAPH.type_rows}
    assert tables["task0_metadata"] is tables["task0_log"] is GRAPH.task_rows[0].table
