"""Commands that bring data into a repository and out of it: repo import, export, ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import stage
from cli.options import CHANGES, AsJson, Where, add_command
from cli.render import count_text, emit, emit_json

__all__ = ["add_to"]

_Mode = Literal["copy", "link", "symlink", "move", "direct"]
_ImportMode = Literal["copy", "link", "symlink", "move", "direct", "in-place", "none"]
_OnExisting = Literal["compare", "skip", "error"]
_FilesMode = Literal["none", "copy", "link"]
_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]


def _import(
    *,
    repo: _Repo,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Directories that 'repo export' wrote, <element>.jsonl files or directories of them, or YAML exports of a butler.",
        ),
    ],
    mode: Annotated[
        _ImportMode | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="copy, link, symlink, move, direct (leave files where they are), in-place (they are in this datastore), none (rows only). By default copy, but for files that lay outside of their datastore.",
            show_default=False,
        ),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out datasets whose file is missing.")
    ] = False,
    on_existing: Annotated[
        _OnExisting,
        typer.Option(
            "--on-existing",
            metavar="HOW",
            help="What is there already: compare (it must be equal), skip (it stays), error.",
        ),
    ] = "compare",
    as_json: AsJson = False,
) -> None:
    """Bring in what was exported: records, dataset types, collections, datasets, files. All or nothing.

    Examples
    --------
        stage repo import /data/shared hsc-rc2/

        stage repo import /data/shared pipelines_check/export.yaml --skip-missing
    """
    report = stage.import_repo(repo, *sources, mode=mode, skip_missing=skip_missing, on_existing=on_existing)
    if as_json:
        emit_json(report.to_document())
        return
    for element, n in report.records.items():
        emit(f"{element}: {count_text(n, 'new record')}")
    for dataset_type, n in report.datasets.items():
        emit(f"{dataset_type}: {count_text(n, 'new dataset')}")
    _emit_counts(
        (report.dataset_types, "new dataset type"), (report.collections, "new collection"),
        (report.tags, "tag"), (report.validity_ranges, "validity range"),
    )  # fmt: skip
    for path in report.skipped:
        emit(f"left out, its file is missing: {path}")
    for note in report.notes:
        emit(note)


def _export(
    *,
    repo: _Repo,
    directory: Annotated[str, typer.Argument(metavar="OUT_DIR", help="An empty directory, made if need be.")],
    records: Annotated[
        list[str] | None,
        typer.Option(
            "--records", metavar="ELEMENT", help="Only dimension records of this element; repeatable."
        ),
    ] = None,
    dataset_type: Annotated[
        list[str] | None,
        typer.Option("--dataset-type", metavar="GLOB", help="Only datasets of these types; repeatable."),
    ] = None,
    collections: Annotated[
        list[str] | None,
        typer.Option(
            "--collections", metavar="COLL[,COLL…]", help="Only datasets of these collections; repeatable."
        ),
    ] = None,
    where: Where = "",
    files: Annotated[
        _FilesMode,
        typer.Option(
            "--files",
            metavar="HOW",
            help="none (an import takes them from where they are), copy or link them into OUT_DIR.",
        ),
    ] = "none",
    as_json: AsJson = False,
) -> None:
    """Write a repository, or a part of it, as JSON lines that 'repo import' reads.

    Examples
    --------
        stage repo export /data/shared export/ --files copy

        stage repo export /data/shared part/ --dataset-type "calexp*" --collections HSC/runs --where "instrument = 'HSC' AND visit = 903342"
    """
    report = stage.export_repo(
        repo,
        directory,
        records=records or (),
        dataset_types=dataset_type or (),
        collections=collections or (),
        where=where,
        files=files,
    )
    if as_json:
        emit_json(report.to_document())
        return
    for element, n in report.records.items():
        emit(f"{element}: {count_text(n, 'record')}")
    for name, n in report.datasets.items():
        emit(f"{name}: {count_text(n, 'dataset')}")
    _emit_counts(
        (report.dataset_types, "dataset type"), (report.collections, "collection"), (report.tags, "tag"),
        (report.validity_ranges, "validity range"), (report.files, "file"),
    )  # fmt: skip


def _emit_counts(*counts: tuple[int, str]) -> None:
    said = [count_text(n, what) for n, what in counts if n]
    if said:
        emit(", ".join(said))


def _ingest(
    *,
    repo: _Repo,
    dataset_type: Annotated[str, typer.Argument(metavar="DATASET_TYPE", help="A registered dataset type.")],
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Files, or patterns of them in quotes.")
    ] = None,
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="RUN collection that will hold them; made if new.")
    ] = "raw",
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="TABLE",
            help="CSV, TSV or Parquet with a column a dimension, and 'path', relative to the table.",
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
    data_id_from: Annotated[
        str | None,
        typer.Option(
            "--data-id-from",
            metavar="PATTERN",
            help="What the files' paths end with: {dimension} stands for its value, * for anything.",
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
    checksum: Annotated[
        bool | None,
        typer.Option(
            "--checksum/--no-checksum",
            help="Take checksums, or not; by default they are taken, but with --mode direct.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take files in as datasets: all of them or none.

    Examples
    --------
        stage repo ingest /data/shared raw --table frames.csv --run HSC/raw --mode direct

        stage repo ingest /data/shared raw *.fits.gz --describe camera:describe --run CAM/raw

        stage repo ingest /data/shared raw "HSC/*.fits" --data-id-from "{instrument}/{exposure}_{detector}.fits"
    """
    n = stage.ingest_files(
        repo,
        dataset_type,
        files or (),
        run=run,
        table=table,
        describe=describe,
        data_id=data_id or (),
        data_id_from=data_id_from,
        mode=mode,
        formatter=formatter,
        checksum=checksum,
    )
    if as_json:
        emit_json({"ingested": n, "dataset_type": dataset_type, "run": run})
    else:
        emit(f"ingested {count_text(n, 'dataset')} of type {dataset_type} into {run}")


def add_to(app: typer.Typer) -> None:
    """Add the commands.

    Parameters
    ----------
    app : typer.Typer
        The group of the keeper's commands.
    """
    add_command(app, "import", _import, CHANGES)
    add_command(app, "export", _export, CHANGES)
    add_command(app, "ingest", _ingest, CHANGES)
