"""The ``stage`` command: its parts put together, and errors turned into messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, exit_code
from cli.lazy import LazyGroup
from cli.options import codes_text
from cli.verbosity import set_verbosity, verbosity_kept
from registry.errors import StageError, UsageError
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


def _report(error: Exception) -> int:
    """Write an error for a person and return its exit code."""
    if isinstance(error, OSError):
        return _environment(error)
    if not isinstance(error, StageError):
        return _unexpected(error)
    sys.stderr.write(f"stage: {error}\n")
    if error.hint:
        sys.stderr.write(f"  {error.hint}\n")
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"  {note}\n")
    return exit_code(error)


def _environment(error: OSError) -> int:
    """Word what the system refused: a full disk, a directory where one may not write."""
    where = f"{error.filename}: " if error.filename else ""
    sys.stderr.write(
        f"stage: {where}{error.strerror or error}\n"
        "  The system refused that. See to room and rights there, then run the same command again.\n"
    )
    return ExitCode.FAILED


def _unexpected(error: Exception) -> int:
    sys.stderr.write(
        f"stage: internal error: {type(error).__name__}: {error}\n"
        "  This is a bug. Run it again with 'stage --debug …' and report what that shows.\n"
    )
    return ExitCode.FAILED


def _was_interrupted(end: BaseException) -> bool:
    """Tell whether Ctrl-C is behind the end of the program; Typer makes a silent exit of it."""
    cause = end.__cause__ or end.__context__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause))


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
    try:
        _check_text(given)
        with command_line(given), verbosity_kept():
            _program_for(given)(args=given, prog_name="stage")
        sys.stdout.flush()
    except SystemExit as end:
        if _was_interrupted(end):
            sys.stderr.write("stage: interrupted\n")
        return (
            end.code if isinstance(end.code, int) else ExitCode.DONE if end.code is None else ExitCode.FAILED
        )
    except KeyboardInterrupt:
        sys.stderr.write("stage: interrupted\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. What Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last place where one can be worded for a person
        if _debug:
            traceback.print_exc()
        return _report(error)
    return ExitCode.DONE


def _keep_answers_apart() -> None:
    """Write answers to a copy of standard output, and let what others write to the descriptor go to standard error.

    A task in this process (-j 0) may call libraries that know nothing of ``sys.stdout``, and keep what they write in
    buffers of their own until the very end: so it is never put back.
    """
    try:
        answers = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of the two is closed
        return
    sys.stdout = open(  # noqa: PTH123, SIM115 - lives as long as the process
        answers,
        "w",
        encoding=sys.stdout.encoding,
        errors=sys.stdout.errors,
        buffering=1 if os.isatty(answers) else -1,
    )


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _again_if_lost(lost: sys.UnraisableHookArgs) -> None:
    """Ask once more for an end that came where Python lets nothing through, as in a finalizer, and says so at length."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(lost)


def _set_signals(handler: Callable[[int, object], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def run() -> None:
    """Run the process's command line and exit."""
    _keep_answers_apart()
    sys.unraisablehook = _again_if_lost
    try:
        # From here on there may be something to unwind, so that both signals are exceptions.
        _set_signals(_interrupt)
        code = run_command()
    except KeyboardInterrupt:  # while another one, or an error, was being worded
        sys.stderr.write("stage: interrupted\n")
        code = ExitCode.INTERRUPTED
    # All is done: an end of the process that is asked for now comes anyway.
    _set_signals(signal.SIG_IGN)
    sys.exit(code)
