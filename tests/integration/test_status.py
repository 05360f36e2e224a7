"""`stage status`: the whole state at a glance, what moved upstream, drawings, and commands that work in that state."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from cli.main import run_command
from stage.campaign.campaign import Campaign
from stage.campaign.lock import campaign_lock
from tests.integration.book_campaign import make_campaign
from tests.integration.tiny_campaign import call, campaign_digest, make_upstream, tree_digest

PLACEHOLDERS = {"PIPELINE": "../pipeline.yaml", "COLLECTION": "net/raw", "DIR": "elsewhere"}


@pytest.fixture
def camp(tmp_path: Path) -> Path:
    """A campaign with a graph, of which nothing was run."""
    make_upstream(tmp_path)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--next-run",
        "%c/r%n",
        cwd=tmp_path,
    )
    return tmp_path / "camp"


def status(camp: Path, *words: str) -> dict[str, Any]:
    """Return the status as JSON has it."""
    before = campaign_digest(camp)
    found: dict[str, Any] = json.loads(call("status", "--json", *words, cwd=camp).stdout)
    assert before == campaign_digest(camp)
    return found


def suggested_work(camp: Path) -> list[str]:
    """Run each suggested command in a copy of the campaign; return them."""
    suggested: list[str] = status(camp)["next_commands"]
    for n, command in enumerate(suggested):
        copy = camp.with_name(f"copy-{n}")
        shutil.copytree(camp, copy)
        words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)[1:]]
        errors = io.StringIO()
        with contextlib.chdir(copy), redirect_stdout(io.StringIO()), redirect_stderr(errors):
            code = run_command(words)
        # A push may still have to be told that it may define dataset types upstream.
        assert code in ({0, 12} if "push" in words else {0, 3}), f"{command}: {errors.getvalue()}"
        shutil.rmtree(copy)
    return suggested


def test_suggestions_of_a_campaign_that_is_being_made(tmp_path: Path) -> None:
    """With nothing, with inputs, with a pipeline: each time it is said what is missing, and it works as it is said."""
    make_upstream(tmp_path)
    call("clone", "upstream", "camp", cwd=tmp_path)
    camp = tmp_path / "camp"

    assert ["stage edit -p PIPELINE", "stage edit -i COLLECTION"] == suggested_work(camp)
    call("edit", "-i", "net/raw", "-p", "../pipeline.yaml", cwd=camp)
    assert ["stage build"] == suggested_work(camp)


def test_suggestions_before_after_and_between_runs(camp: Path) -> None:
    """From the first run to the push, what is suggested works as it is said, in each state on the way."""
    plan, run = suggested_work(camp)
    assert "stage plan" == plan
    assert run.startswith("stage run")

    call("run", "-j", "0", "-c", "clean:fail_on=bex", "--rebuild", cwd=camp, code=3)
    assert "stage log --failed" == suggested_work(camp)[0]

    call("edit", "-c", "clean:fail_on=nobody", cwd=camp)
    assert "stage run --rebuild --new-run" in suggested_work(camp)

    call("run", "-j", "0", "--rebuild", "--new-run", cwd=camp)
    assert ["stage push --dry-run"] == suggested_work(camp)
    past = call("status", cwd=camp).stdout.splitlines()[-4]
    assert "past      camp/r0: 6 succeeded, 2 failed, 2 blocked; to push" == past


def test_a_prepared_run_is_gone_on_with_or_ended(camp: Path) -> None:
    """A current run with nothing done is run, a complete one is ended."""
    call("prep", cwd=camp)
    assert any(c.startswith("stage run") for c in suggested_work(camp))
    call("run", "-j", "0", cwd=camp)

    assert "stage run --finish" == suggested_work(camp)[0]


def test_prep_names_the_runs_whose_place_it_takes(camp: Path) -> None:
    """What left the stack is told, and what became of it."""
    call("run", "-j", "0", cwd=camp)

    assert "dropped camp/r0, purged\n" in call("prep", "--restart", "--purge", cwd=camp).stdout
    assert ["camp/r1"] == json.loads(call("prep", "--replace", "--json", cwd=camp).stdout)["dropped"]


def test_failures_staging_and_push_at_a_glance(camp: Path) -> None:
    """Counts by task, the first line of each failure, what a push would take, and what the campaign holds."""
    call("run", "-j", "0", "-c", "clean:fail_on=bex", "--rebuild", cwd=camp, code=3)
    found = status(camp)

    (run,) = found["runs"]
    assert {"succeeded": 4, "failed": 2} == run["tasks"]["clean"]
    assert {"blocked": 1} == run["tasks"]["total"]
    assert 2 == run["n_failures"]
    assert ["camp/r0"] == found["push"]["runs"]
    assert run["datasets"] == found["push"]["datasets"] > 0
    assert found["staging"]["size_bytes"] == found["push"]["size_bytes"] == run["size_bytes"] > 0
    assert {"current_run": "camp/r0", "past_runs": [], "stack": ["camp/r0", "net/raw"]}.items() <= found[
        "collections"
    ].items()
    assert (
        "failed  clean station=bex, month=202601: ValueError: station bex is out of order\n"
        in call("status", cwd=camp).stdout
    )


def test_what_was_left_out_is_counted(camp: Path) -> None:
    """Quanta that a run leaves out as done elsewhere are neither done nor missing in it."""
    call("run", "-j", "0", "-c", "clean:fail_on=bex", "--rebuild", cwd=camp, code=3)
    words = (
        "--new-run",
        "--skip-existing-in",
        "CAMPAIGN",
        "--use-task-configs",
        "-c",
        "clean:fail_on=nobody",
    )
    call("run", "-j", "0", *words, cwd=camp)

    assert {
        "clean": {"succeeded": 2, "skipped": 4},
        "summarise": {"succeeded": 1, "skipped": 2},
        "total": {"succeeded": 1},
    } == (status(camp)["runs"][0]["tasks"])


def test_a_held_campaign_names_its_holder_and_suggests_no_change(camp: Path) -> None:
    """While another command is at work, it is said who, and nothing is suggested that would be refused."""
    hold = (
        "import sys, time\nfrom pathlib import Path\nfrom stage.campaign.lock import campaign_lock\n"
        f"with campaign_lock(Path({str(camp / '.campaign.lock')!r}), 'stage run -j 8'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert "held\n" == other.stdout.readline()
        found = status(camp)

        assert (other.pid, "stage run -j 8") == (found["held_by"]["pid"], found["held_by"]["command"])
        assert abs(found["held_by"]["since_ns"] - time.time_ns()) < 60e9
        assert [] == found["next_commands"]
        assert f"busy      'stage run -j 8' (process {other.pid} on " in call("status", cwd=camp).stdout
        assert any(
            "is held by" in note for note in json.loads(call("plan", "--json", cwd=camp).stdout)["notes"]
        )
    finally:
        other.kill()
        other.communicate()


def test_secrets_of_the_upstream_are_not_shown(tmp_path: Path) -> None:
    """The user in the upstream's URI is in no form of the answer; a password is never taken."""
    call("init", "postgresql://joe@db/shared", "camp", cwd=tmp_path)

    assert "joe" not in call("status", cwd=tmp_path / "camp").stdout
    assert "postgresql://db/shared" == status(tmp_path / "camp")["upstream"]


