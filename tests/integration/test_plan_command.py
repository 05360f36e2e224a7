"""`stage plan` as a person asks for it: what would run, what not, and why, in each state of a campaign."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError
from stage.campaign.campaign import Campaign
from stage.campaign.repositories import open_staging
from tests.integration.book_campaign import make_campaign
from tests.integration.tiny_campaign import ROOT, call, campaign_digest, make_upstream


@pytest.fixture
def camp(tmp_path: Path) -> Path:
    """A campaign whose run has failed for one station."""
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
    call("run", "-j", "0", "-c", "clean:fail_on=bex", "--rebuild", cwd=tmp_path / "camp", code=3)
    return tmp_path / "camp"


def planned(camp: Path, *words: str) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    before = campaign_digest(camp)
    found: dict[str, Any] = json.loads(call("plan", "--json", *words, cwd=camp).stdout)
    assert before == campaign_digest(camp)
    return found


def reasons(plan: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return how many quanta of each task have which reason."""
    return {(c["task"], c["reason"]): c["n"] for c in plan["counts"]}


def test_a_new_campaign_runs_all(tmp_path: Path) -> None:
    """Before the first run every quantum is new, and nothing is written, not even a lock."""
    make_upstream(tmp_path)
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
    plan = planned(tmp_path / "camp")

    assert {"run": 10, "skip": 0, "blocked": 0} == plan["totals"]
    assert {"new"} == {q["reason"] for q in plan["quanta"]}
    assert plan["is_new"]


def test_after_a_failure_it_says_which_and_what_waits_for_it(camp: Path) -> None:
    """The failed quanta are named with their message and attempts, what rests on them with the one that failed."""
    plan = planned(camp)

    assert {
        ("clean", "failed"): 2, ("clean", "complete"): 4, ("summarise", "complete"): 2,
        ("summarise", "upstream-failed"): 1, ("total", "upstream-failed"): 1,
    } == reasons(plan)  # fmt: skip
    first = next(q for q in plan["quanta"] if q["reason"] == "failed")
    assert {"message": "ValueError: station bex is out of order", "attempts": 1} == first["facts"]
    waits = next(q for q in plan["quanta"] if q["task"] == "total")
    assert {"task": "clean", "data_id": {"station": "bex", "month": 202601}} == waits["facts"]["because"]
    shown = call("plan", cwd=camp).stdout
    assert (
        "run     clean station=bex, month=202601: failed: ValueError: station bex is out of order\n" in shown
    )
    assert "blocked summarise station=bex: rests on clean station=bex, month=202601, which failed" in shown
    call("run", "-j", "0", cwd=camp, code=3)
    assert "failed 2 times" in call("plan", cwd=camp).stdout


def test_a_changed_setting_is_told_with_the_ways_on(camp: Path) -> None:
    """A run that would be refused is told as that, with what each option would do; one that goes on names the setting."""
    call("edit", "-c", "clean:fail_on=nobody", cwd=camp)
    plan = planned(camp)

    assert "graph-discrepant" == plan["stop"]["code"]
    assert [
        (["--use-qg-configs"], {"run": 2, "skip": 6, "blocked": 2}),
        (["--new-run", "--use-task-configs"], {"run": 10, "skip": 0, "blocked": 0}),
        (["--rebuild", "--new-run"], None),
        (["--refresh", "--new-run"], None),
    ] == [(w["options"], w["counts"]) for w in plan["stop"]["ways"]]
    assert "begun with" in call("run", "-j", "0", "--refresh", cwd=camp, code=12).stderr
    assert "begun with" in call("run", "-j", "0", "--rebuild", cwd=camp, code=12).stderr
    plan = planned(camp, "--use-task-configs", "--new-run")
    assert plan["stop"] is None
    assert {
        ("clean", "settings"): 6,
        ("summarise", "upstream-changed"): 3,
        ("total", "upstream-changed"): 1,
    } == reasons(plan)
    assert [("clean:fail_on", "bex", "nobody", "camp/r0")] == [
        (s["key"], s["old"], s["new"], s["run"]) for s in plan["settings"]
    ]
    assert (
        "clean:fail_on: bex -> nobody (since camp/r0)"
        in call("plan", "--use-task-configs", "--new-run", cwd=camp).stdout
    )


def test_each_way_that_a_refusal_names_goes_on(camp: Path, tmp_path: Path) -> None:
    """Given as it stands, in a campaign whose current run was begun, no command of the hint is refused again."""
    call("edit", "-c", "clean:fail_on=nobody", cwd=camp)
    with pytest.raises(ConflictError) as caught:
        Campaign.load(camp).run(processes=0)
    ways = caught.value.context["ways"]
    assert set(ways) == {
        "stage run --rebuild --new-run", "stage run --refresh --new-run", "stage run --use-task-configs --new-run",
        "stage run --use-qg-configs",
    }  # fmt: skip
    for number, way in enumerate(ways):
        copy = shutil.copytree(camp, tmp_path / f"copy{number}")
        # As it was built, the same station fails again.
        call(*way.split()[1:], "-j", "0", "-q", cwd=copy, code=3 if way.endswith("qg-configs") else 0)


def test_what_is_left_out_is_told_with_where_it_is_done(camp: Path) -> None:
    """With --skip-existing-in the quanta that are left out name the run that has them, before that run and in it."""
    call("edit", "-c", "clean:fail_on=nobody", cwd=camp)
    words = ("--use-task-configs", "--new-run", "--skip-existing-in", "CAMPAIGN")
    plan = planned(camp, *words)

    assert {"run": 4, "skip": 6, "blocked": 0} == plan["totals"]
    assert {"camp/r0"} == {q["facts"]["run"] for q in plan["quanta"] if q["reason"] == "elsewhere"}
    call("run", "-j", "0", "--no-finish", *words, cwd=camp)
    plan = planned(camp, "--use-task-configs")
    assert {"run": 0, "skip": 10, "blocked": 0} == plan["totals"]
    assert 6 == sum(q["reason"] == "elsewhere" for q in plan["quanta"])


