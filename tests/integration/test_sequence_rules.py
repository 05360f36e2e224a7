"""Which commands can be run at any time, which can make a campaign on the way, which can edit one, and which can do neither."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tiny_campaign import call, make_upstream

from cli.main import app
from registry.errors import StageError
from stage.campaign.campaign import Campaign
from stage.campaign.options import DEFINING, EditOptions
from sync.repo import Repo

MAKE = {"edit", "build", "qg build", "qg import", "prep", "run"}
"""They make a campaign where there is none, if an upstream is named; `init` and `clone` do nothing else."""
EDIT = MAKE - {"qg import"}
"""They take all options of `edit`; an imported graph supersedes pipeline and inputs, so its command does not."""
ONLY_THERE = {
    "bundle export", "clean", "config show", "doctor", "draw graph", "draw pipeline", "drop", "fetch", "fsck", "history", "merge", "plan", "pop", "pull", "push", "qg refresh",
    "register-dataset-types", "report", "rollback", "status",
}  # fmt: skip
"""They need a campaign, and change nothing of what defines it."""
ELSEWHERE_TOO = {"describe", "diff", "get", "log", "why", "qg draw", "qg show"}
"""Of a campaign, or of a repository, a pipeline or a graph file that is named: they only look."""
ARGUMENTS = {
    "bundle export": ["all.bundle"],
    "merge": ["records.zst"],
    "rollback": ["1", "--yes"],
    "clean": ["--yes"],
    "drop": ["--yes"],
}


def _commands(command: Any, path: str = "") -> dict[str, Any]:
    children = getattr(command, "commands", None)
    if not children:
        return {path: command}
    return {
        p: c
        for name, child in children.items()
        for p, c in _commands(child, f"{path} {name}".strip()).items()
    }


COMMANDS = {
    name: command
    for name, command in _commands(typer.main.get_command(app)).items()
    # Submissions have rules of their own: of what their file says, as `test_batch_commands` tells.
    if not name.startswith(("batch ", "repo ", "query "))
    and name not in ("init", "clone", "demo", "exec", "transfer-from-graph", "bundle import")
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an upstream and a pipeline."""
    make_upstream(tmp_path)
    return tmp_path


def test_every_command_has_its_place() -> None:
    """A new command is put into one of the sets above."""
    assert set(COMMANDS) == MAKE | ONLY_THERE | ELSEWHERE_TOO


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - ELSEWHERE_TOO))
def test_options_are_those_of_its_place(name: str) -> None:
    """Those that define a campaign, and --repo to make it, are there where they may be and nowhere else."""
    options = {p.name for p in COMMANDS[name].params}
    # Some have another meaning too, or are the one thing that a command takes of these.
    others = {"push": {"chain", "artifacts"}, "fetch": {"artifacts"}}.get(name, set())
    edits = set(EditOptions.__annotations__) & options - {"input", "task", *others}

    assert edits == (
        set(EditOptions.__annotations__) - {"input", "task"} if name in EDIT
        else set(EditOptions.__annotations__) - {*DEFINING} if name in MAKE
        else set()
    )  # fmt: skip
    if name in EDIT:
        assert {"input", "task"} <= options
    if name in ONLY_THERE:
        assert "repo" not in options


@pytest.mark.parametrize("name", sorted(MAKE))
def test_what_can_make_a_campaign_makes_it_and_what_cannot_leaves_nothing(folder: Path, name: str) -> None:
    """In an empty directory: with an upstream it is made and used; without one it is asked for, and nothing is left."""
    graph = folder / "elsewhere.qg"
    words = [
        *name.split(),
        *([str(graph)] if name == "qg import" else ["-p", "pipeline.yaml", "-i", "net/raw"]),
    ]
    if name == "qg import":
        call(
            "build",
            "--repo",
            "upstream",
            "--campaign-dir",
            "first",
            "-p",
            "pipeline.yaml",
            "-i",
            "net/raw",
            cwd=folder,
        )
        shutil.copy(folder / "first" / "first.qg", graph)
    words += ["-j0", "-q"] if name == "run" else []
    told = call(*words, "--campaign-dir", "camp", cwd=folder, code=10).stderr

    assert "not a campaign directory" in told
    assert not (folder / "camp").exists()
    call(*words, "--repo", "upstream", "--campaign-dir", "camp", cwd=folder)

    assert Campaign.load(folder / "camp").state.name == "camp"
    assert (
        json.loads(call("history", "--json", "--campaign-dir", "camp", cwd=folder).stdout)[0]["position"] == 1
    )
    # It can be run at any time: again, and with an edit on the way.
    again = words if name == "qg import" else [*name.split(), *words[len([*name.split()]) + 4 :]]
    call(*again, "--campaign-docs", "again", "--campaign-dir", "camp", cwd=folder)

    assert Campaign.load(folder / "camp").state.doc == "again"


@pytest.mark.parametrize("name", sorted(ONLY_THERE))
def test_what_needs_a_campaign_makes_none(tmp_path: Path, name: str) -> None:
    """Where there is none it ends with 10, and leaves the directory as it was."""
    call(*name.split(), *ARGUMENTS.get(name, []), cwd=tmp_path, code=10)

    assert list(tmp_path.iterdir()) == []


# -- prep before there is a graph -----------------------------------------------------------------------------


def _datasets(camp: Path, run: str) -> dict[str, int]:
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        return {name: int(n) for name, _, n in snapshot.count_datasets([run]).rows()}


