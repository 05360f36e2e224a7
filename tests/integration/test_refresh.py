"""Graphs brought up to date with real registries, and run on from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import ConflictError, NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from registry.registry import Registry
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.prep import prepare_run
from stage.execution.record_file import load_all
from stage.execution.run import run_graph
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.changing.refresh import Refreshed, leave_out, refresh
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.databases import Database, sent
from tests.execution_lab import Lab, chain, make_lab
from tests.graph_helpers import SHOT_CHIP, MemoryView, camera_universe, chain_nodes, connection, node, product
from tests.vectors.graphs import GraphVectors
from tests.vectors.load import World

UNIVERSE = camera_universe()
CHIP = ("camera", "chip")


def put(
    registry: Registry, name: str, run: str, rows: Any, dims: Any = SHOT_CHIP, n_shots: int = 2
) -> list[bytes]:
    """Insert datasets of a type at some of the data IDs; return their ids."""
    data_ids = product(n_shots, 2).unique(dims).take(np.array(rows, dtype=np.int64))
    ids = new_ids(data_ids.n_rows)
    stored = {"uri": [f"{run}/{i.hex()}.json" for i in ids], "size": [7] * len(ids)}
    stored |= {"checksum": ["blake3:00"] * len(ids), "formatter": ["json"] * len(ids)}
    with registry.write() as change:
        change.register_run(run)
        storage_class = "Text" if name.endswith("_log") else "Json"
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), storage_class))
        change.insert_datasets(name, run, Columns({**{k: data_ids[k] for k in dims}, "id": ids, **stored}))
    return ids


def drop(registry: Registry, ids: list[bytes]) -> None:
    """Delete datasets."""
    with registry.write() as change:
        change.delete_datasets(ids)


def empty(database: Database, n_shots: int = 2) -> Registry:
    """Return a registry with records and nothing else."""
    rows = product(n_shots, 2)
    registry, memory = database.registry(UNIVERSE), MemoryView(UNIVERSE, rows, {})
    with registry.write() as change:
        for element in UNIVERSE.elements.values():
            change.insert_records(element.name, memory.records(element.name, rows.unique(element.required)))
    return registry


def view_of(registry: Registry, staging: Registry | None = None) -> BuildView:
    """Return the view of what is upstream, and in staging."""
    ours = None if staging is None else Repo("/ours", staging, FsspecDatastore("memory://ours"))
    return BuildView(Repo("/up", registry, FsspecDatastore("memory://up")), ours)


def build(view: BuildView, nodes: Any = None, inputs: tuple[str, ...] = ("in",)) -> QuantumGraph:
    """Build task0 → task1 → gather."""
    with view:
        header = Header(bytes(range(16)), input_collections=inputs)
        return build_from_view(nodes or chain_nodes(2), view, Question(), header)


def again(graph: QuantumGraph, view: BuildView, *inputs: str, **options: Any) -> Refreshed:
    """Refresh."""
    with view:
        return refresh(graph, view, input_collections=inputs or ("in",), **options)


def outputs(graph: QuantumGraph) -> dict[Any, bytes]:
    """Return the ids of all that is planned."""
    made = (d for q in graph.quanta(range(graph.n_quanta)) for refs in q.outputs.values() for d in refs)
    return {(d.dataset_type, d.values): d.id for d in made}


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with four raws."""
    made = empty(database)
    put(made, "raw", "in", range(4))
    return made


def test_an_input_of_a_collection_in_front_takes_the_place_of_the_old_one(registry):
    """Another dataset for the same quantum, whose own outputs are what they were."""
    graph = build(view_of(registry))
    better = put(registry, "raw", "better", [1, 2])
    done = again(graph, view_of(registry), "better", "in")
    raws = [q.inputs["source"][0] for q in done.graph.quanta(range(4))]
    assert [d.run for d in raws] == ["in", "better", "better", "in"]
    assert [d.id for d in raws[1:3]] == better
    assert (done.resolved["raw"], done.replaced["raw"], done.unresolved["raw"]) == (4, 2, 0)
    assert outputs(graph) == outputs(done.graph)
    assert done.graph.header.input_collections == ("better", "in")
    assert done.graph.id != graph.id
    assert set(done.graph.wanted().dataset_ids) == {d.id for d in raws}


