"""What is asked of a campaign afterwards: why, diff and log, as commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import stage
from tests.integration.tiny_campaign import call, make_upstream


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of two runs: all is well in the first; in the second a station is out of order, with another limit."""
    folder = tmp_path_factory.mktemp("afterwards")
    make_upstream(folder)
    where = {"PYTHONPATH": str(folder)}
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder, env=where)
    camp = folder / "camp"
    call("run", "-j", "1", "--next-run", "one", cwd=camp, env=where)
    settings = ("-c", "clean:fail_on=bex", "-c", "clean:limit=2000.0")
    call("run", "-j", "1", "--next-run", "two", *settings, "--use-task-configs", cwd=camp, env=where, code=3)
    return camp


def ask(*words: str, cwd: Path, code: int = 0) -> Any:
    """Return the JSON that a command writes."""
    return json.loads(call(*words, "--json", cwd=cwd, code=code).stdout)


def test_why_shows_what_a_dataset_came_from(campaign: Path) -> None:
    """Up to the inputs, many of a kind on one line, with the settings and versions of what made it."""
    out = call("why", "total", "--up", cwd=campaign).stdout

    assert "total (no dimensions) in one\n" in out
    assert re.search(r"^versions  python 3\.[0-9.]+, stage ", out, re.MULTILINE)
    assert out.partition("came from\n")[2] == (
        "  by total (no dimensions)\n"
        "    summary (3 datasets)\n"
        "      by summarise (3 quanta)\n"
        "        clean (6 datasets)\n"
        "          by clean (6 quanta)\n"
        "            reading (6 datasets) in net/raw\n"
    )
    made = ask("why", "clean", "station=aar", "month=202601", "--run", "two", cwd=campaign)

    assert made["quantum"]["settings"] == {"fail_on": "bex", "limit": 2000.0}
    assert made["quantum"]["versions"]["stage"]


def test_why_shows_what_came_of_a_dataset(campaign: Path) -> None:
    """Down over all runs, as far as is asked."""
    found = ask("why", "reading", "station=aar", "month=202601", "--down", cwd=campaign)

    assert [(q["run"], q["task"], q["n"]) for q in found["read_by"]] == [
        ("one", "clean", 1),
        ("two", "clean", 1),
    ]
    below = found["read_by"][0]["datasets"][0]["quanta"][0]

    assert (below["task"], below["datasets"][0]["quanta"][0]["task"]) == ("summarise", "total")
    near = ask("why", found["id"], "--down", "--depth", "1", cwd=campaign)

    assert [d["quanta"] for q in near["read_by"] for d in q["datasets"]] == [[], []]
    assert "made_by" in near
    assert near["made_by"] == []


def test_why_takes_a_quantum_by_id_or_by_name(campaign: Path) -> None:
    """A task and data ID, or an id, name a quantum: what it read and what it made."""
    by_name = ask("why", "summarise", "station=chur", cwd=campaign)

    assert by_name == ask("why", by_name["id"], cwd=campaign)
    assert (by_name["kind"], by_name["run"], by_name["quantum"]["status"]) == ("quantum", "two", "succeeded")
    assert [(d["dataset_type"], d["n"]) for d in by_name["reads"]] == [("clean", 2)]
    assert [d["dataset_type"] for d in by_name["makes"]] == ["summary"]
    failed = call("why", "clean", "station=bex", "month=202601", "--run", "two", cwd=campaign).stdout

    assert "clean station=bex, month=202601 failed: ValueError: station bex is out of order\n" in failed


def test_why_not(campaign: Path) -> None:
    """A dataset that is not there: its quantum failed, or is blocked by which failures, or was never planned."""
    out = call("why", "summary", "station=bex", "--run", "two", cwd=campaign).stdout

    assert out == (
        "summary station=bex is not there\n"
        "two\n"
        "  summarise station=bex is blocked by\n"
        "    clean station=bex, month=202601: ValueError: station bex is out of order\n"
        "    clean station=bex, month=202602: ValueError: station bex is out of order\n"
        "  see: stage log clean station=bex month=202601 --run two\n"
    )
    absent = ask("why", "clean", "station=aar", "month=202603", cwd=campaign)["absences"]

    assert [(a["run"], a["why"], a["n_planned"]) for a in absent] == [
        ("two", "no-data-id", 6),
        ("one", "no-data-id", 6),
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 10, "there is no dataset type and no task 'nothing'"),
        (["summarise"], 2, "3 quanta of 'summarise' in 'two' have any data ID"),
        (["summarise", "station=x"], 10, "no quantum of 'summarise' has station=x"),
        (["0199f8c2-7d4e-7c31-9f0a-2b6c1d9e8f00"], 10, "neither a dataset nor a quantum has the id 0199f8c2"),
        (["summary", "station=aar", "--run", "three"], 10, "no collection 'three'"),
    ],
)
def test_why_says_what_is_not_known(campaign: Path, words: list[str], code: int, said: str) -> None:
    """What names nothing, or too much, is refused with words that tell what to do."""
    assert said in call("why", *words, cwd=campaign, code=code).stderr


