"""The command that registers a campaign's dataset types, and how its answer is worded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.options import CHANGES, AsJson, add_command, campaign_command
from cli.render import emit, emit_json

if TYPE_CHECKING:
    from stage.campaign.registering import RegisteredTypes

__all__ = ["add_to", "registered_lines"]


def registered_lines(found: RegisteredTypes) -> Iterable[str]:
    """Say what became of a pipeline's dataset types.

    Parameters
    ----------
    found : RegisteredTypes
        What became of them.

    Yields
    ------
    str
        A line each.
    """
    for name in found.new:
        yield f"registered {name}"
    for name in found.known:
        yield f"is there   {name}"
    for name in found.inputs:
        yield f"is read    {name}"


def _register_dataset_types(
    *,
    campaign_dir: Path | None,
    use_qg_configs: Annotated[
        bool, typer.Option("--use-qg-configs", help="Where graph and pipeline differ, take the graph's.")
    ] = False,
    use_task_configs: Annotated[
        bool, typer.Option("--use-task-configs", help="Where graph and pipeline differ, take the pipeline's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Define the dataset types that the campaign writes in its staging registry; check those that it reads.

    Runs do that by themselves; upstream gets a new dataset type only by a push that is told so. Needs a campaign with a
    pipeline or a graph, and does nothing else.

    Example:

        stage register-dataset-types
    """
    found = stage.Campaign.load(campaign_dir).register_dataset_types(
        use_qg_configs=use_qg_configs, use_task_configs=use_task_configs
    )
    if as_json:
        emit_json(found.to_document())
        return
    for line in registered_lines(found):
        emit(line)


def add_to(app: typer.Typer) -> None:
    """Add the command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "register-dataset-types", campaign_command(_register_dataset_types), CHANGES)
