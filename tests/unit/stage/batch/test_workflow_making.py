"""Tests of `stage.batch.workflow`: jobs, what they need, their commands, the order among them, documents and pictures."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import UsageError
from stage.batch.clustering.clusters import cluster_quanta
from stage.batch.clustering.quanta import Declared, QuantaTable
from stage.batch.config.settings import Settings
from stage.batch.memory import limited, memory_of_job, retries_of_job
from stage.batch.workflow.document import clusters_document, workflow_document
from stage.batch.workflow.drawing import draw_clusters, draw_workflow
from stage.batch.workflow.final import final_script
from stage.batch.workflow.making import make_workflow
from stage.batch.workflow.model import JobKind, JobSettings, WhenRun, Workflow
from tests.graph_helpers import chain_graph
from tests.vectors.batch_clustering import settings_of

PLAIN = "submitPath: /data/c/submit/r\nfinalJob: {whenRun: NEVER}\nrunQuantumCommand: 'run {jobNumber}'\n"
PAIRS = "clusterAlgorithm: dimension\ncluster: {x: {pipetasks: 'task0,task1', dimensions: 'shot,chip'}}\n"


@pytest.fixture(scope="module")
def quanta() -> QuantaTable:
    """Three shots of two chips, two tasks each, gathered by shot."""
    return QuantaTable.of(chain_graph(3, 2))


def made(quanta: QuantaTable, text: str) -> Workflow:
    """Return the workflow that a YAML asks for."""
    settings = settings_of(text)
    return make_workflow(quanta, cluster_quanta(quanta, settings), settings)


def test_the_package_s_own_command_finds_its_job(quanta: QuantaTable, tmp_path: Path) -> None:
    """With the package's defaults each job is `stage exec` with its number, and only the attempt is left open."""
    (tmp_path / "s.yaml").write_text(
        "payload: {payloadName: p, butlerConfig: /data/repo, inCollection: i}\nfinalJob: {command1: merge it}\n"
    )
    settings = Settings.read(tmp_path / "s.yaml", command_line={"submitPath": "/data/c/submit/r", "outputRun": "u/r"})  # fmt: skip
    workflow = make_workflow(quanta, cluster_quanta(quanta, settings), settings)
    job = workflow.settings_for(7)
    command = job.arguments
    for name, values in workflow.values.items():
        command = command.replace(f"{{{name}}}", str(values[7]))

    assert job.executable.endswith("stage")
    assert shlex.split(command) == shlex.split(
        "exec /data/c/submit/r/graph.qg --workflow /data/c/submit/r/workflow.jobs --job 7 --attempt {attempt}"
        " --record records/0/7.jsonl"
    )
    assert job.request_memory == 2048
    assert workflow.final is not None


def test_declared_needs_count_below_the_yaml_and_above_the_package(
    quanta: QuantaTable, tmp_path: Path
) -> None:
    """What a task declares replaces the package's default, not what the user wrote; per quantum it makes kinds of jobs."""
    memory = np.where(np.arange(6) < 4, 3000, 9000)
    own = replace(quanta, declared=(Declared(4, memory, 90), Declared(), Declared(0, 100, 0)))
    (tmp_path / "s.yaml").write_text(
        "pipetask: {gather: {requestMemory: 5000}}\nrunQuantumCommand: run x\nfinalJob: {whenRun: NEVER}\n"
    )
    settings = Settings.read(tmp_path / "s.yaml", command_line={"submitPath": "/data/r", "outputRun": "u/r"})
    workflow = make_workflow(own, cluster_quanta(own, settings), settings)
    needs = {(s.label, s.request_memory, s.request_cpus, s.request_walltime) for s in workflow.settings}

    assert needs == {
        ("task0", 3000, 4, 2),
        ("task0", 9000, 4, 2),
        ("task1", 2048, 1, None),
        ("gather", 5000, 1, None),
    }


