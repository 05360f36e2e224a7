"""Telling what a pipeline's tasks are: of a campaign, of a file, or of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import UsageError

if TYPE_CHECKING:
    from stage.pipeline.introspection import TaskDoc

__all__ = ["describe_pipeline"]


def describe_pipeline(pipeline: str | None = None, task: str | None = None) -> list[TaskDoc]:
    """Return what there is to know of the tasks of a pipeline file, or of one class, without any campaign.

    Parameters
    ----------
    pipeline : str, optional
        The file.
    task : str, optional
        A task of it; without a file, ``module:Class`` or ``module:function``.

    Returns
    -------
    list of TaskDoc
        Producers before consumers.

    Raises
    ------
    UsageError
        If neither is given.
    PipelineError
        If there is no such task, or it cannot be loaded.
    """
    from stage.pipeline.introspection import describe_tasks
    from stage.pipeline.pipeline import Pipeline

    if pipeline is not None:
        return describe_tasks(Pipeline.load(pipeline), task)
    if task is None:
        raise UsageError(
            "nothing is named that could be described",
            code="nothing-named",
            hint="Name a pipeline file, or a task's class: module:Class.",
        )
    return describe_tasks(Pipeline.of(task=task))
