"""Commands about the settings of tasks: config show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.lazy import LazyGroup
from cli.options import READS, AsJson, add_command, campaign_command
from cli.render import emit, emit_json

if TYPE_CHECKING:
    from stage.pipeline.describe import SettingOrigin

__all__ = ["add_to", "setting_lines"]


def setting_lines(
    settings: Mapping[str, Sequence[SettingOrigin]], *, origin: bool = False, diff: bool = False
) -> Iterable[str]:
    """Word the settings of tasks.

    Parameters
    ----------
    settings : mapping of str to sequence of SettingOrigin
        By task.
    origin : bool, optional
        Whether to say where each was changed last.
    diff : bool, optional
        Whether to say what each would be by default.

    Yields
    ------
    str
        Lines in the form of ``-c``: ``label:name=value``.
    """
    for label, found in settings.items():
        for s in found:
            line = f"{label}:{s.name}={_text(s.value)}"
            if diff:
                line += f"   (by default {_text(s.default)})"
            yield f"{line}   # {s.origin}" if origin else line
    if not any(settings.values()):
        yield "no setting is other than by default" if diff else "the tasks have no settings"


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)


def _show(
    *,
    campaign_dir: Path | None,
    label: Annotated[
        str | None, typer.Argument(metavar="[LABEL]", help="A task; all of the pipeline by default.")
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say in which file, or where else, each was changed last.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Only those that are not as by default, with what that is.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings that the tasks of the pipeline have now.

    Examples
    --------
        stage config show detect

        stage config show --diff --origin
    """
    found = stage.Campaign.load(campaign_dir).settings(label, diff=diff)
    if as_json:
        emit_json({name: [s._asdict() for s in settings] for name, settings in found.items()})
    else:
        for line in setting_lines(found, origin=origin, diff=diff):
            emit(line)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    config_app = typer.Typer(
        cls=LazyGroup, help="Settings of tasks.", no_args_is_help=True, rich_markup_mode=None
    )
    add_command(config_app, "show", campaign_command(_show), READS)
    app.add_typer(config_app, name="config")
