"""Hints and texts name commands and options that there are."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def _groups(command: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(command, "commands", {})
    return found


@cache
def _program() -> Any:
    return typer.main.get_command(app)


def _complaint(text: str) -> str:
    """Say what of a command line the program does not have."""
    command = _program()
    words = [word.rstrip(".;,") for word in text.split()[1:]]
    while words and words[0] in _groups(command):
        command = _groups(command)[words.pop(0)]
    if words and _groups(command) and words[0] != "…":
        return f"{text}: no command {words[0]}"
    options = {o for p in getattr(command, "params", ()) for o in (*p.opts, *p.secondary_opts)}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word not in options]
    return f"{text}: no option {unknown[0]}" if unknown else ""


def test_every_command_that_a_text_names_exists() -> None:
    """Whatever a message tells a person to type is a command of the program, with options that it has."""
    named = re.compile(r"""'(stage\ [a-z][^']*)' | (?<=[:;]\ )(stage\ [a-z][^'"]*)["']""", re.VERBOSE)
    texts = {
        next(filter(None, groups)).split("; then")[0]
        for top in ("registry", "sync", "stage", "cli")
        for path in (ROOT / top).rglob("*.py")
        for groups in named.findall(path.read_text())
    }

    assert len(texts) > 20
    assert [c for text in sorted(texts) if (c := _complaint(text))] == []