def test_a_run_is_made_ready_before_its_graph(folder: Path) -> None:
    """First the run with its settings and versions, then the graph, which is run into it; prep builds none."""
    call(
        "prep", "--repo", "upstream", "--campaign-dir", "camp", "-p", "pipeline.yaml", "-i", "net/raw",
        "--next-run", "%c/r%n", cwd=folder,
    )  # fmt: skip
    camp = folder / "camp"
    campaign = Campaign.load(camp)
    written = {"clean_config": 1, "summarise_config": 1, "total_config": 1, "packages": 1}

    assert campaign.state.collections.current_run == "camp/r0"
    assert campaign.state.quantum_graph.uri is None
    assert _datasets(camp, "camp/r0") == written
    assert campaign.prep() == "camp/r0", "what is there is compared, and left alone"
    assert _datasets(camp, "camp/r0") == written
    report = campaign.run(processes=0)

    assert (report.run, report.executed, report.finished) == ("camp/r0", 10, False)
    assert _datasets(camp, "camp/r0").items() >= {**written, "total": 1, "clean": 6}.items()
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}


def test_a_run_made_ready_keeps_its_settings(folder: Path) -> None:
    """Other settings are refused by name, by prep and by run, and nothing has changed; a new run takes them."""
    call(
        "prep",
        "--repo",
        "upstream",
        "--campaign-dir",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        cwd=folder,
    )
    campaign = Campaign.load(folder / "camp")
    campaign.edit(config=["clean:limit=7"])
    before = (folder / "camp" / ".campaign.json").read_bytes()
    for attempt in (campaign.prep, lambda: campaign.run(processes=0)):
        with pytest.raises(StageError, match="limit"):
            attempt()

        assert (folder / "camp" / ".campaign.json").read_bytes() == before
    old = campaign.state.collections.current_run

    assert campaign.prep(new_run=True) != old
    assert campaign.run(processes=0).executed == 10


def test_without_pipeline_and_graph_there_is_nothing_to_make_ready_for(folder: Path) -> None:
    """Both are named; with a graph that is not there its settings cannot be taken."""
    call("init", "upstream", "camp", cwd=folder)

    assert "no graph" in call("prep", cwd=folder / "camp", code=10).stderr
    call("edit", "-p", "../pipeline.yaml", cwd=folder / "camp")

    assert "no input collections" in call("prep", cwd=folder / "camp", code=2).stderr
    call("prep", "-i", "net/raw", "--use-qg-configs", cwd=folder / "camp", code=10)
    assert not (folder / "camp" / "staging.sqlite3").exists()


# -- reasons to run again, as the documentation tells them ----------------------------------------------------


@pytest.fixture
def camp(folder: Path) -> Path:
    """A campaign with a graph of one station, run once; its pipeline is one of two tasks."""
    (folder / "two.yaml").write_text(
        "description: Two tasks.\ntasks:\n  clean: weather_tasks.clean\n  summarise: weather_tasks.summarise\n"
    )
    call(
        "clone", "upstream", "camp", "-p", "two.yaml", "-i", "net/raw", "--next-run", "%c/r%n", "-d", "station = 'aar'",
        cwd=folder,
    )  # fmt: skip
    call("run", "-q", "-j0", cwd=folder / "camp")
    return folder / "camp"


def _run(camp: Path, *words: str, code: int = 0) -> Any:
    return json.loads(call("run", "-j0", "--json", *words, cwd=camp, code=code).stdout)


def _past(camp: Path) -> tuple[str, ...]:
    return Campaign.load(camp).state.collections.past_runs


def test_a_problem_was_mended(camp: Path) -> None:
    """In the same run only what failed is done; with --replace all of it, in the place of the last attempt."""
    failed = _run(camp, "--replace", "--use-task-configs", "-c", "clean:fail_on=aar", code=3)

    assert failed["executed"] == 2
    report = _run(camp, "--replace", "--use-task-configs", "-c", "clean:fail_on=''")

    assert (report["executed"], report["finished"]) == (3, True)
    assert _past(camp) == ("camp/r2",)


def test_more_data_came(camp: Path) -> None:
    """The graph is extended and the run taken up again: what is done stays, what is new is done in it."""
    call("build", "--extend-qg", "-d", "station = 'bex'", cwd=camp)
    report = _run(camp, "--continue")

    assert (report["run"], report["executed"]) == ("camp/r0", 3)
    assert _past(camp) == ("camp/r0",)


def test_a_task_was_added(camp: Path) -> None:
    """A new run on top, with only what the runs below do not have."""
    report = _run(camp, "-t", "total:weather_tasks.total", "--rebuild", "--skip-existing-in", "CAMPAIGN")

    assert (report["run"], report["executed"], report["skipped"]) == (
        "camp/r1",
        1,
        {"clean": 2, "summarise": 1},
    )
    assert _past(camp) == ("camp/r1", "camp/r0")
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 4, "stations": 1}


def test_all_of_it_at_once(camp: Path) -> None:
    """Other settings, more data and one task more: built again, from scratch."""
    report = _run(
        camp, "--restart", "--rebuild", "-d", "station IN ('aar', 'bex')", "-c", "clean:limit=1",
        "-t", "total:weather_tasks.total",
    )  # fmt: skip

    assert (report["run"], report["executed"]) == ("camp/r1", 7)
    assert _past(camp) == ("camp/r1",)
