"""The command that gives roles of a PostgreSQL server their rights, and the options that it shares with ``create``."""

from __future__ import annotations

from typing import Annotated

import typer

import stage
from cli.options import CHANGES, AsJson, add_command
from cli.render import emit, emit_json

__all__ = [
    "Prefix",
    "Pusher",
    "PusherPassword",
    "Reader",
    "ReaderPassword",
    "add_to",
    "make_roles",
    "show_roles",
]

_PANEL = "Roles (PostgreSQL)"
Reader = Annotated[
    str | None,
    typer.Option("--reader", metavar="ROLE", rich_help_panel=_PANEL, help="Role that may read."),
]
Pusher = Annotated[
    str | None,
    typer.Option(
        "--pusher", metavar="ROLE", rich_help_panel=_PANEL, help="Role that may add runs, and only add."
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        "--prefix",
        metavar="PREFIX",
        rich_help_panel=_PANEL,
        help="What names of the pusher's runs and chains begin with; by default u/ROLE/.",
    ),
]
ReaderPassword = Annotated[
    str | None,
    typer.Option(
        "--reader-password", metavar="TEXT", rich_help_panel=_PANEL, envvar="STAGE_READER_PASSWORD",
        help="Password of a new reader; rather give it by the variable.", show_default=False,
    ),
]  # fmt: skip
PusherPassword = Annotated[
    str | None,
    typer.Option(
        "--pusher-password", metavar="TEXT", rich_help_panel=_PANEL, envvar="STAGE_PUSHER_PASSWORD",
        help="Password of a new pusher; rather give it by the variable.", show_default=False,
    ),
]  # fmt: skip


def make_roles(
    repo: str,
    *,
    reader: str | None,
    pusher: str | None,
    prefix: str | None,
    reader_password: str | None,
    pusher_password: str | None,
) -> dict[str, object]:
    """Give roles their rights.

    Parameters
    ----------
    repo : str
        The repository.
    reader, pusher, prefix : str or None
        As for `stage.make_roles`.
    reader_password, pusher_password : str or None
        Passwords; one of a role that is not named counts for nothing.

    Returns
    -------
    dict
        Who there is now, as JSON-like values.
    """
    found = stage.make_roles(
        repo, reader=reader, pusher=pusher, prefix=prefix,
        reader_password=reader_password if reader else None, pusher_password=pusher_password if pusher else None,
    )  # fmt: skip
    return {"reader": found.reader, "pusher": found.pusher, "prefix": found.prefix, "made": list(found.made)}


def show_roles(found: dict[str, object]) -> None:
    """Say who may do what now.

    Parameters
    ----------
    found : dict
        From `make_roles`.
    """
    if found["reader"]:
        emit(f"{found['reader']} may read")
    if found["pusher"]:
        emit(f"{found['pusher']} may push runs and chains with names that begin with {found['prefix']}")


def _roles(
    *,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Repository, or its database's URL.")],
    reader: Reader = None,
    pusher: Pusher = None,
    prefix: Prefix = None,
    reader_password: ReaderPassword = None,
    pusher_password: PusherPassword = None,
    as_json: AsJson = False,
) -> None:
    """Give roles of a PostgreSQL server the least rights on a repository: a reader, a pusher.

    A reader reads. A pusher adds: runs with their datasets, and chains, under its prefix; it changes and removes nothing.
    Roles are made unless they are there. Run it as the user that owns the tables.

    Example:

        stage repo roles /data/shared --reader anyone --pusher ann --prefix u/ann
    """
    found = make_roles(
        repo, reader=reader, pusher=pusher, prefix=prefix, reader_password=reader_password,
        pusher_password=pusher_password,
    )  # fmt: skip
    if as_json:
        emit_json(found)
    else:
        show_roles(found)


def add_to(app: typer.Typer) -> None:
    """Add the command to the group.

    Parameters
    ----------
    app : typer.Typer
        The group ``repo``.
    """
    add_command(app, "roles", _roles, CHANGES)