def test_what_moved_upstream_is_counted(camp: Path, tmp_path: Path) -> None:
    """New and replaced datasets, new records and runs of ours, as they are there now; upstream is only read."""
    nothing = {
        "collections": [], "datasets": {}, "moved": {}, "notes": [], "problem": "", "runs": {}, "next_commands": [],
    }  # fmt: skip
    assert nothing == status(camp, "--upstream")["asked_upstream"]
    assert "nothing has moved" in call("status", "--upstream", cwd=camp).stdout
    call("run", "-j", "0", cwd=camp)
    (tmp_path / "records" / "station.jsonl").write_text('{"name": "dorn", "height": 3.0}\n')
    call("repo", "import", "upstream", "records", cwd=tmp_path)
    (tmp_path / "readings" / "more.csv").write_text("station,month,path\ndorn,202601,aar-202601.json\n")
    call(
        "repo",
        "ingest",
        "upstream",
        "reading",
        "--table",
        "readings/more.csv",
        "--run",
        "net/raw",
        cwd=tmp_path,
    )
    before = tree_digest(tmp_path / "upstream")
    found = status(camp, "--upstream")["asked_upstream"]

    assert {"reading": {"new": 1, "replaced": 0, "removed": 0}} == found["datasets"]
    assert ["'net/raw' has other content than when the graph was built"] == found["collections"]
    assert {"camp/r0": False} == found["runs"]
    assert {"dataset": {"new": 1}, "record": {"new": 1}} == found["moved"]
    assert ["stage pull", "stage build"] == found["next_commands"]
    assert before == tree_digest(tmp_path / "upstream")
    call("push", "--register-dataset-types", cwd=camp)
    found = status(camp, "--upstream")
    assert {"camp/r0": True} == found["asked_upstream"]["runs"]
    assert [] == found["push"]["runs"]
    assert "reading: 1 new" in call("status", "--upstream", cwd=camp).stdout


