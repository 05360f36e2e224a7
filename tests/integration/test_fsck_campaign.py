"""What only a campaign can have wrong is found too: state, graphs, records of jobs, notes of pushes, locks, half changes."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

from registry.errors import BusyError, UsageError
from registry.model.refs import new_id
from stage.campaign.campaign import Campaign
from stage.campaign.lock import campaign_lock
from sync.fsck.findings import FsckReport

RUN = "camp/r1"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream and a campaign, one run of which jobs have left records, nothing pushed."""
    folder = tmp_path_factory.mktemp("sound")
    make_upstream(folder)
    call(
        "clone",
        folder / "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--next-run",
        "%c/r%n",
        cwd=folder,
    )
    call("edit", "--set-counter", "1", cwd=folder / "camp")
    call("prep", cwd=folder / "camp")
    run = Path("submit") / RUN
    call(
        "exec",
        run / "graph.qg",
        "--quanta",
        "all",
        "--record",
        run / "job.records.jsonl",
        cwd=folder / "camp",
    )
    call("merge", run / "job.records.jsonl", cwd=folder / "camp")
    return folder


@pytest.fixture
def camp(sound: Path, tmp_path: Path) -> Path:
    """A copy of the campaign, whose upstream is a copy too."""
    shutil.copytree(sound, tmp_path / "all")
    root = tmp_path / "all" / "camp"
    change_state(root, lambda state: state.update(repo=str(tmp_path / "all" / "upstream")))
    moved = "UPDATE artifact SET uri = replace(uri, ?, ?)"
    sql(root / "staging.sqlite3", moved, f"{sound}/upstream/", f"{tmp_path}/all/upstream/")
    return root


def change_state(root: Path, change: Callable[[dict[str, object]], object]) -> None:
    state = json.loads((root / ".campaign.json").read_text())
    change(state)
    (root / ".campaign.json").write_text(json.dumps(state))


def sql(path: Path, text: str, *values: object) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute(text, values)
    raw.close()


def codes(report: FsckReport) -> set[str]:
    return {f.code for f in report.plan.findings}


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def _note_push(root: Path, state: str, run: str = RUN, payload: str = "", verb: bytes = b"push") -> None:
    sql(
        root / "staging.sqlite3", "INSERT INTO journal (operation, item, state, payload, at_ns) VALUES (?, ?, ?, ?, 1)",
        new_id(), verb, state, payload or json.dumps({"runs": [run]}),
    )  # fmt: skip


def _leave_lock(root: Path) -> None:
    holder = {"host": os.uname().nodename, "pid": 4_194_303, "command": "stage run", "since_ns": 1}
    (root / ".campaign.lock").write_text(json.dumps(holder))


def _half_change(root: Path) -> None:
    (root / ".campaign.undo").mkdir()
    shutil.copy(root / ".campaign.json", root / ".campaign.undo" / "0")
    (root / ".campaign.undo" / "list.json").write_text(json.dumps([[".campaign.json", "0"]]))


def _upstream(root: Path, key: str, value: str) -> None:
    sql(
        root.parent / "upstream/registry.sqlite3", "UPDATE repository SET value = ? WHERE key = ?", value, key
    )


def _other_universe(root: Path) -> None:
    with sqlite3.connect(root.parent / "upstream/registry.sqlite3") as raw:
        (text,) = raw.execute("SELECT value FROM repository WHERE key = 'universe'").fetchone()
    raw.close()
    _upstream(root, "universe", text.replace('"version": 1', '"version": 2'))


def _graph(root: Path) -> Path:
    return root / "submit" / RUN / "graph.qg"


def _records(root: Path) -> Path:
    return root / "submit" / RUN / "job.records.jsonl"


