"""The ``stage`` command: its parts put together, and errors turned into messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from cli import campaign, graph, query, repo, sync
from cli import run as running
from cli.exit_codes import ExitCode, exit_code
from cli.options import codes_text
from registry.errors import StageError, UsageError
from stage.campaign.command_line import command_line

__all__ = ["app", "run", "run_command"]

HELP = """Clone, run and push science campaigns.

A campaign is a directory with a staging repository of its own between you and the shared one:

\b
    stage clone UPSTREAM DIR -p PIPELINE -i COLLECTIONS -d QUERY
    cd DIR
    stage run -j 8
    stage push --dry-run
    stage push

Nothing but 'push' (and 'repo', for its keeper) writes to the shared repository.
"""
EPILOG = codes_text(ExitCode)

app = typer.Typer(
    name="stage",
    help=HELP,
    epilog=EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
_debug = bool(os.environ.get("STAGE_DEBUG"))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"stage {version('stage')}\n")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """Take the options that go before a command."""
    global _debug  # noqa: PLW0603 - read once, by the handler of errors
    _debug = _debug or debug
    del version


for part in (campaign, graph, running, sync, query):
    part.add_to(app)
app.add_typer(repo.app, name="repo")


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
        with command_line(given):
            app(args=given, prog_name="stage")
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


def run() -> None:
    """Run the process's command line and exit."""
    sys.exit(run_command())
