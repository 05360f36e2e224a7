"""Submissions to a machine that is reached by ssh, where nothing of home can be seen: a real sshd, a real campaign."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import ROOT, call, make_upstream

from registry.errors import BusyError, StorageError, UsageError
from stage.batch.driving.head import run_head
from stage.batch.driving.restart import restart
from stage.batch.driving.starting import start_head
from stage.batch.driving.states import RunStates, read_states
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobState
from stage.batch.engines.finding import find_engine, load_engine, save_engine
from stage.batch.layout import SubmitDir
from stage.errors import ExecutionError
from sync.repo import Repo
from tests.batch_lab import BatchLab, make_batch_lab
from tests.clusters import Slurm
from tests.execution_lab import chain
from tests.ssh_world import FarMachine, need_hiding, need_sshd, running_sshd
from tests.stores import Bucket

LARGE = 1_500_000
LONG = os.environ.get("STAGE_FAULTS") == "long"
PIPELINE = """
description: Monthly readings to one table.
tasks:
  clean: weather_tasks.clean
  summarise: weather_tasks.summarise
  shout:
    dimensions: [station]
    inputs: {summary: {dataset_type: summary, storage_class: Json}}
    outputs: {loud: {dataset_type: loud, storage_class: Text}}
    shell: tr a-z A-Z < "$summary" > "$loud"
  total: weather_tasks.total
"""
WHISPER = """
description: What is loud, low.
tasks:
  whisper:
    dimensions: [station]
    inputs: {loud: {dataset_type: loud, storage_class: Text}}
    outputs: {low: {dataset_type: low, storage_class: Text}}
    shell: tr A-Z a-z < "$loud" > "$low"
"""
YAML = """
pipelineYaml: pipeline.yaml
operator: ada
computeSite: SITE
payload: {payloadName: weather, butlerConfig: upstream, inCollection: net/raw, dataQuery: "", outputRun: u/ada/RUN}
clusterAlgorithm: dimension
cluster:
  byStation: {pipetasks: "clean, summarise", dimensions: station}
site:
  here: {wmsServiceClass: local, cores: 2}
  far: {wmsServiceClass: local, cores: 2, memory: 8000, ssh: SECTION}
"""
BY_BATCH = "cluster: {both: {pipetasks: 'double, shift', dimensions: batch}}\nclusterAlgorithm: dimension"
OWN = [ROOT / name for name in ("registry", "sync", "stage", "cli")]


@dataclass
class World:
    """A user's directory, and a machine that cannot see it."""

    home: Path
    machine: FarMachine

    def write(self, site: str, run: str, **section: Any) -> Path:
        """Write a submission's file."""
        text = YAML.replace("SITE", site).replace("RUN", run)
        path = self.home / f"{run}.yaml"
        path.write_text(text.replace("SECTION", json.dumps(self.machine.section(**section))))
        return path

    def submit(self, site: str, run: str, *words: str, **section: Any) -> str:
        """Submit, wait for the end, and return what was said."""
        file = self.write(site, run, **section)
        return call("batch", "submit", file, "--wait", *words, cwd=self.home).stdout

    def made(self, run: str, campaign: str = "weather") -> dict[str, dict[tuple[Any, ...], str]]:
        """Return the checksums of what a run has made, without logs and metadata."""
        found: dict[str, dict[tuple[Any, ...], str]] = {}
        root = self.home / campaign
        with (
            contextlib.closing(Repo.attach(f"sqlite:///{root}/staging.sqlite3", root / "data")) as staging,
            staging.registry.read() as snapshot,
        ):
            for kind in snapshot.dataset_types():
                rows = snapshot.datasets(kind.name, [f"u/ada/{run}"], artifacts=True)
                dims = kind.dimensions.required
                rest = {tuple(r[:-1]): r[-1] for r in rows.rows((*dims, "checksum"))}
                if rest and not kind.name.endswith(("_log", "_metadata")) and kind.name != "packages":
                    found[kind.name] = rest
        return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's directory, to be copied."""
    folder = tmp_path_factory.mktemp("ssh-home")
    make_upstream(folder)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    _add_large_inputs(folder)
    return folder


