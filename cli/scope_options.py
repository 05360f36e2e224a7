"""Options that say what of a run is executed now, and where scripts begin."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["FromCommand", "KeepScratch", "Until"]

Until = Annotated[
    str,
    typer.Option(
        "--until",
        metavar="LABEL",
        help="Execute this task (or step) and what it depends on, and nothing else now.",
        show_default=False,
    ),
]
KeepScratch = Annotated[
    bool,
    typer.Option(
        "--keep-scratch",
        help="Keep the scratch directories of scripts that fail, beside their logs; run again goes on in them.",
    ),
]
FromCommand = Annotated[
    list[str] | None,
    typer.Option(
        "--from-command",
        metavar="LABEL:N",
        help="Begin the task's quanta at this command, where their scratch directory is kept; 1 begins anew.",
    ),
]