def test_jobs_of_several_quanta_add_up(quanta: QuantaTable) -> None:
    """Disk and time are sums over a job's quanta, so jobs of other numbers of quanta are other kinds."""
    text = f"{PLAIN}requestWalltime: 10\nclusterAlgorithm: dependency\nmaxQuanta: 3\n"
    workflow = made(quanta, text)
    sizes = np.diff(workflow.quanta.indptr)

    assert [workflow.settings_for(n).request_walltime for n in range(workflow.n_jobs)] == [10 * s for s in sizes]  # fmt: skip


def test_tasks_of_a_job_must_agree(quanta: QuantaTable) -> None:
    """Two tasks of one job that want other queues or commands are refused; the cluster's own word settles it."""
    queues = "pipetask: {task0: {queue: a}, task1: {queue: b}}\n"
    with pytest.raises(UsageError, match="disagree about queue: task0 says 'a', task1 'b'"):
        made(quanta, PLAIN + PAIRS + queues)
    settled = PAIRS.replace("dimensions:", "queue: c, dimensions:")
    assert {s.queue for s in made(quanta, PLAIN + settled + queues).settings} == {"c", None}
    with pytest.raises(UsageError, match="disagree about runQuantumCommand"):
        made(quanta, f"{PLAIN}{PAIRS}pipetask: {{task1: {{runQuantumCommand: other x}}}}\n")


def test_the_init_job_comes_before_all_that_wait_for_nothing(quanta: QuantaTable) -> None:
    """It has number 0, no quanta and its own command; values of the other jobs move along."""
    text = f"{PLAIN}runInit: true\npipetask: {{pipetaskInit: {{runQuantumCommand: prepare it, requestMemory: 9}}}}\n"
    workflow = made(quanta, text)

    assert (workflow.names[0], workflow.settings_for(0).kind) == ("pipetaskInit", JobKind.INIT)
    assert (workflow.settings_for(0).executable, workflow.settings_for(0).request_memory) == ("prepare", 9)
    assert workflow.quanta.of(0).size == 0
    assert all(workflow.parents.of(n).tolist() == [0] for n in range(1, 7))
    assert workflow.parents.of(7).tolist() == [1]
    assert [workflow.values["jobNumber"][n] for n in (0, 7)] == [0, 7]


def test_values_of_each_job(quanta: QuantaTable) -> None:
    """A command may name dimensions, numbers of quanta and what itself names these; strangers are nothing."""
    text = PLAIN.replace("{jobNumber}", "{chip} {qgraphNodeId} {where} {nosuch} {subDir} {jobName} {label}")
    text += "where: 'at {shot}'\nsubDirTemplate: '{label}/{tract}/{shot}'\n"
    workflow = made(quanta, text + PAIRS)
    job = workflow.settings_for(0)
    name = workflow.names[0]

    assert job.arguments == "{chip} {qgraphNodeId} at {shot} {nosuch} {subDir} {jobName} {label}"
    values = {k: v[0] for k, v in workflow.values.items()}
    shot = int(name.split("_")[1])
    assert values["qgraphNodeId"] == ",".join(map(str, workflow.quanta.of(0)))
    assert (values["shot"], values["subDir"], values["jobName"]) == (shot, f"x/{shot}", name)
    assert (values["nosuch"], values["label"]) == ("", "x")


