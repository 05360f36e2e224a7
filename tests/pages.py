"""Runs what a page of the documentation shows: sessions in Python, and commands with what they write."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path
from typing import Any

from cli.main import run_command

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_page(name: str) -> tuple[dict[str, Any], list[str]]:
    """Run a page from top to bottom in the working directory; return what its sessions define, and the blocks' kinds."""
    names: dict[str, Any] = {}
    kinds = []
    for kind, text in BLOCK.findall((DOCS / name).read_text(encoding="utf-8")):
        kinds.append(kind)
        if kind == "python":
            _session(name, text, names)
        else:
            _commands(text)
    return names, kinds


def _session(page: str, text: str, names: dict[str, Any]) -> None:
    """Run a session in Python; `names` are what the sessions before it defined, and get its own."""
    report: list[str] = []
    test = doctest.DocTestParser().get_doctest(text, names, page, None, 0)
    doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
    names.update(test.globs)

    assert "".join(report) == ""


def _commands(text: str) -> None:
    for line in (line[2:] for line in text.splitlines() if line.startswith("$ ")):
        shown = text.partition(f"$ {line}\n")[2].partition("\n$ ")[0].rstrip("\n")
        expected = "" if shown.startswith("$ ") else shown

        assert _command(line).rstrip("\n") == expected, line


def _command(line: str) -> str:
    """Run one command and return what it writes, unless it goes to a file."""
    words, target = re.fullmatch(r"(.*?)(?: > (\w+\.\w+))?", line).groups()  # type: ignore[union-attr]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        run_command(shlex.split(words)[1:])
    if not target:
        return out.getvalue()
    Path(target).write_text(out.getvalue())
    return ""
