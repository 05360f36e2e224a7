"""Commands about the quantum graph: build, fetch, qg build, qg show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.lazy import LazyGroup
from cli.options import (
    CHANGES,
    READS,
    AsJson,
    DataIdTable,
    DataQuery,
    add_command,
    campaign_command,
    with_edits,
)
from cli.render import emit, emit_json
from cli.wording import build_lines, fetch_lines, graph_lines
from stage.campaign.options import EditOptions

__all__ = ["add_to"]

_NoFetch = Annotated[bool, typer.Option("--no-fetch", help="Only build; 'stage fetch' fetches later.")]


def _build(
    *,
    campaign_dir: Path | None,
    repo: str | None,
    edits: EditOptions,
    data_query: DataQuery = None,
    data_id_table: DataIdTable = None,
    no_fetch: _NoFetch = False,
    skip_existing_in: Annotated[
        list[str] | None,
        typer.Option(
            "--skip-existing-in",
            metavar="GLOB",
            help="Do not plan again what was done in these collections; repeatable, in search order.",
        ),
    ] = None,
    write_qg: Annotated[
        str | None,
        typer.Option(
            "--write-qg", metavar="URI", help="Where to write the graph; by default in the campaign."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the quantum graph from upstream, read-only, then fetch what it needs into staging.

    The query, the table of data IDs and the options of earlier steps are remembered; what to skip is not.

    Examples
    --------
        stage build -d "instrument = 'HSC' AND visit IN (903342..903350)"

        stage build -p detect.yaml -i HSC/raw --no-fetch

        stage build --data-id-table chosen.csv

        stage build --skip-existing-in 'u/me/test/*'
    """
    report = stage.Campaign.open(campaign_dir, repo=repo, **edits).build(
        data_query=data_query, data_id_table=data_id_table, fetch=not no_fetch, write_qg=write_qg,
        skip_existing_in=skip_existing_in or (), **edits,
    )  # fmt: skip
    if as_json:
        emit_json(report.to_document())
    else:
        for line in build_lines(report):
            emit(line)


def _fetch(*, campaign_dir: Path | None, as_json: AsJson = False) -> None:
    """Copy into staging the upstream rows that the graph needs; artifacts stay where they are.

    Example:

        stage fetch
    """
    report = stage.Campaign.load(campaign_dir).fetch()
    if as_json:
        emit_json(report.to_document())
    else:
        for line in fetch_lines(report):
            emit(line)


def _show(
    *,
    campaign_dir: Path | None,
    uri: Annotated[
        str | None, typer.Argument(metavar="GRAPH", help="A graph file; the campaign's by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a quantum graph holds: tasks, quanta, dataset types.

    Example:

        stage qg show
    """
    report = stage.show_graph(uri) if uri else stage.Campaign.load(campaign_dir).show_graph()
    if as_json:
        emit_json(report.to_document())
    else:
        for line in graph_lines(report):
            emit(line)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    graph_app = typer.Typer(
        cls=LazyGroup, help="Quantum graphs.", no_args_is_help=True, rich_markup_mode=None
    )
    add_command(app, "build", with_edits()(_build), CHANGES)
    add_command(app, "fetch", campaign_command(_fetch), CHANGES)
    add_command(graph_app, "build", with_edits()(_build), CHANGES)
    add_command(graph_app, "show", campaign_command(_show), READS)
    app.add_typer(graph_app, name="qg")
