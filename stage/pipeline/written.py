"""What a pipeline file says of the pipeline: known without importing any task code."""

from __future__ import annotations

from stage.pipeline.definition import PipelineDefinition
from stage.pipeline.steps import Step

__all__ = ["Written"]


class Written:
    """The facts of a definition, as properties.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline as it is written.
    """

    def __init__(self, definition: PipelineDefinition) -> None:
        self.definition = definition

    @property
    def description(self) -> str:
        """What it is for."""
        return self.definition.description

    @property
    def instrument(self) -> str | None:
        """The instrument that it is meant for."""
        return self.definition.instrument

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments that it has settings for."""
        return self.definition.instruments

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of its tasks, as written."""
        return tuple(self.definition.tasks)

    @property
    def subsets(self) -> dict[str, tuple[str, ...]]:
        """Labels in each named subset."""
        return {name: labels for name, (labels, _) in self.definition.subsets.items()}

    @property
    def steps(self) -> tuple[Step, ...]:
        """Parts that are run one after another; none, or one, where one graph holds all."""
        return self.definition.steps

    @property
    def search_path(self) -> tuple[str, ...]:
        """Directories of user modules; they come after all installed packages."""
        return self.definition.search_path
