"""The stack of runs by commands: prep and run with --replace and --restart, pop, clean."""

from __future__ import annotations

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

from registry.model.collections import CollectionType
from stage.campaign.campaign import Campaign
from sync.repo import Repo

RUN_FILES = 34
"""Outputs, metadata, logs and configs of one run of the pipeline."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a campaign with two finished runs, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    call(
        "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n", cwd=folder
    )  # fmt: skip
    for _ in range(2):
        call("run", "-q", "-j0", cwd=folder / "camp")
    return folder


@pytest.fixture
def camp(source: Path, tmp_path: Path) -> Path:
    """The campaign of a fresh copy of that folder."""
    folder = Path(shutil.copytree(source, tmp_path / "work"))
    state = folder / "camp" / ".campaign.json"
    state.write_text(state.read_text().replace(str(source), str(folder)))
    return folder / "camp"


def _collections(camp: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((camp / ".campaign.json").read_text())["collections"]
    return found


def _stack(camp: Path) -> tuple[str | None, list[str]]:
    """Return the current run and the past ones, after a look at the chain."""
    c = _collections(camp)
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        (chain,) = snapshot.collections(["camp"])

    assert list(chain.children) == [
        *([c["current_run"]] if c["current_run"] else []),
        *c["past_runs"],
        *c["inputs"],
    ]
    return c["current_run"], c["past_runs"]


def _answer(camp: Path, *words: str, code: int = 0) -> Any:
    return json.loads(call(*words, "--json", cwd=camp, code=code).stdout)


def _files(camp: Path, run: str) -> int:
    return sum(path.is_file() for path in (camp / "data" / run).rglob("*"))


def _names(camp: Path) -> set[str]:
    return {c["name"] for c in _answer(camp, "query", "collections")}


# -- a new run in the place of others -------------------------------------------------------------------------


def test_replace_takes_the_place_of_the_current_run(camp: Path) -> None:
    """The current run leaves the stack and stays in staging; the new one runs everything again."""
    call("prep", cwd=camp)

    assert _stack(camp) == ("camp/r2", ["camp/r1", "camp/r0"])
    report = _answer(camp, "run", "-j0", "--replace")

    assert (report["run"], report["executed"], report["finished"]) == ("camp/r3", 10, True)
    assert report["dropped"] == {"runs": ["camp/r2"], "mode": "", "datasets": 0, "files": 0, "size_bytes": 0}
    assert _stack(camp) == (None, ["camp/r3", "camp/r1", "camp/r0"])
    assert "camp/r2" in _names(camp)
    assert "camp/r2" in _collections(camp)["created"]


def test_replace_without_a_current_run_takes_the_newest_past_one_and_says_so(camp: Path) -> None:
    """There it is the run that was finished last; with no run at all it is an error."""
    text = call("run", "-q", "-j0", "--replace", cwd=camp).stdout

    assert "dropped camp/r1" in text
    assert "there was no current run: 'camp/r1', the newest past run, is replaced" in text
    assert _stack(camp) == (None, ["camp/r2", "camp/r0"])
    call("pop", "2", cwd=camp)
    before = campaign_digest(camp)
    told = call("run", "-j0", "--replace", cwd=camp, code=2).stderr

    assert "no run to replace" in told
    assert campaign_digest(camp) == before


def test_restart_takes_the_place_of_all(camp: Path) -> None:
    """All runs leave the stack, and one new one is made; where there is none it is simply begun."""
    call("prep", "--restart", cwd=camp)

    assert _stack(camp) == ("camp/r2", [])
    call("pop", cwd=camp)

    assert _stack(camp) == (None, [])
    assert _answer(camp, "run", "-j0", "--restart", "--purge")["run"] == "camp/r3"
    assert _stack(camp) == (None, ["camp/r3"])


def test_replaced_runs_are_unstored_or_purged_on_the_way(camp: Path) -> None:
    """--unstore leaves the rows, --purge leaves nothing, and the file sizes are told."""
    told = _answer(camp, "run", "-j0", "--replace", "--unstore")["dropped"]

    assert (told["runs"], told["mode"], told["files"]) == (["camp/r1"], "unstore", RUN_FILES)
    assert told["size_bytes"] > 0
    assert _files(camp, "camp/r1") == 0
    assert "camp/r1" in _names(camp)
    told = _answer(camp, "run", "-j0", "--restart", "--purge")["dropped"]

    assert (told["runs"], told["mode"], told["files"]) == (["camp/r2", "camp/r0"], "purge", 2 * RUN_FILES)
    assert _names(camp) == {"camp", "camp/r1", "camp/r3", "net/raw"}
    assert _collections(camp)["created"] == ["camp", "camp/r1", "camp/r3"] or sorted(
        _collections(camp)["created"]
    ) == ["camp", "camp/r1", "camp/r3"]
    assert sorted(p.name for p in (camp / "submit" / "camp").iterdir()) == ["r1", "r3"]
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}


@pytest.mark.parametrize("verb", ["run", "prep"])
def test_a_graph_that_reads_a_run_keeps_it_from_being_removed(camp: Path, verb: str) -> None:
    """What is dropped may be read by the graph as it was built only while it is there."""
    call("build", cwd=camp)  # from both runs too, so a new one would be needed without them
    before = campaign_digest(camp)
    told = call(verb, "--restart", "--purge", "--use-qg-configs", cwd=camp, code=12).stderr

    assert "the graph was built from run 'camp/r1'" in told
    assert campaign_digest(camp) == before
    call(verb, "--restart", "--use-qg-configs", cwd=camp)

    assert _stack(camp)[1] in ([], ["camp/r2"])


# -- whether a complete run ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        (("run", "-q", "-j0"), None, True),
        (("run", "-q", "-j0", "--no-finish"), None, False),
        (("run", "-q", "-j0", "--finish"), None, True),
        (("prep",), ("run", "-q", "-j0"), False),
        (("prep",), ("run", "-q", "-j0", "--finish"), True),
        (("run", "-q", "-j0", "--no-finish"), ("run", "-q", "-j0"), False),
        (("run", "-q", "-j0", "--no-finish"), ("run", "-q", "-j0", "--finish"), True),
        (("run", "-q", "-j0"), ("run", "-q", "-j0", "--continue"), True),
        (("prep",), ("run", "-q", "-j0", "--new-run"), True),
        (("prep",), ("run", "-q", "-j0", "--replace"), True),
        (("prep",), ("run", "-q", "-j0", "--restart", "--no-finish"), False),
    ],
)
def test_when_a_complete_run_ends(
    camp: Path, first: tuple[str, ...], second: tuple[str, ...] | None, ends: bool
) -> None:
    """By default one that 'run' began; one that 'prep' or --no-finish left open stays, until it is said."""
    call(*first, cwd=camp)
    if second:
        call(*second, cwd=camp)

    assert (_stack(camp)[0] is None) == ends


def test_a_failed_run_that_goes_on_ends_when_it_is_complete(camp: Path) -> None:
    """A failure or a kill in between makes no difference to what becomes of the run."""
    call("edit", "-c", "clean:fail_on=bex", cwd=camp)
    call("run", "-q", "-j0", "--use-task-configs", cwd=camp, code=3)

    assert _stack(camp)[0] == "camp/r2"
    assert _answer(camp, "run", "-j0", "--finish", code=3)["finished"] is False
    call("run", "-q", "-j0", cwd=camp, env={"STAGE_TEST_HEALED": "1"})

    assert _stack(camp) == (None, ["camp/r2", "camp/r1", "camp/r0"])


# -- pop ------------------------------------------------------------------------------------------------------


def test_pop_drops_the_current_run_and_as_many_past_ones_as_asked(camp: Path) -> None:
    """The number counts past runs; upstream is not needed for it."""
    call("prep", cwd=camp)
    shutil.rmtree(camp.parent / "upstream")

    assert _answer(camp, "pop")["runs"] == ["camp/r2"]
    assert _stack(camp) == (None, ["camp/r1", "camp/r0"])
    assert Campaign.load(camp).pop(1, unstore=True).files == RUN_FILES
    assert _stack(camp) == (None, ["camp/r0"])
    told = call("pop", "1", "--purge", cwd=camp).stdout

    assert "dropped camp/r0" in told
    assert f"{RUN_FILES} files" in told
    assert _stack(camp) == (None, [])
    assert _names(camp) == {"camp", "camp/r1", "camp/r2", "net/raw"}
    history = _answer(camp, "history")

    assert "pop 1 --purge" in history[-1]["command"]
    assert history[-1]["change"]["collections.past_runs"] == [["camp/r0"], []]


def test_what_was_pushed_is_never_purged(camp: Path) -> None:
    """Staging has to know what upstream has; the files may go, and upstream is never touched."""
    call("push", "--register-dataset-types", cwd=camp)
    before = tree_digest(camp.parent / "upstream")
    told = call("pop", "1", "--purge", cwd=camp, code=12).stderr

    assert "run 'camp/r1' cannot be removed: it was pushed" in told
    assert _stack(camp) == (None, ["camp/r1", "camp/r0"])
    call("pop", "1", "--unstore", cwd=camp)
    call("pop", "1", cwd=camp)
    plan = _answer(camp, "clean", "--purge", "--dry-run")

    assert (plan["purged"], plan["unstored"], set(plan["kept"])) == ([], ["camp/r0"], {"camp/r0", "camp/r1"})
    call("clean", "--purge", "--yes", cwd=camp)

    assert _files(camp, "camp") == 0
    assert {"camp/r0", "camp/r1"} <= _names(camp)
    assert tree_digest(camp.parent / "upstream") == before


# -- clean ----------------------------------------------------------------------------------------------------


def test_clean_removes_what_was_dropped_and_nothing_else(camp: Path) -> None:
    """First the files, with --purge the rest; a chain that is used no more goes too; and again it does nothing."""
    call("pop", "1", cwd=camp)
    call("edit", "--chain", "other", cwd=camp)
    before = campaign_digest(camp)
    plan = _answer(camp, "clean", "--dry-run")

    assert (plan["unstored"], plan["files"], plan["chains"], plan["done"]) == (
        ["camp/r1"],
        RUN_FILES,
        ["camp"],
        False,
    )
    assert plan["size_bytes"] == sum(
        p.stat().st_size for p in (camp / "data/camp/r1").rglob("*") if p.is_file()
    )
    assert "Nobody is there to answer" in call("clean", cwd=camp, code=2).stderr
    assert campaign_digest(camp) == before
    assert _answer(camp, "clean", "--yes")["done"]
    assert (_files(camp, "camp/r1"), _files(camp, "camp/r0")) == (0, RUN_FILES)
    assert not (camp / "data/camp/r1").exists()
    assert _names(camp) == {"camp/r0", "camp/r1", "net/raw"}
    assert "nothing to remove" in call("clean", cwd=camp).stdout
    assert Campaign.load(camp).clean(purge=True).purged == ["camp/r1"]
    assert _names(camp) == {"camp/r0", "net/raw"}
    assert "nothing to remove" in call("clean", "--purge", "--yes", cwd=camp).stdout


# -- without a trace ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("pop",), 2, "no current run"),
        (("pop", "--purge"), 2, "no current run"),
        (("pop", "3"), 2, "cannot drop 3 past runs: there are 2"),
        (("run", "--replace", "--new-run"), 2, "contradict"),
        (("run", "--restart", "--continue"), 2, "contradict"),
        (("prep", "--restart", "--replace"), 2, "contradict"),
        (("run", "--purge"), 2, "--purge is about runs that are dropped"),
        (("prep", "--new-run", "--unstore"), 2, "--unstore is about runs that are dropped"),
        (("run", "--replace", "-c", "clean:limit=3"), 12, "clean:limit"),
        (("run", "--restart", "--purge", "-c", "clean:limit=3"), 12, "clean:limit"),
        (("prep", "--replace", "-c", "clean:limit=3"), 12, "clean:limit"),
    ],
)
def test_what_is_refused_leaves_no_trace(camp: Path, words: tuple[str, ...], code: int, says: str) -> None:
    """State, graph, files and registry are as they were."""
    before = campaign_digest(camp)

    assert says in call(*words, cwd=camp, code=code).stderr
    assert campaign_digest(camp) == before


@pytest.mark.parametrize(
    "words",
    [
        ("pop", "1", "--purge"),
        ("pop", "1", "--unstore"),
        ("run", "--replace", "--purge"),
        ("clean", "--purge", "--yes"),
    ],
)
def test_datasets_that_a_collection_holds_keep_their_run(camp: Path, words: tuple[str, ...]) -> None:
    """A run of which a user has tagged datasets is not removed, and the refusal leaves no trace."""
    if words[0] == "clean":
        call("pop", "1", cwd=camp)
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data", writable=True) as staging,
        staging.registry.write() as tx,
    ):
        tx.register_collection("best", CollectionType.TAGGED)
        tx.associate("best", tx.datasets("total", ["camp/r1"])["id"].tolist())
    before = campaign_digest(camp)

    assert "are in 'best' too" in call(*words, cwd=camp, code=12).stderr
    assert campaign_digest(camp) == before


@pytest.mark.parametrize("where", ["prepare", "save"])
@pytest.mark.parametrize(
    "words", [("prep", "--replace"), ("run", "-j0", "--restart", "--purge"), ("pop", "1", "--purge")]
)
def test_a_failure_on_the_way_leaves_no_trace(
    camp: Path, words: tuple[str, ...], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What staging had got of a new run, and the chain, are taken back when something fails later."""
    from stage.campaign.change import Change

    before = _facts(camp)

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        if where == "save" or words[0] == "pop":
            patched.setattr(Change, "keep", broken)
        else:
            patched.setattr("stage.campaign.running.set_campaign_chain", broken)
        call(*words, cwd=camp, code=1)

    assert _facts(camp) == before
    call(*words, cwd=camp)
    _stack(camp)


