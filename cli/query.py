"""Commands that read: query, of a campaign or of any repository, and get."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import stage
from cli.exit_codes import ExitCode
from cli.lazy import LazyGroup
from cli.options import READS, Command, OtherRepo, add_command, campaign_command
from cli.query_options import COLLECTIONS, Answer, Place, of_campaign, of_repository, with_answer, with_form
from cli.render import emit, emit_json
from cli.rows import Form, show_rows

if TYPE_CHECKING:
    from registry.model.columns import Columns

__all__ = ["add_to", "repository_app"]

_Collections = Annotated[list[str] | None, COLLECTIONS]


def _list(place: Place, form: Form, what: str, names: list[str]) -> None:
    """Show all that there is of collections or dataset types."""
    found = place.read(what, *names)
    _show(found, form)


def _show(found: Columns, form: Form, **options: Any) -> None:
    show_rows(found, form, **options)
    if form == "table" and not found.n_rows:
        emit("(none)")


def _ask(place: Place, answer: Answer, what: str, names: list[str], **options: Any) -> None:
    """Put one question for rows, and show of the answer what is wanted."""
    with place.open(what, *names, **options) as result:
        _TOLD[answer.part](result, answer.form)


def _tell_rows(result: Any, form: Form) -> None:
    _show(result.to_columns(), form, shape=_with_data_ids if getattr(result, "is_uniform", False) else None)


def _with_data_ids(columns: Columns, form: Form) -> Columns:
    """Put the dimensions of datasets of several types under one name: each type has others."""
    from registry.model.columns import Columns, as_array

    del form
    names = columns.names
    dimensions = names[1 : names.index("id")]
    data_ids = [
        {n: v for n, v in zip(dimensions, row, strict=True) if v is not None}
        for row in columns.rows(dimensions)
    ]
    rest = {n: columns[n] for n in names if n not in dimensions and n != "dataset_type"}
    return Columns({"dataset_type": columns["dataset_type"], "data_id": as_array(data_ids), **rest})


def _tell_count(result: Any, form: Form) -> None:
    n = result.count()
    if form == "json":
        emit_json({"count": n})
    else:
        emit(str(n))


def _tell_any(result: Any, form: Form) -> None:
    found = result.any()
    if form == "json":
        emit_json({"any": found})
    else:
        emit("yes" if found else "no")
    if not found:
        raise typer.Exit(ExitCode.NOT_FOUND)


def _tell_explanation(result: Any, form: Form) -> None:
    found = result.explain()
    if form == "json":
        emit_json(found.to_document())
    else:
        emit(str(found))


_TOLD: dict[str, Callable[[Any, Form], None]] = {
    "rows": _tell_rows,
    "count": _tell_count,
    "any": _tell_any,
    "explain": _tell_explanation,
}


def _data_ids(
    *,
    place: Place,
    dimensions: Annotated[list[str], typer.Argument(metavar="DIMENSION", help="Dimensions of the data IDs.")],
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            "--with-dataset",
            metavar="DATASET_TYPE",
            help="Keep to those for which such a dataset is in the collections of -i; repeatable.",
        ),
    ] = None,
    collections: _Collections = None,
    asked: dict[str, Any],
    answer: Answer,
) -> None:
    """List data IDs.

    Examples
    --------
        stage query data-ids visit detector --where "instrument = 'HSC' AND visit > 903330" --limit 20

        stage query data-ids visit --with-dataset raw -i HSC/raw/all --data-id-table chosen.csv --count
    """
    _ask(place, answer, "data-ids", dimensions, joins=datasets or (), collections=collections or (), **asked)


def _records(
    *,
    place: Place,
    element: Annotated[
        str, typer.Argument(metavar="ELEMENT", help="A dimension, or a relation of dimensions.")
    ],
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            "--with-dataset",
            metavar="DATASET_TYPE",
            help="Keep to those for which such a dataset is in the collections of -i; repeatable.",
        ),
    ] = None,
    collections: _Collections = None,
    asked: dict[str, Any],
    answer: Answer,
) -> None:
    """List dimension records with their metadata.

    Examples
    --------
        stage query records exposure --where "exposure.exposure_time > 30" --csv

        stage query records visit --where "visit.exposure_time > :t" --bind t=30 --order-by -visit
    """
    _ask(place, answer, "records", [element], joins=datasets or (), collections=collections or (), **asked)


def _datasets(
    *,
    place: Place,
    dataset_type: Annotated[
        str, typer.Argument(metavar="DATASET_TYPE", help="Name or glob of dataset types.")
    ] = "*",
    collections: _Collections = None,
    find_first: Annotated[
        bool | None,
        typer.Option(
            "--find-first/--all",
            help="Of datasets with equal data IDs list only the first in the search path of -i, or all. The default is "
            "the first, and all where there is no -i, or a pattern in it.",
            show_default=False,
        ),
    ] = None,
    uris: Annotated[bool, typer.Option("--uris", help="Show where each is stored, and its size.")] = False,
    asked: dict[str, Any],
    answer: Answer,
) -> None:
    """List datasets.

    With -i the first of each data ID in that search path is listed; without, or with a pattern in it, all there are.

    Examples
    --------
        stage query datasets "catalog*" --where "instrument = 'HSC' AND visit = 903342" --uris

        stage query datasets raw -i HSC/raw/all --where "instrument = 'HSK'" --explain
    """
    _ask(
        place, answer, "datasets", [dataset_type],
        collections=collections or (), find_first=find_first, artifacts=uris, **asked,
    )  # fmt: skip


def _collections(
    *,
    place: Place,
    names: Annotated[list[str] | None, typer.Argument(metavar="GLOB", help="Which; all by default.")] = None,
    form: Form,
) -> None:
    """List collections, their types, and what chains hold.

    Example:

        stage query collections "HSC/*"
    """
    _list(place, form, "collections", names or [])


def _dataset_types(
    *,
    place: Place,
    names: Annotated[list[str] | None, typer.Argument(metavar="GLOB", help="Which; all by default.")] = None,
    form: Form,
) -> None:
    """List dataset types.

    Example:

        stage query dataset-types "*_log"
    """
    _list(place, form, "dataset-types", names or [])


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


_QUESTIONS: dict[str, Command] = {
    "data-ids": with_answer(_data_ids),
    "records": with_answer(_records),
    "datasets": with_answer(_datasets),
    "collections": with_form(_collections),
    "dataset-types": with_form(_dataset_types),
}


def repository_app() -> typer.Typer:
    """Return the commands that ask one repository, which is named once, before them.

    Returns
    -------
    typer.Typer
        A group of commands.
    """
    app = typer.Typer(cls=LazyGroup, help="Ask a repository.", no_args_is_help=True, rich_markup_mode=None)

    @app.callback()
    def _root(
        context: typer.Context,
        repo: Annotated[
            str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")
        ],
    ) -> None:
        context.obj = repo

    for name, function in _QUESTIONS.items():
        command = of_repository(function)
        command.__doc__ = (inspect.getdoc(function) or "").replace(
            "stage query ", "stage repo query /data/shared "
        )
        add_command(app, name, command, READS)
    return app


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    query_app = typer.Typer(
        cls=LazyGroup,
        help="Ask the campaign's staging, its upstream, or with --repo any repository.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, function in _QUESTIONS.items():
        add_command(query_app, name, of_campaign(function), READS)
    app.add_typer(query_app, name="query")
    add_command(app, "get", campaign_command(_get), READS)
