"""What commands changed, and going back to what a campaign was: history and rollback by commands."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import ROOT, call, campaign_digest, make_upstream, tree_digest

from stage.campaign.campaign import Campaign
from sync.repo import Repo

KILLS = "60" if os.environ.get("STAGE_FAULTS") == "long" else "5"
"""Moments to die at, spread over all steps of a command on disk."""
BY_HAND = "# a thought of mine\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a campaign of six commands: init, edit, build, run, edit, run of a new graph; never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    call("init", "upstream", "camp", "-p", "pipeline.yaml", "--next-run", "%c/r%n", cwd=folder)
    camp = folder / "camp"
    call("edit", "-i", "net/raw", cwd=camp)
    call("build", cwd=camp)
    call("run", "-q", "-j0", cwd=camp)
    call("edit", "-c", "clean:limit=7", cwd=camp)
    call("run", "-q", "-j0", "--rebuild", "-d", "station = 'aar'", cwd=camp)
    return folder


@pytest.fixture
def camp(source: Path, tmp_path: Path) -> Path:
    """A copy of that campaign elsewhere; upstream and the pipeline that it imports stay where they are."""
    return Path(shutil.copytree(source / "camp", tmp_path / "work" / "camp"))


def _answer(camp: Path, *words: str, code: int = 0) -> Any:
    return json.loads(call(*words, "--json", cwd=camp, code=code).stdout)


def _state(camp: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((camp / ".campaign.json").read_text())
    return found


def _held(camp: Path) -> tuple[dict[str, list[str]], list[Any]]:
    """Return the collections of staging, and the numbers of its datasets."""
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        return {c.name: list(c.children) for c in snapshot.collections()}, sorted(
            snapshot.count_datasets().rows()
        )


def _commands(camp: Path) -> list[str]:
    return [" ".join(e["command"].split()[:2]) for e in _answer(camp, "history")]


# -- history --------------------------------------------------------------------------------------------------


def test_every_command_that_changed_something_has_a_number_that_stays(camp: Path) -> None:
    """Also those before there was a staging registry; what failed or changed nothing is not there."""
    entries = _answer(camp, "history")

    assert [e["position"] for e in entries] == [1, 2, 3, 4, 5, 6]
    assert [e["command"].split()[1] for e in entries] == ["init", "edit", "build", "run", "edit", "run"]
    assert all(e["kept"] for e in entries)
    call("edit", "-c", "clean:nothing=1", cwd=camp, code=2)
    call("edit", "--set-counter", "2", cwd=camp)

    assert [e["position"] for e in _answer(camp, "history")] == [1, 2, 3, 4, 5, 6]
    call("pop", "1", cwd=camp)

    assert _answer(camp, "history")[6]["change"]["collections.past_runs"] == [
        ["camp/r1", "camp/r0"],
        ["camp/r0"],
    ]


def test_a_graph_is_told_by_its_counts_and_a_pipeline_by_its_lines(camp: Path) -> None:
    """Quanta by task before and after; -v and --json have what became of each line of the pipeline's files."""
    entries = _answer(camp, "history")
    whole, part = {"clean": 6, "summarise": 3, "total": 1}, {"clean": 2, "summarise": 1, "total": 1}

    assert entries[2]["change"]["quanta"] == [None, whole]
    assert entries[5]["change"]["quanta"] == [whole, part]
    assert entries[4]["change"]["clean:limit"] == [100.0, 7.0]
    assert "+      limit: 7" in entries[4]["diff"]["pipeline.yaml"].splitlines()
    short, full = call("history", cwd=camp).stdout, call("history", "-v", cwd=camp).stdout

    assert (
        "graph: 10 quanta (clean 6, summarise 3, total 1) -> 4 quanta (clean 2, summarise 1, total 1)"
        in short
    )
    assert "+      limit: 7" not in short
    assert "+      limit: 7" in full
    call("edit", "-c", "clean:limit=6", cwd=camp)
    diff = _answer(camp, "history")[-1]["diff"]["pipeline.yaml"].splitlines()

    assert [line for line in diff[2:] if line[0] in "+-"] == ["-      limit: 7", "+      limit: 6"]


