"""What `HTCondorEngine.prepare` writes, read by HTCondor's own library as far as that goes without a pool."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import UsageError
from stage.batch.engines.base import EngineSettings, JobState
from stage.batch.engines.htcondor.arguments import quote_words
from stage.batch.engines.htcondor.engine import HTCondorEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobKind, JobSettings, WhenRun, Workflow
from stage.graph.table import Csr
from tests.batch_world import submit_dir

COMMAND = (
    "exec {graphFile} --workflow {workflowFile} --job {jobNumber} --attempt {attempt} --record {recordFile}"
)


def flow(names: Sequence[str], parents: Mapping[int, Sequence[int]], **more: Any) -> Workflow:
    """Return a workflow of jobs of one kind."""
    n = len(names)
    lists = [list(parents.get(i, ())) for i in range(n)]
    settings = more.pop("settings", [JobSettings("isr", executable="/opt/bin/stage", arguments=COMMAND)])
    return Workflow(
        "u_me_run",
        settings,
        names,
        np.zeros(n, dtype=np.int32),
        Csr(np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32)),
        Csr(
            np.concatenate(([0], np.cumsum([len(p) for p in lists]))).astype(np.int64),
            np.array([p for one in lists for p in one], dtype=np.int32),
        ),
        {"jobNumber": list(range(n)), "recordFile": [f"records/{i}.jsonl" for i in range(n)]},
        attributes={"operator": "me", "payload": "p"},
        **more,
    )


def engine(**options: Any) -> HTCondorEngine:
    """Return the engine of a site."""
    return HTCondorEngine(EngineSettings("pool", options, environment={"SITE": "a b"}))


@pytest.fixture
def where(tmp_path: Path) -> SubmitDir:
    return submit_dir(tmp_path / "run")


@pytest.fixture
def dagman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """HTCondor's library, which reads a DAG only where a program of that name is: it is never started here."""
    module = pytest.importorskip("htcondor2", reason="needs HTCondor's library: pip install htcondor")
    program = tmp_path / "bin/condor_dagman"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return module


DIAMOND = {1: [0], 2: [0], 3: [1, 2], 4: [1, 2]}
NAMES = ["init", "isr_1", "isr_2", "isr 3.a", "FINAL"]


def test_a_node_each_with_its_values(where: SubmitDir) -> None:
    """Each job is a node with values of its own; what DAGMan would not take as a name is changed."""
    dag = engine().prepare(flow(NAMES, DIAMOND), where)[0].read_text()

    assert (
        'JOB isr_1 isr.sub\nVARS isr_1 job_name="isr_1" job_jobNumber="1" job_recordFile="records/1.jsonl"\n'
        in dag
    )
    assert 'JOB isr-3-a__3 isr.sub\nVARS isr-3-a__3 job_name="isr 3.a"' in dag
    assert "JOB FINAL__4 isr.sub" in dag


def test_jobs_that_wait_for_the_same_are_one_line(where: SubmitDir) -> None:
    """Every edge is there, and neighbours with the same parents share a line."""
    dag = engine().prepare(flow(NAMES, DIAMOND), where)[0].read_text()

    assert ["PARENT init CHILD isr_1 isr_2", "PARENT isr_1 isr_2 CHILD isr-3-a__3 FINAL__4"] == [
        line for line in dag.splitlines() if line.startswith("PARENT")
    ]


def test_final_job_always_or_after_success(where: SubmitDir) -> None:
    """One that always runs is DAGMan's final node; otherwise it waits for all that nothing waits for."""
    final = JobSettings("finalJob", JobKind.FINAL, number_of_retries=2)
    always = (
        engine().prepare(flow(NAMES, DIAMOND, final=final, when_final=WhenRun.ALWAYS), where)[0].read_text()
    )
    success = (
        engine().prepare(flow(NAMES, DIAMOND, final=final, when_final=WhenRun.SUCCESS), where)[0].read_text()
    )
    never = engine().prepare(flow(NAMES, DIAMOND, final=final), where)[0].read_text()

    assert "FINAL finalJob finalJob.sub\n" in always
    assert "JOB finalJob finalJob.sub\n" in success
    assert "PARENT isr-3-a__3 FINAL__4 CHILD finalJob\n" in success
    assert "finalJob" not in never
    text = (where.engine / "finalJob.sub").read_text()
    assert "universe = local\nexecutable = /bin/bash\n" in text
    assert f'arguments = "{where.final_script}"\n' in text