def _facts(camp: Path) -> dict[str, Any]:
    """Return what a campaign holds: all its files, and what staging has of collections, datasets and history."""
    files = {k: v for k, v in campaign_digest(camp).items() if k != "staging"}
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        held = [(c.name, c.children) for c in snapshot.collections()]
        counts = snapshot.count_datasets().rows()
        history = snapshot.table("history").rows()
    return {"files": files, "collections": sorted(held), "counts": sorted(counts), "history": history}


KILLS = "40" if os.environ.get("STAGE_FAULTS") == "long" else "4"


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-q", "-j0", "--replace", "--purge"),
        ("prep", "--restart"),
        ("pop", "1", "--purge"),
        ("clean", "--purge", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_a_command_killed_before_a_step_on_disk_can_be_gone_on_from(
    camp: Path, words: tuple[str, ...], survived: Callable[[str, str, int], None]
) -> None:
    """Wherever it dies: the chain is the stack, every run of the stack is whole, and clean removes what is left over."""
    if words[0] == "clean":
        call("pop", "1", cwd=camp)
    script = Path(__file__).with_name("kill_stack.py")
    done = subprocess.run(
        [sys.executable, script, camp.parent, camp.parent.parent / "lives", KILLS, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= min(int(KILLS), 3)
    survived("kills", f"{words[0]} before a step on disk", int(done.stdout))