def test_lost_inputs_drop_quanta_only_if_they_may(registry):
    """Else the first is named, with task, dataset type and counts, and nothing has changed."""
    graph = build(view_of(registry))
    ids = [q.inputs["source"][0].id for q in graph.quanta([1, 3])]
    drop(registry, ids)
    view = view_of(registry)
    said = r"2 of 4 quanta of 'task0', and 2 of other tasks: 'raw'.* in in.*\{camera=cam, shot=100, chip=1\}"
    with pytest.raises(ConflictError, match=said) as caught:
        again(graph, view)
    assert caught.value.code == "refresh-would-prune"
    assert caught.value.context["pruned"] == {"task0": 2, "task1": 2}
    done = again(graph, view, allow_pruning=True)
    assert done.graph.counts() == {"task0": 2, "task1": 2, "gather": 2}
    assert (done.pruned, done.unresolved["raw"]) == ({"task0": 2, "task1": 2}, 2)
    assert outputs(done.graph).items() < outputs(graph).items()
    assert again(done.graph, view).graph is done.graph


def test_outputs_that_exist_serve_quanta_whose_producers_went(registry):
    """A past run has made what can be made no more."""
    ids = put(registry, "stage0", "past", [0, 1])
    graph = build(view_of(registry))
    drop(registry, [graph.quantum(0).inputs["source"][0].id])
    done = again(graph, view_of(registry), "past", "in", allow_pruning=True)
    assert done.graph.counts() == {"task0": 3, "task1": 4, "gather": 2}
    read = [q.inputs["source"][0] for q in done.graph.quanta(done.graph.quanta_of("task1"))]
    assert (read[0].id, read[0].run) == (ids[0], "past")
    assert read[1].id == done.graph.quantum(0).outputs["result"][0].id
    assert done.resolved["stage0"] == 1


def test_what_was_read_from_a_run_that_is_gone_is_not_there_any_more(registry):
    """A trimmed graph whose found outputs went has no one to make them."""
    for name in ("stage0", "task0_metadata", "task0_log"):
        put(registry, name, "past", [0, 1])
    graph = build(view_of(registry))
    trimmed = again(graph, view_of(registry), "past", "in", trim_existing_in=["past"])
    assert (trimmed.trimmed, trimmed.graph.counts()["task0"]) == ({"task0": 2}, 2)
    with pytest.raises(ConflictError, match="2 of 4 quanta of 'task1'"):
        again(trimmed.graph, view_of(registry), "in")
    left = again(trimmed.graph, view_of(registry), "in", allow_pruning=True)
    assert left.graph.counts() == {"task0": 2, "task1": 2, "gather": 1}


def test_only_quanta_all_of_whose_outputs_exist_are_trimmed(registry):
    """One that lacks its log is done again."""
    put(registry, "stage0", "past", [0, 1, 2])
    put(registry, "task0_metadata", "past", [0, 1, 2])
    put(registry, "task0_log", "past", [0, 2])
    graph = build(view_of(registry))
    done = again(graph, view_of(registry), "past", "in", trim_existing_in=["past"])
    assert done.trimmed == {"task0": 2}
    assert [q.data_id["shot"] + q.data_id["chip"] for q in done.graph.quanta([0, 1])] == [101, 102]
    assert again(graph, view_of(registry), "in", trim_existing_in=["none"]).graph is graph


def test_past_runs_in_staging_are_searched_beside_inputs_upstream(registry, database):
    """As when a graph is built."""
    staging = empty(database)
    graph = build(view_of(registry))
    for name in ("stage0", "task0_metadata", "task0_log"):
        put(staging, name, "u/now", [1])
    view = view_of(registry, staging)
    done = again(graph, view, "in", skip_run="u/now", trim_existing_in=["u/now"])
    read = done.graph.quantum(int(done.graph.quanta_of("task1")[1])).inputs["source"][0]
    assert (done.trimmed, read.run) == ({"task0": 1}, "u/now")
    assert read.id not in done.graph.wanted().dataset_ids


def test_leaving_out_looks_for_nothing_else(registry):
    """Inputs that went are not missed, and what was found before stays found."""
    for run, rows in (("one", [0]), ("two", [1])):
        for name in ("stage0", "task0_metadata", "task0_log"):
            put(registry, name, run, rows)
    graph = build(view_of(registry))
    first = again(graph, view_of(registry), "one", "in", trim_existing_in=["one"]).graph
    drop(registry, [q.inputs["source"][0].id for q in graph.quanta([2])])
    view = view_of(registry)
    with view:
        second = leave_out(first, view, existing_in=["two"])
    assert second.graph.counts() == {"task0": 2, "task1": 4, "gather": 2}
    read = [q.inputs["source"][0].run for q in second.graph.quanta(second.graph.quanta_of("task1"))]
    assert read == ["one", "two", "", ""]
    with view:
        assert leave_out(second.graph, view, existing_in=["two"]).graph is second.graph


