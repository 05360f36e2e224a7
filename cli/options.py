"""Options that several commands share, each written once.

`campaign_command` gives a function the option ``--campaign-dir``; `with_edits` gives it all options of the earlier
steps (campaign, pipeline, collections), which arrive as one mapping ``edits`` with the names of `stage.EditOptions`.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.exit_codes import ExitCode
from cli.input_options import INPUTS_PANEL
from cli.lazy import LazyCommand
from cli.waiting import may_wait

__all__ = [
    "CHANGES",
    "EXECUTES",
    "READS",
    "AsJson",
    "CampaignDir",
    "DataIdTable",
    "DataQuery",
    "DryRun",
    "OtherRepo",
    "Processes",
    "Quiet",
    "Where",
    "add_command",
    "campaign_command",
    "codes_text",
    "extended",
    "help_text",
    "parameter",
    "with_edits",
]

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Write nothing while it works.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be changed; change nothing.")]
Processes = Annotated[
    int, typer.Option("-j", "--processes", min=0, metavar="N", help="Worker processes; 0 runs in this one.")
]
DataQuery = Annotated[
    str | None,
    typer.Option(
        "-d",
        "--data-query",
        metavar="QUERY",
        help="Expression that chooses data IDs; remembered for rebuilds.",
    ),
]
DataIdTable = Annotated[
    str | None,
    typer.Option(
        "--data-id-table",
        metavar="FILE",
        help="Keep to the data IDs of a table (CSV, TSV, ECSV, Parquet, JSON); its columns are dimensions.",
    ),
]
Where = Annotated[str, typer.Option("--where", metavar="QUERY", help="Expression that chooses data IDs.")]

CampaignDir = Annotated[
    Path | None,
    typer.Option(
        "--campaign-dir",
        metavar="DIR",
        help="Campaign directory; else $STAGE_CAMPAIGN_DIR, else the working directory.",
        show_default=False,
    ),
]
OtherRepo = Annotated[
    str | None,
    typer.Option("--repo", metavar="URI", help="Ask this repository instead of the campaign's staging."),
]
_NewRepo = Annotated[
    str | None,
    typer.Option(
        "--repo", metavar="URI", help="Upstream repository, to make a campaign that is not there yet."
    ),
]
_PIPELINE_PANEL = {
    "pipeline": (
        str | None,
        typer.Option(
            "-p",
            "--pipeline",
            metavar="URI",
            help="Pipeline definition, added to the one there is; its '#labels' select tasks.",
        ),
        None,
    ),
    "task": (
        list[str] | None,
        typer.Option("-t", "--task", metavar="LABEL:CLASS", help="Add a task; repeatable."),
        None,
    ),
    "config": (
        list[str] | None,
        typer.Option(
            "-c", "--config", metavar="LABEL:NAME=VALUE", help="Override a task's setting; repeatable."
        ),
        None,
    ),
    "config_file": (
        list[str] | None,
        typer.Option(
            "-C", "--config-file", metavar="LABEL:FILE", help="Override settings from a file; repeatable."
        ),
        None,
    ),
    "instrument": (
        str | None,
        typer.Option(
            "--instrument", metavar="NAME", help="Use the settings that the pipeline has for this instrument."
        ),
        None,
    ),
    "no_instrument": (
        bool,
        typer.Option(
            "--no-instrument", help="Use the settings of no instrument, whatever the pipeline names."
        ),
        False,
    ),
    "write_pipeline": (
        str | None,
        typer.Option(
            "--write-pipeline",
            metavar="[URI]",
            help="Write the whole pipeline there, and use it from there; without URI, pipeline.yaml in the campaign.",
        ),
        None,
    ),
}
_COLLECTIONS_PANEL = {
    "input": (
        list[str] | None,
        typer.Option(
            "-i", "--input", metavar="COLL[,COLL…]", help="Input collections, in search order; repeatable."
        ),
        None,
    ),
    "prepend_inputs": (
        bool,
        typer.Option(
            "--prepend-inputs", help="Put the inputs given before those there are, instead of replacing them."
        ),
        False,
    ),
    "chain": (
        str | None,
        typer.Option("--chain", metavar="NAME", help="Name of the collection that holds runs and inputs."),
        None,
    ),
    "no_chain": (bool, typer.Option("--no-chain", help="Make no such collection."), False),
    "next_run": (
        str | None,
        typer.Option(
            "--next-run", metavar="PATTERN", help="Names of new runs: %c campaign, %t time, %n counter."
        ),
        None,
    ),
    "set_counter": (
        int | None,
        typer.Option("--set-counter", metavar="N", help="What %n becomes next."),
        None,
    ),
}
_CAMPAIGN_PANEL = {
    "campaign_name": (
        str | None,
        typer.Option("--campaign-name", metavar="NAME", help="Its name; by default the directory's."),
        None,
    ),
    "campaign_docs": (
        str | None,
        typer.Option("--campaign-docs", metavar="TEXT", help="What it is for."),
        None,
    ),
    "run_dirs": (
        bool | None,
        typer.Option(
            "--run-dirs/--no-run-dirs",
            help="Show the files of runs in the campaign's directory: those of NAME/r1 as r1/.",
            show_default=False,
        ),
        None,
    ),
    "outputs_in": (
        str | None,
        typer.Option(
            "--outputs-in",
            metavar="URI",
            help="Where outputs go, inside or beside upstream's storage: push then moves no file. Only before something was written.",
        ),
        None,
    ),
}
EDIT_OPTIONS = {**_CAMPAIGN_PANEL, **INPUTS_PANEL, **_PIPELINE_PANEL, **_COLLECTIONS_PANEL}

Command = Callable[..., None]


READS = (
    ExitCode.DONE,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_FOUND,
    ExitCode.BUSY,
    ExitCode.INTEGRITY,
)
CHANGES = (*READS[:5], ExitCode.CONFLICT, ExitCode.INTEGRITY, ExitCode.INTERRUPTED)
EXECUTES = (*CHANGES[:3], ExitCode.PARTLY_DONE, *CHANGES[3:])


def help_text(function: Command) -> str:
    """Return a command's help, its examples kept line by line.

    Parameters
    ----------
    function : callable
        Its docstring's indented paragraphs are examples.

    Returns
    -------
    str
        For Typer.
    """
    text = re.sub(
        r"^(Examples?)\n-+\n", r"\1:\n\n", inspect.cleandoc(function.__doc__ or ""), flags=re.MULTILINE
    )
    paragraphs = text.split("\n\n")
    # A paragraph that begins with a backspace character is not filled.
    return "\n\n".join("\b\n" + p if p.startswith("    ") else p for p in paragraphs)


def codes_text(codes: Iterable[ExitCode]) -> str:
    """Return the line of a command's help that lists its exit codes.

    Parameters
    ----------
    codes : iterable of ExitCode
        The codes it may end with.

    Returns
    -------
    str
        As ``Exit codes: 0 done, 2 usage.``
    """
    return "Exit codes: " + ", ".join(f"{c.value} {c.name.lower().replace('_', ' ')}" for c in codes) + "."


def add_command(app: typer.Typer, name: str, function: Command, codes: Iterable[ExitCode]) -> None:
    """Add a command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program, or a group of its commands.
    name : str
        The command's name.
    function : callable
        What it does; its docstring is the help.
    codes : iterable of ExitCode
        The codes it may end with.
    """
    listed = tuple(codes)
    made = may_wait(function) if ExitCode.CONFLICT in listed else function
    app.command(name, cls=LazyCommand, help=help_text(function), epilog=codes_text(listed))(made)


def extended(
    function: Command,
    extra: list[inspect.Parameter],
    collect: Callable[[dict[str, Any]], None],
    made: Iterable[str] = (),
) -> Command:
    """Give a command more options.

    Parameters
    ----------
    function : callable
        The command.
    extra : list of inspect.Parameter
        The options, from `parameter`.
    collect : callable
        Turns the values of all options into those that the function takes, in place.
    made : iterable of str, optional
        Names of those that it makes.

    Returns
    -------
    callable
        The command, for Typer.
    """
    signature = inspect.signature(function, eval_str=True)
    shared = {*made, *(p.name for p in extra)}
    own = [p for p in signature.parameters.values() if p.name not in shared]

    @functools.wraps(function)
    def command(**kwargs: Any) -> None:
        collect(kwargs)
        function(**kwargs)

    # Help lists options in this order: a command's own first, then those that it shares.
    # Typer reads these two, so that the shared options look as if the function had them itself.
    command.__signature__ = signature.replace(parameters=[*own, *extra])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *extra)}
    del command.__wrapped__
    return command


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Describe an option that several commands share.

    Parameters
    ----------
    name : str
        Its name in Python.
    annotation : object
        Its type, annotated for Typer.
    default : object
        Its value when it is not given.

    Returns
    -------
    inspect.Parameter
        For `extended`.
    """
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def campaign_command(function: Command) -> Command:
    """Give a command the option ``--campaign-dir``.

    Parameters
    ----------
    function : callable
        Takes ``campaign_dir``.

    Returns
    -------
    callable
        The command, for Typer.
    """
    return extended(function, [parameter("campaign_dir", CampaignDir, None)], lambda _: None)


