"""Options about the stack of a campaign's runs, as several commands have them."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Purge", "Replace", "Restart", "Unstore"]

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
