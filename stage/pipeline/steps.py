"""Steps: parts of a pipeline that are run one after another, each on a graph that is built when the last is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import DataIdError, PipelineError

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = [
    "Step", "check_cover", "check_step_dimensions", "check_step_order", "earlier_outputs", "refuse_several",
    "step_document",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step of a pipeline.

    Parameters
    ----------
    label : str
        What it is called.
    tasks : tuple of str
        Labels of its tasks.
    description : str
        What it is for.
    dimensions : tuple of str
        Dimensions by which its work may be split among several data queries.
    """

    label: str
    tasks: tuple[str, ...]
    description: str = ""
    dimensions: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return it as a pipeline file has it.

        Returns
        -------
        dict
            Without what is empty.
        """
        document = {"label": self.label, "tasks": list(self.tasks)}
        more = {"description": self.description, "dimensions": list(self.dimensions)}
        return {**document, **{k: v for k, v in more.items() if v}}


def check_cover(steps: Sequence[Step], labels: Iterable[str], where: str) -> None:
    """Refuse steps that do not have each task exactly once.

    Parameters
    ----------
    steps : sequence of Step
        The pipeline's steps; a pipeline without any has nothing to be checked.
    labels : iterable of str
        All its tasks.
    where : str
        The pipeline, for errors.

    Raises
    ------
    PipelineError
        If a task is in two steps (``task-in-two-steps``) or in none (``task-in-no-step``).
    """
    home = _homes(steps, where)
    for label in labels if steps else ():
        if label not in home:
            raise PipelineError(
                f"{where}: task '{label}' is in none of the steps {', '.join(s.label for s in steps)}",
                code="task-in-no-step",
                hint="Add it to the tasks of a step.",
            )


def _homes(steps: Iterable[Step], where: str) -> dict[str, int]:
    """Return the number of each task's step."""
    home: dict[str, int] = {}
    labels: dict[int, str] = {}
    for number, step in enumerate(steps):
        labels[number] = step.label
        for label in step.tasks:
            other = home.setdefault(label, number)
            if other != number:
                raise PipelineError(
                    f"{where}: task '{label}' is in the steps '{labels[other]}' and '{step.label}'",
                    code="task-in-two-steps",
                    hint="Leave it in the first of them.",
                )
    return home


def check_step_order(steps: Sequence[Step], nodes: Sequence[TaskNode], where: str) -> None:
    """Refuse a task that reads what only a later step makes.

    Parameters
    ----------
    steps : sequence of Step
        The pipeline's steps.
    nodes : sequence of TaskNode
        Its tasks.
    where : str
        The pipeline, for errors.

    Raises
    ------
    PipelineError
        If there is one (``step-order``); names both tasks and steps.
    """
    if not steps:
        return
    home = _homes(steps, where)
    made = {c.dataset_type: n.label for n in nodes for c in n.connections if c.is_output or c.is_init_output}
    for node in nodes:
        for c in node.connections:
            maker = made.get(c.dataset_type) if c.is_input or c.role == "init_input" else None
            if maker is not None and home[maker] > home[node.label]:
                raise PipelineError(
                    f"{where}: task '{node.label}' of step '{steps[home[node.label]].label}' reads "
                    f"'{c.dataset_type}', which '{maker}' makes in the later step '{steps[home[maker]].label}'",
                    code="step-order",
                    hint="Put the task that reads into that step, or a later one.",
                )


def check_step_dimensions(steps: Iterable[Step], universe: DimensionUniverse, where: str) -> None:
    """Refuse dimensions of steps that there are not.

    Parameters
    ----------
    steps : iterable of Step
        The pipeline's steps.
    universe : DimensionUniverse
        The repository's.
    where : str
        The pipeline, for errors.

    Raises
    ------
    PipelineError
        If one is unknown; offers the nearest.
    """
    for step in steps:
        try:
            universe.group(step.dimensions)
        except DataIdError as exc:
            raise PipelineError(
                f"{where}, step '{step.label}': {exc.message}", code="unknown-dimension", hint=exc.hint
            ) from exc


def earlier_outputs(steps: Sequence[Step], nodes: Sequence[TaskNode]) -> Mapping[str, frozenset[str]]:
    """Return for each task the dataset types that steps before its own make.

    Parameters
    ----------
    steps : sequence of Step
        The pipeline's steps; none for a pipeline without.
    nodes : sequence of TaskNode
        Its tasks.

    Returns
    -------
    mapping of str to frozenset of str
        By label.
    """
    made = {
        n.label: {c.dataset_type for c in n.connections if c.is_output or c.is_init_output} for n in nodes
    }
    out: dict[str, frozenset[str]] = {}
    before: set[str] = set()
    for step in steps:
        out.update(dict.fromkeys(step.tasks, frozenset(before)))
        before.update(*(made.get(label, set()) for label in step.tasks))
    return out


def refuse_several(steps: Sequence[Step], where: str) -> None:
    """Refuse a pipeline with several steps where one graph is wanted.

    Parameters
    ----------
    steps : sequence of Step
        The pipeline's steps.
    where : str
        The pipeline, for errors.

    Raises
    ------
    PipelineError
        If there are more than one (``several-steps``).
    """
    if len(steps) > 1:
        raise PipelineError(
            f"{where} has {len(steps)} steps ({', '.join(s.label for s in steps)}), and one graph holds one step",
            code="several-steps",
            hint=f"Take one of them: pipeline.step('{steps[0].label}'); a campaign goes through all: stage run.",
        )


def step_document(pipeline: Pipeline) -> dict[str, Any]:
    """Return what a graph keeps of the steps of its pipeline: with it, those that follow can be built.

    Parameters
    ----------
    pipeline : Pipeline
        What the graph is built of.

    Returns
    -------
    dict
        For the metadata of its header: ``step`` with the labels of all steps, which one it is, and the whole pipeline
        in YAML; empty for a pipeline that is no step.
    """
    if pipeline.whole is None:
        return {}
    labels = [step.label for step in pipeline.whole.steps]
    (own,) = pipeline.steps
    return {
        "step": {
            "steps": labels,
            "number": labels.index(own.label) + 1,
            "pipeline": pipeline.whole.to_yaml(),
        }
    }
