"""The command that tells all about tasks: describe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import stage
from cli.options import READS, AsJson, add_command, campaign_command
from cli.render import emit, emit_json, table_text

if TYPE_CHECKING:
    from stage.pipeline.introspection import TaskDoc

__all__ = ["add_to", "task_lines"]


def task_lines(task: TaskDoc) -> Iterable[str]:
    """Word what there is to know of a task.

    Parameters
    ----------
    task : TaskDoc
        The task.

    Yields
    ------
    str
        Lines.
    """
    yield f"task        {task.label}"
    if task.doc:
        yield f"            {task.doc.split(chr(10), 1)[0]}"
    version = f", version {task.version}" if task.version else ""
    yield f"code        {task.target} ({task.kind}){version}"
    yield f"dimensions  {', '.join(task.dimensions) or 'none: one quantum'}"
    needs = ", ".join(f"{k} {v}" for k, v in task.resources.items() if v is not None)
    yield f"resources   {needs}{'; by data ID' if 'resources' in task.hooks else ''}"
    if task.hooks:
        yield f"decides     {', '.join(task.hooks)}"
    yield "\nconnections"
    yield table_text(
        ("name", "role", "dataset type", "storage class", "dimensions", "options", "doc"),
        [
            (
                c.name, c.role, c.dataset_type, c.storage_class, ", ".join(c.dimensions) or "none",
                ", ".join(c.options), c.doc,
            )
            for c in task.connections
        ],
    )  # fmt: skip
    for c in task.connections:
        if c.columns:
            yield f"columns of {c.name}: {', '.join(c.columns)}"
    if task.settings:
        yield "\nsettings"
        yield table_text(
            ("name", "type", "value", "default", "limits", "doc"),
            [
                (s.name, s.type, _text(s.value), _text(s.default), ", ".join(s.constraints), s.doc)
                for s in task.settings
            ],
        )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _describe(
    *,
    campaign_dir: Path | None,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[LABEL|MODULE:NAME]",
            help="A task of the pipeline, all of them by default; or the code of a task in no pipeline.",
        ),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            "-p", "--pipeline", metavar="FILE", help="A pipeline file; by default the campaign's pipeline."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what tasks are: their connections, dimensions, storage classes, settings and resources.

    Settings with their types, defaults, limits and documentation; nothing is run, and no repository is asked.

    Examples
    --------
        stage describe detect

        stage describe -p pipeline.yaml --json

        stage describe surveys.detect:DetectTask
    """
    if pipeline is None and (task is None or ":" not in task):
        found = stage.Campaign.load(campaign_dir).describe(task)
    else:
        found = stage.describe_pipeline(pipeline, task)
    if as_json:
        emit_json([each.to_document() for each in found])
        return
    for number, each in enumerate(found):
        if number:
            emit("\n" + "=" * 60 + "\n")
        for line in task_lines(each):
            emit(line)


def add_to(app: typer.Typer) -> None:
    """Add this command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "describe", campaign_command(_describe), READS)
