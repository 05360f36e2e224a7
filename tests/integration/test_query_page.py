"""The page about queries: everything that it shows is done, from top to bottom, and gives what it says."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.main import run_command

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _session(text: str, names: dict[str, Any]) -> None:
    """Run a session in Python; `names` are what the sessions before it defined, and get its own."""
    report: list[str] = []
    test = doctest.DocTestParser().get_doctest(text, names, PAGE.name, None, 0)
    doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
    names.update(test.globs)

    assert "".join(report) == ""


def _command(line: str) -> str:
    """Run one command and return what it writes, unless it goes to a file."""
    words, target = re.fullmatch(r"(.*?)(?: > (\w+\.csv))?", line).groups()  # type: ignore[union-attr]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        run_command(shlex.split(words)[1:])
    if not target:
        return out.getvalue()
    Path(target).write_text(out.getvalue())
    return ""


def test_the_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions print, and commands write, what stands below them."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    kinds = []
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        kinds.append(kind)
        if kind == "python":
            _session(text, names)
        else:
            for line in (line[2:] for line in text.splitlines() if line.startswith("$ ")):
                shown = text.partition(f"$ {line}\n")[2].partition("\n$ ")[0].rstrip("\n")
                expected = "" if shown.startswith("$ ") else shown

                assert _command(line).rstrip("\n") == expected, line
    names["repo"].close()

    assert {"python", "console"} == set(kinds)
