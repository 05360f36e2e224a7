"""A campaign's life by commands and the same from Python: what the page tells is true, and both end the same."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sync.repo import Repo
from tests.scenarios.dump import dump
from tests.scenarios.telling import HOME, ROOT, Done, Terminal, tell
from tests.scenarios.watching import Watch

PAGE = (ROOT / "docs" / "long-life.md").read_text(encoding="utf-8")
STORY, _, FROM_PYTHON = PAGE.partition("## The same from Python")
COPIES = ("climate", "as-built", "settings", "refreshed", "rebuilt")
REFUSED = (1, 2, 10, 11, 12, 13)


def _home(folder: Path) -> Terminal:
    (folder / "home").mkdir(parents=True)
    return Terminal(folder / "home")


def _live_by_commands(folder: Path) -> tuple[Path, int]:
    """Do all that the page tells, look around after each command, and compare what was written with the page."""
    terminal = _home(folder)
    watch = Watch(terminal.home / "shared")

    def look(done: Done) -> None:
        if not done.line.startswith("stage "):
            return
        given = re.search(r"--campaign-dir (\S+)", done.line)
        campaign = (done.cwd / given[1]).resolve() if given else done.cwd
        pushes = done.line.startswith("stage push --register")
        watch.look(campaign, pushes=pushes, failed=done.code in REFUSED)

    for told, done in tell(STORY, terminal, look):
        assert done.output == told.shown, told.line
    return terminal.home, watch.n_looks


def _live_from_python(folder: Path) -> tuple[Path, int]:
    """Make the same files, then do what the page's last block says, statement by statement."""
    terminal = _home(folder)
    for _, done in tell(STORY.partition("## A quantum fails")[0], terminal, lambda done: None):
        assert done.code == 0
    for name, content in re.findall(r":caption: (\S+)\n\n(.*?)^```", STORY, re.MULTILINE | re.DOTALL):
        (terminal.home / name).write_text(content)
    block = re.search(r"```python\n(.*?)```", FROM_PYTHON, re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    watch, before = Watch(terminal.home / "shared"), Path.cwd()
    os.chdir(terminal.home)
    try:
        for statement in ast.parse(block[1]).body:
            text = ast.unparse(statement)
            exec(compile(ast.Module([statement], []), text, "exec"), names)
            watch.look(terminal.home / "climate", pushes=text.startswith("pushed = campaign.push("))
    finally:
        os.chdir(before)
    return terminal.home, watch.n_looks


def _state(home: Path, campaign: str) -> dict[str, Any]:
    """Return a campaign's state; digests of collections are made of ids."""
    text = (home / campaign / ".campaign.json").read_text().replace(str(home), HOME)
    state: dict[str, Any] = json.loads(text)
    state["quantum_graph"].pop("digests")
    return state


@pytest.mark.slow
def test_a_long_life_by_commands_and_from_python(tmp_path: Path) -> None:
    """The page's commands write what it shows, all invariants hold after each, and Python leaves the same in every registry."""
    by_commands, n_commands = _live_by_commands(tmp_path / "commands")
    from_python, n_statements = _live_from_python(tmp_path / "python")

    assert n_commands > 30
    assert n_statements > 25
    for name in COPIES:
        assert _state(by_commands, name) == _state(from_python, name)
    for place in ("shared", *COPIES):
        one, other = (_dump(home, place) for home in (by_commands, from_python))
        for what, found in one.items():
            assert found == other[what], f"{what} of {place}"
        assert place == "shared" or len(one["quanta"]) >= 6


def _dump(home: Path, place: str) -> dict[str, list[Any]]:
    if place == "shared":
        with Repo.open(str(home / place)) as repo:
            return dump(repo)
    with Repo.attach(f"sqlite:///{home / place}/staging.sqlite3", home / place / "data") as repo:
        return dump(repo)


def test_what_differs_is_seen(tmp_path: Path) -> None:
    """A dump without one dataset is another dump, so that the comparison above can fail."""
    terminal = _home(tmp_path)
    for _, done in tell(STORY.partition("## A quantum fails")[0], terminal, lambda done: None):
        assert done.code == 0
    before = _dump(terminal.home, "shared")
    terminal.type("stage repo prune shared net/raw --where \"station = 'chur' AND month = 2\" --purge --yes")
    after = _dump(terminal.home, "shared")

    assert len(before["datasets"]) == len(after["datasets"]) + 1
