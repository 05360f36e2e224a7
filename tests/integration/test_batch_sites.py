"""One submission on several sites: tasks that go to different ones, what crosses between them, and going on elsewhere."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import StageError, StorageError
from stage.batch.driving.journal import Journal, read_journal
from stage.batch.driving.locking import living_head
from stage.batch.facade import Batch
from stage.batch.layout import SubmitDir
from stage.batch.reporting.acting import restart_run
from stage.batch.submission.index import find_entry
from stage.batch.workflow.file import load_workflow
from stage.campaign.campaign import Campaign
from tests.clusters import Slurm
from tests.engine_cases import is_long
from tests.integration.tiny_campaign import call, make_upstream
from tests.ssh_world import need_hiding, need_sshd, running_sshd

COMMAND = (
    "{stageCommand} exec {graphFile} --workflow {workflowFile} --job {jobNumber} --attempt {attempt} "
    "--record {recordFile}"
)
YAML = f"""
pipelineYaml: pipeline.yaml
operator: ada
computeSite: near
payload:
  payloadName: weather
  butlerConfig: upstream
  inCollection: net/raw
  dataQuery: "station = 'aar'"
requestMemory: 300
runQuantumCommand: >-
  sh -c "echo ran at $PLACE; while test -e $HOLD; do sleep 0.05; done; exec {COMMAND}"
pipetask:
  summarise: {{computeSite: far}}
site:
  near: {{wmsServiceClass: local, cores: 2, environment: {{PLACE: near, HOLD: none}}}}
  far: {{wmsServiceClass: local, cores: 1, environment: {{PLACE: far, HOLD: "HERE/hold"}}}}
"""
CROSSING = {"clean": "near", "summarise": "far", "total": "near"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an upstream, a pipeline and a submission's file; and an index of its own."""
    make_upstream(tmp_path)
    (tmp_path / "weather.yaml").write_text(YAML.replace("HERE", str(tmp_path)))
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran_at(where: SubmitDir) -> dict[str, set[str]]:
    """Return by label the sites that its attempts said they ran at."""
    return {
        folder.name: {p.read_text().partition("\n")[0].removeprefix("ran at ") for p in folder.iterdir()}
        - {""}
        for folder in sorted(where.jobs.iterdir())
    }


def given_to(where: SubmitDir) -> dict[str, set[str]]:
    """Return by label the sites whose engines had its jobs, by the journal."""
    workflow = load_workflow(where.workflow)
    found: dict[str, set[str]] = {}
    for lines in read_journal(where.journal):
        for line in lines:
            if line[0] == "handle":
                for number, handle in zip(*line[-2:], strict=True):
                    label = workflow.settings_for(number).label
                    found.setdefault(label, set()).add(handle.partition(":")[0])
    return found


def is_done(label: str) -> bool:
    """Tell whether all jobs of a label have succeeded."""
    detail = Batch().report(id="1").detail
    return any(
        c.states.get("SUCCEEDED") == c.expected for c in (detail.labels if detail else ()) if c.label == label
    )


