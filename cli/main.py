"""The ``stage`` command: its parts put together, and errors turned into messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.ending import code_of, run_process
from cli.exit_codes import ExitCode
from cli.lazy import LazyGroup
from cli.options import codes_text
from cli.verbosity import set_verbosity, verbosity_kept
from registry.errors import UsageError
from stage.campaign.command_line import command_line

if TYPE_CHECKING:
    app: typer.Typer
    """The whole program."""

__all__ = ["PARTS", "app", "run", "run_command"]

HELP = """Clone, run and push science campaigns.

A campaign is a directory with a staging repository of its own between you and the shared one:

\b
    stage clone UPSTREAM DIR -p PIPELINE -i COLLECTIONS -d QUERY
    cd DIR
    stage run -j 8
    stage push --dry-run
    stage push

Nothing but 'push' (with 'transfer-from-graph', and 'repo', for its keeper) writes to the shared repository.
"""
EPILOG = codes_text(ExitCode)
PARTS = {
    "campaign": ("clone", "init", "edit", "status", "demo"),
    "graph": ("build", "fetch", "qg"),
    "graph_show": ("draw",),
    "config": ("config",),
    "registering": ("register-dataset-types",),
    "run": ("run", "prep", "log"),
    "jobs": ("exec", "merge"),
    "batch": ("batch",),
    "plan": ("plan",),
    "after": ("why", "diff"),
    "report": ("report",),
    "describe": ("describe",),
    "history": ("history", "rollback"),
    "stack": ("pop", "clean"),
    "drop": ("drop",),
    "fsck": ("fsck", "doctor"),
    "bundle": ("bundle",),
    "pull": ("pull",),
    "sync": ("push",),
    "from_graph": ("transfer-from-graph",),
    "query": ("query", "get"),
    "repo": ("repo",),
}
"""Modules and their commands: for one of these no other module is loaded, and no other command made."""

_debug = bool(os.environ.get("STAGE_DEBUG"))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"stage {version('stage')}\n")
        raise typer.Exit


def _options(
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            show_default=False,
            help="Say what is done, step by step; -vv tells more, and the time.",
        ),
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress and no warnings: answers and errors only.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """Take the options that go before a command."""
    global _debug  # noqa: PLW0603 - read once, by the handler of errors
    _debug = _debug or debug
    set_verbosity(verbose, quiet=quiet)
    del version


@cache
def _make_app(*parts: str) -> typer.Typer:
    """Put the program together from some of its parts."""
    made = typer.Typer(
        name="stage",
        cls=LazyGroup,
        help=HELP,
        epilog=EPILOG,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    made.callback()(_options)
    for part in parts:
        if part == "repo":
            _add_repo(made)
        else:
            import_module(f"cli.{part}").add_to(made)
    return made


def _add_repo(made: typer.Typer) -> None:
    from cli import collections, query, repo, repo_files

    if not any(group.name == "query" for group in repo.app.registered_groups):
        repo_files.add_to(repo.app)
        collections.add_to(repo.app)
        repo.app.add_typer(query.repository_app(), name="query")
    made.add_typer(repo.app, name="repo")


@cache
def _program(*parts: str) -> Callable[..., Any]:
    """Return what runs a command line; one process that runs many reads the functions' signatures once."""
    return typer.main.get_command(_make_app(*parts))


def _program_for(words: Sequence[str]) -> Callable[..., Any]:
    """Return a program that has the command which is asked for."""
    command = next((word for word in words if not word.startswith("-")), "")
    found = [part for part, commands in PARTS.items() if command in commands]
    return _program(*(found or PARTS))


def __getattr__(name: str) -> typer.Typer:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = made = _make_app(*PARTS)
    return made


def _check_text(arguments: list[str]) -> None:
    """Refuse bytes that are no text: they could be written into no file of ours."""
    for word in arguments:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{word!r} is not text in UTF-8", code="not-text") from None


def run_command(arguments: list[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : list of str, optional
        The command line without the program's name; the process's own by default.

    Returns
    -------
    int
        Its exit code.
    """
    given = sys.argv[1:] if arguments is None else arguments

    def act() -> None:
        _check_text(given)
        with command_line(given), verbosity_kept():
            _program_for(given)(args=given, prog_name="stage")

    return code_of(act, is_debug=lambda: _debug)


def run() -> None:
    """Run the process's command line and exit."""
    run_process(run_command)
