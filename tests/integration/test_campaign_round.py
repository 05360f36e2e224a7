"""A campaign all the way round, by the commands a person types."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, campaign_digest, database_dump, make_upstream, stage

from registry.errors import BusyError
from stage.campaign.campaign import Campaign


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a pipeline, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Fresh copy of the source folder."""
    folder = tmp_path / "work"
    shutil.copytree(source, folder)
    return folder


def _clone(work: Path, *more: str) -> Path:
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", *more, cwd=work)
    return work / "camp"


def test_clone_run_push_and_nothing_left(work: Path) -> None:
    """Clone, run with two workers, push, and a second push finds nothing to do; upstream has every output."""
    cloned = stage("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=work).stdout
    camp = work / "camp"

    assert "3 tasks, 10 quanta (clean 6, summarise 3, total 1)" in cloned
    assert "fetched 6 reading, 5 dimension records; 0 bytes copied" in cloned
    assert "10 quanta executed" in stage("run", "-j", "2", cwd=camp).stdout
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    plan = json.loads(call("push", "--dry-run", "--json", "--register-dataset-types", cwd=camp).stdout)
    before = database_dump(work / "upstream" / "registry.sqlite3")
    pushed = json.loads(
        stage("push", "--json", "--register-dataset-types", "--chain", "u/me", cwd=camp).stdout
    )

    assert plan["new_datasets"] == pushed["new_datasets"]
    assert before != database_dump(work / "upstream" / "registry.sqlite3")
    after = database_dump(work / "upstream" / "registry.sqlite3")
    again = json.loads(call("push", "--json", cwd=camp).stdout)

    assert again["is_empty"]
    assert not again["pushed"]
    assert after == database_dump(work / "upstream" / "registry.sqlite3")
    found = call("get", "total", "--repo", "upstream", "-i", "u/me", cwd=work).stdout

    assert json.loads(found) == {"n": 12, "stations": 3}
    rows = json.loads(call("query", "datasets", "clean", "--repo", "upstream", "--json", cwd=work).stdout)

    assert len(rows) == 6
    assert json.loads(call("status", "--json", cwd=camp).stdout)["runs"][0]["push"] == "pushed"


def test_state_after_a_run(work: Path) -> None:
    """A complete run becomes the newest past run; the chain in staging is the stack of runs and inputs."""
    camp = _clone(work)
    call("run", "-q", "-j0", cwd=camp)
    state = json.loads((camp / ".campaign.json").read_text())
    (run,) = state["collections"]["past_runs"]
    chains = json.loads(call("query", "collections", "camp", "--json", cwd=camp).stdout)

    assert state["collections"]["current_run"] is None
    assert [run, "camp"] == state["collections"]["created"]
    assert chains[0]["children"] == [run, "net/raw"]


def test_a_failed_quantum_fails_alone_and_is_run_again(work: Path) -> None:
    """Exit code 3, the failure named with its first line; the same command then runs only what is missing."""
    camp = _clone(work, "-c", "clean:fail_on=bex")
    failed = call("run", "-j0", cwd=camp, code=3)

    assert "station bex is out of order" in failed.stdout
    assert "second line" not in failed.stdout
    status = json.loads(call("status", "--json", cwd=camp).stdout)
    tasks = status["runs"][0]["tasks"]

    assert tasks["clean"] == {"succeeded": 4, "failed": 2}
    assert tasks["summarise"] == {"succeeded": 2, "blocked": 1}
    assert tasks["total"] == {"blocked": 1}
    assert status["runs"][0]["place"] == "current"
    assert "stage log --failed" in status["next_commands"]
    log = call("log", "--failed", cwd=camp).stdout

    assert log.count("=== clean") == 2
    assert "second line" in log
    assert "Traceback" in log
    healed = json.loads(call("run", "-j0", "--json", cwd=camp, env={"STAGE_TEST_HEALED": "1"}).stdout)

    assert healed["executed"] == 4
    assert healed["finished"]
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}


