"""Commands for the keeper of a repository: repo create, info, import, ingest, register-dataset-type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import stage
from cli.options import CHANGES, READS, AsJson, add_command
from cli.render import count_text, emit, emit_json, table_text

__all__ = ["app"]

app = typer.Typer(
    help="Administration of a shared repository, for its keeper.", no_args_is_help=True, rich_markup_mode=None
)

_Mode = Literal["copy", "link", "symlink", "move", "direct"]
_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]


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
) -> None:
    """Make an empty repository.

    Examples
    --------
        stage repo create /data/shared

        stage repo create /data/air --universe stations.yaml
    """
    info = stage.create_repo(repo, universe=universe, registry=registry, datastore=datastore)
    emit(f"repository {info.root} with universe {info.universe} {info.universe_version}")


def _info(repo: _Repo, as_json: AsJson = False) -> None:
    """Show what a repository holds.

    Example:

        stage repo info /data/shared
    """
    found = stage.repo_info(repo)
    if as_json:
        emit_json(found.to_document())
        return
    emit(f"repository {found.root}")
    emit(f"universe   {found.universe} {found.universe_version}")
    if found.records:
        emit(table_text(("dimension", "records"), list(found.records.items())))
    if found.datasets:
        emit()
        emit(table_text(("dataset type", "run", "datasets"), found.datasets))


def _import(
    *,
    repo: _Repo,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A JSON-lines file, or a directory of them, one an element."),
    ],
    as_json: AsJson = False,
) -> None:
    """Insert dimension records from JSON lines: <element>.jsonl, one record a line.

    All or nothing; records that are there already and equal are skipped.

    Example:

        stage repo import /data/shared hsc-rc2/
    """
    counts = stage.import_records(repo, source)
    if as_json:
        emit_json(counts)
    else:
        for element, n in counts.items():
            emit(f"{element}: {count_text(n, 'new record')}")


def _ingest(
    *,
    repo: _Repo,
    dataset_type: Annotated[str, typer.Argument(metavar="DATASET_TYPE", help="A registered dataset type.")],
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Files; see --describe.")] = None,
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="RUN collection that will hold them; made if new.")
    ] = "raw",
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="CSV",
            help="Table with a column a dimension, and 'path'; relative to the table.",
        ),
    ] = None,
    describe: Annotated[
        str | None,
        typer.Option(
            "--describe",
            metavar="MODULE:FUNCTION",
            help="Function that returns a file's data_id and its dimension records; modules of the working directory count.",
        ),
    ] = None,
    data_id: Annotated[
        list[str] | None,
        typer.Option(
            "--data-id", metavar="DIMENSION=VALUE", help="Value that holds for all files; repeatable."
        ),
    ] = None,
    mode: Annotated[
        _Mode,
        typer.Option(
            "--mode", metavar="MODE", help="copy, link, symlink, move, or direct (leave it where it is)."
        ),
    ] = "copy",
    formatter: Annotated[
        str | None,
        typer.Option("--formatter", metavar="NAME", help="What reads them; by default the storage class's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take files in as datasets: all of them or none.

    Examples
    --------
        stage repo ingest /data/shared raw --table frames.csv --run HSC/raw --mode direct

        stage repo ingest /data/shared raw *.fits.gz --describe camera:describe --run CAM/raw
    """
    n = stage.ingest_files(
        repo,
        dataset_type,
        files or (),
        run=run,
        table=table,
        describe=describe,
        data_id=data_id or (),
        mode=mode,
        formatter=formatter,
    )
    if as_json:
        emit_json({"ingested": n, "dataset_type": dataset_type, "run": run})
    else:
        emit(f"ingested {count_text(n, 'dataset')} of type {dataset_type} into {run}")


def _register_dataset_type(
    *,
    repo: _Repo,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    storage_class: Annotated[
        str, typer.Argument(metavar="STORAGE_CLASS", help="What it is in memory: Json, FitsImage, …")
    ],
    dimensions: Annotated[
        list[str] | None, typer.Argument(metavar="DIMENSION", help="Its dimensions.")
    ] = None,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Its datasets may be valid for a span of time.")
    ] = False,
) -> None:
    """Define a dataset type: a deliberate act, because names stay.

    Example:

        stage repo register-dataset-type /data/shared raw FitsImage instrument exposure detector
    """
    new = stage.register_dataset_type(
        repo, name, storage_class=storage_class, dimensions=dimensions or (), calibration=calibration
    )
    emit(f"dataset type {name} " + ("registered" if new else "was registered already"))


add_command(app, "create", _create, CHANGES)
add_command(app, "info", _info, READS)
add_command(app, "import", _import, CHANGES)
add_command(app, "ingest", _ingest, CHANGES)
add_command(app, "register-dataset-type", _register_dataset_type, CHANGES)
