"""The command that makes a repository: empty, or from a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import stage
from cli.options import CHANGES, AsJson, add_command
from cli.render import count_text, emit, emit_json
from cli.repo_roles import Prefix, Pusher, PusherPassword, Reader, ReaderPassword, make_roles, show_roles
from registry.errors import UsageError

if TYPE_CHECKING:
    from sync.tables.repository import TablePlan

__all__ = ["add_to"]

_Mode = Literal["copy", "link", "symlink", "move", "direct"]
_PANEL = "From a table"


def _create(
    *,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Directory to make it in.")],
    universe: Annotated[
        Path | None,
        typer.Option(
            "--universe", metavar="FILE", help="Dimension universe (YAML); by default the sky survey's."
        ),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option("--registry", metavar="URL", help="Database; by default SQLite in the directory."),
    ] = None,
    datastore: Annotated[
        str | None,
        typer.Option(
            "--datastore", metavar="URI", help="Root of the files; by default data/ in the directory."
        ),
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(
            "--shared", metavar="[GROUP]",
            help="Let a group write all that is ever made in it, whatever anybody's umask; without GROUP the directory's own.",
        ),
    ] = None,
    from_table: Annotated[
        str | None,
        typer.Option(
            "--from-table", metavar="TABLE", rich_help_panel=_PANEL,
            help="CSV, TSV, ECSV, JSON or Parquet: universe, records and datasets come from it.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="COLUMN[,COLUMN…]", rich_help_panel=_PANEL,
            help="Columns that say what a row is about, the largest thing first; NAME=COLUMN renames.",
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file", metavar="COLUMN[,COLUMN…]", rich_help_panel=_PANEL,
            help="Columns with paths of files, relative to the table: a dataset type each; NAME=COLUMN renames.",
        ),
    ] = None,
    dataset_type: Annotated[
        str | None,
        typer.Option(
            "--dataset-type", metavar="NAME", rich_help_panel=_PANEL,
            help="Dataset type of the one column of files; by default the column's name.",
        ),
    ] = None,
    storage_class: Annotated[
        str | None,
        typer.Option(
            "--storage-class", metavar="NAME", rich_help_panel=_PANEL,
            help="What the files hold; by default their endings tell.",
        ),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="COLUMN=TYPE", rich_help_panel=_PANEL,
            help="int, float, bool, string or time, where the values do not tell; repeatable.",
        ),
    ] = None,
    run: Annotated[
        str,
        typer.Option("--run", metavar="RUN", rich_help_panel=_PANEL, help="RUN collection of the datasets."),
    ] = "raw",
    mode: Annotated[
        _Mode,
        typer.Option(
            "--mode", metavar="MODE", rich_help_panel=_PANEL,
            help="copy, link, symlink, move, or direct (leave the files where they are).",
        ),
    ] = "copy",
    universe_out: Annotated[
        Path | None,
        typer.Option(
            "--universe-out", metavar="FILE", rich_help_panel=_PANEL,
            help="Write the universe there, to edit and give by --universe.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", "-n", rich_help_panel=_PANEL,
            help="Show the universe and what would be made; make nothing.",
        ),
    ] = False,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles", rich_help_panel="Roles (PostgreSQL)", help="Make a reader and a pusher with the least rights."
        ),
    ] = False,
    reader: Reader = "stage_reader",
    pusher: Pusher = "stage_pusher",
    prefix: Prefix = None,
    reader_password: ReaderPassword = None,
    pusher_password: PusherPassword = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a repository: empty, or all of it from a table.

    Examples
    --------
        stage repo create /data/shared

        stage repo create /data/air --universe stations.yaml

        stage repo create lab --from-table samples.csv --key sample,lane --file reads

        stage repo create /data/shared --shared=survey

        stage repo create /data/shared --registry postgresql://keeper@db/survey --roles
    """
    if roles and not (registry or repo).startswith("postgres"):
        raise UsageError(
            "only PostgreSQL has roles", code="no-roles", hint="Name its database: --registry postgresql://…"
        )

    def give_rights() -> dict[str, object]:
        if not roles:
            return {}
        found = make_roles(
            repo, reader=reader, pusher=pusher, prefix=prefix, reader_password=reader_password,
            pusher_password=pusher_password,
        )  # fmt: skip
        if not as_json:
            show_roles(found)
        return {"roles": found}

    if from_table is None:
        _refuse_options({"--key": key, "--file": file, "--dry-run": dry_run, "--universe-out": universe_out,
                         "--dataset-type": dataset_type, "--storage-class": storage_class, "--type": types})  # fmt: skip
        info = stage.create_repo(
            repo, universe=universe, registry=registry, datastore=datastore, shared=shared
        )
        if not as_json:
            emit(f"repository {info.root} with universe {info.universe} {info.universe_version}")
        document = {**info.to_document(), **give_rights()}
        if as_json:
            emit_json(document)
        return
    plan = stage.plan_repo_from_table(
        from_table, key=key or (), file=file or (), dataset_type=dataset_type, storage_class=storage_class,
        universe=universe, types=_pairs(types or ()),
    )  # fmt: skip
    if universe_out is not None:
        stage.write_universe(plan, universe_out)
    if not dry_run:
        stage.create_repo_from_table(
            repo, plan, run=run, mode=mode, registry=registry, datastore=datastore, shared=shared
        )
    if not as_json:
        _show(plan, run, dry_run=dry_run)
        emit(f"nothing was made at {repo}" if dry_run else f"repository {repo}")
    document = {
        **plan.to_document(),
        "yaml": plan.yaml,
        "made": not dry_run,
        **({} if dry_run else give_rights()),
    }
    if as_json:
        emit_json(document)


def _refuse_options(given: Mapping[str, object]) -> None:
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} is about a table, and none was given",
                code="bad-options",
                hint="Give --from-table FILE.",
            )


def _show(plan: TablePlan, run: str, *, dry_run: bool) -> None:
    emit(plan.yaml.rstrip("\n"))
    emit()
    verb = "would hold" if dry_run else "holds"
    for element, rows in plan.records.items():
        emit(f"{verb} {count_text(rows.n_rows, 'record')} of {element}")
    for found in plan.datasets:
        names = ", ".join(found.type.dimensions.required)
        emit(
            f"{verb} {count_text(found.rows.n_rows, 'dataset')} of type {found.type.name} "
            f"({found.type.storage_class}; {names}) in {run}"
        )


def _pairs(words: list[str] | tuple[()]) -> dict[str, str]:
    out = {}
    for word in words:
        column, equals, kind = word.rpartition("=")
        if not equals or not column:
            raise UsageError(
                f"--type {word} is not COLUMN=TYPE", code="bad-options", hint="Write --type lane=string."
            )
        out[column] = kind
    return out


def add_to(app: typer.Typer) -> None:
    """Add the command to the group.

    Parameters
    ----------
    app : typer.Typer
        The group ``repo``.
    """
    add_command(app, "create", _create, CHANGES)
