"""The command that pushes without a campaign: transfer-from-graph."""

from __future__ import annotations

from typing import Annotated

import typer

import stage
from cli.options import CHANGES, AsJson, Where, add_command
from cli.render import emit, emit_json
from cli.wording import push_lines
from registry.errors import ConflictError

__all__ = ["add_to"]


def _transfer(
    *,
    graph: Annotated[
        str, typer.Argument(metavar="GRAPH", help="Graph file of a run: submit/RUN/graph.qg of a campaign.")
    ],
    upstream: Annotated[
        str, typer.Argument(metavar="UPSTREAM", help="Repository: its directory, repo.yaml or URI.")
    ],
    records: Annotated[
        str,
        typer.Option(
            "--records",
            metavar="DIR",
            help="What the jobs recorded (*.jsonl, *.jsonl.zst), or one such file; without, files are looked for.",
        ),
    ] = "",
    datastore: Annotated[
        str | None,
        typer.Option(
            "--datastore",
            metavar="URI",
            help="Where the outputs are; by default data/ of the campaign of the graph.",
        ),
    ] = None,
    dataset_type: Annotated[
        list[str] | None,
        typer.Option("--dataset-type", metavar="GLOB", help="Only datasets of these types; repeatable."),
    ] = None,
    where: Where = "",
    register_dataset_types: Annotated[
        bool,
        typer.Option("--register-dataset-types", help="Define upstream the dataset types that it lacks."),
    ] = False,
    update_output_chain: Annotated[
        bool,
        typer.Option(
            "--update-output-chain",
            help="Put the run at the front of the chain that its name begins with: all but the last part.",
        ),
    ] = False,
    chain: Annotated[
        str | None,
        typer.Option("--chain", metavar="NAME", help="Upstream chain to put the run at the front of."),
    ] = None,
    on_conflict: Annotated[
        list[str] | None,
        typer.Option(
            "--on-conflict",
            metavar="KIND=fail|skip",
            help="Leave conflicts of a kind (or all) out instead of refusing; as of 'stage push'. Repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and end: nothing is written.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Merge what a graph's quanta have made straight into a repository, without their campaign.

    It reads the graph file, and what the jobs recorded; where that is lost, the files that the graph predicts. Upstream is
    then as after 'stage merge' and 'stage push'. What is missing is an error, unless a record says that it failed. Run
    again, it completes or says that it had.

    Examples
    --------
        stage transfer-from-graph submit/u/me/trial/20261121T101500Z/graph.qg /data/shared --records records

        stage transfer-from-graph graph.qg /data/shared --datastore s3://bucket/outputs --update-output-chain --dry-run
    """
    try:
        report = stage.transfer_from_graph(
            graph,
            upstream,
            records=records,
            datastore=datastore,
            dataset_type=tuple(dataset_type or ()),
            where=where,
            register_dataset_types=register_dataset_types,
            update_output_chain=update_output_chain,
            chain=chain,
            on_conflict=tuple(on_conflict or ()),
            dry_run=dry_run,
        )
    except ConflictError as error:
        if as_json and error.conflicts:
            told = [vars(conflict) for conflict in error.conflicts]
            emit_json({"conflicts": told, "dry_run": False, "pushed": False})
        raise
    if as_json:
        emit_json(report.to_document())
    else:
        for line in push_lines(report):
            emit(line)
    if report.plan.conflicts:
        from cli.exit_codes import ExitCode

        raise typer.Exit(ExitCode.CONFLICT)


def add_to(app: typer.Typer) -> None:
    """Add the command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "transfer-from-graph", _transfer, CHANGES)
