"""Submitting the step after one that is done, with the settings of that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.batch.layout import SubmitDir
from stage.batch.submission.final_commands import with_final_commands
from stage.batch.submission.handing import has_begun
from stage.batch.submission.identity import Identity, SubmitStage, load_identity, new_identity, save_identity
from stage.batch.submission.report import SubmitReport
from stage.batch.submission.settings_of import submission_settings, with_run, write_config
from stage.batch.submission.stages import Stages
from stage.batch.submission.stepping import campaign_of, make_step
from stage.campaign.layout import Layout
from stage.campaign.steps import StepPlan, run_graphs, step_graph_path
from stage.graph.file.reader import GraphFile

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings
    from stage.batch.submission.stepping import NextStep

__all__ = ["submit_next"]


def submit_next(file: str, *, wait: bool = False) -> SubmitReport:
    """Submit the step after a submission's.

    Parameters
    ----------
    file : str
        The directory of the submission of a step.
    wait : bool, optional
        Stay until all of the next step has ended.

    Returns
    -------
    SubmitReport
        Of the next step; of the same one, with a note, if there is nothing to submit.

    Raises
    ------
    UsageError
        If it is no step.
    StageError
        If the graph cannot be built, or the step cannot be submitted: the same command does it again.
    """
    where = SubmitDir(Path(file).absolute())
    identity = load_identity(where)
    root = campaign_of(where)
    if not identity.step or root is None:
        raise UsageError(
            f"{where.root} is not the submission of a step",
            code="no-steps",
            hint="What follows what is said in the pipeline: see 'steps' there.",
        )
    settings = submission_settings(where)
    found = make_step(root, identity)
    if found.where is None:
        if not found.is_left and settings.flag(".finalJob.push"):
            _push(root, identity, settings)
        return Stages(where, identity, settings, [found.said]).report("")
    known = load_identity(found.where) if found.where.identity.is_file() else None
    if known is not None and known.has_done(SubmitStage.SUBMIT):
        return Stages(found.where, known, settings, [f"{found.said} was submitted already"]).report("")
    if known is not None and has_begun(found.where, known):  # and the command that submitted it was killed
        made = Stages(found.where, known, submission_settings(found.where), [found.said])
        return made.report(made.do(SubmitStage.SUBMIT, wait=wait))
    made = _begun(root, identity, settings, found)
    state = ""
    for stage in list(SubmitStage)[1:]:
        state = made.do(stage, wait=wait)
    return made.report(state)


def _begun(root: Path, identity: Identity, settings: Settings, found: NextStep) -> Stages:
    """Do the first stage: the graph is there."""
    where, run = found.where or SubmitDir(root), identity.run
    layout = Layout(root)
    graph = step_graph_path(layout, run, found.number)
    name = f"{identity.name.removesuffix(f'_step-{identity.step}')}_step-{found.number}"
    known = replace(
        new_identity(name, run, identity.site, identity.engine, identity.labels),
        finish=identity.finish,
        n_quanta=found.n_quanta,
        step=found.number,
    )
    document = with_run(settings, where, name, run, graph)
    n_steps = len(StepPlan.of(GraphFile.open(str(run_graphs(layout, run)[0])).header).labels)
    document = with_final_commands(
        _without_commands(document),
        run,
        root,
        chain=settings.text("output"),
        pushes=settings.flag(".finalJob.push"),
        finish=identity.finish,
        then=str(where.root) if found.number < n_steps else "",
    )
    known = known.after(SubmitStage.ACQUIRE)
    own = write_config(where, document)
    save_identity(where, known)
    return Stages(where, known, own, [found.said])


def _without_commands(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the final job's commands if they are those of the step before, and so are ours."""
    section = dict(document.get("finalJob") or {})
    if "--next-step" in str(section.get("command2", "")):
        section = {key: value for key, value in section.items() if key not in {"command1", "command2"}}
    return {**document, "finalJob": section}


def _push(root: Path, identity: Identity, settings: Settings) -> None:
    """Push a run whose last steps had nothing to do: no final job of theirs does it."""
    from stage.campaign.campaign import Campaign

    chain = settings.text("output") or None
    Campaign.load(root).push(identity.run, chain=chain, register_dataset_types=True)
