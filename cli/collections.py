"""Commands that make, fill and remove collections: repo register-collection, chain, associate, certify, …."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import stage
from cli.asking import Yes, confirmed
from cli.options import CHANGES, AsJson, Where, add_command
from cli.render import count_text, emit, emit_json, table_text

if TYPE_CHECKING:
    from stage.campaign.collecting import Certified
    from sync.administration.removal import RemovalPlan

__all__ = ["add_to"]

_Kind = Literal["RUN", "TAGGED", "CHAINED", "CALIBRATION"]
_Mode = Literal["redefine", "prepend", "extend", "remove", "pop"]
_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]
_Tag = Annotated[str, typer.Argument(metavar="TAG", help="A TAGGED collection.")]
_Calib = Annotated[str, typer.Argument(metavar="CALIB", help="A CALIBRATION collection.")]
_Types = Annotated[
    list[str],
    typer.Option("--dataset-type", "-t", metavar="GLOB", help="Types of the datasets; repeatable."),
]
_Type = Annotated[str, typer.Option("--dataset-type", "-t", metavar="NAME", help="Type of the datasets.")]
_IN = typer.Option(
    "-i",
    "--input",
    "--collections",
    metavar="COLL[,COLL…]",
    help="Where they are found, in order; repeatable.",
)
_Collections = Annotated[list[str], _IN]
_SomeCollections = Annotated[list[str] | None, _IN]
_Begin = Annotated[
    str | None,
    typer.Option(
        "--begin",
        metavar="TIME",
        help="First moment: 2026-01-31T12:00:00 (UTC), 2026-01-31/tai, an MJD as 61071.5; by default unbounded.",
    ),
]
_End = Annotated[
    str | None, typer.Option("--end", metavar="TIME", help="First moment after it; by default unbounded.")
]


def _register_collection(
    *,
    repo: _Repo,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    kind: Annotated[
        _Kind, typer.Option("--type", metavar="TYPE", help="RUN, TAGGED, CHAINED or CALIBRATION.")
    ] = "RUN",
    doc: Annotated[str, typer.Option("--doc", metavar="TEXT", help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a collection.

    Examples
    --------
        stage repo register-collection /data/shared HSC/good --type TAGGED --doc "Frames without clouds"

        stage repo register-collection /data/shared HSC/calib --type CALIBRATION
    """
    new = stage.register_collection(repo, name, type=kind, doc=doc)
    if as_json:
        emit_json({"name": name, "type": kind, "new": new})
    else:
        emit(f"{kind} collection {name} " + ("registered" if new else "was registered already"))