def test_a_graph_that_is_built_again_is_told_even_if_it_is_the_same(camp: Path) -> None:
    """Its quanta are other ones, with other ids."""
    call("build", cwd=camp)
    call("build", cwd=camp)

    assert _answer(camp, "history")[-1]["change"] == {
        "quanta": [{"clean": 2, "summarise": 1, "total": 1}] * 2
    }
    assert "graph: built anew: 4 quanta" in call("history", cwd=camp).stdout


def test_what_was_changed_by_hand_has_an_entry_of_its_own(camp: Path) -> None:
    """It is found by the next command that changes something, and can be gone back to."""
    path = camp / "pipeline.yaml"
    path.write_text(path.read_text() + BY_HAND)
    edited = path.read_text()
    call("edit", "-i", "nowhere/no", "-c", "clean:nothing=1", cwd=camp, code=2)

    assert _commands(camp)[-1] == "stage run"
    call("edit", "-c", "clean:limit=3", cwd=camp)

    assert _commands(camp)[-2:] == ["(changed by", "stage edit"]
    assert "+" + BY_HAND.strip() in _answer(camp, "history")[-2]["diff"]["pipeline.yaml"].splitlines()
    assert BY_HAND not in path.read_text(), "a command writes the file anew"
    call("rollback", "7", "--yes", cwd=camp)

    assert path.read_text() == edited


# -- going back -----------------------------------------------------------------------------------------------


def test_state_pipeline_and_graph_are_what_they_were_and_runs_stay(source: Path, camp: Path) -> None:
    """Runs made since leave the stack and stay in staging, known as made by the campaign; upstream is not touched."""
    before, upstream = _state(camp), tree_digest(source / "upstream")
    held, files = _held(camp), sorted((camp / "data").rglob("*"))
    graph = (camp / "camp.qg").read_bytes()
    report = _answer(camp, "rollback", "4", "--yes")

    assert (report["leaving"], report["returning"], report["done"]) == (["camp/r1"], [], True)
    assert (report["restored"], report["removed"]) == (["camp.qg"], ["pipeline.yaml"])
    state = _state(camp)

    assert state["pipeline"] == str(source / "pipeline.yaml")
    assert not (camp / "pipeline.yaml").exists()
    assert state["collections"]["past_runs"] == ["camp/r0"]
    assert state["collections"]["counter"] == 1
    assert set(state["collections"]["created"]) == {"camp", "camp/r0", "camp/r1"}
    assert _answer(camp, "qg", "show")["tasks"] == {"clean": 6, "summarise": 3, "total": 1}
    collections, datasets = _held(camp)

    assert collections == held[0] | {"camp": ["camp/r0", "net/raw"]}
    assert (datasets, sorted((camp / "data").rglob("*"))) == (held[1], files)
    assert _answer(camp, "clean", "--dry-run")["unstored"] == ["camp/r1"]
    assert "dropped   camp/r1; 'stage clean' removes" in call("status", cwd=camp).stdout
    # Going back is a change like any other: it can be taken back.
    call("rollback", "6", "--yes", cwd=camp)

    assert _state(camp) == before
    assert _held(camp) == held
    assert (camp / "camp.qg").read_bytes() == graph
    assert _commands(camp)[-2:] == ["stage rollback", "stage rollback"]
    assert tree_digest(source / "upstream") == upstream


def test_what_one_went_back_to_can_be_worked_with(camp: Path) -> None:
    """The graph there was is run again with the settings there were, into a run with a name that is free."""
    call("rollback", "5", "--yes", cwd=camp)
    call("rollback", "4", "--yes", cwd=camp)
    report = _answer(camp, "run", "-j0")

    assert (report["run"], report["executed"]) == ("camp/r2", 10)
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    call("rollback", "3", "--yes", cwd=camp)

    assert _state(camp)["collections"]["past_runs"] == []


def test_a_dry_run_changes_nothing_and_says_what_would(camp: Path) -> None:
    """It is the plan that the real one carries out; without an answer nothing is done."""
    before = campaign_digest(camp)
    plan = _answer(camp, "rollback", "2", "--dry-run")
    told = call("rollback", "2", cwd=camp, code=2)

    assert "back to entry 2: stage edit -i net/raw" in told.stdout
    assert "Say --yes" in told.stderr
    assert campaign_digest(camp) == before
    done = _answer(camp, "rollback", "2", "--yes")

    assert {**plan, "done": True} == done
    assert done["removed"] == ["pipeline.yaml", "camp.qg"]
    assert not _answer(camp, "rollback", "2", "--yes")["done"], "it is there already"
    assert _commands(camp)[-1] == "stage rollback"