def test_a_graph_left_empty_is_an_error_unless_it_may_be(registry):
    """Says what was done and what lacks."""
    graph = build(view_of(registry))
    drop(registry, [q.inputs["source"][0].id for q in graph.quanta(range(4))])
    with pytest.raises(UsageError, match="task0: 4 of 4 lack an input; task1: 4 of 4") as caught:
        again(graph, view_of(registry), allow_pruning=True)
    assert caught.value.code == "empty-graph"
    done = again(graph, view_of(registry), allow_pruning=True, allow_empty=True)
    assert (done.graph.n_quanta, list(done.graph.counts())) == (0, ["task0", "task1", "gather"])


def test_a_collection_that_there_is_not_is_named(registry):
    """A current run need not exist; inputs must."""
    graph = build(view_of(registry))
    assert again(graph, view_of(registry), skip_run="u/none").graph is graph
    with pytest.raises(NotFoundError, match="'im'"):
        again(graph, view_of(registry), "im")


def test_lost_prerequisites_drop_quanta_too(registry):
    """Where the task requires them; there it is no error as it is in a build."""
    flats = put(registry, "flat", "in", [0, 1], CHIP)
    task = node(
        "clean",
        SHOT_CHIP,
        connection("raw", "input", SHOT_CHIP),
        connection("flat", "prerequisite", CHIP),
        connection("image", "output", SHOT_CHIP),
    )
    graph = build(view_of(registry), [task])
    (other,) = put(registry, "flat", "better", [0], CHIP)
    done = again(graph, view_of(registry), "better", "in")
    assert [q.inputs["flat"][0].id for q in done.graph.quanta(range(4))] == [other, flats[1]] * 2
    assert done.replaced["flat"] == 1
    drop(registry, flats[1:])
    with pytest.raises(ConflictError, match="2 of 4 quanta of 'clean': 'flat'"):
        again(graph, view_of(registry))
    left = again(graph, view_of(registry), allow_pruning=True)
    assert (left.graph.counts(), left.unresolved["flat"]) == ({"clean": 2}, 1)


def test_questions_do_not_grow_with_the_data(database):
    """Of quanta three times as many are refreshed with as many statements."""
    counts = []
    for n_shots in (2, 6):
        registry = empty(database, n_shots)
        put(registry, "raw", "in", range(2 * n_shots), n_shots=n_shots)
        graph = build(view_of(registry))
        for name in ("stage0", "task0_metadata", "task0_log"):
            put(registry, name, "past", range(n_shots), n_shots=n_shots)
        view = view_of(registry)
        with view, sent(registry) as log:
            refresh(graph, view, input_collections=["past", "in"], trim_existing_in=["past"])
        counts.append(sum(text.startswith("SELECT") for text in log))
    assert counts[0] == counts[1]


def test_graphs_over_a_sky_survey_are_found_as_they_were(shared, monkeypatch):
    """Prerequisites by time, on the sky and by relations; of the vectors' graphs that are small."""
    n_same = 0

    def checked(nodes: Any, view: Any, question: Question, header: Header, **options: Any) -> QuantumGraph:
        nonlocal n_same
        graph = build_from_view(nodes, view, question, header, **options)
        found = refresh(graph, view, input_collections=header.input_collections, allow_empty=True)
        assert found.graph is graph
        n_same += 1
        return graph

    monkeypatch.setattr("tests.vectors.graphs.build_from_view", checked)
    with World(shared / "data", "sqlite") as world:
        vectors = GraphVectors(shared / "vectors" / "qg_vectors.json", world)
        for case in vectors.document["cases"]:
            small = 0 < case["expected"].get("total_quanta", 0) < 60
            if small and not case.get("skip_existing_in") and n_same < 40:
                vectors.graph_of(case)
    assert n_same >= 25


def test_lookups_and_hooks_are_asked_again(tmp_path):
    """A task's own lookup function, its choice of quanta and of inputs: the graph is what it was."""
    from tests.integration.test_connections_run import make

    lab = make(tmp_path / "survey", dead=[4])
    with BuildView(None, lab.staging) as view:
        done = refresh(lab.graph, view, input_collections=["inputs", "calib"])
    assert done.graph is lab.graph
    assert done.resolved == {"frame": 6, "limits": 1, "mask": 1, "bias": 1, "dark": 1, "refcat": 3}
    part = lab.graph.select(labels="detect", data_id={"night": 1})
    assert [q.resources.memory_mb for q in part.quanta(range(3))] == [3000, 500, 500]
    lab.staging.close()


