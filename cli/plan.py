"""The command that says what the next run would do: plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.data_ids import data_id_values
from cli.graph_options import Offline, UseQgConfigs, UseTaskConfigs
from cli.options import READS, AsJson, add_command, campaign_command
from cli.plan_wording import plan_lines
from cli.render import emit, emit_json
from cli.stack_options import ContinueRun, NewRun, Purge, Replace, Restart, SkipExistingIn, Unstore

__all__ = ["add_to"]

_SHOWN, _LISTED = 10, 50


def _plan(
    *,
    campaign_dir: Path | None,
    new_run: NewRun = False,
    continue_run: ContinueRun = False,
    replace: Replace = False,
    restart: Restart = False,
    unstore: Unstore = False,
    purge: Purge = False,
    use_qg_configs: UseQgConfigs = False,
    use_task_configs: UseTaskConfigs = False,
    skip_existing_in: SkipExistingIn = "",
    offline: Offline = False,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", metavar="LABEL", help="Only quanta of this task; repeatable."),
    ] = None,
    data_id: Annotated[
        list[str] | None,
        typer.Option("--data-id", metavar="NAME=VALUE", help="Only quanta that have this value; repeatable."),
    ] = None,
    quanta: Annotated[
        bool, typer.Option("--quanta", help="List every quantum, not only those that are news.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=0,
            metavar="N",
            help=f"List at most so many quanta; by default {_SHOWN}, {_LISTED} with --quanta, all with --json.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what 'stage run' with the same options would do with each quantum, and why; nothing is changed.

    Each quantum is run, skipped or blocked. Blocked is one that rests on a quantum that failed when it was last tried with
    these settings: it runs if that succeeds this time. A run that would be refused is told with the ways on.

    Examples
    --------
        stage plan

        stage plan --new-run --use-task-configs --skip-existing-in CAMPAIGN

        stage plan --quanta --task detect --data-id visit=903342
    """
    found = stage.Campaign.load(campaign_dir).plan(
        new_run=new_run,
        continue_run=continue_run,
        replace=replace,
        restart=restart,
        unstore=unstore,
        purge=purge,
        use_qg_configs=use_qg_configs,
        use_task_configs=use_task_configs,
        skip_existing_in=skip_existing_in,
        offline=offline,
        task=task or None,
        data_id=data_id_values(data_id),
    )
    if as_json:
        emit_json(found.to_document(limit))
        return
    most = limit if limit is not None else _LISTED if quanta else _SHOWN
    for line in plan_lines(found, most, every=quanta):
        emit(line)


def add_to(app: typer.Typer) -> None:
    """Add this command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "plan", campaign_command(_plan), READS)