def test_a_moved_campaign_works(work: Path) -> None:
    """Nothing in a campaign holds an absolute path to itself: moved in mid-run, it goes on and pushes."""
    camp = _clone(work, "-c", "clean:fail_on=bex")
    call("run", "-q", "-j0", cwd=camp, code=3)
    moved = work / "elsewhere" / "renamed"
    moved.parent.mkdir()
    camp.rename(moved)

    assert str(camp) not in (moved / ".campaign.json").read_text()
    call("run", "-q", "-j0", cwd=moved, env={"STAGE_TEST_HEALED": "1"})

    assert json.loads(call("get", "total", cwd=moved).stdout) == {"n": 12, "stations": 3}
    assert "pushed" in call("push", "--register-dataset-types", cwd=moved).stdout


def test_one_line_makes_builds_and_runs(work: Path) -> None:
    """``run`` takes the options of all earlier steps and makes the campaign on the fly."""
    call(
        "run", "-q", "-j0", "--repo", "upstream", "--campaign-dir", "quick", "-p", "pipeline.yaml", "-i", "net/raw",
        "-d", "station = 'aar'", cwd=work,
    )  # fmt: skip

    assert json.loads(call("get", "total", cwd=work / "quick").stdout)["stations"] == 1


def test_the_campaign_is_found_by_variable_and_option(work: Path) -> None:
    """Any campaign command takes --campaign-dir, else $STAGE_CAMPAIGN_DIR."""
    camp = _clone(work)

    assert "camp" in call("status", "--campaign-dir", camp, cwd=work).stdout
    assert "camp" in call("status", cwd=work, env={"STAGE_CAMPAIGN_DIR": str(camp)}).stdout
    call("status", cwd=work, code=10)


def test_a_changed_setting_is_not_run_silently(work: Path) -> None:
    """A changed config is refused with key and both values; --rebuild and --use-qg-configs go on."""
    camp = _clone(work)
    before = campaign_digest(camp)
    refused = call("run", "-j0", "-c", "clean:limit=0.5", cwd=camp, code=12)

    assert "clean:limit was 100.0, is 0.5" in refused.stderr
    assert "--rebuild" in refused.stderr
    assert before == campaign_digest(camp)
    call("edit", "-c", "clean:limit=0.5", cwd=camp)
    call("run", "-q", "-j0", "--use-qg-configs", cwd=camp)

    assert json.loads(call("get", "total", cwd=camp).stdout)["n"] == 12
    call("run", "-q", "-j0", "--rebuild", "-d", "station = 'aar'", cwd=camp)

    assert json.loads(call("get", "total", cwd=camp).stdout)["n"] == 2


def test_changed_inputs_are_not_run_silently(work: Path) -> None:
    """Other input collections are refused by name; runs made from the graph itself do not count."""
    camp = _clone(work)
    call("run", "-q", "-j0", cwd=camp)
    call("run", "-q", "-j0", cwd=camp)
    call("repo", "ingest", "../upstream", "reading", "../readings/aar-202601.json", "--run", "net/more",
          "--data-id", "station=aar,month=202601", cwd=camp)  # fmt: skip
    refused = call("run", "-j0", "-i", "net/more", "--prepend-inputs", cwd=camp, code=12)

    assert "net/more" in refused.stderr
    assert len(json.loads((camp / ".campaign.json").read_text())["collections"]["past_runs"]) == 2


def test_new_run_puts_the_current_one_behind(work: Path) -> None:
    """--new-run begins another run although the current one is not done; --no-finish keeps a complete one."""
    camp = _clone(work, "-c", "clean:fail_on=bex", "--next-run", "%c/run%n")
    call("run", "-q", "-j0", cwd=camp, code=3)
    call("run", "-q", "-j0", "--new-run", "--no-finish", cwd=camp, env={"STAGE_TEST_HEALED": "1"})
    collections = json.loads((camp / ".campaign.json").read_text())["collections"]

    assert collections["current_run"] == "camp/run1"
    assert collections["past_runs"] == ["camp/run0"]
    assert collections["counter"] == 2
    call("run", "-q", "-j0", cwd=camp)
    call("run", "-q", "-j0", "--continue", "--no-finish", cwd=camp)

    assert json.loads((camp / ".campaign.json").read_text())["collections"]["current_run"] == "camp/run1"


