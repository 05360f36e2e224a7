"""Options about the stack of a campaign's runs, as several commands have them."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["ContinueRun", "NewRun", "Purge", "Replace", "Restart", "SkipExistingIn", "Unstore"]

NewRun = Annotated[bool, typer.Option("--new-run", help="Begin a new run even if there is a current one.")]
ContinueRun = Annotated[
    bool, typer.Option("--continue", help="Go on with the newest past run if there is no current one.")
]

Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Begin a new run in the place of the current one, or else of the newest past one."
    ),
]
Restart = Annotated[bool, typer.Option("--restart", help="Begin a new run in the place of all.")]
Unstore = Annotated[bool, typer.Option("--unstore", help="Remove the files of the runs that are dropped.")]
Purge = Annotated[
    bool, typer.Option("--purge", help="Remove the runs that are dropped altogether, not only their files.")
]
SkipExistingIn = Annotated[
    str,
    typer.Option(
        "--skip-existing-in",
        metavar="RUN|CAMPAIGN|INPUTS",
        help="Do not execute quanta whose outputs are all in the current run, all runs, or the inputs too.",
        show_default=False,
    ),
]