def test_an_upstream_that_is_away_is_said_and_the_rest_told(camp: Path, tmp_path: Path) -> None:
    """Only what upstream alone knows is missing then."""
    call("run", "-j", "0", cwd=camp)
    (tmp_path / "upstream").rename(tmp_path / "away")
    found = status(camp, "--upstream")

    assert "cannot be reached" in found["asked_upstream"]["problem"]
    assert {"succeeded": 6} == found["runs"][0]["tasks"]["clean"]
    assert "cannot be reached" in call("status", "--upstream", cwd=camp).stdout


def test_drawings_show_what_became_of_quanta(camp: Path, tmp_path: Path) -> None:
    """Graph and pipeline are drawn with the colours of statuses once there are any, and 'draw' draws the same."""
    call("status", "--qg-dot", "before.dot", "--pipeline-dot", "plain.dot", cwd=camp)
    call("run", "-j", "0", "-c", "clean:fail_on=bex", "--rebuild", cwd=camp, code=3)
    call("status", "--qg-dot", tmp_path / "after.dot", "--pipeline-dot", "pipeline.dot", cwd=camp)
    before, after = (camp / "before.dot").read_text(), (tmp_path / "after.dot").read_text()

    assert "failed" in after
    assert "failed" not in before
    assert "failed" not in (camp / "plain.dot").read_text()
    pipeline = (camp / "pipeline.dot").read_text()
    assert "4 done, 2 failed" in pipeline
    assert pipeline == call("draw", "pipeline", "--status", "--format", "dot", cwd=camp).stdout
    first = json.loads(call("status", "--json", cwd=camp).stdout)["runs"][-1]["name"]
    assert "2 failed" in call("draw", "pipeline", "--run", first, cwd=camp).stdout
    assert "2 failed" in call("draw", "pipeline", camp.parent / "pipeline.yaml", "--status", cwd=camp).stdout
    assert "camp/none" in call("draw", "pipeline", "--run", "camp/none", cwd=camp, code=10).stderr


def test_a_drawing_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """The error names what is missing and how to get it; no file is written."""
    make_upstream(tmp_path)
    call("clone", "upstream", "camp", "-i", "net/raw", cwd=tmp_path)

    assert "no graph" in call("status", "--qg-dot", "g.dot", cwd=tmp_path / "camp", code=10).stderr
    assert "no pipeline" in call("status", "--pipeline-dot", "p.dot", cwd=tmp_path / "camp", code=2).stderr
    assert [] == list((tmp_path / "camp").glob("*.dot"))


def test_steps_are_counted_together(tmp_path: Path) -> None:
    """The tasks of all steps that were begun are told, and the steps that were not."""
    campaign = make_campaign(tmp_path)
    graph = campaign.status().graph
    assert graph is not None
    assert graph.step.startswith("step 1 of 3")
    campaign.prep()
    (run,) = campaign.status().runs
    assert 2 == len(run.steps_left)
    campaign.run(processes=0)

    (run,) = campaign.status().runs
    assert ["cut", "shout", "gather", "length"] == list(run.tasks)
    assert {"succeeded": 10} == run.totals
    assert not run.steps_left


def test_readers_take_no_lock(camp: Path) -> None:
    """Both work in the process that holds the campaign, and leave it held."""
    campaign = Campaign.load(camp)
    with campaign_lock(campaign.layout.lock, "test"):
        assert campaign.status().held_by is not None
        assert {"run": 10, "skip": 0, "blocked": 0} == campaign.plan().totals
