"""How `HTCondorEngine` speaks with a pool: by HTCondor's commands, here scripts that note what they are asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from registry.errors import ConflictError, NotFoundError, StorageError, UsageError
from stage.batch.engines.base import EngineSettings, JobState
from stage.batch.engines.finding import save_engine
from stage.batch.engines.htcondor.client import Commands, escaped, find_client
from stage.batch.engines.htcondor.engine import HTCondorEngine
from stage.batch.layout import SubmitDir
from stage.batch.reporting.acting import cancel_runs
from stage.batch.reporting.looking import summary_of
from stage.batch.submission.handing import hand_over
from stage.batch.submission.identity import SubmitStage, load_identity, new_identity
from stage.batch.submission.index import find_entry
from tests.batch_world import make_workflow, submit_dir
from tests.processes_killed import killed_at

JOBS = [{"DAGNodeName": "task_0", "JobStatus": 2}, {"DAGNodeName": "task_1", "JobStatus": 5}]
SLOTS = [{"Machine": "worker1", "TotalSlotMemory": 64000}, {"Machine": "head", "TotalSlotMemory": 128000}]


class Pool:
    """Commands of a pool that answer what they are told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.says("condor_submit_dag", "-----\n1 job(s) submitted to cluster 4711.\n-----")
        self.says("condor_q", json.dumps(JOBS))
        self.says("condor_status", json.dumps(SLOTS))
        self.says("condor_version", "$CondorVersion: 24.12.3 2026-01-01 $")
        self.says("condor_rm", "removed")

    def says(self, name: str, answer: str, code: int = 0) -> None:
        """Have a command answer something."""
        (self.folder / f"{name}.answer").write_text(answer)
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {path}.calls\n/bin/cat {path}.answer\nexit {code}\n')
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """Return what a command was asked, call by call."""
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(made.folder))
    monkeypatch.setitem(sys.modules, "htcondor2", None)
    return made


@pytest.fixture
def where(tmp_path: Path) -> SubmitDir:
    return submit_dir(tmp_path / "run")


def engine() -> HTCondorEngine:
    return HTCondorEngine(EngineSettings("pool"))


def test_workflow_is_submitted_once_prepared(pool: Pool, where: SubmitDir) -> None:
    """The DAG is handed to DAGMan under the run's name, and its cluster is the handle; unprepared it is refused."""
    with pytest.raises(NotFoundError, match="was not prepared"):
        engine().submit(where, "u_me_run")
    engine().prepare(make_workflow(["true"]), where)

    assert "4711" == engine().submit(where, "u_me_run")
    assert [
        f"-usedagdir -update_submit -autorescue 1 -batch-name u_me_run {where.engine}/workflow.dag"
    ] == pool.calls("condor_submit_dag")


def test_restart_needs_what_dagman_has_left(pool: Pool, where: SubmitDir) -> None:
    """Without a rescue file there is nothing to restart; with one the same DAG goes on from it."""
    engine().prepare(make_workflow(["true"]), where)
    with pytest.raises(NotFoundError, match="DAGMan has left no rescue file"):
        engine().restart(where, "u_me_run")
    (where.engine / "workflow.dag.rescue001").touch()

    assert "4711" == engine().restart(where, "u_me_run")


def test_only_a_run_of_that_name_is_cancelled(pool: Pool) -> None:
    """What is removed has the cluster and the run's name; a job of another run is left alone."""
    assert 2 == engine().cancel("4711", "u_me_run")
    assert ['-constraint ClusterId == 4711 && bps_run == "u_me_run"'] == pool.calls("condor_rm")
    pool.says("condor_q", "")
    assert 0 == engine().cancel("4712", "other")
    assert 1 == len(pool.calls("condor_rm"))


def test_queue_tells_where_jobs_are(pool: Pool, where: SubmitDir) -> None:
    """Jobs that the queue has are as it says; those that it has not are as DAGMan's file says."""
    workflow = make_workflow(["true"] * 3)
    engine().prepare(workflow, where)

    assert [JobState.RUNNING, JobState.HELD, JobState.UNREADY] == engine().states(workflow, where, "4711")


def test_pool_tells_its_largest_machine(pool: Pool) -> None:
    """The memory of the largest machine whose name is asked for; none if there is none."""
    assert (64000, 128000, None) == tuple(engine().memory_limit_mb(p) for p in (".*worker.*", "", "gpu"))
    pool.says("condor_status", "no collector", 1)
    assert engine().memory_limit_mb() is None, "files can be prepared where there is no pool"


