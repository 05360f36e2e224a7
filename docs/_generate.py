"""Write ``commands.md`` from the program itself: ``python docs/_generate.py [--check]``."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import typer.main

from cli.exit_codes import MEANING
from cli.main import app

PAGE = Path(__file__).with_name("commands.md")
HEAD = """# Commands

<!-- Made by docs/_generate.py; do not edit. -->

Each command is one method of `stage.Campaign`, or a function of `stage`, with the same keyword names. Campaign commands
work in the directory given by `--campaign-dir`, else `$STAGE_CAMPAIGN_DIR`, else the working directory.
Before a command stand `-v` and `-vv` (say what is done), `-q` (no progress and no warnings) and `--debug` (where an error came from).

## Exit codes

| code | meaning |
|---|---|
"""


def _clean(text: str) -> str:
    """Return help text as Markdown: marked paragraphs become code blocks."""
    out: list[str] = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            lines = [line.removeprefix("    ") for line in paragraph.lstrip("\b\n").split("\n")]
            if out and out[-1].startswith("```"):
                out[-1] = out[-1][:-3] + "\n".join(lines) + "\n```"
            else:
                out.append("```console\n" + "\n".join(lines) + "\n```")
        else:
            out.append(" ".join(paragraph.split()))
    return "\n\n".join(out)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _parameter(parameter: Any) -> str:
    # `--finish/--no-finish`: the second form is in the secondary options.
    names = ", ".join(f"`{o}`" for o in [*parameter.opts, *parameter.secondary_opts])
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    elif parameter.metavar:
        names += f" `{parameter.metavar}`"
    text = parameter.help or ""
    default = parameter.default
    if (
        parameter.param_type_name == "option"
        and default not in (None, False, (), [], "", True)
        and not callable(default)
    ):
        text += f" Default: `{default}`."
    return f"| {_cell(names)} | {_cell(text)} |"


def _command(path: str, command: Any) -> str:
    parts = [f"## {path}", _clean(command.help or "")]
    rows = [_parameter(p) for p in command.params if p.name != "help"]
    if rows:
        parts.append("| | |\n|---|---|\n" + "\n".join(rows))
    if command.epilog:
        parts.append(_clean(command.epilog))
    return "\n\n".join(parts)


def _walk(path: str, command: Any) -> list[str]:
    children = getattr(command, "commands", None)
    if not children:
        return [_command(path, command)]
    return [page for name, child in children.items() for page in _walk(f"{path} {name}", child)]


def page() -> str:
    """Return the page that the program as it is now would have."""
    codes = "".join(f"| {code.value} | {meaning} |\n" for code, meaning in MEANING.items())
    text = HEAD + codes + "\n" + "\n\n".join(_walk("stage", typer.main.get_command(app))) + "\n"
    return re.sub(r"[ \t]+\n", "\n", text)


def main() -> int:
    """Write the page, or with ``--check`` only tell whether it is up to date."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write("docs/commands.md is stale: run python docs/_generate.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
