"""A command that fails leaves every byte as it was: of campaigns, of upstream, and of what lies beside them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main
from failing_commands import ELSEWHERE, IN_CAMP
from tiny_campaign import call, database_dump, make_upstream

from cli.main import app, run_command

SKIPPED = (".campaign.lock", "staging.sqlite3-wal", "staging.sqlite3-shm", "__pycache__")
"""Who held the lock last is no content; and looking into a database in WAL mode makes its side files, or removes them."""


def _cases() -> list[tuple[str, str, str]]:
    out = []
    for folder, text in (("camp", IN_CAMP), (".", ELSEWHERE)):
        for line in text.strip().splitlines():
            words, _, said = line.rpartition("|")
            out.append((folder, words.strip(), said.strip()))
    return out


CASES = _cases()


def _commands(command: object, path: str = "") -> list[str]:
    children = getattr(command, "commands", None)
    if not children:
        return [path]
    return [p for name, child in children.items() for p in _commands(child, f"{path} {name}".strip())]


def _digest(root: Path) -> dict[str, str]:
    """Return every file, link and directory below a root; of a campaign's database what it says.

    Its bytes may differ: closing it moves what its log holds to the file.
    """
    out = {}
    for path in sorted(root.rglob("*")):
        if not set(path.relative_to(root).parts) & set(SKIPPED):
            is_staging = path.name == "staging.sqlite3"
            content = b"" if is_staging or not path.is_file() else path.read_bytes()
            out[str(path.relative_to(root))] = (
                database_dump(path)
                if is_staging
                else f"{path.lstat().st_mode:o} {hashlib.sha256(content).hexdigest()}"
            )
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `failing_commands` tells of; nothing here changes it."""
    folder = tmp_path_factory.mktemp("world")
    make_upstream(folder)
    for words in (
        ("repo", "register-collection", "upstream", "net/more", "--type", "RUN"),
        ("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n"),
        ("init", "upstream", "bare"),
        ("clone", "upstream", "strange", "-p", "pipeline.yaml", "-i", "net/raw"),
        ("clone", "upstream", "lacking", "-p", "pipeline.yaml", "-i", "net/raw"),
        ("edit", "-i", "net/more", "--campaign-dir", "lacking"),
        ("run", "-q", "-j0", "--campaign-dir", "camp"),
        ("push", "--register-dataset-types", "--dataset-type", "clean", "--campaign-dir", "camp"),
        ("run", "-q", "-j0", "--campaign-dir", "camp"),
        ("prep", "--campaign-dir", "camp"),
    ):
        call(*words, cwd=folder)
    call("qg", "import", folder / "camp" / "camp.qg", cwd=folder / "strange")
    shutil.copy(folder / "weather_tasks.py", folder / "camp")
    return folder


def _failing(folder: Path, *words: str) -> str:
    """Run a command in this process; return what it said, and fail if it did not."""
    told, old = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = run_command(list(words))
    finally:
        os.chdir(old)
    assert code != 0, told.getvalue()
    return told.getvalue()


@pytest.mark.parametrize(("where", "words", "said"), CASES, ids=[words for _, words, _ in CASES])
def test_what_fails_leaves_everything_as_it_was(world: Path, where: str, words: str, said: str) -> None:
    """State, pipeline, graph, history, registry, files, upstream and the folder around: and the error names the cause."""
    before = _digest(world)
    told = _failing(world / where, *shlex.split(words))

    assert _digest(world) == before
    assert said in told
    assert "internal error" not in told


def _is_case_of(words: str, name: str) -> bool:
    given, named = shlex.split(words), name.split()
    if named[:2] == ["repo", "query"]:  # the repository stands between the two
        return given[:2] == named[:2] and given[3:4] == named[2:]
    return given[: len(named)] == named


def test_every_command_has_a_case() -> None:
    """A new command without one fails here."""
    names = _commands(typer.main.get_command(app))

    assert [n for n in names if not any(_is_case_of(words, n) for _, words, _ in CASES)] == []


def test_the_comparison_sees_what_a_command_does(world: Path, tmp_path: Path) -> None:
    """One field of the state, one row of the history: the digests would not be the same."""
    copy = Path(shutil.copytree(world / "bare", tmp_path / "bare"))
    before = _digest(copy)
    call("edit", "--campaign-docs", "new", cwd=copy)
    after = _digest(copy)

    assert {name for name in after if before.get(name) != after[name]} >= {".campaign.json"}
    assert len(after) > len(before)
