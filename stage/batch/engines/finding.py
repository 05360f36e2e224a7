"""Engines by name: installed ones by the entry point group ``stage.engines``, others as ``module:Class``."""

from __future__ import annotations

import importlib
import json
import logging
from dataclasses import asdict
from typing import Any

from registry.errors import IntegrityError, NotFoundError, UsageError, nearest
from stage.batch.engines.base import Engine, EngineSettings
from stage.batch.layout import SubmitDir
from sync.filesystem import files

__all__ = [
    "engine_class",
    "engine_names",
    "engine_sites",
    "find_engine",
    "load_engine",
    "save_engine",
    "short_name",
]

_log = logging.getLogger(__name__)
_GROUP = "stage.engines"
_OURS = {
    "local": "stage.batch.engines.local:LocalEngine",
    "parsl": "stage.batch.engines.parsl.engine:ParslEngine",
    "slurm": "stage.batch.engines.slurm.engine:SlurmEngine",
    "htcondor": "stage.batch.engines.htcondor.engine:HTCondorEngine",
    "sites": "stage.batch.engines.sites:SitesEngine",
}
"""They are found without their entry points too: in a checkout that was installed before it had them."""
_FIELD = "lsst.ctrl.bps."
_OF_FIELD = {"HTCondorService": "htcondor", "ParslService": "parsl"}
_FILE = "engine.json"


def short_name(name: str) -> str:
    """Return our name of an engine that a file may call by its name in the field's own service.

    Parameters
    ----------
    name : str
        As in ``wmsServiceClass``.

    Returns
    -------
    str
        The short name where there is one; otherwise the same.
    """
    if not name.startswith(_FIELD):
        return name
    return _OF_FIELD.get(name.rpartition(".")[2], name)


def engine_names() -> list[str]:
    """Return the names of the engines that there are.

    Returns
    -------
    list of str
        Sorted; those of other packages with ours.
    """
    return sorted(_known())


def find_engine(name: str, settings: EngineSettings) -> Engine:
    """Make an engine.

    Parameters
    ----------
    name : str
        A short name, ``module:Class``, or what the field's service calls one of those that we have too.
    settings : EngineSettings
        The site's. With a section ``ssh`` the engine is one of another machine.

    Returns
    -------
    Engine
        Not opened yet.

    Raises
    ------
    UsageError
        If there is none of that name, or it cannot be loaded.
    """
    short = short_name(name)
    if short != name:
        _log.info("%s is the engine '%s' here", name, short)
    if settings.options.get("ssh") is not None:
        from stage.batch.engines.ssh.engine import SshEngine

        return SshEngine(settings, short)
    return engine_class(short)(settings)


def engine_class(name: str) -> type[Engine]:
    """Find the class of an engine.

    Parameters
    ----------
    name : str
        A short name, or ``module:Class``.

    Returns
    -------
    type
        Derived from `Engine`.

    Raises
    ------
    UsageError
        If there is none of that name, or it cannot be loaded.
    """
    target = name if ":" in name else _known().get(name)
    if target is None:
        raise UsageError(
            f"there is no engine '{name}'",
            code="no-engine",
            hint=f"{nearest(name, _known())} One of your own is given as module:Class.",
        )
    found = _load(name, target)
    if not (isinstance(found, type) and issubclass(found, Engine)):
        raise UsageError(
            f"{target} is no engine",
            code="no-engine",
            hint="An engine is a class derived from stage.batch.engines.base.Engine.",
        )
    return found


def save_engine(where: SubmitDir, name: str, settings: EngineSettings) -> None:
    """Keep with a submission what runs it, for a head that is started later.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    name : str
        As for `find_engine`.
    settings : EngineSettings
        The site's; its options are values of JSON.
    """
    where.engine.mkdir(parents=True, exist_ok=True)
    document = json.dumps({"engine": short_name(name), **asdict(settings)}, indent=1, default=str)
    files.write_bytes(where.engine / _FILE, document.encode(), durable=True)


def engine_sites(where: SubmitDir) -> dict[str, str]:
    """Return the sites of a submission that has several, as `save_engine` kept them; nothing is loaded.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Returns
    -------
    dict of str to str
        Engine by site; empty if all jobs are for one site, or nothing was prepared.
    """
    try:
        sites = json.loads(files.read_bytes(where.engine / _FILE))["options"].get("sites")
        return {str(name): str(told["engine"]) for name, told in sites.items()} if sites else {}
    except (NotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def load_engine(where: SubmitDir) -> Engine:
    """Make the engine that `save_engine` kept.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Returns
    -------
    Engine
        Not opened yet.

    Raises
    ------
    NotFoundError
        If nothing was prepared there.
    IntegrityError
        If the file is no longer what was written.
    UsageError
        As of `find_engine`.
    """
    path = where.engine / _FILE
    try:
        document = json.loads(files.read_bytes(path))
        name = str(document.pop("engine"))
        settings = EngineSettings(**document)
    except NotFoundError as error:
        raise NotFoundError(
            f"{where.root} was not prepared: there is no {_FILE}",
            code="not-prepared",
            hint="Prepare it first: stage batch prepare.",
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(
            f"{path} is not what was written there: {error}",
            code="bad-engine-file",
            hint="Prepare the submission again.",
        ) from error
    return find_engine(name, settings)


def _known() -> dict[str, str]:
    from importlib.metadata import entry_points

    return _OURS | {point.name: point.value for point in entry_points(group=_GROUP)}


def _load(name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"engine '{name}' cannot be loaded: {error}",
            code="no-engine",
            hint=f"What it is made of has to be installed here: {module}.",
        ) from error
    return found
