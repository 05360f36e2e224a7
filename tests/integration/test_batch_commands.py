"""Submissions as people make them: the whole round with the engine of this machine, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, campaign_digest, make_upstream, stage

from registry.errors import ConflictError, NotFoundError
from stage.batch.facade import Batch
from stage.batch.submission.index import add_entry, find_entry
from stage.campaign.campaign import Campaign
from stage.graph.graph import QuantumGraph
from sync.repo import Repo

YAML = """
pipelineYaml: pipeline.yaml
operator: ada
project: dev
campaign: quick
computeSite: here
payload:
  payloadName: weather
  butlerConfig: upstream
  inCollection: net/raw
  dataQuery: ""
requestMemory: 1500
clusterAlgorithm: dimension
cluster:
  byStation: {pipetasks: "clean, summarise", dimensions: station}
site:
  here: {wmsServiceClass: local, cores: 2}
"""
FIELD = """
includeConfigs:
  - ${SITE_DIR}/bps_eb.yaml
pipelineYaml: "${PWD}/pipeline.yaml#clean"
project: dev
campaign: quick
computeSite: ncsapool
payload:
  payloadName: asbefore
  output: "u/{operator}/{payloadName}"
  outputRun: "{output}/{timestamp}"
  runInit: true
  butlerConfig: ${PWD}/upstream
  inCollection: net/raw
  dataQuery: station = 'aar'
submitRoot: ${PWD}/submit
submitPath: "{submitRoot}/{outputRun}"
bpsUseShared: true
whenSaveJobQgraph: "NEVER"
wmsServiceClass: lsst.ctrl.bps.parsl.ParslService
finalJob:
  push: true
pipetasks:
  clean:
    requestMemory: 1000
site:
  ncsapool:
    wmsServiceClass: local
"""
EXECUTION_BUTLER = """
runQuantumCommand: >-
  ${CTRL_MPEXEC_DIR}/bin/pipetask {runPreCmdOpts} run
  --butler-config {butlerConfig} --output-run {outputRun}
  --qgraph {fileDistributionEndPoint}{qgraphFile} --qgraph-id {qgraphId} --qgraph-node-id {qgraphNodeId}
  --clobber-outputs --skip-init-writes --extend-run {extraRunQuantumOptions}
pipetask:
  pipetaskInit:
    runQuantumCommand: >-
      ${CTRL_MPEXEC_DIR}/bin/pipetask {initPreCmdOpts} run --butler-config {butlerConfig} --init-only
executionButlerTemplate: "{submitPath}/EXEC_REPO-{uniqProcName}"
executionButler:
  whenCreate: "SUBMIT"
  createCommand: "${CTRL_MPEXEC_DIR}/bin/pipetask qgraph -b {butlerConfig}"
  whenMerge: "ALWAYS"
  implementation: JOB
  concurrencyLimit: db_limit
  command1: "${DAF_BUTLER_DIR}/bin/butler --log-level=VERBOSE transfer-datasets  {executionButlerDir} {butlerConfig}"
  command2: "${DAF_BUTLER_DIR}/bin/butler collection-chain {butlerConfig} {output} {outputRun} --mode=prepend"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an upstream, a pipeline and a submission's file; and an index of its own."""
    make_upstream(tmp_path)
    (tmp_path / "weather.yaml").write_text(YAML)
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _until(folder: Path, state: str, code: int, timeout_s: float = 180.0) -> dict[str, Any]:
    """Ask until a submission is in a state; return what is said of it."""
    until = time.monotonic() + timeout_s
    while True:
        told = Batch().status(id="1")
        if told.state == state:
            break
        assert time.monotonic() < until, f"{told}"
        time.sleep(0.05)
    return dict(json.loads(call("batch", "status", "--id", "1", "--json", cwd=folder, code=code).stdout))


def _runs(folder: Path, campaign: str = "weather") -> tuple[str | None, tuple[str, ...]]:
    found = Campaign.load(folder / campaign).state.collections
    return found.current_run, found.past_runs