def test_only_complete_leaves_out_what_is_not_done(work: Path) -> None:
    """--only-complete leaves out runs with quanta that failed or have no outcome yet; --dataset-type chooses."""
    camp = _clone(work, "-c", "clean:fail_on=bex", "--next-run", "%c/%n")
    call("run", "-q", "-j0", cwd=camp, code=3)
    call("prep", "--new-run", cwd=camp)
    call("exec", "submit/camp/1/graph.qg", "--quanta", "0", "--record", "a.jsonl", cwd=camp)
    call("merge", "a.jsonl", cwd=camp, code=3)
    options = ("push", "--register-dataset-types", "--json")
    plan = json.loads(call(*options, "--only-complete", cwd=camp).stdout)

    assert plan["runs"] == []
    assert plan["left_out"] == {"camp/1": 9}
    chosen = json.loads(call(*options, "camp/0", "--dataset-type", "cle*n", cwd=camp).stdout)

    assert chosen["new_datasets"] == {"clean": 4}
    assert "to push again" in call("status", cwd=camp).stdout
    call("push", "camp/nothing", cwd=camp, code=10)


def test_history_lists_what_changed(work: Path) -> None:
    """Each command that changed the campaign is in its history with the change."""
    camp = _clone(work)
    call("edit", "--campaign-docs", "for a test", cwd=camp)
    entries = json.loads(call("history", "--json", cwd=camp).stdout)

    assert [e["command"].split()[1] for e in entries] == ["clone", "edit"]
    assert entries[1]["change"] == {"doc": ["", "for a test"]}


def test_history_and_edit_tell_settings(work: Path) -> None:
    """A setting that is changed again, in the local pipeline there is, is told by name with both values."""
    camp = _clone(work, "-c", "clean:limit=7")
    told = call("edit", "-c", "clean:limit=5", cwd=camp).stdout
    call("edit", "-c", "clean:limit=5", cwd=camp)
    before = call("history", cwd=camp).stdout
    call("run", "-j0", "-q", "--rebuild", cwd=camp)
    after = call("history", cwd=camp).stdout
    call("run", "-j0", "-q", "--continue", cwd=camp)

    assert before != after == call("history", cwd=camp).stdout, "what changed nothing in the end is not there"
    call("edit", "-t", "more:weather_tasks.total", "-c", "more:connections.total=t2", cwd=camp)
    entries = json.loads(call("history", "--json", cwd=camp).stdout)

    assert told == "clean:limit: 7.0 -> 5.0\n"
    assert [e["change"] for e in (entries[1], entries[3])] == [
        {"clean:limit": [7.0, 5.0]},
        {"task more": [None, "weather_tasks:total"]},
    ]


