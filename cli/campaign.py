"""Commands about the campaign itself: clone, init, edit, status, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.file_progress import file_progress
from cli.options import (
    CHANGES,
    EXECUTES,
    READS,
    AsJson,
    DataIdTable,
    DataQuery,
    DryRun,
    Processes,
    add_command,
    campaign_command,
    with_edits,
)
from cli.render import emit, emit_json
from cli.status_wording import status_lines
from cli.wording import build_lines, change_lines
from stage.campaign.options import EditOptions

__all__ = ["add_to"]


def _clone(
    *,
    upstream: Annotated[
        str, typer.Argument(metavar="UPSTREAM", help="Repository: a directory, repo.yaml or URI.")
    ],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Campaign directory to make.")],
    edits: EditOptions,
    data_query: DataQuery = None,
    data_id_table: DataIdTable = None,
    no_fetch: Annotated[
        bool, typer.Option("--no-fetch", help="Build the graph, but fetch nothing yet.")
    ] = False,
) -> None:
    """Make a campaign with a staging repository bound to UPSTREAM.

    With a pipeline and inputs it goes on to build the quantum graph and to fetch what that needs.

    Examples
    --------
        stage clone /data/shared deblend-test

        stage clone /data/shared deblend-test -p detect.yaml -i HSC/raw,HSC/calib -d "instrument = 'HSC' AND visit IN (903342..903350)"
    """
    with file_progress("fetching"):
        campaign, report = stage.Campaign.clone(
            upstream,
            directory,
            data_query=data_query,
            data_id_table=data_id_table,
            fetch=not no_fetch,
            **edits,
        )
    emit(f"cloned  {campaign.state.repo} into {campaign.layout.shown} (campaign '{campaign.state.name}')")
    if report is not None:
        for line in build_lines(report):
            emit(line)


def _init(
    *,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Upstream repository.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Campaign directory to make.")],
    edits: EditOptions,
) -> None:
    """Make a campaign that is only defined: nothing is asked of REPO yet.

    Example:

        stage init /data/shared deblend-test -p detect.yaml -i HSC/raw --next-run "%c/run%n"
    """
    campaign = stage.Campaign.init(repo, campaign_dir=directory, **edits)
    campaign.save()
    emit(f"campaign '{campaign.state.name}' in {campaign.layout.shown}")


def _edit(
    *, campaign_dir: Path | None, repo: str | None, edits: EditOptions, dry_run: DryRun = False
) -> None:
    """Change what a campaign will run: its name, pipeline, settings, collections.

    Examples
    --------
        stage edit -c detect:threshold=4.5

        stage edit -i HSC/calib-new --prepend-inputs --no-chain --dry-run
    """
    campaign = stage.Campaign.open(campaign_dir, repo=repo, **edits)
    changes = campaign.edit(dry_run=dry_run, **edits)
    for line in change_lines(changes):
        emit(line)
    if dry_run or not changes:
        emit(f"campaign '{campaign.state.name}' is as it was")


def _status(
    *,
    campaign_dir: Path | None,
    as_json: AsJson = False,
    pipeline_text: Annotated[
        bool, typer.Option("--show-pipeline", help="Write the pipeline as YAML instead.")
    ] = False,
    upstream: Annotated[
        bool,
        typer.Option("--upstream", help="Ask upstream too what has moved there since the graph was built."),
    ] = False,
    qg_dot: Annotated[
        str | None,
        typer.Option(
            "--qg-dot",
            metavar="URI",
            help="Write a drawing of the graph for Graphviz, with what became of its quanta.",
        ),
    ] = None,
    pipeline_dot: Annotated[
        str | None,
        typer.Option("--pipeline-dot", metavar="URI", help="Write a drawing of the pipeline for Graphviz."),
    ] = None,
) -> None:
    """Show a campaign: its upstream, graph, runs and failures, and what can be done next.

    Nothing is changed, and upstream is only asked with --upstream; where it cannot be reached, the rest is told all the same.

    Examples
    --------
        stage status

        stage status --upstream --json

        stage status --qg-dot graph.dot --pipeline-dot pipeline.dot
    """
    campaign = stage.Campaign.load(campaign_dir)
    if pipeline_text:
        emit(campaign.pipeline_text().rstrip("\n"))
        return
    report = campaign.status(upstream=upstream, qg_dot=qg_dot, pipeline_dot=pipeline_dot)
    if as_json:
        emit_json(report.to_document())
    else:
        for line in status_lines(report):
            emit(line)


def _demo(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to make it.")] = Path("demo-work"),
    processes: Processes = 2,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Replace what an earlier demo left there.")
    ] = False,
) -> None:
    """Simulate a small sky survey and go all the way round: create, clone, build, run, push, report.

    Each command is shown as you would type it. Needs the extra 'astro'.

    Example:

        stage demo /tmp/demo
    """
    stage.run_demo(directory, processes=processes, replace=yes, say=emit)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "clone", with_edits(campaign_dir=False, repo=False)(_clone), CHANGES)
    add_command(app, "init", with_edits(campaign_dir=False, repo=False)(_init), CHANGES)
    add_command(app, "edit", with_edits()(_edit), CHANGES)
    add_command(app, "status", campaign_command(_status), READS)
    add_command(app, "demo", _demo, EXECUTES)
