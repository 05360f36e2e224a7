"""Commands about the quantum graph: build, fetch, qg build, import and refresh; `cli.graph_show` has those that look at one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.file_progress import file_progress
from cli.graph_options import (
    AllowEmpty,
    AllowPruning,
    ExtendQg,
    Offline,
    QgDot,
    Refresh,
    TrimExistingIn,
    WriteQg,
)
from cli.graph_show import add_to_graphs, explained
from cli.lazy import LazyGroup
from cli.options import (
    CHANGES,
    AsJson,
    DataIdTable,
    DataQuery,
    DryRun,
    add_command,
    campaign_command,
    with_edits,
)
from cli.render import emit, emit_json
from cli.wording import build_lines, fetch_lines
from stage.campaign.options import DEFINING, EditOptions

if TYPE_CHECKING:
    from stage.campaign.graph_reports import BuildReport

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
            help="Do not plan again what was done in these collections, or in RUN, CAMPAIGN or INPUTS; repeatable, "
            "remembered; '' for none.",
        ),
    ] = None,
    extend_qg: ExtendQg = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="With --extend-qg: look up what the graph reads now first.")
    ] = False,
    trim_existing_in: TrimExistingIn = "",
    allow_pruning: AllowPruning = False,
    allow_empty: AllowEmpty = False,
    write_qg: WriteQg = None,
    qg_dot: QgDot = None,
    offline: Offline = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what left which data IDs, task by task.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Build the quantum graph from past runs and inputs, then fetch what it needs into staging.

    Upstream is only read, and a current run is ignored. Quanta without a required input are left out. The query, the
    table of data IDs, what to skip and the options of earlier steps are remembered.

    Examples
    --------
        stage build -d "instrument = 'HSC' AND visit IN (903342..903350)"

        stage build -p detect.yaml -i HSC/raw --no-fetch

        stage build --extend-qg -d "instrument = 'HSC' AND visit = 903351"

        stage build --skip-existing-in CAMPAIGN --skip-existing-in 'u/me/test/*'

        stage build --explain --dry-run
    """
    campaign = stage.Campaign.open(campaign_dir, repo=repo, **edits)
    with explained(is_shown=explain, as_json=as_json) as explanation:
        with file_progress("fetching"):
            report = campaign.build(
                data_query=data_query, data_id_table=data_id_table, fetch=not no_fetch, write_qg=write_qg,
                skip_existing_in=skip_existing_in or None, extend_qg=extend_qg, refresh=refresh,
                trim_existing_in=trim_existing_in, allow_pruning=allow_pruning, allow_empty=allow_empty, qg_dot=qg_dot,
                offline=offline, explain=explain, dry_run=dry_run, **edits,
            )  # fmt: skip
        explanation.update(report.explanation or {})
    _answer(report, as_json=as_json, dry_run=dry_run)


def _answer(report: BuildReport, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        emit_json({**report.to_document(), "dry_run": dry_run})
        return
    for line in build_lines(report):
        emit(line)
    if dry_run:
        emit("nothing was written: this was a dry run")


def _import(
    *,
    campaign_dir: Path | None,
    repo: str | None,
    edits: EditOptions,
    uri: Annotated[str, typer.Argument(metavar="URI", help="The graph file; it stays as it is.")],
    no_fetch: _NoFetch = False,
    extend_qg: ExtendQg = False,
    refresh: Refresh = False,
    trim_existing_in: TrimExistingIn = "",
    allow_pruning: AllowPruning = False,
    allow_empty: AllowEmpty = False,
    write_qg: WriteQg = None,
    qg_dot: QgDot = None,
    offline: Offline = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take over a quantum graph that was built elsewhere, and fetch what it needs into staging.

    It supersedes pipeline and inputs of the campaign, which it does not change: with these set too, 'stage run' has to
    be told which counts. --refresh acts when the graph is here; the options that drop quanta need it.

    Examples
    --------
        stage qg import /data/graphs/detect.qg

        stage qg import ../other/other.qg --refresh --allow-pruning

        stage qg import more.qg --extend-qg
    """
    report = stage.Campaign.open(campaign_dir, repo=repo, **edits).import_qg(
        uri, fetch=not no_fetch, extend_qg=extend_qg, refresh=refresh, trim_existing_in=trim_existing_in,
        allow_pruning=allow_pruning, allow_empty=allow_empty, write_qg=write_qg, qg_dot=qg_dot, offline=offline,
        dry_run=dry_run, **edits,
    )  # fmt: skip
    _answer(report, as_json=as_json, dry_run=dry_run)


def _refresh(
    *,
    campaign_dir: Path | None,
    no_fetch: _NoFetch = False,
    trim_existing_in: TrimExistingIn = "",
    allow_pruning: AllowPruning = False,
    allow_empty: AllowEmpty = False,
    write_qg: WriteQg = None,
    qg_dot: QgDot = None,
    offline: Offline = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what went of which task, and what was found.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Look up again what the graph reads, in the current run, past runs and inputs; no quantum is ever added.

    The graph takes over the settings of the pipeline. If quanta would have to go it fails and changes nothing, unless
    --allow-pruning is given.

    Examples
    --------
        stage qg refresh

        stage qg refresh --trim-existing-in CAMPAIGN --allow-empty --explain
    """
    with explained(is_shown=explain, as_json=as_json) as explanation:
        report = stage.Campaign.load(campaign_dir).refresh_qg(
            fetch=not no_fetch, trim_existing_in=trim_existing_in, allow_pruning=allow_pruning,
            allow_empty=allow_empty, write_qg=write_qg, qg_dot=qg_dot, offline=offline, explain=explain, dry_run=dry_run,
        )  # fmt: skip
        explanation.update(report.explanation or {})
    _answer(report, as_json=as_json, dry_run=dry_run)


def _fetch(
    *,
    campaign_dir: Path | None,
    artifacts: Annotated[
        str | None,
        typer.Option(
            "--artifacts",
            metavar="MODE",
            help="How files are fetched from now on: direct (they stay where they are), link, symlink or copy.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy into staging the upstream rows that the graph needs, and their files if that was asked for.

    With link, symlink or copy the files of all inputs get names in the campaign, and those of runs that 'stage drop' has
    freed; what is there already is not fetched again. By default files stay where they are.

    Examples
    --------
        stage fetch

        stage fetch --artifacts copy
    """
    with file_progress("fetching"):
        report = stage.Campaign.load(campaign_dir).fetch(artifacts=artifacts)
    if as_json:
        emit_json(report.to_document())
    else:
        for line in fetch_lines(report):
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
    add_command(graph_app, "import", with_edits(leave_out=DEFINING)(_import), CHANGES)
    add_command(graph_app, "refresh", campaign_command(_refresh), CHANGES)
    add_to_graphs(graph_app)
    app.add_typer(graph_app, name="qg")
