"""The settings of a submission: of its file first, then, once the RUN has its name, of its directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.batch.config.making import package_defaults
from stage.batch.config.settings import Settings
from stage.batch.engines.finding import short_name
from stage.campaign.files import write_atomically

if TYPE_CHECKING:
    from stage.batch.layout import SubmitDir

__all__ = [
    "file_settings",
    "labels_of",
    "link_to",
    "notes_of",
    "site_of",
    "submission_settings",
    "unique_name",
    "write_config",
]

_PLACE = "submitPath"
_LABELS = {"operator": "operator", "project": "project", "campaign": "campaign", "payload": "payloadName"}


def file_settings(file: str | Path, given: Mapping[str, Any]) -> Settings:
    """Read a file as its user wrote it.

    Parameters
    ----------
    file : str or path
        The YAML.
    given : mapping of str to object
        What counts before it.

    Returns
    -------
    Settings
        With the package's defaults.
    """
    return Settings.read(file, command_line=given)


def unique_name(settings: Settings, run: str) -> str:
    """Return the unique name of a run.

    Parameters
    ----------
    settings : Settings
        Of its file.
    run : str
        The RUN.

    Returns
    -------
    str
        ``uniqProcName`` if somebody says one, else the RUN; in both, strokes are underscores.
    """
    said = settings.text("uniqProcName") if settings.is_said("uniqProcName") else ""
    return (said or run).replace("/", "_")


def with_run(
    settings: Settings, place: SubmitDir, name: str, run: str, graph: Path | None = None
) -> dict[str, Any]:
    """Return the settings once the RUN has its name, which counts before all that was said.

    Parameters
    ----------
    settings : Settings
        Of the file.
    place : SubmitDir
        The submission's directory.
    name, run : str
        Its unique name, and the RUN; empty if it has none.
    graph : pathlib.Path, optional
        The graph, if it is not in that directory.

    Returns
    -------
    dict
        For `write_config`.
    """
    document = settings.document()
    values: dict[str, Any] = {"submitPath": str(place.root), "uniqProcName": name}
    if run:
        values |= {"outputRun": run, "qgraphFile": str(graph or place.graph)}
    document["bps_cmdline"] = {**(document.get("bps_cmdline") or {}), **values}
    return document


def write_config(
    where: SubmitDir, document: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> Settings:
    """Write ``config.yaml``: the file with all that it includes, and the command line.

    Parameters
    ----------
    where : SubmitDir
        Where to write it.
    document : mapping
        All settings.
    given : mapping, optional
        What counts before them now.

    Returns
    -------
    Settings
        As they are read from it.
    """
    import yaml

    merged = {**document, "bps_cmdline": {**document.get("bps_cmdline", {}), **(given or {})}}
    where.root.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)
    write_atomically(where.config, text.encode())
    return submission_settings(where)


def submission_settings(where: SubmitDir, **more: Any) -> Settings:
    """Read the settings of a submission again.

    Parameters
    ----------
    where : SubmitDir
        Its directory.
    **more
        What counts before them, by the names of the file.

    Returns
    -------
    Settings
        As `write_config` wrote them.
    """
    return Settings.read(where.config, command_line=more, defaults=False)


def labels_of(settings: Settings) -> dict[str, str]:
    """Return what reports show of a submission.

    Parameters
    ----------
    settings : Settings
        Its.

    Returns
    -------
    dict of str to str
        ``operator``, ``project``, ``campaign``, ``payload``.
    """
    return {name: settings.text(key) for name, key in _LABELS.items()}


def site_of(settings: Settings) -> tuple[str, str]:
    """Return where a submission goes, and what runs it there.

    Parameters
    ----------
    settings : Settings
        Its.

    Returns
    -------
    (str, str)
        The site and the engine.

    Raises
    ------
    UsageError
        If no site is named.
    """
    site = settings.text("computeSite")
    if not site:
        raise UsageError(
            "no site is named on which the jobs are to run",
            code="no-site",
            hint="Name one: --compute-site local, or 'computeSite: local' in the file.",
        )
    return site, short_name(settings.text("wmsServiceClass", site=site) or "local")


def notes_of(settings: Settings) -> list[str]:
    """Say what a person may want to know of a file: what means nothing here, and why.

    Parameters
    ----------
    settings : Settings
        Its.

    Returns
    -------
    list of str
        A line each.
    """
    return [str(note) for note in settings.notes()]


def link_to(where: SubmitDir, settings: Settings) -> list[str]:
    """Let a submission be found where its file wants it: its files are in its campaign.

    Parameters
    ----------
    where : SubmitDir
        Its directory.
    settings : Settings
        Of its file.

    Returns
    -------
    list of str
        What there is to be said of ``submitPath``; nothing if the file does not say it.
    """
    written = settings.document().get(_PLACE)
    if written == package_defaults()[_PLACE]:
        return []
    place = Path(settings.text(_PLACE)).expanduser().absolute()
    if place.resolve() == where.root.resolve():
        return []
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(where.root)
    except OSError as error:
        return [f"{_PLACE}: no link to {where.root} can be made at {place} ({error.strerror or error})"]
    return [f"{_PLACE}: {place} is a link to {where.root}"]
