"""A survey in miniature that uses every kind of connection and every hook: built, and run in each of the three ways."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import PipelineError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_ids
from registry.registry import Registry
from stage.campaign.campaign import Campaign
from stage.execution.merge import merge_records
from stage.execution.prep import prepare_run
from stage.execution.run import run_graph
from stage.graph.building.build import build
from stage.graph.building.view import BuildView
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from stage.pipeline.pipeline import Pipeline
from sync.paths import artifact_stem
from sync.repo import Repo
from tests.execution_lab import Lab

HOUR = 3600 * 10**9
UNIVERSE = DimensionUniverse.from_yaml(
    """
name: test/survey
version: 1
elements:
  night:
    key: {name: id, type: int}
    timespan: true
  pointing:
    requires: [night]
    key: {name: id, type: int}
    metadata:
      ra: {type: float, unit: deg}
      dec: {type: float, unit: deg}
    timespan: true
  shard:
    key: {name: id, type: int}
    metadata:
      ra: {type: float, unit: deg}
      dec: {type: float, unit: deg}
"""
)
POINTINGS = [(night, pointing) for night in (1, 2) for pointing in (1, 2, 3, 4)]
RA = {1: 10.0, 2: 11.0, 3: 20.0, 4: 40.0}
SHARDS = {0: 10.0, 1: 12.0, 2: 20.0}


def put(
    repo: Repo,
    name: str,
    dims: tuple[str, ...],
    objects: dict[Any, Any],
    storage_class: str = "Json",
    **more: Any,
) -> list[bytes]:
    """Store datasets of a type in the RUN ``inputs``; return their ids."""
    kind = DatasetType(name, UNIVERSE.group(dims), storage_class, **more)
    ids = new_ids(len(objects))
    rows = []
    for (values, obj), dataset_id in zip(objects.items(), ids, strict=True):
        stem = artifact_stem("inputs", name, dims, values, dataset_id)
        rows.append((*values, dataset_id, *repo.datastore.put(obj, storage_class, stem)))
    with repo.registry.write() as change:
        change.register_dataset_type(kind)
        names = (*dims, "id", "uri", "size", "checksum", "formatter")
        change.insert_datasets(name, "inputs", Columns.from_rows(names, rows))
    return list(ids)


def make_repo(root: Path) -> Repo:
    """Make a staging repository with all that the survey needs."""
    root.mkdir(parents=True)
    Registry.create(f"sqlite:///{root}/staging.sqlite3", UNIVERSE, wal=True).close()
    return fill(Repo.attach(f"sqlite:///{root}/staging.sqlite3", root / "data", writable=True))


def fill(repo: Repo) -> Repo:
    """Put in frames of two nights, calibrations, and a catalogue in shards."""
    import pyarrow as pa

    begin = {p: (24 * p[0] + p[1]) * HOUR for p in POINTINGS}
    with repo.registry.write() as change:
        nights = [(n, 24 * n * HOUR, (24 * n + 12) * HOUR) for n in (1, 2)]
        change.insert_records("night", Columns.from_rows(("night", "timespan_begin", "timespan_end"), nights))
        names = ("night", "pointing", "ra", "dec", "timespan_begin", "timespan_end")
        rows = [(*p, RA[p[1]], 0.0, begin[p], begin[p] + HOUR) for p in POINTINGS]
        change.insert_records("pointing", Columns.from_rows(names, rows))
        shards = [(s, ra, 0.5) for s, ra in SHARDS.items()]
        change.insert_records("shard", Columns.from_rows(("shard", "ra", "dec"), shards))
        change.register_run("inputs")
        change.register_collection("calib", CollectionType.CALIBRATION)
    frames = {p: np.array([1.0, 5.0, 9.0, 100.0 + p[0]]) for p in POINTINGS}
    put(repo, "frame", ("night", "pointing"), frames, "NumpyArray")
    put(repo, "limits", (), {(): {"limit": 3.0}}, "Yaml")
    put(repo, "mask", ("night", "pointing"), {(1, 2): [3]})
    put(repo, "dark", ("night",), {(2,): {"level": 1.0, "night": 2}})
    tables = {(s,): pa.table({"flux": [float(s), float(s) + 1]}) for s in SHARDS}
    put(repo, "refcat", ("shard",), tables, "ArrowTable")
    (early,) = put(repo, "bias", (), {(): {"level": 0.0}}, is_calibration=True)
    with repo.registry.write() as change:
        change.certify("calib", [early], None, None)
    return repo


def survey(**detect: Any) -> Pipeline:
    """Return detect → pair → night, with names of its own."""
    names = {"connections": {"prefix": "deep_"}}
    return Pipeline.of(
        detect=("tests.survey_tasks.DetectTask", {**names, **detect}),
        pair=("tests.survey_tasks.PairTask", names),
        night=("tests.survey_tasks.NightTask", names),
    )


def make(root: Path, **detect: Any) -> Lab:
    """Build the survey's graph, save it."""
    repo = make_repo(root)
    graph = build(survey(**detect), BuildView(None, repo), input_collections=["inputs", "calib"]).retarget(
        "u/me/run"
    )
    graph.save(root / "graph.qg")
    return Lab(root, repo, graph, str(root / "graph.qg"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Give a survey of which the fourth pointing is dead."""
    return make(tmp_path / "lab", dead=[4])


def quanta(graph: QuantumGraph, label: str) -> list[Any]:
    """Return the quanta of a task."""
    return list(graph.quanta(graph.quanta_of(label).tolist()))


def test_the_graph_is_what_connections_and_hooks_say(lab: Lab) -> None:
    """Dead pointings are gone, pairs divide the nights, lookups found shards and darks, all said in columns."""
    graph = lab.graph
    assert graph.counts() == {"detect": 6, "pair": 4, "night": 2}
    assert graph.header.metadata["refused"][0]["reason"] == "the pointing is dead"
    detect = quanta(graph, "detect")
    assert [[d.data_id["shard"] for d in q.inputs["shards"]] for q in detect] == [[0], [0, 1], [2]] * 2
    assert [q.inputs["dark"][0].data_id for q in detect] == [{"night": 2}] * 6
    assert [len(q.inputs["mask"]) for q in detect] == [0, 1, 0, 0, 0, 0]
    assert [len(q.inputs["limits"]) + len(q.inputs["bias"]) for q in detect] == [2] * 6
    assert [q.resources.memory_mb for q in detect] == [3000, 500, 500] * 2
    pairs = [[d.data_id["pointing"] for d in q.inputs["sources"]] for q in quanta(graph, "pair")]
    assert pairs == [[1, 2], [2, 3]] * 2
    assert detect[0].inputs["shards"][0].storage_class == "Columns"
    assert {t.name: t.storage_class for t in graph.layout.types}["refcat"] == "ArrowTable"
    with GraphFile.open(lab.graph_uri) as stored:
        assert [str(q) for q in stored.quanta(range(12))] == [str(q) for q in graph.quanta(range(12))]
        assert stored.quantum(0).resources.memory_mb == 3000
        assert stored.quantum(6).inputs["sources"][0].storage_class == "DataFrame"


def test_in_process_in_the_pool_and_without_any_database_are_the_same(tmp_path: Path, lab: Lab) -> None:
    """All three ways give the same datasets, read and written in the storage classes that were declared."""
    run_graph(lab.staging, lab.graph_uri, processes=0)
    pooled = make(tmp_path / "pool", dead=[4])
    run_graph(pooled.staging, pooled.graph_uri, processes=2)
    jobs = make(tmp_path / "jobs", dead=[4])
    prepare_run(jobs.staging, jobs.graph)
    jobs.staging.close()
    code = (
        "import sys; from stage.execution.job import execute_job;"
        "r = execute_job(sys.argv[1], range(12), sys.argv[2], sys.argv[3]); assert r.is_complete, r"
    )
    record = str(tmp_path / "record.jsonl.zst")
    subprocess.run([sys.executable, "-c", code, jobs.graph_uri, record, jobs.store_root], check=True)
    jobs = jobs.reopen()
    merge_records(jobs.staging, jobs.graph, [record])

    assert lab.status() == pooled.status() == jobs.status() == {"succeeded": 12}
    assert lab.checksums() == pooled.checksums() == jobs.checksums()
    assert lab.get("deep_quality", night=1, pointing=2) == {"n": 1, "shards": [0, 1], "dark": 2}
    assert lab.get("deep_change", night=2, pointing=3) == {
        "columns": ["flux", "x"], "n": [2, 2], "type": "DataFrame",
    }  # fmt: skip
    assert lab.get("deep_report", night=1)["pointings"] == [2, 3]


def test_a_minimum_of_two_prunes_to_the_fixed_point(tmp_path: Path) -> None:
    """With two pointings dead a night has one pair, which is no report."""
    graph = make(tmp_path / "lab", dead=[3, 4]).graph
    assert graph.counts() == {"detect": 4, "pair": 2, "night": 0}
    assert graph.header.metadata["dropped"][-1] == {
        "task": "night",
        "dataset_type": "deep_change",
        "dropped": 2,
        "of": 2,
    }


def test_a_storage_class_without_conversion_is_refused_with_both_names(lab: Lab) -> None:
    """At the pipeline's check between tasks; at the build against what is registered."""
    other = {"connections": {"prefix": "deep_", "frame": "limits"}}
    pipeline = Pipeline.of(detect=("tests.survey_tasks.DetectTask", other))
    with pytest.raises(PipelineError, match=r"NumpyArray .* Json|'limits' has storage class") as caught:
        pipeline.check()
    assert caught.value.code == "storage-class-mismatch"
    wrong = {"connections": {"prefix": "deep_", "bias": "frame"}}
    with pytest.raises(PipelineError, match=r"NumpyArray .* Json"):
        Pipeline.of(detect=("tests.survey_tasks.DetectTask", wrong)).check()
    night = Pipeline.of(night=("tests.survey_tasks.NightTask", {"connections": {"changes": "frame"}}))
    with pytest.raises(
        PipelineError,
        match=r"storage class Json \('changes' of task 'night'\) against NumpyArray, and there is no",
    ) as caught:
        build(night, BuildView(None, lab.staging), input_collections=["inputs"])
    assert caught.value.code == "dataset-type-differs"


def test_a_campaign_takes_it_from_clone_to_push(tmp_path: Path) -> None:
    """What lookups found is cloned, the run is as in a repository of its own, and goes upstream."""
    fill(Repo.create(tmp_path / "up", UNIVERSE)).close()
    (tmp_path / "survey.yaml").write_text(survey(dead=[4]).to_yaml())
    campaign, report = Campaign.clone(
        str(tmp_path / "up"),
        tmp_path / "c",
        pipeline=str(tmp_path / "survey.yaml"),
        input=["inputs", "calib"],
    )
    assert report is not None
    assert report.graph.n_quanta == 12
    done = campaign.run(processes=0)
    assert {label: dict(found) for label, found in done.tasks.items()} == {
        "detect": {"succeeded": 6}, "pair": {"succeeded": 4}, "night": {"succeeded": 2},
    }  # fmt: skip
    assert campaign.push(register_dataset_types=True).pushed
    with Repo.open(tmp_path / "up") as upstream:
        assert upstream.get("deep_quality", {"night": 1, "pointing": 2}, [done.run])["shards"] == [0, 1]
