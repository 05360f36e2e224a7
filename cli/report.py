"""The command that sums up runs: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.options import READS, AsJson, add_command, campaign_command
from cli.render import emit, emit_json
from cli.report_lines import report_lines, resource_lines, time_lines

__all__ = ["add_to"]


def _report(
    *,
    campaign_dir: Path | None,
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Which runs; the newest by default.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write a page that opens in a browser, with all of this."
        ),
    ] = None,
    times: Annotated[
        bool, typer.Option("--times", help="How long quanta took, by task, and which took longest.")
    ] = False,
    resources: Annotated[
        bool,
        typer.Option(
            "--resources",
            help="Cores, memory and time: what was asked for, what was used, and what to ask for, as YAML.",
        ),
    ] = False,
    task: Annotated[str | None, typer.Option("--task", metavar="LABEL", help="Only this task.")] = None,
    filter: Annotated[  # noqa: A002 - the option's name
        str, typer.Option("--filter", metavar="GLOB", help="Only tasks whose labels fit.")
    ] = "*",
    data_query: Annotated[
        str, typer.Option("-d", "--data-query", metavar="QUERY", help="Expression that data IDs fulfil.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Summarise what became of runs: counts, times, memory, failures.

    Examples
    --------
        stage report --html report.html

        stage report --times --filter "detect*" -d "instrument = 'HSC' AND visit > 900000"

        stage report --resources
    """
    found = stage.Campaign.load(campaign_dir).report(
        *(runs or ()), html=html, times=times, resources=resources, task=task, filter=filter,
        data_query=data_query,
    )  # fmt: skip
    if as_json:
        emit_json(found.to_json())
        return
    for line in report_lines(found):
        emit(line)
    if times:
        for line in time_lines(found):
            emit(line)
    if resources:
        for line in resource_lines(found):
            emit(line)
    if html is not None:
        emit(f"report  {html}")


def add_to(app: typer.Typer) -> None:
    """Add this command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "report", campaign_command(_report), READS)