def _add_large_inputs(folder: Path) -> None:
    """Ingest another month, whose readings are large enough to be seen on the line."""
    more = folder / "more"
    (more / "records").mkdir(parents=True)
    (more / "records" / "month.jsonl").write_text('{"id": 202603}\n')
    rows = ["station,month,path"]
    for station in ("aar", "bex", "chur"):
        text = {"station": station, "values": [1, 2], "noise": os.urandom(LARGE // 6).hex()}
        (more / f"{station}.json").write_text(json.dumps(text))
        rows.append(f"{station},202603,{station}.json")
    (more / "table.csv").write_text("\n".join(rows) + "\n")
    call("repo", "import", "upstream", "more/records", cwd=folder)
    words = ("--table", "more/table.csv", "--run", "net/raw")
    call("repo", "ingest", "upstream", "reading", *words, cwd=folder)
    shutil.rmtree(more)


@contextmanager
def far_world(template: Path, folder: Path) -> Iterator[World]:
    """Give a user a machine in whose sessions the user's directory is empty, and so are the packages of this checkout."""
    need_sshd()
    need_hiding()
    home = folder / "home"
    shutil.copytree(template, home)
    with running_sshd(folder / "machine", hidden=[home, *OWN]) as machine:
        yield World(home, machine)


@pytest.fixture
def world(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A user at home."""
    with far_world(template, tmp_path) as made:
        monkeypatch.setenv("STAGE_STATE_DIR", str(made.home / "state"))
        monkeypatch.setenv("PWD", str(made.home))
        yield made


def far_files(machine: FarMachine, below: str) -> set[str]:
    """Return the files below a directory of the far machine."""
    return {str(p.relative_to(machine.base)) for p in (machine.base / below).rglob("*") if p.is_file()}


def far_lab(
    root: Path, machine: FarMachine, pipeline: Any = None, *, keep: bool = False, **made: Any
) -> BatchLab:
    """Make a laboratory whose jobs run on the far machine, two at once."""
    site = {"cores": 2, "memory": 8000, "ssh": machine.section(keep=keep)}
    return make_batch_lab(root, pipeline, yaml=BY_BATCH, **site, **made)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[FarMachine]:
    """A machine that sees what is here."""
    need_sshd()
    with running_sshd(tmp_path / "machine") as made:
        yield made


def wait_for(what: Any, patience_s: float = 60.0) -> None:
    until = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_campaign_runs_where_nothing_of_home_is(world: World) -> None:
    """All it makes is what a run here makes; inputs stay there, and are not sent again though they were fetched meanwhile.

    What an earlier run of the campaign made is sent as well.
    """
    line, sent = world.machine.line, [world.machine.line.sent]
    said = [world.submit("here", "zero")]
    said.append(world.submit("far", "one", "--new-run"))
    sent.append(line.sent)
    kept = far_files(world.machine, "files")
    call("fetch", "--artifacts", "copy", cwd=world.home / "weather")
    (world.home / "upstream" / "data").rename(world.home / "gone")
    said.append(world.submit("far", "two", "--new-run"))
    sent.append(line.sent)
    (world.home / "whisper.yaml").write_text(WHISPER)
    file = world.write("far", "three")
    file.write_text(f"{file.read_text()}extraQgraphOptions: --skip-existing-in u/ada/one\n")
    words = ("--new-run", "--pipeline", "whisper.yaml", "--wait")
    said.append(call("batch", "submit", file, *words, cwd=world.home).stdout)

    assert all(text.endswith("State: SUCCEEDED\n") for text in said), said
    assert world.made("zero") == world.made("one") == world.made("two")
    counts = {"clean": 9, "summary": 3, "loud": 3, "total": 1}
    assert counts == {k: len(v) for k, v in world.made("one").items() if k in counts}
    assert said[3].startswith("3 quanta")
    assert 3 == len(world.made("three")["low"])
    assert not far_files(world.machine, "runs")
    assert kept <= far_files(world.machine, "files")
    assert sent[1] - sent[0] > LARGE // 2
    assert sent[2] - sent[1] < LARGE // 3
    where = SubmitDir(world.home / "weather" / "submit" / "u" / "ada" / "one")
    assert 7 == len(list(where.records.rglob("*.jsonl")))
    assert 7 == len(list(where.jobs.rglob("*.out")))
    log = call(
        "log", "clean", "station=aar", "month=202601", "--run", "u/ada/one", cwd=world.home / "weather"
    )
    assert "cleaning 2" in log.stdout


@pytest.mark.service
@pytest.mark.skipif(
    not LONG, reason="two submissions more than the short form has time for (STAGE_FAULTS=long)"
)
def test_inputs_in_a_store_are_sent_or_read_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
) -> None:
    """With ``inputs: all`` the machine needs no way to the store, since home reads it; else jobs there do."""
    need_sshd()
    need_hiding()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("STAGE_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("PWD", str(home))
    make_upstream(home, "--datastore", bucket.uri("shared"))
    readings = {p.read_text() for p in (home / "readings").glob("*.json")}
    shutil.rmtree(home / "readings")  # beside the pipeline it would go as code
    setup = [f"export {name}={shlex.quote(value)}" for name, value in bucket.environment.items()]
    with running_sshd(tmp_path / "machine", hidden=[home, *OWN]) as machine:
        world = World(home, machine)
        said, there = [], []
        for run, words, section in (
            ("one", (), {"setup": setup}),
            ("two", ("--new-run",), {"inputs": "all"}),
        ):
            said.append(world.submit("far", run, *words, **section))
            there.append({_text(machine.base / p) for p in far_files(machine, "files")})

    assert all(text.endswith("State: SUCCEEDED\n") for text in said), said
    assert world.made("one") == world.made("two")
    assert not readings & there[0]
    assert readings <= there[1]


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.stat().st_size < 200 else ""


def test_a_quantum_that_fails_is_told_and_a_restart_goes_on(tmp_path: Path, machine: FarMachine) -> None:
    """The log and the reason are home; what is done stays done, though the run's directory there was removed between."""
    marker, counter = tmp_path / "go", tmp_path / "count"
    steps = {"double": {"behave": {"0": f"flaky:0,{counter}"}}, "shift": {"behave": {"1": f"needs:{marker}"}}}
    batch = far_lab(tmp_path / "lab", machine, chain(**steps), batches=1, samples=2)
    first = run_head(batch.where)
    failed, left = read_states(batch.where), far_files(machine, "runs")
    marker.touch()
    restart(batch.where)
    second = run_head(batch.where)

    assert {JobState.FAILED: 1, JobState.PRUNED: 1} == first.counts
    assert "shift@{batch=0, sample=1}: RuntimeError: waiting for" in failed.messages[0]
    assert "waiting for" in batch.where.job_log("both", batch.workflow.names[0], 0).read_text()
    assert not left
    assert second.is_success, read_states(batch.where).messages
    assert "x" == counter.read_text()
    assert {"succeeded": 5} == batch.lab.again().status()


def test_what_was_half_done_at_home_is_gone_on_with_there(tmp_path: Path, machine: FarMachine) -> None:
    """Records and outputs of a job's attempt at home go along: what it did is not done again."""
    marker, counter = tmp_path / "go", tmp_path / "count"
    steps = {"double": {"behave": {"0": f"flaky:0,{counter}"}}, "shift": {"behave": {"1": f"needs:{marker}"}}}
    batch = make_batch_lab(tmp_path / "lab", chain(**steps), yaml=BY_BATCH, cores=2, batches=1, samples=2)
    first = run_head(batch.where)
    go_on_there(batch, machine)
    marker.touch()
    second = run_head(batch.where)

    assert {JobState.FAILED: 1, JobState.PRUNED: 1} == first.counts
    assert second.is_success, read_states(batch.where).messages
    assert "x" == counter.read_text()
    assert batch.where.record(0).with_name("0.jsonl.start-1").exists()
    assert {"succeeded": 5} == batch.lab.again().status()


def test_an_input_whose_maker_found_no_work_is_absent_there_too(tmp_path: Path, machine: FarMachine) -> None:
    """A job that began at home left metadata and no output: there its reader has one input less, and is not blocked."""
    marker = tmp_path / "go"
    steps = {"double": {"behave": {"1": "no-work"}}, "shift": {"behave": {"0": f"needs:{marker}"}}}
    batch = make_batch_lab(
        tmp_path / "lab", chain(**steps), yaml="clusterAlgorithm: single\n", cores=2, batches=1, samples=3
    )
    first = run_head(batch.where)
    go_on_there(batch, machine)
    marker.touch()
    second = run_head(batch.where)

    assert {JobState.SUCCEEDED: 5, JobState.FAILED: 1, JobState.PRUNED: 1} == first.counts
    assert second.is_success, read_states(batch.where).messages
    lab = batch.lab.again()
    assert {"no-work": 2, "succeeded": 5} == lab.status()
    assert 2 == len(lab.datasets()["shifted"])


def go_on_there(batch: BatchLab, machine: FarMachine) -> None:
    """Have the rest of a submission run on the far machine."""
    environment = json.loads((batch.where.engine / "engine.json").read_text())["environment"]
    options = {"cores": 2, "memory": 8000, "ssh": machine.section()}
    save_engine(batch.where, "local", EngineSettings("here", options, "run", environment))
    restart(batch.where)


def test_a_line_that_is_cut_loses_nothing_and_doubles_nothing(tmp_path: Path, machine: FarMachine) -> None:
    """Jobs go on while there is no way there; when it is mended, what they made comes home, each begun once."""
    counter = tmp_path / "count"
    steps = {"double": {"sleep": 0.4, "behave": {"1": f"flaky:0,{counter}"}}}
    batch = far_lab(tmp_path / "lab", machine, chain(**steps), batches=3, samples=3)
    head = threading.Thread(target=run_head, args=(batch.where,))
    head.start()
    try:
        for _ in range(6 if LONG else 2):
            wait_for(counter.exists)
            machine.cut()
            time.sleep(1.2)
            machine.mend()
            time.sleep(1.5)
    finally:
        head.join(120)
    found = read_states(batch.where)

    assert {JobState.SUCCEEDED: 6} == found.counts(), found.messages
    assert "xxx" == counter.read_text()
    assert {1} == {int(n) for n in found.attempts[:-1]}
    assert {"succeeded": 21} == batch.lab.again().status()
    assert not [t for t in threading.enumerate() if t.name.startswith("ssh-")]


@pytest.mark.skipif(
    not LONG, reason="the contract suite of engines kills a head in the short form (STAGE_FAULTS=long)"
)
def test_killed_heads_lose_nothing_and_double_nothing(tmp_path: Path, machine: FarMachine) -> None:
    """However often a head is killed its jobs go on there, each begun once."""
    counter, rng = tmp_path / "count", random.Random(11)
    steps = {"double": {"sleep": 0.5, "behave": {"1": f"flaky:0,{counter}"}}}
    batch = far_lab(tmp_path / "lab", machine, chain(**steps), batches=3, samples=3)
    for _ in range(20):
        if read_states(batch.where, batch.workflow).is_ended:
            batch.where.journal.unlink()
            counter.unlink()
        pid = start_again(batch)
        time.sleep(rng.uniform(0.5, 4.0))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not read_states(batch.where, batch.workflow).head)
    start_again(batch)
    found = wait_for_end(batch)

    assert {JobState.SUCCEEDED: 6} == found.counts(), batch.where.head_log.read_text()
    assert {"succeeded": 21} == batch.lab.again().status()


@pytest.mark.skipif(
    not LONG, reason="the contract suite of engines kills an agent in the short form (STAGE_FAULTS=long)"
)
def test_a_killed_agent_loses_no_more_than_what_it_ran(tmp_path: Path, machine: FarMachine) -> None:
    """Another takes its place; jobs that ended with it ended for their machine, and begin again."""
    batch = far_lab(tmp_path / "lab", machine, chain(double={"sleep": 0.7}), batches=2, samples=2)
    head = threading.Thread(target=run_head, args=(batch.where,))
    head.start()
    try:
        wait_for(lambda: read_states(batch.where, batch.workflow).counts().get(JobState.RUNNING))
        (beat,) = machine.base.glob("runs/*/agent/agent.beat")
        os.kill(json.loads(beat.read_text())["pid"], signal.SIGKILL)
    finally:
        head.join(120)
    found = read_states(batch.where)

    assert {JobState.SUCCEEDED: 4} == found.counts(), found.messages
    assert Cause.NODE in {a.cause for a in found.history}
    assert {"succeeded": 10} == batch.lab.again().status()
    assert not far_files(machine, "runs")


def start_again(batch: BatchLab) -> int:
    """Start a head; the lock of one that was just killed is free at once."""
    until = time.monotonic() + 30
    while True:
        try:
            return start_head(batch.where)
        except BusyError:
            assert time.monotonic() < until
            time.sleep(0.02)
        except ExecutionError as error:
            raise AssertionError(batch.where.head_log.read_text()) from error


def wait_for_end(batch: BatchLab, patience_s: float = 120.0) -> RunStates:
    until = time.monotonic() + patience_s
    while not (found := read_states(batch.where, batch.workflow)).is_ended or found.head:
        assert time.monotonic() < until, batch.where.head_log.read_text()
        time.sleep(0.1)
    return found


def test_a_disk_at_home_that_refuses_is_told(tmp_path: Path, machine: FarMachine) -> None:
    """The head ends and says which file cannot be written; a restart brings home what is there, and runs nothing twice."""
    counter = tmp_path / "count"
    steps = {"double": {"behave": {"0": f"flaky:0,{counter}"}}}
    batch = far_lab(tmp_path / "lab", machine, chain(**steps), batches=1, samples=2)
    outputs = batch.lab.root / "data" / "u" / "me" / "run" / "doubled"
    outputs.parent.mkdir(parents=True, exist_ok=True)
    outputs.write_text("in the way of a directory")
    with pytest.raises(StorageError, match=r"cannot write .*doubled"):
        run_head(batch.where)
    outputs.unlink()
    result = run_head(batch.where)

    assert result.is_success, read_states(batch.where).messages
    assert "x" == counter.read_text()
    assert {1} == {int(n) for n in read_states(batch.where).attempts[:-1]}
    assert {"succeeded": 5} == batch.lab.again().status()


def test_ping_tells_the_way_and_the_engine_there(tmp_path: Path, machine: FarMachine) -> None:
    """Both answer in one line; so does what a job may have; a machine that is not there is told as such."""
    site = {"cores": 3, "memory": 1234, "ssh": machine.section()}
    engine = find_engine("local", EngineSettings("far", site))
    said, limit = engine.ping(), engine.memory_limit_mb()
    machine.cut()
    with pytest.raises(StorageError) as caught:
        engine.ping()

    assert "local there: this machine: 3 cores, 1,234 MB" in said
    assert f"python {sys.version_info.major}.{sys.version_info.minor}" in said
    assert 1234 == limit
    assert not far_files(machine, "runs")
    assert ("far-unreachable", True) == (caught.value.code, caught.value.transient)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("local", {"ssh": {"hst": "a"}}, "'hst'"),
        ("local", {"ssh": {"port": 22}}, "host"),
        ("htcondor", {"ssh": {"host": "a"}}, "'htcondor' walks through jobs by itself"),
        ("nowhere", {"ssh": {"host": "a"}}, "no engine 'nowhere'"),
        ("local", {"ssh": {"host": "a"}, "cores": 0}, "'cores'"),
    ],
)
def test_wrong_settings_are_told_at_once(name: str, options: dict[str, Any], said: str) -> None:
    """Before anything is made or anybody is asked."""
    with pytest.raises(UsageError, match=said):
        find_engine(name, EngineSettings("far", options))


