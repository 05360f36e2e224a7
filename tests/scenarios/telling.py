"""Does what a page of the documentation tells, as a person at a terminal would, and says what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = "/home/me"
BLOCK = re.compile(
    r"^```(?:\{code-block\} \w+\n:caption: (?P<file>\S+)\n\n(?P<content>.*?)|console\n(?P<typed>.*?))^```",
    re.MULTILINE | re.DOTALL,
)
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z"), "2026-11-21 10:15:00Z"),
    (re.compile(r"\b\d+\.\d s\b"), "0.1 s"),
    (re.compile(r"\b[\d.]+ (bytes|[kMG]B)(?! copied)"), "10.0 kB"),
    (re.compile(r"(?<=stage run -j )[1-9]\d*"), "2"),  # as many as the machine has
)


@dataclass
class Told:
    """A command of the page, with what it shows."""

    line: str
    shown: str


@dataclass
class Done:
    """A command that was run."""

    line: str
    output: str
    code: int
    cwd: Path


def commands(typed: str) -> Iterator[Told]:
    """Take a block of a terminal apart into commands and what each writes."""
    for part in re.split(r"^\$ ", typed, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield Told(line, shown)


class Terminal:
    """A shell in a directory of its own, in which ``stage`` is the command of this source tree."""

    def __init__(self, home: Path) -> None:
        self.home = self.cwd = home
        self.code = 0
        programs = home.parent / "bin"
        programs.mkdir(exist_ok=True)
        command = programs / "stage"
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m cli "$@"\n')
        command.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "110",
        }
        for name in (
            "STAGE_CAMPAIGN_DIR",
            "PYTHONDONTWRITEBYTECODE",
        ):  # compiled once, commands start quickly
            self.environment.pop(name, None)

    def type(self, line: str) -> Done:
        """Run one line."""
        if line.startswith("cd "):
            self.cwd = (self.cwd / line[3:]).resolve()
            return Done(line, "", 0, self.cwd)
        if line == "echo $?":
            return Done(line, f"{self.code}\n", 0, self.cwd)
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.cwd, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        self.code = ran.returncode
        return Done(line, self.plain(ran.stdout), ran.returncode, self.cwd)

    def plain(self, text: str) -> str:
        """Leave out what is different each time."""
        text = text.replace(str(self.home), HOME)
        for pattern, instead in VARYING:
            text = pattern.sub(instead, text)
        return "\n".join(line.rstrip() for line in text.splitlines()) + ("\n" if text else "")


def tell(page: str, terminal: Terminal, after: Callable[[Done], None]) -> Iterator[tuple[Told, Done]]:
    """Do what a page tells from top to bottom; `after` is called after each command."""
    for block in BLOCK.finditer(page):
        if block["file"]:
            (terminal.home / block["file"]).write_text(block["content"])
            continue
        for told in commands(block["typed"]):
            done = terminal.type(told.line)
            after(done)
            yield told, done


def rewritten(page: str, found: list[Done]) -> str:
    """Return the page with what its commands write now."""
    left = iter(found)

    def block(match: re.Match[str]) -> str:
        if match["file"]:
            return match[0]
        done = [next(left) for _ in commands(match["typed"])]
        return "```console\n" + "".join(f"$ {d.line}\n{d.output}" for d in done) + "```"

    return BLOCK.sub(block, page)


if __name__ == "__main__":  # python -m tests.scenarios.telling PAGE: write anew what its commands show
    import tempfile

    path = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        text = path.read_text(encoding="utf-8")
        said = [done for _, done in tell(text, Terminal(home), lambda done: None)]
    path.write_text(rewritten(text, said), encoding="utf-8")