def test_groups_run_one_after_another(quanta: QuantaTable) -> None:
    """With `ordering` jobs of a value wait for all of the value before it, however little they read of each other."""
    text = f"{PLAIN}ordering: {{o: {{labels: 'task0,task1', dimensions: shot, blocking: true}}}}\n"
    workflow = made(quanta, text)
    shots = [quanta.column(t, "shot") for t in (0, 1)]
    of = np.concatenate([s for s in shots if isinstance(s, np.ndarray)])
    quantum = workflow.quanta.indices
    place = {int(q): n for n, q in enumerate(quantum)}
    reached: list[set[int]] = []
    for n in range(workflow.n_jobs):
        parents = workflow.parents.of(n).tolist()
        assert all(p < n for p in parents)
        reached.append(set(parents).union(*(reached[p] for p in parents)))
    values = sorted(set(of.tolist()))
    for later in range(12):
        before = {place[q] for q in range(12) if of[q] < of[later]}
        assert before <= reached[place[later]]
    assert len(values) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{labels: task0, dimensions: shot}", "Set 'blocking: true'"),
        ("{labels: task0, dimensions: tract, blocking: true}", "no tract"),
    ],
)
def test_orders_that_cannot_be_kept_are_refused(quanta: QuantaTable, text: str, said: str) -> None:
    """A group after whose failure the next would begin, or jobs without the dimension: named, with a way on."""
    with pytest.raises(UsageError) as caught:
        made(quanta, f"{PLAIN}ordering: {{o: {text}}}\n")
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_the_final_script_runs_its_commands_in_order(quanta: QuantaTable, tmp_path: Path) -> None:
    """Values are put in, files are its arguments with the graph as default, and the first failure ends it."""
    text = (
        f"submitPath: {tmp_path}\nrunQuantumCommand: run x\nwhere: here\nfinalJob:\n  whenRun: success\n  requestCpus: 3\n"
        "  command2: 'echo {where} {requestCpus} $((1+1))'\n  command1: echo {qgraphFile}\n  command3: 'false'\n  command4: echo no\n"
    )
    settings = settings_of(text)
    workflow = make_workflow(quanta, cluster_quanta(quanta, settings), settings)
    done = subprocess.run(
        ["bash", "-c", final_script(workflow, settings)], capture_output=True, text=True, check=False
    )

    assert workflow.when_final is WhenRun.SUCCESS
    assert workflow.final is not None
    assert workflow.final.request_cpus == 3
    assert done.stdout.splitlines() == [f"{tmp_path}/graph.qg", "here 3 2"]
    assert done.returncode == 1


def test_documents_and_pictures(quanta: QuantaTable) -> None:
    """JSON has every job; a picture has every job while they are few, and labels with counts when they are many."""
    settings = settings_of(PLAIN + PAIRS)
    clusters = cluster_quanta(quanta, settings)
    workflow = make_workflow(quanta, clusters, settings)
    document = json.loads(json.dumps(workflow_document(workflow)))
    drawn = json.loads(json.dumps(clusters_document(quanta, clusters)))

    assert [j["name"] for j in document["jobs"]] == workflow.names == [c["name"] for c in drawn["clusters"]]
    assert drawn["labels"]["x"] == {"clusters": 6, "quanta": {"task0": 6, "task1": 6}}
    assert document["jobs"][-1]["parents"] == workflow.parents.of(8).tolist()
    assert draw_workflow(workflow).count("[label=") == 9
    assert 'n0 [label="x\\n6 jobs, 12 quanta"];' in draw_workflow(workflow, most=8)
    assert 'n1 [label="gather\\n3 clusters, 3 quanta"];\n  n0 -> n1;' in draw_clusters(quanta, clusters, most=2)  # fmt: skip
    assert draw_clusters(quanta, clusters).count(" -> ") == 6


@pytest.mark.parametrize(
    ("first", "most", "limit", "expected"),
    [
        (3072, 20480, None, [3072, 6144, 12288, 20480, None]),
        (32768, 65536, None, [32768, 65536, None, None, None]),
        (3072, 20480, 8000, [3072, 6144, 8000, None, None]),
        (3072, None, 4000, [3072, 4000, None, None, None]),
        (8192, 4096, None, [8192, None, None, None, None]),
    ],
)
def test_memory_of_jobs(first: int, most: int | None, limit: int | None, expected: list[Any]) -> None:
    """The worked examples of the field; a site's limit cuts them, and the first attempt gets what is asked for."""
    job = limited(JobSettings("t", request_memory=first, request_memory_max=most, memory_multiplier=2.0), limit)  # fmt: skip
    assert [memory_of_job(job, n) for n in range(5)] == expected
    assert retries_of_job(job) == 5


def test_the_limit_means_nothing_where_memory_does_not_grow() -> None:
    """Without a multiplier neither limit nor greatest value changes anything, and there are no retries."""
    job = JobSettings("t", request_memory=5, request_memory_max=3)
    assert limited(job, 2) is job
    assert [memory_of_job(job, n) for n in range(3)] == [5, 5, 5]
    assert (retries_of_job(job), memory_of_job(JobSettings("t"), 3)) == (0, None)