def until(wanted: Callable[[], Any], timeout_s: float = 120.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_tasks_on_two_sites_hand_their_results_both_ways(folder: Path) -> None:
    """From one site to the other and back; each with what its site says; reports name the sites; all is merged."""
    done = Batch().submit("weather.yaml", wait=True)
    where = SubmitDir(Path(done.submit_dir))

    assert ("SUCCEEDED", {"near": "local", "far": "local"}) == (done.state, done.sites)
    assert {k: {v} for k, v in CROSSING.items()} == given_to(where) == ran_at(where)
    told = call("batch", "report", "--id", "1", cwd=folder).stdout
    assert "Engine: local on site 'near', local on site 'far', submitted by" in told
    detail = Batch().report(id="1").detail
    assert detail is not None
    assert CROSSING == {c.label: c.site for c in detail.labels if c.site}
    assert Campaign.load(folder / "weather").state.collections.current_run is None, (
        "it was finished as any run"
    )
    assert (
        "near, far': near: this machine: 2 cores" in call("batch", "ping", "weather.yaml", cwd=folder).stdout
    )


def test_what_the_command_line_says_is_for_all_jobs(folder: Path) -> None:
    """--compute-site sends all to one site, whatever tasks say; a site that is nowhere written down is refused by name."""
    shown = Batch().submit("weather.yaml", compute_site="far", dry_run=True)
    assert ({}, "far") == (shown.sites, shown.site)

    (folder / "typo.yaml").write_text(YAML.replace("computeSite: far", "computeSite: afr"))
    said = call("batch", "submit", "typo.yaml", cwd=folder, code=2).stderr
    assert "the site 'afr', and there is no section 'site.afr'" in said
    assert "Did you mean 'far'?" in said
    assert not (folder / "weather").exists()


@pytest.fixture
def scheduler(folder: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """Make the site that is far a real Slurm."""
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    text = (folder / "weather.yaml").read_text()
    text = text.replace(
        "far: {wmsServiceClass: local, cores: 1", "far: {wmsServiceClass: slurm, maxPollInterval: 0.5"
    )
    (folder / "weather.yaml").write_text(text)
    return slurm


def submitted_and_held(folder: Path) -> SubmitDir:
    """Submit it, and wait until the middle task has begun at the site that is far, where it is held up."""
    (folder / "hold").touch()
    _without_final(folder)
    where = SubmitDir(Path(Batch().submit("weather.yaml").submit_dir))
    until(lambda: is_done("clean") and ran_at(where).get("summarise"))
    return where


def _without_final(folder: Path) -> None:
    path = folder / "weather.yaml"
    path.write_text(path.read_text() + "finalJob: {whenRun: NEVER}\n")


def kill_head(where: SubmitDir) -> None:
    """Kill the head as a power cut does."""
    holder = living_head(where)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    until(lambda: living_head(where) is None)


def attempts() -> dict[str, int]:
    """Return how often jobs of each task were begun; there is one job of each after the first."""
    detail = Batch().report(id="1").detail
    assert detail is not None
    return {c.label: c.attempts - c.expected for c in detail.labels if c.label in CROSSING}


@pytest.mark.skipif(
    not is_long(), reason="a head that is killed is one of two other engines in the short form"
)
def test_a_head_that_is_killed_is_gone_on_with_on_both_sites(folder: Path) -> None:
    """Killed with SIGKILL while one site works: the next head ends the rest, and what was complete is not run again."""
    kill_head(submitted_and_held(folder))
    (folder / "hold").unlink()

    assert "SUCCEEDED" == Batch().restart(id="1", wait=True).state
    assert {"clean": 0, "summarise": 1, "total": 0} == attempts()


def test_what_is_left_goes_on_elsewhere(folder: Path) -> None:
    """While a head drives it: it leaves, the job that runs is ended, and all that is left runs at the other site."""
    where = submitted_and_held(folder)
    told = call("batch", "restart", "--id", "1", "--compute-site", "near", "--wait", cwd=folder).stdout

    assert told.startswith(
        "ended where they ran before: 1 job\n2 jobs begin again, by local on site 'near'\n"
    )
    assert told.endswith("State: SUCCEEDED\n")
    assert {"clean": 0, "summarise": 1, "total": 0} == attempts()
    assert {"clean": {"near"}, "summarise": {"far", "near"}, "total": {"near"}} == ran_at(where)
    assert (
        "Engine: local on site 'near', submitted" in call("batch", "report", "--id", "1", cwd=folder).stdout
    )


@pytest.mark.service
@pytest.mark.usefixtures("scheduler")
def test_this_machine_and_a_scheduler_in_one_run(folder: Path) -> None:
    """The middle task runs on Slurm, the others here; the head is killed meanwhile, and Slurm's jobs go on without it."""
    where = submitted_and_held(folder)
    kill_head(where)
    (folder / "hold").unlink()

    assert "SUCCEEDED" == Batch().restart(id="1", wait=True).state
    detail = Batch().report(id="1").detail
    assert detail is not None
    assert {"near": "local", "far": "slurm"} == detail.sites
    assert {k: {v} for k, v in CROSSING.items()} == given_to(where) == ran_at(where)
    assert dict.fromkeys(CROSSING, 0) == attempts()


@pytest.mark.service
def test_what_a_scheduler_has_is_ended_before_it_goes_on_elsewhere(folder: Path, scheduler: Slurm) -> None:
    """After its head was killed: the job in the queue is cancelled, and runs on this machine; nothing runs twice."""
    where = submitted_and_held(folder)
    kill_head(where)
    again = Batch().restart(id="1", compute_site="near", wait=True)

    assert ("SUCCEEDED", 1, 2, "near", "local") == (
        again.state, again.n_ended, again.n_jobs, again.site, again.engine,
    )  # fmt: skip
    assert "" == scheduler.ask("squeue", "-h", "-t", "PENDING,RUNNING").strip()
    assert {"clean": 0, "summarise": 1, "total": 0} == attempts()
    assert {"far", "near"} == ran_at(where)["summarise"]


MOODY = "wmsServiceClass: 'tests.sites_world:Moody', mood: HERE/mood"


@pytest.fixture
def stuck(folder: Path) -> SubmitDir:
    """A submission at a site that refuses us, which has a job by the journal."""
    text = YAML.replace("far: {wmsServiceClass: local, cores: 1", f"far: {{{MOODY}").replace(
        "HERE", str(folder)
    )
    (folder / "weather.yaml").write_text(text)
    (folder / "mood").write_text("refused")
    _without_final(folder)
    with pytest.raises(StorageError, match="does not let us in"):
        Batch().submit("weather.yaml", compute_site="far", wait=True)
    where = find_entry("1").where
    journal = Journal(where.journal)
    journal.write([["begin", [0], [0], [0]], ["handle", [0], ["paper-0"]]])
    journal.close()
    return where


def kept(where: SubmitDir) -> dict[str, bytes]:
    """Return what a submission is made of, without what a head said."""
    paths = [p for p in where.root.rglob("*") if p.is_file() and not p.name.startswith("head.")]
    return {str(p.relative_to(where.root)): p.read_bytes() for p in paths}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"compute_site": "naer"}, "no-site", "knows no site 'naer'"),
    ({"wms_service_class": "htcondor"}, "cannot-move", "walks through the jobs by itself"),
    (
        {"compute_site": "near"},
        "still-elsewhere",
        "1 job that 'tests.sites_world:Moody' at site 'far' may still",
    ),
    ({"abandon": True}, "bad-option", "only where a submission goes on elsewhere"),
    ({"compute_site": "near", "settings": ["colour=red"]}, "cannot-change", "cannot change 'colour'"),
    ({"compute_site": "far"}, "far-refused", "does not let us in"),
]


