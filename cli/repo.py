"""Commands for the keeper of a repository: repo info, register-dataset-type(s), and those of other modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

import stage
from cli import fsck, pushes, repo_create, repo_prune, repo_roles
from cli.lazy import LazyGroup
from cli.options import CHANGES, READS, AsJson, add_command
from cli.registering import registered_lines
from cli.render import count_text, emit, emit_json, size_text, table_text

__all__ = ["app"]

app = typer.Typer(
    cls=LazyGroup,
    help="Administration of a shared repository, for its keeper.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]


def _info(repo: _Repo, as_json: AsJson = False) -> None:
    """Show what a repository holds, of which version and how large it is.

    Example:

        stage repo info /data/shared
    """
    found = stage.repo_info(repo)
    if as_json:
        emit_json(found.to_document())
        return
    database, files = found.database, found.datastore
    emit(f"repository {found.root} ({found.id}), made {found.created}")
    emit(f"universe   {found.universe} {found.universe_version}")
    emit(f"versions   schema {found.versions['schema']}; this is stage {found.versions['stage']}")
    emit(f"database   {database['kind']}, {size_text(database['size_bytes'])}: {database['place']}")
    emit(
        f"files      {count_text(files['files'], 'file')}, {size_text(files['size_bytes'])}: {files['root']}"
    )
    emit(f"holds      {_listed(found.collections, 'no collections')}")
    emit(f"quanta     {_listed(found.quanta, 'none')}")
    emit(f"pushes     {found.pushes['pushes']:,} from {count_text(found.pushes['campaigns'], 'campaign')}")
    if found.records:
        emit()
        emit(table_text(("dimension", "records"), list(found.records.items())))
    if found.datasets:
        emit()
        emit(table_text(("dataset type", "run", "datasets"), found.datasets))


def _listed(counts: Mapping[str, int], none: str) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or none


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


def _register_dataset_types(
    *,
    repo: _Repo,
    pipeline: Annotated[
        str,
        typer.Option(
            "-p", "--pipeline", metavar="URI", help="Pipeline definition; its '#labels' select tasks."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Define all dataset types that a pipeline writes; check those that it reads.

    Example:

        stage repo register-dataset-types /data/shared --pipeline detect.yaml
    """
    found = stage.register_dataset_types(repo, pipeline)
    if as_json:
        emit_json(found.to_document())
        return
    for line in registered_lines(found):
        emit(line)


repo_create.add_to(app)
add_command(app, "info", _info, READS)
add_command(app, "register-dataset-type", _register_dataset_type, CHANGES)
add_command(app, "register-dataset-types", _register_dataset_types, CHANGES)
repo_prune.add_to(app)
fsck.add_to_repo(app)
repo_roles.add_to(app)
pushes.add_to(app)