def test_the_whole_round(folder: Path) -> None:
    """Submitted, reported, merged and finished without anybody's doing; pushed when that is asked for."""
    done = stage("batch", "submit", "weather.yaml", "--save-dot", cwd=folder).stdout

    told = re.fullmatch(
        r"10 quanta in 4 jobs, local on site 'here'\nSubmit dir: (.*)\nRun Id: 1\nRun Name: (u_ada_weather_\d+T\d+Z)\n",
        done,
    )
    assert told is not None, done
    where, run = Path(told[1]), told[2].replace("_", "/")
    assert where == folder / "weather" / "submit" / run
    _until(folder, "SUCCEEDED", 0)
    assert _runs(folder) == (None, (run,)), "it was finished as any run"
    row = call("batch", "report", "--hist", "0.5", cwd=folder).stdout.splitlines()
    assert row[0].split() == ["X", "STATE", "%S", "ID", "OPERATOR", "PRJ", "CMPGN", "PAYLOAD", "RUN"]
    assert row[2].split() == ["SUCCEEDED", "100", "1", "ada", "dev", "quick", "weather", told[2]]
    assert "no submissions that have not ended" in call("batch", "report", cwd=folder).stdout
    detail = call("batch", "report", "--id", "1", cwd=folder).stdout
    assert re.search(r"^byStation +3 +3 +3 +1,500", detail, re.MULTILINE)
    assert re.search(r"^finalJob +1 +1 +1", detail, re.MULTILINE)
    assert {"clusters.dot", "workflow.dot", "config.yaml", "quantumGraphGeneration.out", "final_job.out"} <= {
        p.name for p in where.iterdir()
    }
    assert "quanta: 6 clean, 3 summarise, 1 total" in (where / "quantumGraphGeneration.out").read_text()
    assert (
        json.loads(call("log", "total", "--json", cwd=folder / "weather").stdout)[0]["status"] == "succeeded"
    )
    with Repo.open(str(folder / "upstream")) as upstream, upstream.registry.read() as snapshot:
        assert run not in {c.name for c in snapshot.collections()}, "nothing was pushed"
    call("push", "--register-dataset-types", cwd=folder / "weather")
    assert call("get", "total", "--repo", "upstream", "--collections", run, cwd=folder).stdout.strip() != ""


def test_what_fails_is_told_and_begins_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause is the task's own words; a restart does only what is missing, with other needs, and the run is finished."""
    call(
        "clone",
        "upstream",
        "weather",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "-c",
        "clean:fail_on=bex",
        cwd=folder,
    )

    told = call("batch", "submit", "weather.yaml", "--wait", cwd=folder, code=3).stdout

    assert told.endswith("State: FAILED\n")
    assert call("batch", "status", "--id", "1", cwd=folder, code=3).stdout.startswith("FAILED")
    detail = Batch().report(id="1", logs=True).detail
    assert detail is not None
    assert [(c.label, c.states) for c in detail.labels] == [
        ("byStation", {"SUCCEEDED": 2, "FAILED": 1}), ("total", {"PRUNED": 1}), ("finalJob", {"SUCCEEDED": 1}),
    ]  # fmt: skip
    (cause,) = detail.causes
    assert (cause.message, cause.jobs, cause.exit_codes) == (
        "ValueError: station bex is out of order",
        1,
        [3],
    )
    assert "out of order" in detail.outputs[0].text
    current, _ = _runs(folder)
    assert current is not None, "it can be gone on with"
    assert "out of order" in call("log", "--failed", cwd=folder / "weather").stdout
    call("batch", "submit", "weather.yaml", cwd=folder, code=12)

    monkeypatch.setenv("STAGE_TEST_HEALED", "1")
    said = call(
        "batch",
        "restart",
        "--id",
        "1",
        "--memory",
        "1800",
        "--set",
        "byStation:requestCpus=2",
        "--wait",
        cwd=folder,
    )

    assert said.stdout.startswith("2 jobs begin again\nRun Id: 1\nRun Name: ")
    assert _runs(folder)[0] is None
    labels = {c.label: c for c in Batch().report(id="1").detail.labels}  # type: ignore[union-attr]
    assert (labels["byStation"].attempts, labels["byStation"].memory_asked) == (4, (1500, 1800))


def test_a_killed_head_and_a_cancelled_submission(folder: Path) -> None:
    """Nobody drives it: said, and gone on with; cancelled, it ends, and what is not ours is left alone."""
    (folder / "slow.yaml").write_text(YAML + 'runQuantumCommand: "sleep 60"\nfinalJob: {whenRun: NEVER}\n')
    call("batch", "submit", "slow.yaml", cwd=folder)
    _until(folder, "RUNNING", 11)
    call("batch", "restart", "--id", "1", cwd=folder, code=11)
    for words in (("run", "-q", "-j0"), ("pop", "--purge")):
        assert "is being executed by jobs" in call(*words, cwd=folder / "weather", code=11).stderr
    where = find_entry("1").where
    os.kill(json.loads(where.head_lock.read_text())["pid"], signal.SIGKILL)

    told = _until(folder, "UNKNOWN", 10)

    assert (told["flag"], "stage batch restart --id 1" in told["note"]) == ("!", True)
    call("batch", "restart", "--id", "1", cwd=folder)
    _until(folder, "RUNNING", 11)
    theirs = add_entry(_of_another_user())
    with pytest.raises(ConflictError, match="is eve's, and you are"):
        Batch().cancel(id=str(theirs.id))
    assert call("batch", "cancel", "--id", "1", cwd=folder).stdout == "Successfully canceled: 1\n"
    _until(folder, "DELETED", 130)
    with pytest.raises(NotFoundError, match="0 jobs found matching arguments"):
        Batch().cancel(id="1")


