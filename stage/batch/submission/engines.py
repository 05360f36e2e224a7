"""The engine of a submission, made from the settings of its site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from stage.batch.engines.base import EngineSettings
from stage.batch.engines.finding import find_engine

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings
    from stage.batch.engines.base import Engine, JobState
    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import Workflow

__all__ = ["SelfDriven", "find_for", "memory_limit_of"]


@runtime_checkable
class SelfDriven(Protocol):
    """An engine that walks through a workflow by itself: it needs no head, and is asked for the whole."""

    def submit(self, where: SubmitDir, name: str) -> str:
        """Take a prepared workflow.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        name : str
            Unique name of the run.

        Returns
        -------
        str
            A handle of it.
        """
        ...

    def restart(self, where: SubmitDir, name: str) -> str:
        """Take what has not ended well of it again.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        name : str
            Unique name of the run.

        Returns
        -------
        str
            A new handle.
        """
        ...

    def cancel(self, handle: str, name: str) -> int:
        """End it.

        Parameters
        ----------
        handle : str
            What `submit` returned.
        name : str
            Unique name of the run.

        Returns
        -------
        int
            How many jobs were ended; 0 if there are none that could be.
        """
        ...

    def states(self, workflow: Workflow, where: SubmitDir, handle: str = "") -> list[JobState]:
        """Return where its jobs are.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.
        handle : str, optional
            What `submit` returned.

        Returns
        -------
        list of JobState
            By their numbers.
        """
        ...


def find_for(settings: Settings, site: str, name: str, run_name: str = "") -> Engine:
    """Make the engine of a site.

    Parameters
    ----------
    settings : Settings
        Of a submission.
    site, name : str
        The site, and what runs jobs there.
    run_name : str, optional
        Unique name of the run.

    Returns
    -------
    Engine
        Not opened yet.
    """
    variables = settings.section("environment")
    return find_engine(
        name,
        EngineSettings(
            site,
            options=dict(settings.section(f".site.{site}")),
            run_name=run_name,
            environment={str(key): str(value) for key, value in variables.items()},
        ),
    )


def memory_limit_of(settings: Settings, engine: Engine) -> int | None:
    """Return the most memory that a job can get, where the file leaves that to be asked.

    Parameters
    ----------
    settings : Settings
        Of a submission.
    engine : Engine
        What runs it.

    Returns
    -------
    int or None
        Megabytes; None if the file says it, memory does not grow, or it cannot be known.
    """
    found, _ = settings.search("memoryLimit")
    if found:
        return None
    return engine.memory_limit_mb(settings.text("executeMachinesPattern"))
