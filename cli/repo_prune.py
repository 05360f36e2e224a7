"""Commands that remove from a repository, or rebuild its tables: repo prune, repo upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.asking import Yes, confirmed
from cli.lengths import seconds_of
from cli.options import CHANGES, AsJson, Where, add_command
from cli.render import count_text, emit, emit_json, size_text, table_text
from registry.errors import UsageError

if TYPE_CHECKING:
    from sync.administration.orphans import OrphanPlan
    from sync.administration.prune import PrunePlan

__all__ = ["add_to"]

_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done; do nothing.")]


def _prune(
    *,
    repo: _Repo,
    collections: Annotated[
        list[str] | None,
        typer.Argument(metavar="COLLECTION", help="Collections that hold the datasets; patterns allowed."),
    ] = None,
    dataset_types: Annotated[
        list[str] | None,
        typer.Option("--dataset-type", "-t", metavar="GLOB", help="Only of these types; repeatable."),
    ] = None,
    where: Where = "",
    unstore: Annotated[
        bool, typer.Option("--unstore", help="Remove their files; the datasets stay on record.")
    ] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove the datasets and their files.")] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Remove files that no dataset names, and nothing else.")
    ] = False,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="With --orphans: only files untouched for so long (30m, 12h, 7d).",
        ),
    ] = "1d",
    even_held: Annotated[
        bool, typer.Option("--even-held", help="Also datasets that other collections hold.")
    ] = False,
    dry_run: _DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove datasets, or only their files, or files that no dataset names.

    It says what will go, and asks. Datasets that a collection holds which was not named stay, unless told. Files go
    after the rows; none outside the datastore is ever touched.

    Examples
    --------
        stage repo prune /data/shared u/me/test1 --purge

        stage repo prune /data/shared "u/me/*" -t "*_log" --unstore --dry-run

        stage repo prune /data/shared --orphans
    """  # fmt: skip
    if [unstore, purge, orphans].count(True) != 1:
        raise UsageError(
            "say what is to go: --unstore, --purge or --orphans", code="bad-options", hint="Give one of them."
        )
    if orphans:
        if collections or dataset_types or where:
            raise UsageError(
                "--orphans is about files that belong to no dataset", code="bad-options",
                hint="Leave out collections, dataset types and conditions.",
            )  # fmt: skip
        _prune_orphans(repo, seconds_of(older_than), dry_run=dry_run, yes=yes, as_json=as_json)
        return
    plan = stage.plan_prune(
        repo, collections or (), dataset_types=dataset_types or (), where=where,
        mode="unstore" if unstore else "purge",
    )  # fmt: skip
    if not as_json:
        _show(plan)
    if dry_run or not plan.n_datasets:
        if as_json:
            emit_json({**plan.to_document(), "done": False})
        return
    thing = "the files of " if unstore else ""
    if not confirmed(f"Remove {thing}{count_text(plan.n_datasets, 'dataset')}?", yes=yes):
        emit("nothing was removed")
        return
    result = stage.prune_repo(repo, plan, even_held=even_held)
    if as_json:
        removed = {"datasets": result.datasets, "files": result.files, "kept": result.kept}
        emit_json({**plan.to_document(), "done": True, "removed": removed})
        return
    what = "unstored" if unstore else "removed"
    emit(f"{what} {count_text(result.datasets, 'dataset')}, {count_text(result.files, 'file')}")
    if result.kept:
        emit(f"{count_text(result.kept, 'file')} stay: other datasets name them too")


def _show(plan: PrunePlan) -> None:
    if not plan.n_datasets:
        emit("nothing to remove")
        return
    rows = [(*row[:3], size_text(row[3])) for row in plan.counts]
    emit(table_text(("dataset type", "run", "datasets", "size"), rows))
    emit(
        f"{count_text(plan.n_datasets, 'dataset')}, {count_text(len(plan.uris), 'file')}, {size_text(plan.size_bytes)}"
    )
    if plan.n_outside:
        emit(f"{count_text(plan.n_outside, 'file')} outside the datastore will stay where they are")
    for name, n in plan.held_by.items():
        emit(f"{n} of them are in {name} too")


def _prune_orphans(repo: str, older_than_s: float, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    plan: OrphanPlan = stage.plan_prune_orphans(repo, older_than_s=older_than_s)
    n_files = len(plan.uris)
    if not as_json:
        for uri in plan.uris[:20]:
            emit(uri)
        if n_files > 20:
            emit(f"… and {n_files - 20:,} more")
        emit(f"{count_text(n_files, 'file')} that no dataset names, {size_text(plan.size_bytes)}")
        if plan.n_young:
            emit(f"{count_text(plan.n_young, 'younger file')} may belong to a push that goes on, and stay")
    if dry_run or not n_files:
        if as_json:
            emit_json({**plan.to_document(), "done": False})
        return
    if not confirmed(f"Remove {count_text(n_files, 'file')}?", yes=yes):
        emit("nothing was removed")
        return
    removed = stage.prune_orphans(repo, plan)
    if as_json:
        emit_json({**plan.to_document(), "done": True, "removed": {"files": removed}})
    else:
        emit(f"removed {count_text(removed, 'file')}")


def _upgrade(
    *,
    repo: Annotated[
        str, typer.Argument(metavar="REPO", help="Repository, its database, or a campaign's directory.")
    ],
    dry_run: _DryRun = False,
    keep_backup: Annotated[
        bool, typer.Option("--keep-backup", help="Keep the copy of an SQLite registry that is made first.")
    ] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no such copy.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring a repository that an older version made to the form that this one reads.

    It happens in one transaction: all of it or nothing. An SQLite registry is copied beside itself first; of a
    PostgreSQL one make a copy yourself (pg_dump), for which it asks.

    Examples
    --------
        stage repo upgrade /data/shared --dry-run

        stage repo upgrade /data/shared --keep-backup
    """
    if keep_backup and no_backup:
        raise UsageError(
            "--keep-backup and --no-backup contradict each other",
            code="bad-options",
            hint="Give one of them.",
        )
    plan = stage.plan_upgrade(repo)
    if plan.is_needed and not dry_run:
        if plan.dialect != "sqlite" and not confirmed(
            f"Upgrade {plan.place} from schema version {plan.found} to {plan.to}? Have a copy of it (pg_dump).",
            yes=yes,
        ):
            emit("nothing was done")
            return
        plan = stage.upgrade_repo(repo, backup=not no_backup, keep_backup=keep_backup)
    if as_json:
        emit_json(
            {
                "place": plan.place, "database": plan.dialect, "from": plan.found, "to": plan.to,
                "migrations": list(plan.versions), "done": plan.is_needed and not dry_run, "backup": plan.backup,
            }
        )  # fmt: skip
        return
    if not plan.is_needed:
        emit(f"{plan.place} has schema version {plan.found}, which is the newest")
        return
    emit(
        f"{'would upgrade' if dry_run else 'upgraded'} {plan.place} from schema version {plan.found} to {plan.to}"
    )
    if plan.backup is not None:
        emit(f"copy of it as it was: {plan.backup}")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the group.

    Parameters
    ----------
    app : typer.Typer
        The group ``repo``.
    """
    add_command(app, "prune", _prune, CHANGES)
    add_command(app, "upgrade", _upgrade, CHANGES)
