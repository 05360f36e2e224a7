"""A submission made stage by stage: each takes what the one before it left, and can be done alone and again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, NotFoundError, UsageError
from stage.batch.layout import SubmitDir
from stage.batch.submission.acquire import AcquireOptions, acquire, half_begun, look_ahead
from stage.batch.submission.engines import find_for
from stage.batch.submission.field_programs import without_field_programs
from stage.batch.submission.final_commands import has_own_commands, with_final_commands
from stage.batch.submission.handing import has_begun
from stage.batch.submission.identity import (
    Identity,
    SubmitStage,
    load_identity,
    new_identity,
    save_identity,
)
from stage.batch.submission.options import SubmitOptions, acquire_options, settings_given
from stage.batch.submission.pass_through import check_exec_options
from stage.batch.submission.payload import Payload
from stage.batch.submission.report import SubmitReport
from stage.batch.submission.settings_of import (
    file_settings,
    labels_of,
    link_to,
    notes_of,
    site_of,
    submission_settings,
    unique_name,
    with_run,
    write_config,
)
from stage.batch.submission.stages import Stages, has_files, shown_files
from stage.campaign.files import write_atomically
from stage.campaign.steps import StepPlan
from sync.faults import At, no_fault

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings
    from stage.batch.submission.acquire import Acquired

__all__ = ["submit_to"]

_GOES_ON = (
    "its jobs had begun when the command that submitted it was ended: they go on as they were submitted"
)
_RUN_OPTIONS = ("new_run", "continue_run", "replace", "restart", "unstore", "purge", "finish")
_PAYLOAD_OPTIONS = (
    "butler_config", "input", "output", "output_run", "data_query", "pipeline", "qgraph", "extra_qgraph_options",
)  # fmt: skip


def submit_to(
    stage: str,
    file: str,
    campaign_dir: Any,
    options: SubmitOptions,
    *,
    wait: bool = False,
    next_step: bool = False,
    show: bool = False,
    dry_run: bool = False,
    at: At = no_fault,
) -> SubmitReport:
    """Make a submission up to a stage.

    Parameters
    ----------
    stage : str
        Its name.
    file : str
        The YAML, or the directory of a submission that was begun.
    campaign_dir : str or path, optional
        Which campaign, as given.
    options : SubmitOptions
        What counts before the file.
    wait : bool, optional
        With the last stage: stay until all has ended.
    next_step : bool, optional
        With the directory of a step's submission: submit the next one.
    show : bool, optional
        With `dry_run`: return what would be in the files.
    dry_run : bool, optional
        Write nothing but into a temporary directory that goes again.
    at : callable, optional
        Called with the name of each step that is done.

    Returns
    -------
    SubmitReport
        How far it has come.

    Raises
    ------
    StageError
        If a stage fails: what was there before it is as it was.
    """
    if next_step:
        from stage.batch.submission.next_step import submit_next

        if options or dry_run:
            raise UsageError(
                "the next step is submitted with the settings of the one before it",
                code="contradicting-options",
                hint="Leave out all but --next-step and --wait.",
            )
        return submit_next(file, wait=wait)
    target, given = SubmitStage(stage), settings_given(options)
    if dry_run:
        return _look(file, target, campaign_dir, options, given, show=show)
    if not Path(file).is_dir():
        settings = _checked(file_settings(file, given))
        half = half_begun(Payload.of(settings), campaign_dir, _acquire_options(options, settings))
        if half is not None:
            work = _found(str(half.root), {}, {}, target, at=at, notes=[_GOES_ON])
            return work.report(work.do(SubmitStage.SUBMIT, wait=wait))
        work = _begun(settings, campaign_dir, options, at)
        return work.report(_do(work, SubmitStage.CLUSTER, target, wait=wait))
    work = _found(file, options, given, target, at=at)
    first = _first_to_do(work, target, is_changed=bool(given))
    with _changed_config(work) if given else nullcontext():
        return work.report(_do(work, first, target, wait=wait))


def _do(work: Stages, first: SubmitStage, last: SubmitStage, *, wait: bool) -> str:
    state = ""
    for each in list(SubmitStage)[first.number : last.number + 1]:
        state = work.do(each, wait=wait)
    return state


@contextmanager
def _changed_config(work: Stages) -> Iterator[None]:
    """Keep what the command line says now, unless a stage cannot be done with it."""
    before = work.where.config.read_bytes()
    write_config(work.where, work.settings.document())
    try:
        yield
    except BaseException:
        if not work.identity.has_done(SubmitStage.SUBMIT):
            write_atomically(work.where.config, before)
        raise


def _begun(settings: Settings, campaign_dir: Any, options: SubmitOptions, at: At) -> Stages:
    """Do the first stage."""
    payload = Payload.of(settings)
    made = acquire(payload, campaign_dir, _acquire_options(options, settings), at=at)
    identity, document, notes = _identified(made, settings, made.where, options)
    notes += link_to(made.where, settings)
    own = write_config(made.where, document)
    at("config-written")
    identity = identity.after(SubmitStage.ACQUIRE)
    save_identity(made.where, identity)
    at("acquire-noted")
    return Stages(made.where, identity, own, notes, made.dropped, at=at)


def _checked(settings: Settings) -> Settings:
    """Refuse what can be seen to be wrong before anything is made."""
    find_for(settings, *site_of(settings))
    check_exec_options(settings.text("extraRunQuantumOptions"))
    return settings


def _acquire_options(options: SubmitOptions, settings: Settings) -> AcquireOptions:
    return acquire_options(options, settings.text("extraQgraphOptions"))


def _identified(
    made: Acquired, settings: Settings, place: SubmitDir, options: SubmitOptions
) -> tuple[Identity, dict[str, Any], list[str]]:
    """Say what a submission is, now that its RUN has a name; with its settings, as they are written, and notes."""
    site, engine = site_of(settings)
    name, plan = unique_name(settings, made.run), StepPlan.of(made.graph.header)
    known = replace(
        new_identity(name, made.run, site, engine, labels_of(settings)),
        finish=options.get("finish"),
        n_quanta=made.graph.n_quanta,
        step=1 if plan.labels else 0,
    )
    document, notes = without_field_programs(with_run(settings, place, name, made.run))
    if has_own_commands(document):
        notes.append(
            f"finalJob has commands of its own: what jobs record is merged by 'stage merge --run {made.run}'"
        )
    document = with_final_commands(
        document,
        made.run,
        made.campaign_dir,
        chain=settings.text("output"),
        pushes=settings.flag(".finalJob.push"),
        finish=known.finish,
        then=str(place.root) if len(plan.labels) > 1 else "",
    )
    steps = [f"{plan.said(1)}: its final job submits the next"] if len(plan.labels) > 1 else []
    return known, document, [*notes_of(settings), *notes, *made.notes, *steps]


def _found(
    file: str,
    options: SubmitOptions,
    given: dict[str, Any],
    target: SubmitStage,
    *,
    at: At = no_fault,
    notes: Sequence[str] = (),
) -> Stages:
    """Take up a submission that was begun."""
    refused = [n for n in (*_RUN_OPTIONS, *_PAYLOAD_OPTIONS) if options.get(n)]
    if refused:
        option = "--" + refused[0].removesuffix("_run" if refused[0] == "continue_run" else "").replace(
            "_", "-"
        )
        raise UsageError(
            f"{option} is about the graph and its run, and those of {file} are made",
            code="run-is-made",
            hint="Leave it out; or begin another submission with the YAML instead of the directory.",
        )
    where = SubmitDir(Path(file).absolute())
    identity = _known(where)
    begun = has_begun(where, identity)
    if identity.has_done(SubmitStage.SUBMIT) or (begun and (given or target is not SubmitStage.SUBMIT)):
        raise ConflictError(
            f"{where.root} was submitted already, as {identity.id}",
            code="already-submitted",
            hint=f"How far it is: 'stage batch report --id {identity.id}'. What failed begins again: "
            f"'stage batch restart --id {identity.id}'.",
        )
    settings = submission_settings(where, **given)
    site, engine = site_of(settings)
    find_for(settings, site, engine)
    return Stages(where, replace(identity, site=site, engine=engine), settings, notes, at=at)


def _known(where: SubmitDir) -> Identity:
    """Read what a submission is, of which the first stage is done."""
    if where.graph.exists() and not where.identity.exists():
        raise NotFoundError(
            f"the first stage of {where.root} was not done to its end: there is no {where.identity.name}",
            code="not-acquired",
            hint="Give the YAML again instead of the directory: it goes on with this run.",
        )
    return load_identity(where)


def _first_to_do(work: Stages, target: SubmitStage, *, is_changed: bool) -> SubmitStage:
    """Return the first stage that is not done, or has to be done again: the one that is asked for always."""
    if has_begun(work.where, work.identity):
        return SubmitStage.SUBMIT
    after = list(SubmitStage)[1 : target.number + 1]
    if is_changed or not after:  # the first one is done
        return SubmitStage.CLUSTER
    return next((s for s in after if not (work.identity.has_done(s) and has_files(work.where, s))), target)


def _look(
    file: str,
    target: SubmitStage,
    campaign_dir: Any,
    options: SubmitOptions,
    given: dict[str, Any],
    *,
    show: bool,
) -> SubmitReport:
    """Do the stages in a temporary directory; what is written there names the real one."""
    with tempfile.TemporaryDirectory(prefix="stage-batch-") as folder:
        aside = SubmitDir(Path(folder))
        notes: Sequence[str] = ()
        dropped: Sequence[str] = ()
        if Path(file).is_dir():
            work = _found(file, options, given, target)
            place, identity, document = work.where, work.identity, work.settings.document()
            aside.graph.symlink_to(place.graph)
        else:
            found = _checked(file_settings(file, given))
            made = look_ahead(Payload.of(found), campaign_dir, _acquire_options(options, found), aside.root)
            place, dropped = made.where, made.dropped
            identity, document, notes = _identified(made, found, place, options)
        work = Stages(aside, identity, write_config(aside, document), notes, dropped, place=place)
        for each in list(SubmitStage)[
            1 : min(target, SubmitStage.PREPARE, key=lambda s: s.number).number + 1
        ]:
            work.do(each)
        files = shown_files(aside, place) if show else {}
        return replace(work.report(""), dry_run=True, files=files)
