"""Options about the quantum graph that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "AllowEmpty", "AllowPruning", "ExtendQg", "Offline", "QgDot", "Refresh", "TrimExistingIn", "UseQgConfigs",
    "UseTaskConfigs", "WriteQg",
]  # fmt: skip

WriteQg = Annotated[
    str | None,
    typer.Option(
        "--write-qg",
        metavar="[URI]",
        help="Write the graph there, and use it from there; without a URI to NAME.qg in the campaign.",
    ),
]
QgDot = Annotated[
    str | None, typer.Option("--qg-dot", metavar="URI", help="Write a drawing of the graph for Graphviz.")
]
ExtendQg = Annotated[
    bool, typer.Option("--extend-qg", help="Add to the graph there is, instead of replacing it.")
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh", help="Look up the graph's datasets again; settings are those of the pipeline now."
    ),
]
TrimExistingIn = Annotated[
    str,
    typer.Option(
        "--trim-existing-in",
        metavar="RUN|CAMPAIGN|INPUTS",
        help="Drop quanta whose outputs are all in the current run, all runs, or the inputs too.",
        show_default=False,
    ),
]
AllowPruning = Annotated[
    bool,
    typer.Option("--allow-pruning", help="Let a refresh drop quanta that lack an input now, and go on."),
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="A graph without quanta is no error.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask staging alone: upstream need not be there.")]
UseQgConfigs = Annotated[
    bool, typer.Option("--use-qg-configs", help="Run the graph as it was built, whatever changed since.")
]
UseTaskConfigs = Annotated[
    bool,
    typer.Option(
        "--use-task-configs", help="Run the graph's quanta with the pipeline's tasks and settings, by label."
    ),
]