def test_a_moved_campaign_can_go_back(camp: Path) -> None:
    """Nothing that is kept holds a path to the campaign itself."""
    moved = camp.rename(camp.with_name("elsewhere"))
    kept = "".join(p.read_text() for p in (moved / ".campaign.history").glob("*.json"))

    assert str(camp) not in kept
    call("rollback", "5", "--yes", cwd=moved)
    call("rollback", "6", "--yes", cwd=moved)

    assert _answer(moved, "qg", "show")["tasks"] == {"clean": 2, "summarise": 1, "total": 1}


def test_runs_that_were_purged_since_are_named_and_left_out_only_if_told(camp: Path) -> None:
    """What is gone cannot be brought back; without it the rest can."""
    call("pop", "2", "--purge", cwd=camp)
    before = campaign_digest(camp)
    told = call("rollback", "6", "--yes", cwd=camp, code=12).stderr

    assert "entry 6 has the runs 'camp/r1', 'camp/r0', removed since" in told
    assert "--without-lost" in told
    assert campaign_digest(camp) == before
    report = _answer(camp, "rollback", "4", "--without-lost", "--yes")

    assert report["lost"] == ["camp/r0"]
    assert _state(camp)["collections"]["past_runs"] == []


def test_runs_that_return_without_their_files_are_named(camp: Path) -> None:
    """Their rows are there; what was unstored is not."""
    call("pop", "1", "--unstore", cwd=camp)

    assert (
        "the files of run 'camp/r1' were removed since" in call("rollback", "6", "--dry-run", cwd=camp).stdout
    )


def test_what_is_outside_is_named_again_and_its_changes_are_told(source: Path, camp: Path) -> None:
    """Of a pipeline elsewhere only the URI can be brought back."""
    path = source / "pipeline.yaml"
    text = path.read_text()

    assert "outside the campaign" not in call("rollback", "4", "--dry-run", cwd=camp).stdout
    try:
        path.write_text(text + BY_HAND)
        changed = call("rollback", "4", "-n", cwd=camp).stdout
        path.unlink()
        gone = call("rollback", "4", "-n", cwd=camp).stdout
    finally:
        path.write_text(text)

    assert f"{path} is outside the campaign and was changed since" in changed
    assert "cannot be read now" in gone