def _chain(
    *,
    repo: _Repo,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The chain.")],
    children: Annotated[
        list[str] | None, typer.Argument(metavar="CHILD", help="Collections, in search order.")
    ] = None,
    mode: Annotated[
        _Mode,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="redefine; prepend or extend (what is there moves); remove (by name); pop (the first).",
        ),
    ] = "redefine",
    n: Annotated[int, typer.Option("--n", metavar="N", min=1, help="With pop: how many.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Say what a chain searches, or change it. Others may change it at the same time: nothing is lost.

    Examples
    --------
        stage repo chain /data/shared HSC/defaults HSC/raw/all HSC/calib refcats

        stage repo chain /data/shared HSC/defaults u/me/fixes --mode prepend

        stage repo chain /data/shared HSC/defaults --mode pop
    """
    found = stage.edit_chain(repo, name, children or (), mode=mode, n=n)
    if as_json:
        emit_json({"name": name, "children": found})
    else:
        emit(f"{name} searches " + (", ".join(found) or "nothing"))


def _associate(
    *,
    repo: _Repo,
    tag: _Tag,
    dataset_types: _Types,
    collections: _Collections,
    where: Where = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of others with the same type and data ID.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put datasets into a TAGGED collection: all of them or none.

    Example:

        stage repo associate /data/shared HSC/good -t raw -i HSC/raw/all --where "exposure.exposure_time > 30"
    """
    n = stage.associate(repo, tag, dataset_types, collections, where=where, replace=replace)
    if as_json:
        emit_json({"collection": tag, "datasets": n})
    else:
        emit(f"{count_text(n, 'dataset')} in {tag}")


def _disassociate(
    *,
    repo: _Repo,
    tag: _Tag,
    dataset_types: _Types,
    collections: _SomeCollections = None,
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """Take datasets out of a TAGGED collection; they stay in their runs.

    Example:

        stage repo disassociate /data/shared HSC/good -t "*" --where "instrument = 'HSC' AND exposure = 903342"
    """
    n = stage.disassociate(repo, tag, dataset_types, collections or (), where=where)
    if as_json:
        emit_json({"collection": tag, "datasets": n})
    else:
        emit(f"{count_text(n, 'dataset')} taken out of {tag}")


def _certify(
    *,
    repo: _Repo,
    calib: _Calib,
    dataset_type: _Type,
    collections: _Collections,
    begin: _Begin = None,
    end: _End = None,
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """Put datasets into a CALIBRATION collection, made if need be, for a time: all of them or none.

    Example:

        stage repo certify /data/shared HSC/calib -t bias -i u/me/bias --begin 2026-01-01 --end 2026-02-01
    """
    found = stage.certify(repo, calib, dataset_type, collections, begin=begin, end=end, where=where)
    if as_json:
        emit_json({"collection": calib, "dataset_type": dataset_type, **_document(found, "datasets")})
    else:
        emit(f"{count_text(found.n, 'dataset')} certified in {calib} for {_span(begin, end)}")


def _decertify(
    *,
    repo: _Repo,
    calib: _Calib,
    dataset_type: _Type,
    collections: _SomeCollections = None,
    begin: _Begin = None,
    end: _End = None,
    where: Where = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a time away from what a CALIBRATION collection holds; what reaches beyond it is split.

    The datasets stay in their runs. It says what will be taken away, and asks.

    Example:

        stage repo decertify /data/shared HSC/calib -t bias --begin 2026-01-15 --where "detector.purpose = 'SCIENCE'"
    """
    chosen = f" of those that {where}" if where else ""
    if not confirmed(f"Take {_span(begin, end)} away from all {dataset_type} in {calib}{chosen}?", yes=yes):
        emit("nothing was changed")
        return
    found = stage.decertify(repo, calib, dataset_type, collections or (), begin=begin, end=end, where=where)
    if as_json:
        emit_json({"collection": calib, "dataset_type": dataset_type, **_document(found, "ranges")})
    else:
        emit(f"{count_text(found.n, 'range')} of validity in {calib} lost {_span(begin, end)}")


def _document(found: Certified, what: str) -> dict[str, Any]:
    return {what: found.n, "begin_ns": found.begin_ns, "end_ns": found.end_ns}


def _span(begin: str | None, end: str | None) -> str:
    if begin is None and end is None:
        return "all time"
    since, until = (f"from {begin}" if begin else ""), (f"until {end}" if end else "")
    return f"the time {since}{' ' if since and until else ''}{until}"


def _remove_collection(
    *,
    repo: _Repo,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Collections; patterns allowed.")],
    unlink: Annotated[
        bool, typer.Option("--unlink", help="Take them out of the chains that search them.")
    ] = False,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Take their datasets out of the TAGGED and CALIBRATION collections too."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be done; do nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove collections. A RUN goes with its datasets and their files; of others the datasets stay.

    It says what will go, and what still refers to it, and asks.

    Examples
    --------
        stage repo remove-collection /data/shared "u/me/test*" --dry-run

        stage repo remove-collection /data/shared u/me/run1 --unlink
    """
    plan = stage.plan_removal(repo, names, unlink=unlink, purge=purge)
    if not as_json:
        _show(plan)
    if dry_run:
        if as_json:
            emit_json({**plan.to_document(), "done": False})
        return
    what = f"{count_text(len(plan.collections), 'collection')} and {count_text(plan.n_datasets, 'dataset')}"
    if not confirmed(f"Remove {what}?", yes=yes):
        emit("nothing was removed")
        return
    result = stage.remove_collections(repo, plan)
    if as_json:
        removed = {
            "collections": list(result.collections),
            "datasets": result.datasets,
            "files": result.files,
        }
        emit_json({**plan.to_document(), "done": True, "removed": removed})
        return
    emit(
        f"removed {count_text(len(result.collections), 'collection')}, {count_text(result.datasets, 'dataset')}, "
        f"{count_text(result.files, 'file')}"
    )


def _show(plan: RemovalPlan) -> None:
    emit(
        table_text(
            ("collection", "type", "datasets"), [(c.name, c.type, c.datasets) for c in plan.collections]
        )
    )
    for found in plan.collections:
        for chain in found.chains:
            emit(f"{found.name} is searched by {chain}" + (", which loses it" if plan.unlink else ""))
        for holder, n in found.held_by.items():
            lost = ", which loses them" if plan.purge else ""
            emit(f"{count_text(n, 'dataset')} of {found.name} in {holder}{lost}")


def _remove_dataset_type(
    *,
    repo: _Repo,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Dataset types; patterns allowed.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove dataset types of which there are no datasets: all of them or none.

    Example:

        stage repo remove-dataset-type /data/shared "trial_*"
    """
    if not confirmed(f"Remove the dataset types {', '.join(names)}?", yes=yes):
        emit("nothing was removed")
        return
    found = stage.remove_dataset_types(repo, names)
    if as_json:
        emit_json({"removed": found})
    else:
        emit("removed " + ", ".join(found))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the group.

    Parameters
    ----------
    app : typer.Typer
        The group ``repo``.
    """
    add_command(app, "register-collection", _register_collection, CHANGES)
    add_command(app, "chain", _chain, CHANGES)
    add_command(app, "associate", _associate, CHANGES)
    add_command(app, "disassociate", _disassociate, CHANGES)
    add_command(app, "certify", _certify, CHANGES)
    add_command(app, "decertify", _decertify, CHANGES)
    add_command(app, "remove-collection", _remove_collection, CHANGES)
    add_command(app, "remove-dataset-type", _remove_dataset_type, CHANGES)
