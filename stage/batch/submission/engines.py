"""The engine of a submission, made from the settings of its site, or of its sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from registry.errors import UsageError, nearest
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.finding import engine_names, find_engine, short_name

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings
    from stage.batch.engines.base import Engine, JobState
    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import Workflow

__all__ = ["SelfDriven", "engine_name", "find_for", "memory_limits"]


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


def find_for(
    settings: Settings, site: str, name: str, run_name: str = "", *, workflow: Workflow | None = None
) -> Engine:
    """Make the engine of a submission: of its site, or of all sites that its jobs are for.

    Parameters
    ----------
    settings : Settings
        Of a submission.
    site, name : str
        The site of all that names no other, and what runs jobs there.
    run_name : str, optional
        Unique name of the run.
    workflow : Workflow, optional
        Its jobs, which say for which sites they are; by default what the settings name.

    Returns
    -------
    Engine
        Not opened yet.

    Raises
    ------
    UsageError
        If there is no such engine, a site is named that there is not, or an engine cannot be one of several.
    """
    variables = settings.section("environment")
    environment = {str(key): str(value) for key, value in variables.items()}

    def made(engine: str, options: Mapping[str, Any]) -> Engine:
        return find_engine(engine, EngineSettings(site, options, run_name, environment))

    names = _sites_named(settings, site) if workflow is None else _sites_of(workflow, site)
    if names == [site]:
        return made(name, _options(settings, site))
    from stage.batch.engines.sites import SitesEngine, sites_options

    engines = {n: (name if n == site else _engine_of(settings, n), _options(settings, n)) for n in names}
    return made(SitesEngine.name, sites_options(engines, site))


def _options(settings: Settings, site: str) -> dict[str, Any]:
    return dict(settings.section(f".site.{site}"))


def _sites_of(workflow: Workflow, site: str) -> list[str]:
    """Return the sites that jobs are for, in the order of the jobs."""
    return list(dict.fromkeys(s.compute_site or site for s in workflow.settings)) or [site]


def _sites_named(settings: Settings, site: str) -> list[str]:
    """Return the sites that tasks and clusters may go to."""
    found = [site]
    for section in ("pipetask", "cluster"):
        for label, told in (settings.get(section) or {}).items():
            if isinstance(told, Mapping) and told.get("computeSite"):
                found.append(settings.text("computeSite", **{section: str(label)}) or site)
    return list(dict.fromkeys(found))


def _engine_of(settings: Settings, site: str) -> str:
    """Return what runs jobs on a further site, which has to be one that somebody has written down."""
    there = settings.get("site") or {}
    if site not in there and site not in engine_names():
        raise UsageError(
            f"jobs are for the site '{site}', and there is no section 'site.{site}'",
            code="no-site",
            hint=f"{nearest(site, there)} A site is a section: site: {{{site}: {{wmsServiceClass: …}}}}.",
        )
    said = settings.text("wmsServiceClass", site=site)
    return short_name(said if site in there else site) or "local"


def engine_name(engine: Engine, name: str) -> str:
    """Return by which name an engine is kept with a submission.

    Parameters
    ----------
    engine : Engine
        As `find_for` made it.
    name : str
        What runs jobs on the site of all that names no other; it may be a class of somebody's own.

    Returns
    -------
    str
        For `stage.batch.engines.finding.save_engine`.
    """
    from stage.batch.engines.sites import SitesEngine

    return engine.name if isinstance(engine, SitesEngine) else name


def memory_limits(settings: Settings, engine: Engine, site: str) -> dict[str, int]:
    """Return the most memory that a job can get on each site, where the file leaves that to be asked.

    Parameters
    ----------
    settings : Settings
        Of a submission.
    engine : Engine
        What runs it.
    site : str
        The site of all that names no other.

    Returns
    -------
    dict of str to int
        Megabytes by site; without those of which the file says it, or it cannot be known.
    """
    from stage.batch.engines.sites import SitesEngine

    engines = engine.sites if isinstance(engine, SitesEngine) else {site: engine}
    limits: dict[str, int] = {}
    for name, one in engines.items():
        if not settings.search("memoryLimit", site=name)[0]:
            limit = one.memory_limit_mb(settings.text("executeMachinesPattern", site=name))
            limits |= {name: limit} if limit else {}
    return limits