def _of_another_user() -> Any:
    from dataclasses import replace

    return replace(find_entry("1"), user="eve", name="hers")


def test_what_is_only_shown_is_not_made(folder: Path) -> None:
    """--print has every file with the paths that it would have, --dry-run the numbers; nothing is written anywhere."""
    before = campaign_digest(folder)
    told = call("batch", "submit", "weather.yaml", "--print", "--output-run", "u/x/r1", cwd=folder).stdout
    counted = call("batch", "submit", "weather.yaml", "--dry-run", cwd=folder).stdout

    assert campaign_digest(folder) == before
    where = folder / "weather" / "submit" / "u" / "x" / "r1"
    assert f"==> {where}/final_job.bash <==" in told
    assert f"merge --run u/x/r1 --campaign-dir {folder / 'weather'}" in told
    assert "byStation_aar" in told
    assert counted.startswith("10 quanta in 4 jobs")


def test_the_variable_names_the_campaign_as_the_option_does(folder: Path) -> None:
    """Where $STAGE_CAMPAIGN_DIR names none yet it is made there, and not beside it under the payload's name."""
    env = {"STAGE_CAMPAIGN_DIR": str(folder / "elsewhere")}
    counted = call("batch", "acquire", "weather.yaml", "--dry-run", cwd=folder, env=env).stdout
    assert not (folder / "elsewhere").exists()
    call("batch", "acquire", "weather.yaml", cwd=folder, env=env)

    assert counted.startswith("10 quanta")
    assert Campaign.load(folder / "elsewhere").state.collections.current_run is not None
    assert not (folder / "weather").exists()
    (folder / "empty").mkdir()
    given = ("--campaign-dir", str(folder / "empty"))
    call("batch", "acquire", "weather.yaml", *given, cwd=folder, env=env)

    assert Campaign.load(folder / "empty").state.collections.current_run is not None, "the option goes first"


def test_stage_by_stage(folder: Path) -> None:
    """Each stage leaves what the next finds; a wrong option leaves all as it was; handed over it is not handed over again."""
    out = call("batch", "acquire", "weather.yaml", "--no-finish", cwd=folder).stdout
    where = Path(re.search(r"Submit dir: (.*)", out)[1])  # type: ignore[index]
    assert f"Next: stage batch submit {where}" in out
    for verb, left in (("cluster", "batch.json"), ("transform", "workflow.jobs"), ("prepare", "engine")):
        call("batch", verb, where, cwd=folder)
        assert (where / left).exists()
    before = campaign_digest(folder)
    assert "no engine" in call("batch", "submit", where, "--engine", "none", cwd=folder, code=2).stderr
    assert "are made" in call("batch", "submit", where, "-d", "x", cwd=folder, code=2).stderr
    assert campaign_digest(folder) == before
    (where / "workflow.jobs").unlink()

    assert call("batch", "submit", where, "--wait", cwd=folder).stdout.endswith("State: SUCCEEDED\n")
    assert "restart --id 1" in call("batch", "submit", where, cwd=folder, code=12).stderr
    assert _runs(folder)[0] is not None, "--no-finish holds for the merge too"
    shutil.rmtree(where)
    assert "is gone" in call("batch", "status", "--id", "1", cwd=folder, code=10).stdout