def test_a_script_of_ones_own_is_refused(world: World) -> None:
    """It is said by name why it is not sent, and nothing is left."""
    (world.home / "own.sh").write_text("echo hello\n")
    text = world.write("far", "own").read_text() + "customJob: {executable: own.sh}\n"
    (world.home / "own.yaml").write_text(text + "submitPath: ${PWD}/own\n")
    said = call("batch", "submitcmd", "own.yaml", cwd=world.home, code=2).stderr

    assert "a script of one's own" in said
    assert not (world.home / "own").exists()
    assert 0 == world.machine.line.sent


def test_only_what_can_soon_run_is_sent(tmp_path: Path, machine: FarMachine) -> None:
    """The engine takes as many jobs as there are cores there and a few more, however many wait."""
    batch = far_lab(tmp_path / "lab", machine, batches=1, samples=2)
    engine = load_engine(batch.where)
    assert isinstance(engine, DrivenEngine)
    engine.open(batch.where, {})
    try:
        assert 10 == engine.capacity
    finally:
        engine.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("ssh-")]


@pytest.mark.service
def test_slurm_is_told_its_jobs_there(tmp_path: Path, machine: FarMachine, slurm: Slurm) -> None:
    """A graph runs as arrays of a cluster whose programs home does not have: dependencies, records and logs as ever."""
    setup = [f"export {name}={shlex.quote(value)}" for name, value in slurm.environment.items()]
    site = {"maxPollInterval": 0.5, "ssh": machine.section(setup=setup)}
    engine = find_engine("slurm", EngineSettings("far", site))
    batch = make_batch_lab(
        tmp_path / "lab",
        chain(),
        yaml=f"requestMemory: 100\n{BY_BATCH}",
        engine="slurm",
        batches=2,
        samples=2,
        **site,
    )
    result = run_head(batch.where)

    assert "slurm there: slurm" in engine.ping()
    assert result.is_success, read_states(batch.where).messages
    assert {"succeeded": 10} == batch.lab.again().status()
    assert 4 == len(list(batch.where.jobs.rglob("*.out")))
    assert not far_files(machine, "runs")
