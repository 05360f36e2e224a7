"""Commands that read: query and get."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import stage
from cli.options import READS, OtherRepo, Where, add_command, campaign_command
from cli.render import emit, show_rows

__all__ = ["add_to"]

_Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
_Csv = Annotated[bool, typer.Option("--csv", help="Write CSV.")]
_OrderBy = Annotated[
    list[str] | None,
    typer.Option("--order-by", metavar="NAME", help="Column to sort by; '-NAME' for falling; repeatable."),
]
_Limit = Annotated[int | None, typer.Option("--limit", min=0, metavar="N", help="At most so many rows.")]
_Collections = Annotated[
    list[str] | None,
    typer.Option(
        "-i",
        "--input",
        "--collections",
        metavar="COLL[,COLL…]",
        help="Where to search, in order; repeatable.",
    ),
]
_Bind = Annotated[
    list[str] | None,
    typer.Option("--bind", metavar="NAME=VALUE", help="Value for a name in the query; repeatable."),
]


def _form(as_json: bool, as_csv: bool) -> str:
    if as_json and as_csv:
        raise typer.BadParameter("give one of --json and --csv")
    return "json" if as_json else "csv" if as_csv else "table"


def _ask(
    campaign_dir: Path | None, repo: str | None, what: str, names: list[str], form: str, **options: Any
) -> None:
    """Put one question to the campaign's staging or to a repository, and show the answer."""
    if repo is not None:
        found = stage.query_repo(repo, what, *names, **options)
    else:
        found = stage.Campaign.load(campaign_dir).query(what, *names, **options)
    show_rows(found, form)
    if form == "table" and not found.n_rows:
        emit("(none)")


def _data_ids(
    *,
    campaign_dir: Path | None,
    dimensions: Annotated[list[str], typer.Argument(metavar="DIMENSION", help="Dimensions of the data IDs.")],
    where: Where = "",
    bind: _Bind = None,
    order_by: _OrderBy = None,
    limit: _Limit = None,
    repo: OtherRepo = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """List data IDs.

    Example:

        stage query data-ids visit detector --where "instrument = 'HSC' AND visit > 903330" --limit 20
    """
    _ask(
        campaign_dir, repo, "data-ids", dimensions, _form(as_json, as_csv),
        where=where, bind=bind or (), order_by=order_by or (), limit=limit,
    )  # fmt: skip


def _records(
    *,
    campaign_dir: Path | None,
    element: Annotated[
        str, typer.Argument(metavar="ELEMENT", help="A dimension, or a relation of dimensions.")
    ],
    where: Where = "",
    bind: _Bind = None,
    order_by: _OrderBy = None,
    limit: _Limit = None,
    repo: OtherRepo = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """List dimension records with their metadata.

    Example:

        stage query records exposure --where "exposure.exposure_time > 30" --csv
    """
    _ask(
        campaign_dir, repo, "records", [element], _form(as_json, as_csv),
        where=where, bind=bind or (), order_by=order_by or (), limit=limit,
    )  # fmt: skip


def _datasets(
    *,
    campaign_dir: Path | None,
    dataset_type: Annotated[
        str, typer.Argument(metavar="DATASET_TYPE", help="Name or glob of dataset types.")
    ] = "*",
    collections: _Collections = None,
    where: Where = "",
    bind: _Bind = None,
    find_first: Annotated[
        bool,
        typer.Option("--find-first/--find-all", help="Only the first of each data ID in the search path."),
    ] = True,
    uris: Annotated[bool, typer.Option("--uris", help="Show where each is stored, and its size.")] = False,
    order_by: _OrderBy = None,
    limit: _Limit = None,
    repo: OtherRepo = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """List datasets.

    Example:

        stage query datasets "catalog*" --where "instrument = 'HSC' AND visit = 903342" --uris
    """
    _ask(
        campaign_dir, repo, "datasets", [dataset_type], _form(as_json, as_csv), where=where, bind=bind or (),
        collections=collections or (), find_first=find_first, artifacts=uris, order_by=order_by or (), limit=limit,
    )  # fmt: skip


def _collections(
    *,
    campaign_dir: Path | None,
    names: Annotated[list[str] | None, typer.Argument(metavar="GLOB", help="Which; all by default.")] = None,
    repo: OtherRepo = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """List collections, their types, and what chains hold.

    Example:

        stage query collections "HSC/*" --repo /data/shared
    """
    _ask(campaign_dir, repo, "collections", names or [], _form(as_json, as_csv))


def _dataset_types(
    *,
    campaign_dir: Path | None,
    names: Annotated[list[str] | None, typer.Argument(metavar="GLOB", help="Which; all by default.")] = None,
    repo: OtherRepo = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """List dataset types.

    Example:

        stage query dataset-types "*_log"
    """
    _ask(campaign_dir, repo, "dataset-types", names or [], _form(as_json, as_csv))


def _get(
    *,
    campaign_dir: Path | None,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A dataset type, or the id of a dataset.")
    ],
    data_id: Annotated[
        list[str] | None, typer.Argument(metavar="DIMENSION=VALUE", help="Which dataset of that type.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the artifact there.")
    ] = None,
    collections: _Collections = None,
    repo: OtherRepo = None,
) -> None:
    """Get one dataset: its file with -o, else its content on standard output.

    Examples
    --------
        stage get city_summary

        stage get coadd skymap=rings band=r tract=0 patch=3 -o coadd.fits
    """
    words, where = data_id or [], collections or ()
    if repo is not None:
        found = stage.get_from_repo(repo, dataset, *words, collections=where, output=output)
    else:
        found = stage.Campaign.load(campaign_dir).get(dataset, *words, collections=where, output=output)
    if output is not None:
        emit(f"{found.ref} -> {output}")
    elif isinstance(found.content, str):
        sys.stdout.write(found.content if found.content.endswith("\n") else found.content + "\n")
    elif sys.stdout.isatty():
        raise typer.BadParameter(f"{found.ref} is not text: write it to a file with -o FILE")
    else:
        sys.stdout.buffer.write(found.content)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    query_app = typer.Typer(
        help="Ask the campaign's staging, or with --repo any repository.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    add_command(query_app, "data-ids", campaign_command(_data_ids), READS)
    add_command(query_app, "records", campaign_command(_records), READS)
    add_command(query_app, "datasets", campaign_command(_datasets), READS)
    add_command(query_app, "collections", campaign_command(_collections), READS)
    add_command(query_app, "dataset-types", campaign_command(_dataset_types), READS)
    app.add_typer(query_app, name="query")
    add_command(app, "get", campaign_command(_get), READS)