def test_other_inputs_are_named(camp: Path, tmp_path: Path) -> None:
    """A quantum that would read another dataset than it did names both, and the runs that made them."""
    call("run", "-j", "0", "--restart", "--rebuild", "-c", "clean:fail_on=nobody", cwd=camp)
    (tmp_path / "one.csv").write_text("station,month,path\naar,202601,aar-202601.json\n")
    (tmp_path / "one.csv").rename(tmp_path / "readings" / "one.csv")
    call(
        "repo",
        "ingest",
        "upstream",
        "reading",
        "--table",
        "readings/one.csv",
        "--run",
        "net/new",
        cwd=tmp_path,
    )
    call("edit", "-i", "net/new,net/raw", cwd=camp)
    call("build", cwd=camp)
    plan = planned(camp)

    changed = [q for q in plan["quanta"] if q["reason"] == "inputs"]
    assert [("clean", {"station": "aar", "month": 202601})] == [(q["task"], q["data_id"]) for q in changed]
    assert [("net/new", True), ("net/raw", False)] == [
        (d["run"], d["is_new"]) for d in changed[0]["facts"]["datasets"]
    ]
    assert {"upstream-changed", "inputs", "again"} == {q["reason"] for q in plan["quanta"]}


def test_a_killed_run_leaves_what_it_had_begun(camp: Path) -> None:
    """A quantum whose run was killed under it is told apart from those that were never begun."""
    die = (
        "import os, signal, sys\n"
        "import weather_tasks\n"
        "weather_tasks.print = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from cli.main import run_command\n"
        "run_command(['run', '-j', '0', '--restart', '--use-qg-configs'])\n"
    )
    folders = f"{ROOT}{os.pathsep}{camp.parent}"
    done = subprocess.run(
        [sys.executable, "-c", die], cwd=camp, env={**os.environ, "PYTHONPATH": folders}, check=False
    )
    assert -9 == done.returncode
    plan = planned(camp, "--use-qg-configs")

    assert {
        ("clean", "lost"): 1,
        ("clean", "new"): 5,
        ("summarise", "new"): 3,
        ("total", "new"): 1,
    } == reasons(plan)
    status = call("status", cwd=camp).stdout
    assert "1 quantum begun and not recorded: that run was killed" in status


def test_an_output_that_is_known_no_more_is_made_again(camp: Path) -> None:
    """A quantum of which an output has left the registry runs again, and says of which dataset types that may be."""
    from registry import keeping

    with open_staging(Campaign.load(camp).layout, writable=True) as staging:
        with staging.registry.read() as snapshot:
            rows = snapshot.datasets("clean", ["camp/r0"], where="station = 'chur' AND month = 202601")
        with staging.registry.write() as change:
            keeping.remove(change, rows["id"].tolist(), [], purge=True, refuse=lambda _: None)
    plan = planned(camp)

    lost = [q for q in plan["quanta"] if q["reason"] == "output-missing"]
    assert [({"station": "chur", "month": 202601}, ["clean"])] == [
        (q["data_id"], q["facts"]["datasets"]) for q in lost
    ]


def test_quanta_are_chosen_by_task_and_data_id(camp: Path) -> None:
    """Only those that were asked for are counted and listed; a wrong name is an error that offers the right one."""
    plan = planned(camp, "--task", "clean", "--data-id", "station=bex")

    assert {"run": 2, "skip": 0, "blocked": 0} == plan["totals"]
    assert 1 == len(planned(camp, "--limit", "1")["quanta"])
    assert "clean" in call("plan", "--task", "claen", cwd=camp, code=10).stderr
    assert "no value" in call("plan", "--data-id", "bex", cwd=camp, code=2).stderr


def test_it_needs_a_graph_and_says_so(tmp_path: Path) -> None:
    """A campaign without a graph has nothing to plan; options that contradict each other are refused as by run."""
    make_upstream(tmp_path)
    call("clone", "upstream", "camp", "-i", "net/raw", cwd=tmp_path)

    assert "stage build" in call("plan", cwd=tmp_path / "camp", code=10).stderr
    call("build", "-p", "../pipeline.yaml", cwd=tmp_path / "camp")
    assert "contradict" in call("plan", "--new-run", "--replace", cwd=tmp_path / "camp", code=2).stderr


def test_it_works_while_upstream_is_away(camp: Path, tmp_path: Path) -> None:
    """What a run could do without upstream is planned without it; that its inputs were not asked for is said."""
    (tmp_path / "upstream").rename(tmp_path / "away")
    plan = planned(camp)

    assert {"run": 2, "skip": 6, "blocked": 2} == plan["totals"]
    assert any("not known" in note for note in plan["notes"])
    assert [] == planned(camp, "--offline")["notes"]


def test_steps_are_told_as_far_as_they_are_known(tmp_path: Path) -> None:
    """A step whose graph is there has quanta; of one that is built when the last is done it is said that they are not known."""
    campaign = make_campaign(tmp_path)
    plan = campaign.plan()
    assert [True, False, False] == [s.is_known for s in plan.steps]
    assert {"cut"} == {c.task for c in plan.counts}
    campaign.run(processes=0, finish=False)

    plan = campaign.plan()
    assert [True, True, True] == [s.is_known for s in plan.steps]
    assert {"run": 0, "skip": 10, "blocked": 0} == plan.totals
    assert ["cut", "shout", "gather", "length"] == [c.task for c in plan.counts]
    assert [s.label for s in plan.steps] == list(dict.fromkeys(c.step for c in plan.counts))
