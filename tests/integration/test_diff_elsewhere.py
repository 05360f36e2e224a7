"""Comparing numbers of runs, and runs of different campaigns, as commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import stage
from tests.integration.tiny_campaign import call, make_upstream


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two campaigns of one upstream, a run each: the second takes values up to another limit, and has one task less."""
    folder = tmp_path_factory.mktemp("campaigns")
    make_upstream(folder)
    where = {"PYTHONPATH": str(folder)}
    for camp, words in (("first", ()), ("second", ("-c", "clean:limit=2000.0"))):
        call("clone", "upstream", camp, "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder, env=where)
        call(
            "run",
            "-j",
            "0",
            "--next-run",
            f"{camp}/run",
            *words,
            "--use-task-configs",
            cwd=folder / camp,
            env=where,
        )
    return folder


def ask(*words: str | Path, cwd: Path, code: int = 0) -> Any:
    """Return the JSON that a command writes."""
    return json.loads(call(*words, "--json", cwd=cwd, code=code).stdout)


def test_runs_of_two_campaigns(folder: Path) -> None:
    """Another campaign's run is named with its directory; settings, outputs and numbers are compared all the same."""
    found = ask("diff", ".", "../second:.", cwd=folder / "first", code=1)

    assert [(d["key"], d["old"], d["new"]) for d in found["settings"]] == [("limit", 100.0, 2000.0)]
    assert (found["quanta"], found["inputs"], found["collections"]) == ([], [], {})
    assert {d["dataset_type"]: d["n_changed"] for d in found["outputs"]} == {
        "clean": 6,
        "summary": 3,
        "total": 1,
    }
    assert [found[side]["run"] for side in ("old", "new")] == ["first/run", "second/run"]
    same = ask("diff", "../first:first/run", f"{folder / 'first'}:.", cwd=folder / "second")

    assert same["same"] is True
    back = ask("diff", ".", "../first:first/run", cwd=folder / "second", code=1)

    assert [(d["old"], d["new"]) for d in back["settings"]] == [(2000.0, 100.0)]


def test_a_run_of_upstream(folder: Path) -> None:
    """What was pushed is the same as what is here; it may be named as upstream's, or with the repository."""
    call("push", "first/run", "--register-dataset-types", cwd=folder / "first")
    for word in ("upstream:first/run", "../upstream:first/run"):
        assert ask("diff", "first/run", word, cwd=folder / "first")["same"] is True

    found = ask("diff", "first/run", ".", cwd=folder / "second", code=1)

    assert found["old"]["repository"].endswith("upstream")
    assert {d["dataset_type"]: d["n_changed"] for d in found["outputs"]}["summary"] == 3


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("../second:none", "no run 'none' in campaign ../second or its upstream"),
        ("upstream:secnd/run", "no run 'secnd/run' in upstream"),
        ("../nothing:x", "nothing"),
        ("with:colon", "no run 'with:colon' in staging or upstream"),
    ],
)
def test_places_and_runs_that_are_not_there(folder: Path, word: str, said: str) -> None:
    """They are named, with what to do."""
    err = call("diff", ".", word, cwd=folder / "first", code=10).stderr

    assert said in err


def test_what_upstream_has_is_what_is_offered_for_it(folder: Path) -> None:
    """The nearest name is one of the place that was asked, not of the campaign."""
    call("push", "first/run", "--register-dataset-types", cwd=folder / "first")
    err = call("diff", "--upstream", ".", cwd=folder / "second", code=10).stderr

    assert "no run 'second/run' in upstream" in err
    assert "second" not in err.splitlines()[-1]


def test_numbers_in_documents(folder: Path) -> None:
    """With --metrics all of them are compared, by name, and told with their medians, or one by one."""
    words = ("diff", ".", "../second:.", "--metrics", "summary.*")
    found = ask(*words, "--rows", cwd=folder / "first", code=1)["metrics"]
    by_name = {m["name"]: m for m in found["summaries"]}

    assert set(by_name) == {"summary.mean", "summary.n"}
    n = by_name["summary.n"]
    assert (n["n"], n["n_different"], n["old"]["median"], n["new"]["median"]) == (3, 3, 4.0, 6.0)
    assert n["change"] == {"median": 2.0, "mean": 2.0, "min": 2.0, "max": 2.0}
    assert (found["n_documents"], found["n_different"]) == (10, 6)
    assert (found["largest"][0]["key"], found["largest"][0]["data_id"]["station"]) == ("mean", "aar")
    text = call(*words, cwd=folder / "first", code=1).stdout

    assert "metrics: 6 numbers differ, of 10 quanta and 10 documents\n" in text
    assert re.search(r"^summary\.n +3 +3 +4 +6 +4 +6 +\+2 +\+2 +\+2$", text, re.MULTILINE)
    one = ask("diff", ".", "../second:.", "--metrics", "total.n", cwd=folder / "first", code=1)["metrics"]

    assert [(m["source"], m["key"], m["old"], m["new"], m["change"]) for m in one["largest"]] == [
        ("total", "n", 12, 18, 6.0)
    ]


def test_numbers_that_are_only_in_one_run(folder: Path) -> None:
    """They are counted by name, and not taken into medians; numbers that are none are left alone."""
    for camp, notes in (
        ("first", {"rms": 1.0, "gone": 1, "nan": float("nan")}),
        ("second", {"rms": 2.0, "came": 3, "nan": float("nan")}),
    ):
        for path in (folder / camp / "data" / camp / "run" / "summarise_metadata").glob("*.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), "notes": notes}))
    found = stage.Campaign.load(folder / "first").diff(".", f"{folder / 'second'}:.", metrics="summarise.*")
    told = {m.name: (m.n, m.n_different, m.only_old, m.only_new) for m in found.metrics.summaries}

    assert told == {
        "summarise.rms": (3, 3, 0, 0),
        "summarise.gone": (0, 0, 3, 0),
        "summarise.came": (0, 0, 0, 3),
    }
    text = call("diff", ".", "../second:.", "--metrics", "summarise.*", cwd=folder / "first", code=1).stdout

    assert "only in old: summarise.gone (3)\n" in text
    assert "only in new: summarise.came (3)\n" in text


def test_after_a_push_there_is_nothing_to_pull(folder: Path) -> None:
    """What was pushed is the same on both sides: no pull is advised, and one that only notes that says nothing else."""
    camp = folder / "first"
    call("push", "first/run", "--register-dataset-types", cwd=camp)

    told = call("status", "--upstream", cwd=camp).stdout
    assert "nothing has moved" in told
    assert "stage pull" not in told
    assert "nothing to pull" in call("pull", cwd=camp).stdout
