"""The documentation: commands that exist, pages that are found, links that lead somewhere, examples that hold."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main

import stage
from cli.main import app
from registry.model.dimensions import default_universe
from registry.query.bind import bind
from registry.query.parser import parse
from sync.storage import formatter, storage_classes

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
SCRIPTS = sorted((ROOT / "examples").glob("*/run.sh"))

FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ENDS = {"&&", "|", ";", ">", "2>"}
OTHER = {"queries.md", "long-life.md"}
"""Pages of which the expressions are looked at elsewhere, or are about a universe of their own."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _shown(path: Path) -> Iterator[str]:
    """Yield what a page shows as typed: lines of blocks, indented lines, and code within sentences."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    if path.suffix == ".sh":
        yield from (line.removeprefix("say ") for line in text.splitlines())
        return
    outside = FENCE.sub("", text)
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()]
    indented = [line[4:] for line in outside.splitlines() if line.startswith("    ")]
    yield from (line.removeprefix("$ ") for line in [*blocks, *indented])
    yield from re.findall(r"`([^`]+)`", outside)


def _commands(path: Path) -> Iterator[list[str]]:
    for line in _shown(path):
        if line.startswith(("stage ", "make ")):
            words: list[str] = []
            for word in shlex.split(line, comments=True):
                if word in ENDS:
                    break
                words.append(word)
            yield words


def _check_options(command: Any, words: list[str], shown: str) -> None:
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    for before, word in pairwise(["", *words]):
        option = word.partition("=")[0] if word.startswith("--") else word[:2]
        if before == "--order-by":
            continue  # a name, perhaps with a minus before it

        assert not re.match(r"--?[A-Za-z]", word) or option in known, f"{shown}: no option {word}"


@cache
def _program() -> Any:
    return typer.main.get_command(app)


def _check_stage(words: list[str]) -> None:
    shown = " ".join(words)
    command, rest = _program(), words[1:]
    while len(rest) > 1 and rest[0].startswith("-"):  # those that stand before a command
        _check_options(command, rest[:1], shown)
        rest = rest[1:]
    while rest and not rest[0].startswith("-"):
        children = getattr(command, "commands", None)
        if children is None or rest[0].isupper() or "…" in rest[0]:
            break

        assert rest[0] in children, f"{shown}: no command {rest[0]}"
        command, rest = children[rest[0]], rest[1:]
        # A group of commands may take arguments before them.
        is_group = getattr(command, "commands", None) is not None
        rest = rest[sum(p.param_type_name == "argument" for p in command.params) if is_group else 0 :]
    _check_options(command, rest, shown)


@pytest.mark.parametrize("path", [*TEXTS, *SCRIPTS], ids=_name)
def test_every_command_shown_exists(path: Path) -> None:
    """Commands, options and make targets are those of the program and the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in _commands(path):
        if words[0] == "stage":
            _check_stage(words)
        else:
            assert {w for w in words[1:] if "=" not in w} <= targets, words


@pytest.mark.parametrize("path", [p for p in (*TEXTS, *SCRIPTS) if p.name not in OTHER], ids=_name)
def test_expressions_in_commands_can_be_asked(path: Path) -> None:
    """Expressions after -d and --where name what the default universe has, instruments and sky maps included."""
    universe = default_universe()
    for words in _commands(path):
        given = [b for a, b in pairwise(words) if a in ("-d", "--data-query", "--where") and not b.isupper()]
        texts = [b.partition("=") for a, b in pairwise(words) if a == "--bind"]
        values = {name: int(text) if text.isdigit() else text for name, _, text in texts}
        for expression in given:
            bind(parse(expression), universe, universe.empty, values)


def test_commands_are_found_in_the_pages() -> None:
    """The search above finds what a reader sees, so that it does not pass for want of anything to check."""
    found = [tuple(words[:3]) for path in [*TEXTS, *SCRIPTS] for words in _commands(path)]

    assert {("make", "demo"), ("stage", "repo", "create"), ("stage", "push", "--dry-run")} <= set(found)
    with pytest.raises(AssertionError, match="no command pusch"):
        _check_stage(["stage", "pusch"])
    with pytest.raises(AssertionError, match="no option --dry"):
        _check_stage(["stage", "push", "--dry"])


def test_every_page_is_in_the_table_of_contents() -> None:
    """A reader gets from the first page to each other one, and no entry leads nowhere."""
    entries = [
        line
        for block in re.findall(
            r"^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text(), re.MULTILINE | re.DOTALL
        )
        for line in block.splitlines()
        if line and not line.startswith(":")
    ]

    assert sorted([*entries, "index"]) == sorted(str(p.relative_to(DOCS).with_suffix("")) for p in PAGES)


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    """Every relative link, and every file that a page includes, is there."""
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(FENCE.sub("", text)):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            found = path.parent / file if file else path

            assert found.is_file(), target
            assert not anchor or anchor in _anchors(found), target
    for included in re.findall(r"```\{literalinclude\} (\S+)", text):
        assert (path.parent / included).is_file(), included


def test_the_api_page_has_every_public_name_once() -> None:
    """What `stage` offers is documented, and nothing else is under its name."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\.\. (?:autoclass|autofunction|autoexception|function):: (\w+)(?:\(|$)", text, re.MULTILINE
    )

    assert sorted(listed) == sorted(stage.__all__)


def test_sessions_about_universes_hold() -> None:
    """The examples of the page print what it says."""
    text = (DOCS / "universes.md").read_text(encoding="utf-8")
    sessions = "\n".join(re.findall(r"```python\n(>>> .*?)```", text, re.DOTALL))
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(doctest.DocTestParser().get_doctest(sessions, {}, "universes.md", None, 0), out=report.append)

    assert "".join(report) == ""
    assert runner.tries > 5


def test_expressions_shown_are_understood() -> None:
    """Each expression of the table names what the default universe has, and fits it; each time is one."""
    text = (DOCS / "queries.md").read_text(encoding="utf-8").partition("## Expressions")[2]
    shown = [e for e in re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE) if not e.startswith("T'")]
    times = re.findall(r"`(T'[^\[]+?')`", text)
    shown += [f"visit.timespan.begin > {time}" for time in times]
    universe = default_universe()
    for expression in shown:
        data_id = {} if expression.startswith("instrument") else {"instrument": "HSC"}
        bind(
            parse(expression), universe, universe.group(["visit", "detector"]), {"mine": "r"}, data_id=data_id
        )

    assert len(shown) - len(times) >= 10
    assert len(times) >= 15


def test_storage_classes_listed_are_those_there_are() -> None:
    """The table of storage classes has each one that is shipped, with its file's ending."""
    text = (DOCS / "files-and-formats.md").read_text(encoding="utf-8").partition("## Storage classes")[2]
    told = {}
    for names, endings in re.findall(
        r"^\| (`.+?) \| .+? \| (.+?) \|$", text.partition("\n## ")[0], re.MULTILINE
    ):
        found = re.findall(r"`(\.[a-z.]+)`", endings) or [""]
        told.update(zip(re.findall(r"`(\w+)`", names), found, strict=True))
    pytest.importorskip("pyarrow")
    pytest.importorskip("astropy")

    assert told == {c.name: formatter(c.formatter).extension for c in storage_classes()}