def test_where_it_cannot_go_all_is_as_it_was(stuck: SubmitDir) -> None:
    """A site that is nowhere, one that does not answer, jobs that cannot be ended: told by name, and nothing changes."""
    before = kept(stuck)
    for options, code, said in REFUSED:
        with pytest.raises(StageError, match=said) as caught:
            restart_run("1", **options)
        assert (code, before) == (caught.value.code, kept(stuck))


def test_jobs_of_a_site_that_is_gone_are_left_to_themselves(stuck: SubmitDir) -> None:
    """Where that is asked for, the job that cannot be ended counts as lost, and all runs at the new site."""
    again = Batch().restart(id="1", compute_site="near", abandon=True, wait=True)

    assert ("SUCCEEDED", 0, 1) == (again.state, again.n_ended, again.n_abandoned)
    assert 1 == sum(attempts().values())
    assert {"near"} == set.union(*ran_at(stuck).values())


@pytest.mark.service
def test_this_machine_and_one_that_is_reached_by_ssh(folder: Path) -> None:
    """Results go there and come back: the machine sees nothing of home, and what the tasks before it made is sent."""
    need_sshd()
    need_hiding()
    campaign = folder / "weather"
    campaign.mkdir()  # what is hidden has to be there
    with running_sshd(folder / "machine", hidden=[folder / "upstream", campaign]) as machine:
        campaign.rmdir()
        text = YAML.replace('HOLD: "HERE/hold"', "HOLD: none").replace("HERE", str(folder))
        section = json.dumps(machine.section())
        (folder / "weather.yaml").write_text(text.replace("cores: 1", f"cores: 1, ssh: {section}"))
        done = Batch().submit("weather.yaml", wait=True)
    where = SubmitDir(Path(done.submit_dir))

    assert "SUCCEEDED" == done.state, where.head_log.read_text()
    assert {k: {v} for k, v in CROSSING.items()} == given_to(where) == ran_at(where)
    assert dict.fromkeys(CROSSING, 0) == attempts()