def test_two_terminals(work: Path) -> None:
    """While a run holds the campaign others are told who does, and readers are not held up; kill -9 frees it."""
    slow = (
        (work / "weather_tasks.py")
        .read_text()
        .replace('print("cleaning"', 'import time; time.sleep(3); print("cleaning"')
    )
    (work / "weather_tasks.py").write_text(slow)
    camp = _clone(work)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runner = subprocess.Popen(
        [sys.executable, "-m", "cli", "run", "-q", "-j", "1"],
        cwd=camp,
        env=environment,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not list(camp.glob("logs/**/*.log")) and time.monotonic() < deadline:
            time.sleep(0.1)
        busy = stage("edit", "--campaign-docs", "x", cwd=camp, code=11)

        assert f"process {runner.pid}" in busy.stderr
        assert "busy" in stage("status", cwd=camp).stdout
        with pytest.raises(BusyError):
            Campaign.load(camp).edit(campaign_docs="x")
    finally:
        os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()
    stage("edit", "--campaign-docs", "x", cwd=camp)
    state = json.loads((camp / ".campaign.json").read_text())
    killed = json.loads(stage("history", "--json", cwd=camp).stdout)[1]

    assert state["collections"]["current_run"]
    assert killed["command"] == "stage run -q -j 1", "what a killed command changed is in the history"
    assert killed["change"]["collections.current_run"] == [None, state["collections"]["current_run"]]


def test_jobs_without_any_database(work: Path) -> None:
    """``exec`` runs quanta while both databases are unreadable; ``merge`` brings them in, twice the same."""
    camp = _clone(work)
    prepared = call("prep", cwd=camp).stdout
    graph = prepared.split("graph ")[1].strip()
    hidden = []
    for path in (*camp.glob("staging.sqlite3*"), work / "upstream" / "registry.sqlite3"):
        aside = path.with_name(path.name + ".aside")
        path.rename(aside)
        hidden.append((path, aside))
        path.mkdir()
    stage("exec", graph, "--quanta", "0-5", "--record", "a.jsonl", cwd=camp)
    call("exec", graph, "--quanta", "6-9", "--record", "b.jsonl.zst", cwd=camp)
    for path, aside in hidden:
        path.rmdir()
        aside.rename(path)
    merged = json.loads(call("merge", "a.jsonl", "b.jsonl.zst", "--json", cwd=camp).stdout)
    again = json.loads(call("merge", "a.jsonl", "b.jsonl.zst", "--json", cwd=camp).stdout)

    assert (merged["executed"], again["executed"]) == (10, 0)
    assert merged["finished"]
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    assert "pushed" in call("push", "--register-dataset-types", cwd=camp).stdout


def test_build_without_fetch_then_fetch(work: Path) -> None:
    """--no-fetch leaves the rows upstream; fetch brings them, and a run fetches by itself what is missing."""
    call("clone", "upstream", "camp", cwd=work)
    camp = work / "camp"
    call("build", "-p", "../pipeline.yaml", "-i", "net/raw", "--no-fetch", cwd=camp)

    assert json.loads(call("query", "datasets", "--json", cwd=camp).stdout) == []
    assert "fetched 6 reading" in call("fetch", cwd=camp).stdout
    assert "nothing new" in call("fetch", cwd=camp).stdout


def test_get_writes_a_file(work: Path) -> None:
    """-o writes the artifact as it is stored; an id names a dataset too."""
    camp = _clone(work)
    call("run", "-q", "-j0", cwd=camp)
    call("get", "clean", "station=aar", "month=202601", "-o", "out.json", cwd=camp)

    assert json.loads((camp / "out.json").read_text()) == {"values": [0, 1]}
    rows = json.loads(call("query", "datasets", "total", "--json", cwd=camp).stdout)

    assert json.loads(call("get", rows[0]["id"], cwd=camp).stdout)["n"] == 12
    call("get", "clean", "station=nowhere", "month=202601", cwd=camp, code=10)


def test_pushing_from_python(work: Path) -> None:
    """The Python API has the same verbs with the same keywords."""
    campaign, report = Campaign.clone(
        str(work / "upstream"), work / "api", pipeline=str(work / "pipeline.yaml"), input=["net/raw"]
    )

    assert report is not None
    assert report.graph.n_quanta == 10
    assert campaign.run(processes=0).complete
    assert campaign.push(dry_run=True).plan.conflicts
    assert campaign.push(register_dataset_types=True).pushed
    assert not campaign.push().pushed


def test_a_moved_campaign_takes_its_own_files_along(work: Path) -> None:
    """Settings, pipelines and modules in the campaign's directory are found again wherever it is moved to."""
    camp = _clone(work)
    (camp / "limit.yaml").write_text("limit: 7\n")
    (camp / "mine.py").write_text((work / "weather_tasks.py").read_text())
    call(
        "edit",
        "-C",
        "clean:limit.yaml",
        "-t",
        "extra:mine.total",
        "-c",
        "extra:connections.total=t2",
        cwd=camp,
    )
    local = (camp / "pipeline.yaml").read_text()
    call("edit", "--write-pipeline", "whole.yaml", cwd=camp)
    whole = (camp / "whole.yaml").read_text()
    moved = camp.rename(work / "moved")
    call("run", "-j0", "-q", "--rebuild", cwd=moved)

    assert str(camp) not in local + whole
    assert "limit: 7" in whole
    assert json.loads(call("get", "clean_config", cwd=moved).stdout)["limit"] == 7.0
    assert json.loads(call("get", "t2", cwd=moved).stdout)["n"] > 0