def test_a_campaign_keeps_its_name_once_collections_have_it(tmp_path: Path) -> None:
    """The rest goes back, and it is said."""
    make_upstream(tmp_path)
    call("init", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
    camp = tmp_path / "camp"
    call("edit", "--campaign-name", "other", cwd=camp)
    call("run", "-q", "-j0", cwd=camp)
    report = _answer(camp, "rollback", "1", "--yes")

    assert (_state(camp)["name"], _state(camp)["collections"]["chain"]) == ("other", "other")
    assert any("called 'camp' then" in note for note in report["notes"])


def test_from_python(camp: Path) -> None:
    """Each command is a method: history and rollback."""
    campaign = Campaign.load(camp)
    to = next(e.position for e in campaign.history() if "quanta" in e.change)
    report = campaign.rollback(to)

    assert (report.to, report.done) == (3, True)
    assert campaign.state.collections.runs == ()


# -- what cannot be gone back to ------------------------------------------------------------------------------


def test_entries_that_are_not_kept_are_refused(camp: Path) -> None:
    """A number that is none, one from before anything was kept, and one whose file was changed."""
    before = campaign_digest(camp)

    assert "no entry 99" in call("rollback", "99", "--yes", cwd=camp, code=10).stderr
    (camp / ".campaign.history" / "000002.json").unlink()
    told = call("rollback", "2", "--yes", cwd=camp, code=10).stderr

    assert "not kept what the campaign was then" in told
    assert "oldest entry to go back to is 1" in told
    entry = json.loads((camp / ".campaign.history" / "000004.json").read_text())
    graph = camp / ".campaign.history" / "files" / entry["snapshot"]["files"]["camp.qg"].partition(":")[2]
    graph.write_bytes(b"other")

    assert "was changed" in call("rollback", "4", "--yes", cwd=camp, code=13).stderr
    graph.unlink()

    assert "camp.qg is kept no more" in call("rollback", "4", "--yes", cwd=camp, code=10).stderr
    (camp / ".campaign.history" / "000004.json").write_text("{")

    assert "is not valid JSON" in call("rollback", "4", "--yes", cwd=camp, code=13).stderr
    after = campaign_digest(camp)
    assert {n: d for n, d in before.items() if ".campaign.history" not in n} == {
        n: d for n, d in after.items() if ".campaign.history" not in n
    }


def test_a_campaign_from_before_lists_its_commands_and_keeps_from_now_on(camp: Path) -> None:
    """Without what was kept, the old entries are refused; the next command can be gone back to."""
    shutil.rmtree(camp / ".campaign.history")

    assert not any(e["kept"] for e in _answer(camp, "history"))
    assert "No entry is kept yet" in call("rollback", "4", "--yes", cwd=camp, code=10).stderr
    call("edit", "--campaign-docs", "one", cwd=camp)
    call("edit", "--campaign-docs", "two", cwd=camp)
    call("rollback", "7", "--yes", cwd=camp)

    assert _state(camp)["doc"] == "one"
    assert [e["kept"] for e in _answer(camp, "history")] == [False] * 6 + [True] * 3


def test_no_more_entries_are_kept_than_it_says(camp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change lets go of what only entries beyond the bound need; the list of commands stays whole."""
    monkeypatch.setattr("stage.campaign.history.KEPT_ENTRIES", 3)
    graph = hashlib.sha256((camp / "camp.qg").read_bytes())
    call("build", "-d", "station = 'bex'", cwd=camp)
    call("edit", "--campaign-docs", "one", cwd=camp)
    call("edit", "--campaign-docs", "two", cwd=camp)

    assert graph.digest() != hashlib.sha256((camp / "camp.qg").read_bytes()).digest()
    assert [7, 8, 9] == [entry["position"] for entry in _answer(camp, "history") if entry["kept"]]
    assert [*range(1, 10)] == [entry["position"] for entry in _answer(camp, "history")]
    # The one graph that is kept is the campaign's own, under a second name.
    files = [p for p in (camp / ".campaign.history" / "files").iterdir() if p.stat().st_size > 2000]
    assert [(camp / "camp.qg").stat().st_ino] == [p.stat().st_ino for p in files]
    call("rollback", "3", "--yes", cwd=camp, code=10)
    call("rollback", "8", "--yes", cwd=camp)


def test_old_entries_are_let_go_when_asked(camp: Path) -> None:
    """They stay in the list; the graphs that only they needed are removed, and what is kept is enough for the others."""
    files = camp / ".campaign.history" / "files"
    n = len(list(files.iterdir()))

    assert _answer(camp, "clean", "--keep-history", "2", "--dry-run")["history"] == [1, 2, 3, 4]
    call("clean", "--keep-history", "2", "--yes", cwd=camp)

    assert [e["kept"] for e in _answer(camp, "history")] == [False] * 4 + [True] * 2
    call("rollback", "5", "--yes", cwd=camp)
    call("rollback", "6", "--yes", cwd=camp)
    call("clean", "--keep-history", "1", "--yes", cwd=camp)

    assert len(list(files.iterdir())) < n
    assert _answer(camp, "qg", "show")["tasks"]["clean"] == 2
    assert "nothing to remove" in call("clean", "--keep-history", "1", "--yes", cwd=camp).stdout
    call("clean", "--keep-history", "0", "--yes", cwd=camp, code=2)


# -- kill -9 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("rollback", "4", "--yes"),
        ("edit", "-c", "clean:limit=6", "--set-counter", "9"),
        ("build", "-d", "station = 'bex'"),
    ],
    ids=["rollback", "edit", "build"],
)
def test_a_command_killed_before_a_step_on_disk_was_not_there_or_is_done(
    camp: Path, tmp_path: Path, words: tuple[str, ...], survived: Callable[[str, str, int], None]
) -> None:
    """State, pipeline, graph, chain and history are those before it or those after it, and no run is ever touched."""
    script = Path(__file__).with_name("kill_rollback.py")
    template = tmp_path / "template"
    camp.parent.rename(template)
    done = subprocess.run(
        [sys.executable, script, template, tmp_path / "work", KILLS, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    killed, finished, n_steps = map(int, done.stdout.split())

    assert killed >= min(int(KILLS), n_steps)
    assert finished < killed
    survived("kills", f"{words[0]} before a step on disk", killed)
