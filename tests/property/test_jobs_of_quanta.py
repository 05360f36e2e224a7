"""Jobs, however quanta are grouped: each quantum is in exactly one, and they wait for each other as their quanta do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from registry.errors import UsageError
from registry.model.columns import Columns
from stage.batch.clustering.clusters import cluster_quanta
from stage.batch.clustering.quanta import QuantaTable
from stage.batch.workflow.file import load_workflow, read_job, save_workflow
from stage.batch.workflow.making import make_workflow
from stage.graph.table import Csr, Table
from tests.vectors.batch_clustering import settings_of

_PLAIN = (
    "runQuantumCommand: 'run {jobNumber} {visit}'\nfinalJob: {whenRun: NEVER}\ntemplateDataId: '{visit}'\n"
)
_ALGORITHMS = (
    "",
    "clusterAlgorithm: dependency\nmaxQuanta: 3\n",
    "clusterAlgorithm: dependency\nmaxMinutes: 25\nrequestWalltime: 10\n",
    "clusterAlgorithm: dimension\ncluster: {x: {pipetasks: 't0,t1', dimensions: visit}, y: {pipetasks: t3, dimensions: visit}}\n",
    "clusterAlgorithm: dimension\ncluster: {x: {pipetasks: 't0,t1,t2,t3', partitionDimensions: visit, partitionMaxSize: 2}}\n",
    "clusterAlgorithm: dimension\ncluster: {x: {pipetasks: 't1,t2,t3', dimensions: visit}}\nrunInit: true\n",
)


@st.composite
def tables(draw: st.DrawFn) -> QuantaTable:
    """Quanta of four tasks, of which any may read what one of an earlier task makes."""
    counts = draw(st.lists(st.integers(0, 5), min_size=4, max_size=4))
    offsets = np.cumsum([0, *counts])
    n = int(offsets[-1])
    task_of = np.repeat(np.arange(4), counts)
    pairs = sorted(
        {
            (later, earlier)
            for later, earlier in draw(
                st.lists(st.tuples(st.integers(0, max(n - 1, 0)), st.integers(0, max(n - 1, 0))), max_size=14)
            )
            if n and task_of[earlier] < task_of[later]
        }
    )
    later, earlier = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    visits = [draw(st.lists(st.integers(1, 3), min_size=c, max_size=c)) for c in counts]
    return QuantaTable(
        tuple(f"t{i}" for i in range(4)),
        offsets.astype(np.int64),
        tuple(Table.of(Columns.from_rows(["visit"], [(v,) for v in given])) for given in visits),
        Csr.from_pairs(n, later, earlier),
        frozenset((int(task_of[a]), int(task_of[b])) for b, a in pairs),
    )


@given(tables(), st.sampled_from(_ALGORITHMS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_jobs_are_an_image_of_their_quanta(table: QuantaTable, algorithm: str) -> None:
    """Each quantum once; edges between jobs are those between their quanta; what waits has a higher number; the file says it too."""
    chosen = settings_of(_PLAIN + algorithm)
    try:
        clusters = cluster_quanta(table, chosen)
    except UsageError as error:
        if error.code != "cluster-cycle":
            raise
        assume(False)
    workflow = make_workflow(table, clusters, chosen)
    job_of = np.full(table.n_quanta, -1)
    job_of[workflow.quanta.indices] = workflow.quanta.rows()
    dependencies = table.dependencies
    edges = {(int(job_of[a]), int(job_of[b])) for b, a in zip(dependencies.rows(), dependencies.indices, strict=True)}  # fmt: skip
    found = set(zip(workflow.parents.indices.tolist(), workflow.parents.rows().tolist(), strict=True))
    first = 1 if workflow.names[:1] == ["pipetaskInit"] else 0

    assert sorted(workflow.quanta.indices.tolist()) == list(range(table.n_quanta))
    assert {(a, b) for a, b in found if a >= first} == {(a, b) for a, b in edges if a != b}
    assert all(a < b for a, b in found)
    assert len(set(workflow.names)) == workflow.n_jobs
    for quanta in (workflow.quanta.of(n).tolist() for n in range(workflow.n_jobs)):
        assert quanta == sorted(quanta)
    _check_file(workflow)


def _check_file(workflow: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workflow.jobs"
        save_workflow(workflow, path)
        again = load_workflow(path)
        assert (list(again.names), again.settings) == (workflow.names, workflow.settings)
        assert {k: list(v) for k, v in again.values.items()} == {k: list(v) for k, v in workflow.values.items()}  # fmt: skip
        for number in range(workflow.n_jobs):
            expected = (workflow.settings_for(number), workflow.names[number], workflow.quanta.of(number).tolist())  # fmt: skip
            assert read_job(path, number) == expected


@given(tables(), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_following_dependencies_keeps_the_limit(table: QuantaTable, most: int) -> None:
    """No job has more quanta than `maxQuanta`, and jobs wait only for what their first quanta of a task wait for."""
    clusters = cluster_quanta(table, settings_of(f"{_PLAIN}clusterAlgorithm: dependency\nmaxQuanta: {most}\n"))  # fmt: skip
    sizes = np.diff(clusters.quanta.indptr)
    assert not len(sizes) or sizes.max() <= most
    assert np.all(clusters.parents.indices < clusters.parents.rows())