PLANTED: dict[str, Callable[[Path], object]] = {
    "state-damaged": lambda root: (root / ".campaign.json").write_text("{"),
    "state-damaged by an unknown field": lambda root: change_state(root, lambda state: state.update(nmae="x")),
    "staging-lost": lambda root: (root / "staging.sqlite3").unlink(),
    "graph-missing": lambda root: change_state(root, lambda state: state["quantum_graph"].update(uri="gone.qg")),  # type: ignore[attr-defined]
    "graph-damaged": lambda root: _graph(root).write_bytes(_graph(root).read_bytes()[:-100]),
    "graph-damaged within": lambda root: _flip(_graph(root), _graph(root).stat().st_size // 3),
    "graph-foreign": lambda root: shutil.copy(next(root.glob("*.qg")), _graph(root)),
    "record-damaged": lambda root: _flip(_records(root), -200),
    "record-damaged, cut off": lambda root: _records(root).write_bytes(_records(root).read_bytes()[:-50]),
    "record-foreign": lambda root: change_state(root, lambda state: _rename_run(root, state)),
    "push-unfinished": lambda root: _note_push(root, "begun"),
    "pull-unfinished": lambda root: _note_push(root, "moved", verb=b"pull"),
    "journal-ended": lambda root: _note_push(root, "done", "camp/gone"),
    "journal-damaged": lambda root: _note_push(root, "begun", payload="no JSON"),
    "dead-lock": _leave_lock,
    "change-unfinished": _half_change,
    "change-unfinished with a file": lambda root: (root / ".campaign.json.new-77").write_text("{}"),
    "universe-differs": _other_universe,
    "upstream-replaced": lambda root: _upstream(root, "repo_id", new_id().hex()),
    "upstream-unreachable": lambda root: (root.parent / "upstream/repo.yaml").unlink(),
    "schema-version": lambda root: _upstream(root, "schema_version", "9999"),
    "artifact-missing": lambda root: next((root / "data").rglob("total*.json")).unlink(),
    "outside-missing": lambda root: next((root.parent / "upstream/data").rglob("reading*.json")).unlink(),
}  # fmt: skip
"""What is done to the campaign, by the code that a check has to find."""


def _rename_run(root: Path, state: dict[str, object]) -> None:
    """Let another run's directory hold what the records say is this one's."""
    sources = _records(root)
    state["collections"]["past_runs"] = ["camp/r2"]  # type: ignore[index]
    folder = root / "submit" / "camp/r2"
    folder.mkdir()
    sources.rename(folder / sources.name)


@pytest.mark.survives("damage", "campaign")
@pytest.mark.parametrize("planted", PLANTED)
def test_each_corruption_of_a_campaign_is_found_under_its_own_code(camp: Path, planted: str) -> None:
    """Exactly the code of what was done is found, without changing a byte, and nothing before it was done."""
    assert set() == codes(Campaign.fsck(camp, full=True, older_than=-1))
    PLANTED[planted](camp)
    before = {p: p.read_bytes() for p in camp.rglob("*") if p.is_file() and "sqlite3-" not in p.name}

    found = Campaign.fsck(camp, full=True, older_than=-1)
    assert {planted.split(maxsplit=1)[0].rstrip(",")} == codes(found)
    assert before == {p: p.read_bytes() for p in camp.rglob("*") if p.is_file() and "sqlite3-" not in p.name}


@pytest.mark.parametrize(
    "planted", ["dead-lock", "change-unfinished", "change-unfinished with a file", "journal-ended"]
)
def test_what_a_repair_of_a_campaign_does(camp: Path, planted: str) -> None:
    """It heals, takes back or forgets, says so, and finds nothing afterwards."""
    PLANTED[planted](camp)
    report = Campaign.fsck(camp, repair=True)

    assert [planted.split(maxsplit=1)[0]] == [r.code for r in report.repaired]
    assert set() == codes(report) == codes(Campaign.fsck(camp))


def test_what_jobs_have_made_and_nobody_has_merged_is_not_left_over(camp: Path) -> None:
    """Their rows are still to come: the files are counted, and a repair leaves them alone."""
    call("prep", "--new-run", cwd=camp)
    graph = camp / "submit/camp/r2/graph.qg"
    call("exec", graph, "--quanta", "all", "--record", "elsewhere.jsonl", cwd=camp)
    made = [p for p in (camp / "data/camp/r2").rglob("*") if p.is_file()]
    report = Campaign.fsck(camp, repair=True, older_than=-1)

    assert set() == codes(report)
    assert 0 < report.plan.n_young <= len(made)  # what a prep writes has its rows at once
    assert all(p.is_file() for p in made)
    call("merge", "elsewhere.jsonl", cwd=camp)
    assert 0 == Campaign.fsck(camp, older_than=-1).plan.n_young


def test_a_repair_waits_for_nobody_and_a_check_needs_no_lock(camp: Path) -> None:
    """While another command changes the campaign it can be looked at, and not be repaired."""
    with campaign_lock(camp / ".campaign.lock", "stage run"):
        assert set() == codes(Campaign.fsck(camp))
        assert 0 == Campaign.doctor(camp).status.count("bad")
        with pytest.raises(BusyError, match="stage run"):
            Campaign.fsck(camp, repair=True)


def test_options_that_contradict_each_other_are_refused(camp: Path) -> None:
    """Both depths at once, or giving files up without a repair, is no question."""
    with pytest.raises(UsageError, match="fast or full"):
        Campaign.fsck(camp, fast=True, full=True)
    with pytest.raises(UsageError, match="repair"):
        Campaign.fsck(camp, lost=["x"])


def test_the_command_says_what_is_wrong_where_and_how_to_go_on(camp: Path) -> None:
    """Exit code 13, a line for the kind, the place, the thing and the next step; with --json the same as values."""
    assert "nothing is wrong" in call("fsck", cwd=camp).stdout
    PLANTED["artifact-missing"](camp)
    shown = call("fsck", "--fast", cwd=camp, code=13).stdout

    assert "error" in shown
    assert "artifact-missing" in shown
    assert "total/total_" in shown
    assert "--repair --lost NAME" in shown
    document = json.loads(call("fsck", "--json", cwd=camp, code=13).stdout)
    (finding,) = document["findings"]
    assert (document["sound"], finding["code"], finding["n"]) == (False, "artifact-missing", 1)

    done = call("fsck", "--repair", "--lost", finding["items"][0], cwd=camp).stdout
    assert "gave up by name" in done
    assert "nothing is wrong" in done


def test_a_repository_is_checked_by_its_own_command(camp: Path) -> None:
    """The keeper's command reads every byte of upstream, and ends with 13 when one of them is another."""
    upstream = camp.parent / "upstream"
    assert "nothing is wrong" in call("repo", "fsck", upstream, "--full", cwd=camp).stdout
    _flip(next((upstream / "data").rglob("reading*.json")), 3)

    assert "nothing is wrong" in call("repo", "fsck", upstream, cwd=camp).stdout
    assert "artifact-checksum" in call("repo", "fsck", upstream, "--full", cwd=camp, code=13).stdout
    assert "outside-checksum" in call("fsck", "--full", cwd=camp, code=13).stdout


def test_what_a_campaign_keeps_in_upstreams_storage_is_left_over_on_neither_side(
    sound: Path, tmp_path: Path
) -> None:
    """Before it is pushed no row upstream names it, afterwards none here need to: a repair removes nothing of it."""
    upstream = tmp_path / "upstream"
    shutil.copytree(sound / "upstream", upstream)
    given = ("-p", sound / "pipeline.yaml", "-i", "net/raw", "--outputs-in", upstream / "data/private")
    call("clone", upstream, "inside", *given, cwd=tmp_path)
    camp = tmp_path / "inside"
    call("run", "-j0", "-q", cwd=camp)
    files = {p: p.read_bytes() for p in (upstream / "data").rglob("*") if p.is_file()}
    for push in (False, True):
        if push:
            call("push", "--register-dataset-types", cwd=camp)
        call("repo", "fsck", upstream, "--repair", "--older-than", "0", cwd=tmp_path)
        call("fsck", "--repair", "--older-than", "0", cwd=camp)

        claim = ".campaign-outputs.json"
        assert list(files) == [p for p, data in files.items() if p.name == claim or p.read_bytes() == data]
