"""Commands about a repository's pushes: repo pushes, repo unpush."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.asking import Yes, confirmed
from cli.options import CHANGES, READS, AsJson, add_command
from cli.render import count_text, emit, emit_json, size_text, table_text
from registry.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sync.ledger import Push
    from sync.unpush import UnpushPlan

__all__ = ["add_to"]

_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done; do nothing.")]


def _pushes(repo: _Repo, as_json: AsJson = False) -> None:
    """List who pushed what, when and from which campaign; the latest first.

    Pushes that were taken back stay in the list, and say so.

    Example:

        stage repo pushes /data/shared
    """
    found = stage.repo_pushes(repo)
    if as_json:
        emit_json([push.to_document() for push in found])
        return
    if not found:
        emit("no pushes")
        return
    names = ("push", "when", "who", "campaign", "runs", "datasets", "quanta", "size", "")
    emit(table_text(names, [_row(push) for push in found]))


def _row(push: Push) -> tuple[object, ...]:
    size = "" if push.size_bytes is None else size_text(push.size_bytes)
    mark = push.withdrawn
    note = f"taken back {_when(mark['at_ns'])} by {mark['who']}" if mark else ""
    return (
        str(push.to_document()["id"]), _when(push.at_ns), f"{push.who}@{push.host}", push.campaign, ", ".join(push.runs),
        push.new("dataset"), push.new("quantum"), size, note,
    )  # fmt: skip


def _when(at_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ns / 1e9))


def _unpush(
    *,
    repo: _Repo,
    push: Annotated[
        str,
        typer.Argument(
            metavar="PUSH", help="Id of a push, or its beginning; or a run, for the last push of it."
        ),
    ],
    dry_run: _DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a push back, as long as nobody depends on what it brought.

    It says what will go, and asks: datasets and their files, quanta, runs, entries of a chain. Dataset types and dimension
    records stay, since others may use them. The ledger keeps the push, marked. Its campaign can push again.

    Examples
    --------
        stage repo unpush /data/shared u/me/trial/20260101T000000Z --dry-run

        stage repo unpush /data/shared 0197a2b4 --yes
    """
    plan = stage.plan_unpush(repo, push)
    if as_json and (dry_run or plan.is_empty):
        emit_json({**plan.to_document(), "done": False})
    elif not as_json:
        for line in _lines(plan, dependents=dry_run):
            emit(line)
    if dry_run or plan.is_empty:
        if plan.dependents:
            from cli.exit_codes import ExitCode

            raise typer.Exit(ExitCode.CONFLICT)
        return
    if not plan.dependents and not confirmed("Take it back?", yes=yes):
        emit("nothing was removed")
        return
    try:
        result = stage.unpush_repo(repo, plan)
    except ConflictError as error:
        if as_json:
            emit_json({**plan.to_document(), **error.context, "done": False})
        raise
    if as_json:
        emit_json({**plan.to_document(), "done": True, "removed": vars(result)})
        return
    emit(
        f"removed {count_text(result.datasets, 'dataset')}, {count_text(result.quanta, 'quantum', 'quanta')}, "
        f"{count_text(result.files, 'file')}"
    )
    if result.kept:
        emit(f"{count_text(result.kept, 'file')} stay: rows of others name them")


def _lines(plan: UnpushPlan, *, dependents: bool) -> Iterator[str]:
    push = plan.push
    told = push.to_document()
    yield f"push      {told['id']} of {', '.join(push.runs)}"
    yield f"pushed    {_when(push.at_ns)} by {push.who}@{push.host} from campaign '{push.campaign}'"
    if plan.taken_back:
        mark = push.withdrawn or {}
        yield f"it was taken back {_when(int(mark['at_ns']))} by {mark['who']}"
        if plan.uris:
            yield f"still there: {count_text(len(plan.uris), 'file')}, {size_text(plan.size_bytes)}"
        return
    yield f"datasets  {_by_type(plan.datasets)}"
    yield f"quanta    {plan.quanta:,}"
    yield f"files     {len(plan.uris):,}, {size_text(plan.size_bytes)}"
    if plan.n_outside:
        yield f"          {count_text(plan.n_outside, 'file')} stay where they are: they are the campaign's, or elsewhere"
    if plan.runs:
        yield f"runs      {', '.join(plan.runs)}"
    if plan.chain is not None:
        again = f"; {plan.restored} has its place there again" if plan.restored else ""
        yield f"chain     {plan.chain} searches them no more{again}"
    yield "dataset types and dimension records stay: others may use them"
    for dependent in plan.dependents if dependents else ():
        yield f"depends on it: {dependent}"
        yield f"    {dependent.hint}"


def _by_type(counts: Mapping[str, int]) -> str:
    """Word numbers of datasets: data by name, what every task leaves taken together."""
    labels = {name.removesuffix("_metadata") for name in counts if name.endswith("_metadata")}
    accounts = {f"{label}_{what}" for label in labels for what in ("metadata", "log", "config")}
    data = {name: n for name, n in counts.items() if name not in accounts and name != "packages"}
    parts = [f"{n:,} {name}" for name, n in data.items()]
    rest = sum(counts.values()) - sum(data.values())
    if rest:
        parts.append(f"{rest:,} of logs, metadata, configs and package lists")
    listed = ", ".join(parts)
    return f"{sum(counts.values()):,}" + (f": {listed}" if listed else "")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the group.

    Parameters
    ----------
    app : typer.Typer
        The group ``repo``.
    """
    add_command(app, "pushes", _pushes, READS)
    add_command(app, "unpush", _unpush, CHANGES)
