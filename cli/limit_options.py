"""Options that say how much quanta may take, how often they are tried, and what workers are started in."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "Ephemeral", "Keep", "LogLimit", "Memory", "MemoryMax", "MemoryMultiplier", "Pdb", "Retries", "Timeout", "Wrap",
]  # fmt: skip

Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Longest time for one quantum, which then fails; needs worker processes.",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        min=0,
        metavar="N",
        help="How often a quantum that failed is tried again; by default 0, or 5 with --memory-multiplier.",
    ),
]
LogLimit = Annotated[
    int,
    typer.Option(
        "--log-limit",
        min=0,
        metavar="BYTES",
        help="How much is kept of each quantum's log, half of it from the end; 0 keeps all.",
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="MB",
        help="Memory for all quanta that run at a time and ask for some; by default what the machine has.",
    ),
]
MemoryMultiplier = Annotated[
    float,
    typer.Option(
        "--memory-multiplier",
        metavar="X",
        help="By how much more memory a quantum gets after it died for want of some.",
        show_default=False,
    ),
]
MemoryMax = Annotated[
    int | None,
    typer.Option(
        "--memory-max",
        metavar="MB",
        help="The most that it gets, by default --memory; there is one attempt with that.",
    ),
]
Wrap = Annotated[
    str,
    typer.Option(
        "--wrap",
        metavar="COMMAND",
        help="Start workers in this command, as 'apptainer exec IMAGE {command}'.",
        show_default=False,
    ),
]
Pdb = Annotated[
    bool,
    typer.Option(
        "--pdb", help="Open a debugger where the first quantum fails; needs a terminal and one process."
    ),
]
Ephemeral = Annotated[
    list[str] | None,
    typer.Option(
        "--ephemeral",
        metavar="GLOB",
        help="Intermediate dataset types whose files go once all that read them is done; more than one may be given.",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep", metavar="GLOB", help="Dataset types that stay although the pipeline calls them ephemeral."
    ),
]