def with_edits(
    *, leave_out: tuple[str, ...] = (), campaign_dir: bool = True, repo: bool = True
) -> Callable[[Command], Command]:
    """Give a command the options of the earlier steps.

    Parameters
    ----------
    leave_out : tuple of str, optional
        Options that it does not have.
    campaign_dir, repo : bool, optional
        Whether it has those two.

    Returns
    -------
    callable
        A decorator for a function that takes ``edits``, and ``campaign_dir`` if it is to have that.
    """
    chosen = {n: o for n, o in EDIT_OPTIONS.items() if n not in leave_out}
    extra = [
        parameter(name, Annotated[kind, option], default) for name, (kind, option, default) in chosen.items()
    ]
    if repo:
        extra.append(parameter("repo", _NewRepo, None))
    if campaign_dir:
        extra.append(parameter("campaign_dir", CampaignDir, None))

    def collect(kwargs: dict[str, Any]) -> None:
        given = {name: kwargs.pop(name) for name in chosen}
        kwargs["edits"] = {k: v for k, v in given.items() if v}
        # A counter of 0, an empty text and a no are values too.
        for name in ("set_counter", "campaign_docs", "write_pipeline", "run_dirs", "outputs_in"):
            if given.get(name) is not None:
                kwargs["edits"][name] = given[name]

    return lambda function: extended(function, extra, collect, ["edits"])
