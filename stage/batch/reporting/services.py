"""What is asked of engines and of files, without any submission: ping, config."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stage.batch.engines.base import EngineSettings
from stage.batch.engines.finding import find_engine
from stage.batch.layout import SubmitDir
from stage.batch.submission.engines import find_for
from stage.batch.submission.settings_of import file_settings, site_of, submission_settings
from stage.campaign.graph_reports import Document

if TYPE_CHECKING:
    from stage.batch.config.explaining import Explained

__all__ = ["PingAnswer", "config_values", "ping_engine"]

_ENGINE_VARIABLES = ("STAGE_EXECUTOR", "BPS_WMS_SERVICE_CLASS")


@dataclass(frozen=True)
class PingAnswer(Document):
    """What an engine's services answered.

    Parameters
    ----------
    engine, site : str
        Which.
    answer : str
        One line.
    """

    engine: str
    site: str
    answer: str


def ping_engine(file: str, compute_site: str | None, wms_service_class: str | None) -> PingAnswer:
    """Ask whether the services that an engine needs answer.

    Parameters
    ----------
    file : str
        YAML, or empty.
    compute_site, wms_service_class : str or None
        Before what the file says.

    Returns
    -------
    PingAnswer
        What answers.

    Raises
    ------
    StorageError
        If one does not.
    """
    given = {"computeSite": compute_site, "wmsServiceClass": wms_service_class}
    said = {key: value for key, value in given.items() if value}
    if file:
        settings = file_settings(file, said)
        site, name = site_of(settings)
        engine = find_for(settings, site, name)
    else:
        site = compute_site or "local"
        name = wms_service_class or _of_environment() or "local"
        engine = find_engine(name, EngineSettings(site))
    from stage.batch.engines.sites import SitesEngine

    sites = engine.sites if isinstance(engine, SitesEngine) else {site: engine}
    names = dict.fromkeys(one.name or name for one in sites.values())
    return PingAnswer(", ".join(names), ", ".join(sites), engine.ping())


def _of_environment() -> str:
    return next((os.environ[name] for name in _ENGINE_VARIABLES if os.environ.get(name)), "")


def config_values(file: str, keys: Sequence[str], compute_site: str | None = None) -> list[Explained]:
    """Return settings as they count.

    Parameters
    ----------
    file : str
        The YAML, or the directory of a submission.
    keys : sequence of str
        Which; all if there are none.
    compute_site : str, optional
        Which site's.

    Returns
    -------
    list of Explained
        Each with where it comes from.

    Raises
    ------
    NotFoundError
        If a key is in none of the files.
    """
    said = {"computeSite": compute_site} if compute_site else {}
    if Path(file).is_dir():
        settings = submission_settings(SubmitDir(Path(file).absolute()), **said)
    else:
        settings = file_settings(file, said)
    return settings.explain(keys or None, site=settings.text("computeSite"))