def test_limits_of_the_site_are_the_dags_and_others_the_pools(where: SubmitDir) -> None:
    """A concurrency limit with a number is a category with that many jobs at once; one without is named to the pool."""
    settings = [JobSettings("isr", executable="/bin/true", concurrency_limit="db_limit", priority=5)]
    workflow = flow(["a", "b"], {}, settings=settings)
    kept = engine(concurrencyLimits={"db_limit": 3}).prepare(workflow, where)
    dag, description = kept[0].read_text(), kept[2].read_text()

    assert "CATEGORY a db_limit\n" in dag
    assert "MAXJOBS db_limit 3\n" in dag
    assert "PRIORITY b 5\n" in dag
    assert "concurrency_limits" not in description
    assert "concurrency_limits = db_limit\n" in engine().prepare(workflow, where)[2].read_text()


def test_one_description_a_label_says_all_needs(where: SubmitDir) -> None:
    """Needs of a kind of jobs are commands of its description; what the site adds comes last."""
    settings = JobSettings(
        "isr",
        executable="/opt/bin/stage",
        arguments=COMMAND,
        request_memory=2048,
        request_cpus=2,
        request_disk=500,
        request_walltime=60,
        preemptible=True,
        accounting_group="lsst.dev",
        accounting_user="me",
        queue="long",
        environment=(("GREETING", 'it\'s "so"'),),
    )
    profile = {"condor": {"+Walltime": 7200, "getenv": "False"}}
    text = engine(profile=profile).prepare(flow(["a", "b"], {}, settings=[settings]), where)[2].read_text()
    found = dict(line.split(" = ", 1) for line in text.splitlines())

    assert ("2048", "2", "500MB", "3600", "0") == tuple(
        found[k]
        for k in (
            "request_memory",
            "request_cpus",
            "request_disk",
            "allowed_execute_duration",
            "max_job_retirement_time",
        )
    )
    assert ("lsst.dev", "me", '"long"') == tuple(
        found[k] for k in ("accounting_group", "accounting_group_user", "+Queue")
    )
    assert "\"'SITE=a b' 'GREETING=it''s \"\"so\"\"'\"" == found["environment"]
    assert ("7200", "False") == (found["+Walltime"], found["getenv"])
    assert '"u_me_run"' == found["+bps_run"]
    assert (
        "exec {graphFile} --workflow {workflowFile} --job $(job_jobNumber) --attempt $$([$(ClusterId)"
        in found["arguments"]
    )


@pytest.mark.service
def test_attempts_rise_with_each_start(where: SubmitDir) -> None:
    """The number that fences attempts rises with each start of a job, and with each submission of the DAG."""
    classad2 = pytest.importorskip("classad2", reason="needs HTCondor's library: pip install htcondor")
    text = engine().prepare(flow(["a"], {}), where)[2].read_text()
    inner = text.split("$$([")[1].split("])")[0]

    def attempt(cluster: int, **ad: int) -> int:
        return int(
            classad2.ClassAd(
                {**ad, "It": classad2.ExprTree(inner.replace("$(ClusterId)", str(cluster)))}
            ).eval("It")
        )

    found = [attempt(17), attempt(17, NumJobStarts=1), attempt(17, NumJobStarts=7), attempt(18)]
    assert sorted(set(found)) == found


@pytest.mark.service
def test_library_takes_dag_and_descriptions(dagman: Any, where: SubmitDir) -> None:
    """HTCondor's own library reads each line of the DAG, and each description; one with a line too many it refuses."""
    final = JobSettings("finalJob", JobKind.FINAL, request_memory=100, memory_multiplier=2.0)
    kind = JobSettings("isr", executable="/bin/true", arguments=COMMAND, request_memory=10, memory_multiplier=1.5, concurrency_limit="db", priority=1)  # fmt: skip
    workflow = flow(NAMES, DIAMOND, settings=[kind], final=final, when_final=WhenRun.ALWAYS)
    written = engine(concurrencyLimits={"db": 2}).prepare(workflow, where)
    described = dagman.Submit.from_dag(str(written[0]), {"BatchName": "x", "UseDagDir": True})

    assert "-Dag workflow.dag" in described["arguments"].replace(f"{where.engine}/", "")
    for path in written[2:]:
        text = path.read_text()
        read = dagman.Submit(text)
        assert [line.split(" = ")[0] for line in text.splitlines()] == [
            k.replace("My.", "+", 1) for k in read
        ] or len(read) == len(text.splitlines())
    with written[0].open("a") as file:
        file.write("NODE a\n")
    with pytest.raises(Exception, match="not a valid DAG command"):
        dagman.Submit.from_dag(str(written[0]), {"Force": True})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concurrencyLimits": {"db": 0}}, "concurrencyLimits.db is 0"),
        ({"profile": {"condor": {"no command": 1}}}, "'no command: 1'"),
        ({"dagman": {"maxIdle": 3}}, "'maxIdle: 3'"),
        ({"profile": "x"}, "has to be a section"),
    ],
)
def test_what_a_site_says_wrongly_is_refused(where: SubmitDir, options: dict[str, Any], said: str) -> None:
    """A setting of the wrong kind is refused by its name."""
    with pytest.raises(UsageError, match=said):
        engine(**options).prepare(flow(["a"], {}), where)