def test_diff_shows_only_what_differs(campaign: Path) -> None:
    """Settings, what became of quanta, and outputs by data ID; not the logs, and not what is the same."""
    found = ask("diff", "one", ".", cwd=campaign, code=1)

    assert [(d["task"], d["key"], d["old"], d["new"]) for d in found["settings"]] == [
        ("clean", "fail_on", "", "bex"),
        ("clean", "limit", 100.0, 2000.0),
    ]
    assert [(d["task"], d["old"], d["new"], d["n"]) for d in found["quanta"]] == [
        ("clean", "succeeded", "failed", 2),
        ("summarise", "succeeded", "blocked", 1),
        ("total", "succeeded", "blocked", 1),
    ]
    assert found["quanta"][1]["data_ids"] == [{"station": "bex"}]
    outputs = {d.pop("dataset_type"): d for d in found["outputs"]}

    assert {k: (d["n_same"], d["n_changed"], d["only_old"], d["only_new"]) for k, d in outputs.items()} == {
        "clean": (0, 4, 2, 0), "summary": (0, 2, 1, 0), "total": (0, 0, 1, 0),
    }  # fmt: skip
    assert (found["versions"], found["inputs"], found["collections"]) == ([], [], {})
    text = call("diff", "one", "two", cwd=campaign, code=1).stdout

    assert "clean  limit    100.0  2000.0\n" in text
    assert "summarise  succeeded  blocked       1  station=bex\n" in text


def test_a_run_is_the_same_as_itself(campaign: Path) -> None:
    """Then the command ends with 0."""
    assert "the same: " in call("diff", "two", ".", cwd=campaign).stdout
    assert ask("diff", "one", "one", cwd=campaign)["same"] is True
    err = call("diff", "one", "tow", cwd=campaign, code=10).stderr

    assert "no run 'tow' in staging or upstream" in err
    assert "Did you mean 'two'?" in err


def test_pushed_provenance_answers_the_same(campaign: Path) -> None:
    """After a push upstream knows what came of what, and its runs can be compared, without any campaign."""
    before = ask("why", "total", "--run", "one", cwd=campaign)
    call("push", "one", "--register-dataset-types", cwd=campaign)
    folder = campaign.parent
    pushed = ask("why", "total", "--repo", "upstream", cwd=folder)

    assert {k: v for k, v in pushed.items() if k != "repository"} == {
        k: v for k, v in before.items() if k != "repository"
    }
    assert ask("diff", "one", "one", "--repo", "upstream", cwd=folder)["same"] is True
    with stage.Repo.open(folder / "upstream", writable=True) as repo, repo.registry.write() as tx:
        tx.register_run("empty")
    found = ask("diff", "empty", "two", cwd=campaign, code=1)

    assert [(d["old"], d["n"]) for d in found["quanta"] if d["new"] == "failed"] == [("absent", 2)]
    assert found["inputs"][0]["only_new"] == 6
    assert found["collections"] == {"net/raw": [0, 6]}


def test_diff_shows_the_numbers_that_tasks_noted(campaign: Path) -> None:
    """Of quanta that are complete in both runs, the largest relative difference first; texts are not compared."""
    for run, notes in (
        ("one", {"n": 4, "rms": 1.0, "name": "x"}),
        ("two", {"n": 5, "rms": 4.0, "name": "y"}),
    ):
        (path,) = (campaign / "data" / run / "summarise_metadata").glob("*chur*.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "notes": notes}))
    metrics = ask("diff", "one", "two", cwd=campaign, code=1)["metrics"]

    assert (metrics["n_compared"], metrics["n_common"], metrics["n_different"]) == (6, 6, 2)
    assert [
        (m["source"], m["data_id"], m["key"], m["old"], m["new"], m["relative"]) for m in metrics["largest"]
    ] == [
        ("summarise", {"station": "chur"}, "rms", 1.0, 4.0, 0.75),
        ("summarise", {"station": "chur"}, "n", 4, 5, 0.2),
    ]


def test_logs_of_quanta_that_an_expression_chooses(campaign: Path) -> None:
    """Data IDs are held against the expression with all that the registry knows of them; others tell nothing of it."""
    found = ask("log", "-d", "station.height > 150 AND month = 202601", "--run", "one", cwd=campaign)

    assert [(e["task"], e["data_id"]) for e in found] == [("clean", {"station": "chur", "month": 202601})]
    found = ask("log", "-d", "station = 'bex'", "--failed", "--tail", "1", cwd=campaign)

    assert [e["data_id"]["month"] for e in found] == [202601, 202602]
    assert ask("log", "total", "-d", "station = 'bex'", cwd=campaign) == []
    assert "unknown name 'sation'" in call("log", "-d", "sation = 'bex'", cwd=campaign, code=2).stderr


def test_why_not_tells_what_was_removed_and_what_has_not_run(campaign: Path) -> None:
    """A dataset that was made and is gone, one whose quantum has no outcome yet, and one of a type nobody makes."""
    staging, data = f"sqlite:///{campaign}/staging.sqlite3", str(campaign / "data")
    with stage.Repo.attach(staging, data, writable=True) as repo, repo.registry.write() as tx:
        gone = tx.find("summary", {"station": "aar"}, ["two"])
        assert gone is not None
        tx.delete_datasets([gone.id])
    text = call("why", "summary", "station=aar", "--run", "two", cwd=campaign).stdout

    assert "  summarise station=aar made it, and it was removed since\n" in text
    call("prep", "--new-run", "--next-run", "three", "--use-task-configs", cwd=campaign)
    text = call("why", "summary", "station=aar", "--run", "three", cwd=campaign).stdout

    assert "  summarise station=aar has not run\n" in text
    (answer,) = ask("why", "reading", "station=aar", "month=202601", "--run", "three", cwd=campaign)[
        "absences"
    ]

    assert answer["why"] == "input"
