"""Commands that are asked afterwards: why, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.after_lines import why_lines
from cli.diff_lines import diff_lines
from cli.exit_codes import ExitCode
from cli.options import READS, AsJson, OtherRepo, add_command, campaign_command
from cli.render import emit, emit_json
from registry.errors import UsageError

__all__ = ["add_to"]


def _why(
    *,
    campaign_dir: Path | None,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="ID|DATASET_TYPE|TASK [DIMENSION=VALUE]…",
            help="A dataset or a quantum: its id, or its name and data ID.",
        ),
    ],
    up: Annotated[bool, typer.Option("--up", help="Only what it came from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what came of it.")] = False,
    depth: Annotated[
        int | None,
        typer.Option("--depth", min=0, metavar="N", help="Over so many quanta one after another at most."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Which run's; by default the newest that has it, then the inputs."
        ),
    ] = None,
    upstream: Annotated[
        bool,
        typer.Option(
            "--upstream",
            help="Ask upstream, which knows what the inputs came from and what was made of them.",
        ),
    ] = False,
    prov: Annotated[
        Path | None,
        typer.Option(
            "--prov", metavar="FILE", help="Write the lineage as W3C PROV-JSON, for other programs."
        ),
    ] = None,
    repo: OtherRepo = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a dataset or a quantum came from and what came of it, or why there is no such dataset.

    With what settings and versions it was made, the tree of what was read for it, and the tree of what was made from
    it; many datasets or quanta of one kind are one line. Of a dataset that a run of the campaign was to make and that
    is not there: whether its quantum failed, which failure blocks it, or that it was never planned.

    Examples
    --------
        stage why deblended_catalog instrument=HSC visit=903342 detector=12

        stage why total --up --prov total.prov.json

        stage why 0199f8c2-7d4e-7c31-9f0a-2b6c1d9e8f00 --down --depth 1 --repo /data/shared
    """
    asked = {"up": up, "down": down, "depth": depth, "run": run, "prov": prov}
    if repo is None:
        found = stage.Campaign.load(campaign_dir).why(*words, **asked, upstream=upstream)  # type: ignore[arg-type]
    else:
        found = stage.why_in_repo(repo, *words, **asked)  # type: ignore[arg-type]
    if as_json:
        emit_json(found.to_document())
        return
    for line in why_lines(found):
        emit(line)


def _diff(
    *,
    campaign_dir: Path | None,
    old: Annotated[
        str,
        typer.Argument(
            metavar="[PLACE:]RUN",
            help="A run, of staging or of upstream; . is the newest of the campaign. PLACE is another campaign's"
            " directory, a repository, or 'upstream'.",
        ),
    ] = "",
    new: Annotated[str, typer.Argument(metavar="[[PLACE:]RUN]", help="The other run.")] = ".",
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="GLOB",
            help="Compare all numbers whose names fit: TASK.NUMBER that a task noted, DATASET_TYPE.NUMBER in a small"
            " JSON or YAML document that it made.",
        ),
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Show each number that differs, not only those that differ most.")
    ] = False,
    upstream: Annotated[
        bool,
        typer.Option(
            "--upstream",
            help="Compare the run with the same upstream; without a run, all that was fetched with what it is there now.",
        ),
    ] = False,
    repo: OtherRepo = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs, and show only what differs; ends with 0 if they are the same, and with 1 if not.

    Settings of tasks, versions of packages, inputs that were read, what became of the quanta, checksums of the outputs
    by data ID, and the numbers that tasks noted in their metadata (of a hundred quanta, chosen evenly; with --metrics of
    all of them, and those in documents that they made).

    Examples
    --------
        stage diff deblend-test/20261121T101500Z .

        stage diff . ../other-campaign:. --metrics "fit.*" --rows

        stage diff HSC/runs/w44 HSC/runs/w45 --repo /data/shared --json

        stage diff --upstream
    """
    if upstream and not old and repo is None:
        _diff_fetched(campaign_dir, as_json=as_json)
        return
    if repo is None:
        campaign = stage.Campaign.load(campaign_dir)
        found = campaign.diff(old, new, metrics=metrics, rows=rows, upstream=upstream)
    elif upstream or not old:
        raise UsageError(
            "two runs of the repository are to be named",
            code="no-run-named",
            hint="stage diff RUN RUN --repo REPO",
        )
    else:
        found = stage.diff_in_repo(repo, old, new, metrics=metrics, rows=rows)
    if as_json:
        emit_json(found.to_document())
    else:
        for line in diff_lines(found, all_rows=rows):
            emit(line)
    if not found.same:
        raise typer.Exit(ExitCode.FAILED)


def _diff_fetched(campaign_dir: Path | None, *, as_json: bool) -> None:
    """Compare what was fetched with upstream."""
    found = stage.Campaign.load(campaign_dir).diff(upstream=True)
    if as_json:
        emit_json(found.to_document())
    else:
        from cli.pull_lines import fetched_lines

        for line in fetched_lines(found):
            emit(line)
    if not found.same:
        raise typer.Exit(ExitCode.FAILED)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "why", campaign_command(_why), READS)
    add_command(app, "diff", campaign_command(_diff), READS)