def test_command_that_is_missing_is_refused(where: SubmitDir) -> None:
    """Jobs without a command are refused, by their label."""
    workflow = flow(["a"], {})
    bad = replace(workflow, settings=[JobSettings("isr")])

    with pytest.raises(UsageError, match="jobs of 'isr' have no command"):
        engine().prepare(bad, where)


def test_words_are_quoted() -> None:
    """Blanks and quotes in arguments are written as the language of submit descriptions has them."""
    assert """"a 'b c' 'it''s' ""x"" ''\"""" == quote_words(["a", "b c", "it's", '"x"', ""])


def test_values_of_several_words_are_taken_apart(where: SubmitDir) -> None:
    """A value with blanks or quotation marks makes the words that a shell would make of it."""
    settings = [JobSettings("isr", executable="/bin/sh", arguments="-c {script} {attempt}")]
    scripts = ["'echo \"$(x)\"' more", "true"]
    workflow = replace(flow(["a", "b"], {}, settings=settings), values={"script": scripts})
    dag, _, description = (p.read_text() for p in engine().prepare(workflow, where))

    assert 'arguments = "$(job_arguments)"\n' in description
    assert 'job_arguments="-c \'echo \\"\\"$(DOLLAR)(x)\\"\\"\' more $$([' in dag


def test_what_all_jobs_have_alike_stands_in_their_description(where: SubmitDir) -> None:
    """A value that is the same for all jobs of a kind is not repeated in the DAG; an empty one leaves no word."""
    settings = [JobSettings("isr", executable="stage", arguments="exec {graph} {extra} --job {jobNumber}")]
    values = {"graph": ["/data/a b/graph.qg"] * 2, "extra": [""] * 2, "jobNumber": [0, 1]}
    workflow = replace(flow(["a", "b"], {}, settings=settings), values=values)
    dag, _, description = (p.read_text() for p in engine().prepare(workflow, where))

    assert 'VARS b job_name="b" job_jobNumber="1"\n' in dag
    assert 'arguments = "exec /data/a b/graph.qg --job $(job_jobNumber)"\n' in description


def test_dag_of_many_jobs_is_written_in_seconds(where: SubmitDir) -> None:
    """Writing takes a fixed time for each job: 20,000 with two parents each in a second or two."""
    n = 20_000
    workflow = flow([f"isr_{i}" for i in range(n)], {i: [i - 2, i - 1] for i in range(2, n)})
    start = time.process_time()
    dag = engine().prepare(workflow, where)[0]

    assert time.process_time() - start < 5
    assert n == sum(line.startswith("JOB ") for line in dag.read_text().splitlines())


STATUS = """[
  Type = "DagStatus";
  DagStatus = 3; /* "STATUS_SUBMITTED ()" */
]
[
  Type = "NodeStatus";
  Node = "isr_1";
  NodeStatus = 5; /* "STATUS_DONE" */
  StatusDetails = "";
]
[
  Type = "NodeStatus";
  Node = "isr-3-a__3";
  NodeStatus = 6; /* "STATUS_ERROR" */
  StatusDetails = "Job proc (3.0.0) failed with status 1";
]
"""


def test_states_of_nodes_are_those_of_their_jobs(where: SubmitDir) -> None:
    """The file that DAGMan keeps tells where jobs are; what it does not name waits."""
    workflow = flow(NAMES, DIAMOND)
    engine().prepare(workflow, where)
    (where.engine / "nodes.status").write_text(STATUS)

    assert [JobState.UNREADY, JobState.SUCCEEDED, JobState.UNREADY, JobState.FAILED, JobState.UNREADY] == engine().states(workflow, where)  # fmt: skip