def test_files_that_people_have(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Includes, execution butler, names of classes: it runs and pushes, and what means nothing here is told with why."""
    (folder / "site").mkdir()
    (folder / "site" / "bps_eb.yaml").write_text(EXECUTION_BUTLER)
    (folder / "old.yaml").write_text(FIELD)
    monkeypatch.setenv("SITE_DIR", str(folder / "site"))

    told = call("batch", "submit", "old.yaml", "--wait", cwd=folder).stdout

    assert told.endswith("State: SUCCEEDED\n")
    for said in (
        "runQuantumCommand calls pipetask: jobs run their quanta by 'stage exec' instead",
        "runInit: the run is made ready without a job",
        "executionButler.whenCreate has no effect here",
        "is a link to",
    ):
        assert said in told
    _, (run,) = _runs(folder, "asbefore")
    assert (folder / "submit" / run / "final_job.out").is_file(), "at the place that the file names"
    with Repo.open(str(folder / "upstream")) as upstream, upstream.registry.read() as snapshot:
        found = {c.name: c for c in snapshot.collections()}
    assert found[run.rpartition("/")[0]].children[0] == run, "pushed, since the file says so"


def test_a_graph_that_is_there_already(folder: Path) -> None:
    """Submitted twice it makes two runs, each of a copy of its own with that run; the file itself stays as it was."""
    call("init", "upstream", "author", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder)
    call("build", "--write-qg", folder / "made.qg", cwd=folder / "author")
    before = (folder / "made.qg").read_bytes()
    (folder / "given.yaml").write_text(
        YAML.replace("pipelineYaml: pipeline.yaml", "qgraphFile: made.qg").replace(
            "  inCollection: net/raw\n", ""
        )
    )

    call("batch", "submit", "given.yaml", "--wait", cwd=folder)
    call("batch", "submit", "weather.yaml", "--qgraph", "made.qg", "--new-run", "--wait", cwd=folder)

    _, runs = _runs(folder)
    assert len(runs) == 2
    assert (folder / "made.qg").read_bytes() == before
    graphs = [QuantumGraph.load(folder / "weather" / "submit" / run / "graph.qg") for run in runs]
    assert [g.output_run for g in graphs] == list(runs)
    assert graphs[0].id != graphs[1].id


def test_a_script_of_ones_own(folder: Path) -> None:
    """It runs on a copy of itself, in a directory of its own; an output that it does not make is a failure."""
    script = folder / "double.sh"
    script.write_text("#!/bin/sh\nsed 's/$/!/' $1 > $2\ntest -z \"$3\" || rm $2\n")
    script.chmod(0o755)
    (folder / "in.txt").write_text("hello\n")
    text = """
computeSite: local
submitPath: "${PWD}/submits/{timestamp}"
payload: {payloadName: double, outputRun: "double/{timestamp}"}
customJob:
  executable: double.sh
  arguments: "{source} {target} ARGUMENT"
  inputs: {source: in.txt}
  outputs: {target: made/out.txt}
"""
    (folder / "good.yaml").write_text(text.replace("ARGUMENT", ""))
    (folder / "bad.yaml").write_text(
        text.replace("ARGUMENT", "x").replace("out.txt", "none.txt").replace("submits", "bad")
    )

    assert call("batch", "submitcmd", "good.yaml", "--wait", cwd=folder).stdout.endswith("State: SUCCEEDED\n")
    assert (folder / "made" / "out.txt").read_text() == "hello!\n"
    call("batch", "submitcmd", "bad.yaml", "--wait", cwd=folder, code=3)
    detail = Batch().report(id="2").detail
    assert detail is not None
    assert "has not made none.txt" in Path(detail.causes[0].example).read_text()


QUEUE = """
import subprocess
from stage.batch.engines.base import Engine, JobState
from stage.batch.workflow.file import load_workflow

class Queue(Engine):
    '''Works through all jobs by itself: at once, while it is asked to take them.'''

    name = "queue"

    def ping(self):
        return "ready"

    def prepare(self, workflow, where):
        return []

    def submit(self, where, name):
        (where.engine / "taken").write_text("x" * load_workflow(where.workflow).n_jobs)
        subprocess.run([str(where.final_script)], check=False, capture_output=True)
        return "42"

    restart = submit

    def cancel(self, handle, name):
        taken = bool((where_of(name) / "taken").read_text())
        (where_of(name) / "taken").write_text("")
        return int(taken)

    def states(self, workflow, where, handle=""):
        state = JobState.RUNNING if (where.engine / "taken").read_text() else JobState.DELETED
        return [state] * workflow.n_jobs

def where_of(name):
    from stage.batch.submission.index import find_entry
    return find_entry(name).where.engine
"""


def test_an_engine_that_needs_no_head(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the whole, is asked where its jobs are, and is told to end; a restart cannot change what it was given."""
    (folder / "queue_engine.py").write_text(QUEUE)
    monkeypatch.syspath_prepend(str(folder))
    queue = ("--engine", "queue_engine:Queue")

    assert call("batch", "ping", *queue, cwd=folder).stdout == "queue on site 'local': ready\n"
    call("batch", "submit", "weather.yaml", *queue, cwd=folder)
    assert call("batch", "status", "--id", "1", cwd=folder, code=11).stdout == "RUNNING\n"
    assert "4 jobs begin again" in call("batch", "restart", "--id", "1", cwd=folder).stdout
    assert (
        "as it was prepared"
        in call("batch", "restart", "--id", "1", "--memory", "9", cwd=folder, code=2).stderr
    )
    call("batch", "cancel", "--id", "1", cwd=folder)
    assert call("batch", "status", "--id", "1", cwd=folder, code=130).stdout.startswith("DELETED")