def test_ping_tells_the_version_or_what_is_wrong(pool: Pool) -> None:
    """A scheduler that answers is told with its version; one that does not, with its own words."""
    assert "HTCondor 24.12.3" == engine().ping()
    pool.says("condor_q", "Failed to connect to the schedd", 1)
    with pytest.raises(StorageError, match="condor_q failed with exit code 1: Failed to connect"):
        engine().ping()


def test_without_library_and_commands_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is neither, both are named, and what to do."""
    monkeypatch.setitem(sys.modules, "htcondor2", None)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(
        UsageError, match="neither the Python module htcondor2 nor the command condor_submit_dag"
    ):
        engine().ping()


def test_commands_are_found_where_the_library_is_not(pool: Pool) -> None:
    """The library goes first; without it the commands do."""
    assert isinstance(find_client(), Commands)


def test_what_dagman_has_is_not_given_to_it_twice(pool: Pool, where: SubmitDir) -> None:
    """Killed before it was noted, a submission is found again by its directory: in the queue, or in DAGMan's own log."""
    engine().prepare(make_workflow(["true"]), where)
    tag = f'stage_dir == "{where.root}"'
    assert f'SET_JOB_ATTR stage_dir = "{where.root}"\n' in (where.engine / "workflow.dag").read_text()
    pool.says(
        "condor_q", json.dumps([{"ClusterId": 4709, "JobStatus": 3}, {"ClusterId": 4710, "JobStatus": 2}])
    )

    assert "4710" == engine().submit(where, "u_me_run")
    assert f"-allusers -json -constraint {tag} -attributes ClusterId,JobStatus" == pool.calls("condor_q")[-1]
    (where.engine / "workflow.dag.rescue001").touch()
    assert "4710" == engine().restart(where, "u_me_run"), "a restart is not given to it twice either"
    pool.says("condor_q", "")
    log = where.engine / "workflow.dag.dagman.log"
    log.write_text(
        "000 (4712.000.000) 2026-11-22 10:00:00 Job submitted\n...\n005 (4712.000.000) Job terminated.\n"
    )
    assert "4712" == engine().submit(where, "u_me_run"), "it has ended meanwhile"
    assert [] == pool.calls("condor_submit_dag")
    assert "4711" == engine().restart(where, "u_me_run"), "what has ended begins again"
    engine().prepare(make_workflow(["true"]), where)
    assert "4711" == engine().submit(where, "u_me_run"), "prepared anew it is another DAG"


def test_the_directory_is_found_whatever_it_is_called(where: SubmitDir) -> None:
    """HTCondor's own language finds the directory by the expression, with quotes and backslashes in its name."""
    classad = pytest.importorskip("classad2")
    name = str(where.root / 'a "b" \\c')
    ad = classad.ClassAd({"stage_dir": name})

    assert classad.ExprTree(f'stage_dir == "{escaped(name)}"').eval(ad) is True
    assert classad.ExprTree(f'stage_dir == "{escaped(name)}x"').eval(ad) is False


def test_killed_before_its_handle_was_noted_a_submission_is_taken_up(
    pool: Pool, where: SubmitDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as one of which nobody knows whether it has begun; given again the command finds it, and submits nothing."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    engine().prepare(make_workflow(["true"]), where)
    save_engine(where, "htcondor", EngineSettings("pool"))
    known = new_identity("u_me_run", "u/me/run", "pool", "htcondor", {})
    pool.says("condor_q", "")
    assert killed_at("begun", lambda at: hand_over(where, known, wait=False, at=at))

    told = summary_of(find_entry("1"))
    assert (told.state, told.flag) == ("UNKNOWN", "!")
    assert f"stage batch submit {where.root}" in told.note
    with pytest.raises(ConflictError, match="was not noted"):
        cancel_runs("1")
    pool.says("condor_q", json.dumps([{"ClusterId": 4711, "JobStatus": 2}]))
    found, _ = hand_over(where, load_identity(where), wait=False)

    assert (found.handle, found.id) == ("4711", 1)
    assert load_identity(where).has_done(SubmitStage.SUBMIT)
    assert len(pool.calls("condor_submit_dag")) == 1