# -- run, refreshed, and run on -----------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A run of which one quantum has failed, and what rests on it could not be done."""
    flaky = {"behave": {"2": f"flaky:1,{tmp_path}/tries"}}
    made = make_lab(tmp_path / "lab", chain(double=flaky))
    run_graph(made.staging, made.graph_uri, processes=0)
    assert made.status() == {"blocked": 2, "failed": 1, "succeeded": 6}
    yield made
    made.staging.close()


def refreshed(lab: Lab, **options: Any) -> Lab:
    """Refresh the graph with the current run, and save it."""
    with BuildView(None, lab.staging) as view:
        run = lab.graph.output_run
        done = refresh(lab.graph, view, input_collections=["inputs"], skip_run=run, **options)
    uri = str(lab.root / "refreshed.qg")
    done.graph.save(uri)
    return Lab(lab.root, lab.staging, done.graph, uri)


def test_a_refreshed_graph_goes_on_with_the_run(lab):
    """Nothing has changed, so it is the graph that it was; only what failed is done."""
    new = refreshed(lab)
    before = lab.datasets()
    assert new.graph is lab.graph
    summary = run_graph(new.staging, new.graph_uri, processes=0)
    assert (summary.total.skipped, summary.total.succeeded) == (6, 3)
    assert {k: v for k, v in lab.datasets()["doubled"].items() if k in before["doubled"]} == before["doubled"]


def test_a_trimmed_graph_goes_on_with_the_run(lab):
    """It has only what was left to do; in the end each dataset has the id that was planned, and none is made twice."""
    planned = outputs(lab.graph)
    new = refreshed(lab, trim_existing_in=[lab.graph.output_run])
    assert new.graph.counts() == {"double": 1, "shift": 1, "total": 1}
    before = lab.datasets()
    summary = run_graph(new.staging, new.graph_uri, processes=0)
    assert (summary.total.skipped, summary.total.succeeded, summary.is_complete) == (0, 3, True)
    after = lab.datasets()
    found = {(name, key): i for name, rows in after.items() for key, (i, _) in rows.items()}
    assert {key: found[key] for key in planned} == planned
    assert {k: v for k, v in after["doubled"].items() if k in before["doubled"]} == before["doubled"]
    assert lab.get("total", batch=0)["n"] == 4
    assert lab.status() == {"succeeded": 9}
    # The whole graph finds it all done.
    assert run_graph(lab.staging, lab.graph_uri, processes=0).total.skipped == 9


def test_jobs_work_on_a_trimmed_graph(lab, tmp_path):
    """Without a database: inputs that an earlier graph made are read, and the merge records the planned ids."""
    planned = outputs(lab.graph)
    new = refreshed(lab, trim_existing_in=[lab.graph.output_run])
    execute_job(new.graph_uri, range(3), tmp_path / "r.jsonl", lab.store_root)
    result = merge_records(lab.staging, new.graph, [tmp_path / "r.jsonl"])
    assert result.counts == {"succeeded": 3}
    found = {(name, key): i for name, rows in lab.datasets().items() for key, (i, _) in rows.items()}
    assert {key: found[key] for key in planned} == planned
    with pytest.raises(ConflictError, match="of graph"):  # ordinals of one are not those of the other
        merge_records(lab.staging, lab.graph, [tmp_path / "r.jsonl"])


def test_a_part_of_a_graph_runs_and_the_rest_goes_on(tmp_path):
    """A selection has the ids of the whole, so the whole graph finds it done."""
    lab = make_lab(tmp_path / "lab")
    lab.graph.select(labels="double").save(tmp_path / "part.qg")
    run_graph(lab.staging, str(tmp_path / "part.qg"), processes=0)
    assert lab.status() == {"succeeded": 4}
    summary = run_graph(lab.staging, lab.graph_uri, processes=0)
    assert (summary.total.skipped, summary.total.succeeded) == (4, 5)
    lab.staging.close()


def test_what_no_quantum_makes_is_waited_for_by_name(tmp_path):
    """A job on a part of a graph says what is not there, since nobody in it makes that."""
    lab = make_lab(tmp_path / "lab")
    part = lab.graph.select(labels="shift")
    part.save(tmp_path / "part.qg")
    prepare_run(lab.staging, part)
    execute_job(str(tmp_path / "part.qg"), range(4), tmp_path / "r.jsonl", lab.store_root)
    outcomes = load_all([tmp_path / "r.jsonl"])[0][1].outcomes
    assert {"blocked"} == {o.status for o in outcomes}
    assert "doubled is not there, and no quantum of this graph makes it" in outcomes[0].message
    lab.staging.close()
