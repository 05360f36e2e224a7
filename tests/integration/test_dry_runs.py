"""``--dry-run`` says what a command would do and does nothing; ``-v`` and ``-q`` say more and less of what is done."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from cli.main import app
from stage.campaign.campaign import Campaign
from tests.integration.tiny_campaign import call, make_upstream, tree_digest

NEW = "--repo upstream --campaign-dir new -p pipeline.yaml -i net/raw"
CASES = {
    "build --dry-run -d \"station = 'aar'\"": "4 quanta",
    "build --dry-run --extend-qg --explain": "10 quanta",
    "build --dry-run -c clean:limit=7 --write-qg ../elsewhere.qg --qg-dot ../elsewhere.dot": "10 quanta",
    "qg import camp.qg --dry-run": "10 quanta",
    "qg refresh --dry-run --trim-existing-in CAMPAIGN --allow-empty": "0 quanta",
    "edit --dry-run -c clean:limit=7 --campaign-docs new --run-dirs": "run_dirs",
    "pop 1 --dry-run": "would drop camp/r0",
    "pop 1 -n --purge": "purge",
    "clean --dry-run": "nothing to remove",
    "rollback 1 --dry-run": "back to entry 1",
    "push --dry-run --register-dataset-types": "13 dataset types",
}
WITHOUT = {
    "clone": "makes a directory, which can be removed",
    "demo": "as clone",
    "fsck": "only says what is wrong unless it is told to repair",
    "exec": "its quanta are named by the plan: stage plan",
    "init": "as clone",
    "merge": "adds what jobs did, and the same again is nothing",
    "prep": "stage plan",
    "register-dataset-types": "adds names to staging, which can be cloned again",
    "run": "stage plan",
}
"""Commands that change something and have no dry run, and why."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream and a campaign with two runs; nothing here changes it."""
    folder = tmp_path_factory.mktemp("dry")
    make_upstream(folder)
    call(
        "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n",
        cwd=folder,
    )  # fmt: skip
    call("run", "-q", "-j0", cwd=folder / "camp")
    return folder


def _digest(root: Path) -> dict[str, str]:
    """Return all but the empty files that commands lock."""
    return {name: what for name, what in tree_digest(root).items() if not name.endswith(".lock")}


@pytest.mark.parametrize(("words", "told"), CASES.items(), ids=CASES)
def test_a_dry_run_says_it_and_changes_nothing(world: Path, words: str, told: str) -> None:
    """Not one byte of the campaign, of upstream and of the folder around is another one afterwards."""
    before = _digest(world)
    said = call(*shlex.split(words), cwd=world / "camp").stdout

    assert told in said
    assert _digest(world) == before


def test_a_dry_run_makes_no_campaign(world: Path) -> None:
    """In a directory that is none it says what would be built, and the directory is not there afterwards."""
    before = _digest(world)
    found = json.loads(call("build", *NEW.split(), "--dry-run", "--json", cwd=world).stdout)

    assert (found["dry_run"], found["fetch"], sum(found["graph"]["tasks"].values())) == (True, None, 10)
    assert "name" in call("edit", *NEW.split(), "--dry-run", cwd=world).stdout
    assert _digest(world) == before


def test_what_would_be_is_what_comes(world: Path) -> None:
    """In Python the reports of a dry run are those of the act, but for what was fetched."""
    campaign = Campaign.load(world / "camp")
    before = _digest(world)
    would = campaign.build(data_query="station = 'bex'", dry_run=True)
    changes = campaign.edit(dry_run=True, config=["clean:limit=7"], next_run="%c/x%n")

    assert (would.graph.tasks, would.fetch) == ({"clean": 2, "summarise": 1, "total": 1}, None)
    assert changes["collections.next_run"] == ("%c/r%n", "%c/x%n")
    assert changes["clean:limit"] == (100.0, 7)
    assert campaign.state == Campaign.load(world / "camp").state
    assert _digest(world) == before


def test_every_command_that_changes_something_has_one_or_a_reason() -> None:
    """A new command that takes the lock of a campaign is in one of the two tables."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    changing = {
        name: command
        for name, command in commands.items()
        if any(p.name == "lock_timeout" for p in getattr(command, "params", ())) or name in WITHOUT
    }
    has_one = {n for n, c in changing.items() if any(p.name == "dry_run" for p in c.params)}

    assert set(changing) - has_one - {"fetch"} <= set(WITHOUT)
    tried = {words.split()[0] for words in CASES}
    assert {"build", "edit", "pop", "clean", "rollback", "push"} <= has_one & tried


def test_more_is_told_with_v_and_less_with_q(world: Path) -> None:
    """-v tells steps, -vv files and times too, on standard error; -q no progress; answers and errors stay as they are."""
    camp = world / "camp"
    words = ("build", "--dry-run", "--json")
    plain, more, most, less = (call(*v, *words, cwd=camp) for v in ((), ("-v",), ("-vv",), ("-q",)))

    assert plain.stderr == less.stderr == ""
    assert re.search(r"^building the graph of all data IDs$", more.stderr, re.MULTILINE)
    assert re.search(r"^ *\d+ ms  took the lock of ", most.stderr, re.MULTILINE)
    assert "took the lock" not in more.stderr
    tasks = [json.loads(told.stdout)["graph"]["tasks"] for told in (plain, more, most, less)]
    assert tasks == tasks[:1] * 4
    assert "not a campaign" in call("-q", "status", "--campaign-dir", "nowhere", cwd=world, code=10).stderr


def test_quiet_is_quiet_before_the_command_too(world: Path, tmp_path: Path) -> None:
    """Progress is shown unless -q is given, before the command or after it; what one command said holds for it alone."""
    words = ("run", "-j0", "--repo", "upstream", "-p", "pipeline.yaml", "-i", "net/raw", "--campaign-dir")

    assert "quanta done" not in call("-q", *words, tmp_path / "one", cwd=world).stderr
    assert "quanta done" in call(*words, tmp_path / "two", cwd=world).stderr
